"""What applications tell of themselves, and how the exporter itself ended, on the page for Prometheus."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.loop import FakeClock
from support.published import Situation
from support.servers import need
from support.stock import Stock
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.outcome import AppSeen, CheckSeen, CircuitSeen, Reason, Seen
from uptime_exporter.reliability import GracefulShutdown
from uptime_exporter.settings import HttpTarget, ReliabilityTarget

BACKEND = ReliabilityTarget(url="http://backend.test:8000/reliability")
RULES = Path(__file__).parents[2] / "alerts" / "rules" / "targets.yaml"
SINCE = "uptime_circuit_state_since_timestamp_seconds"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def situation(clock: FakeClock) -> Situation:
    """A backend that nobody has asked yet."""
    now = Situation(clock)
    now.watch("main_backend", BACKEND)
    return now


@pytest.fixture
def page(situation: Situation) -> Exposition:
    return Exposition(situation, situation, Reloads(successful=True, at=0.0), process=False)


def telling(**circuits: CircuitSeen) -> Seen:
    checks = {"database": CheckSeen(healthy=True, last="t", age=4.0), "asr": CheckSeen(healthy=None)}
    return Seen(application=AppSeen(circuits, checks, in_flight=3, shutting_down=False))


def lines(page: Exposition, start: str, app: str = "main_backend") -> Sequence[str]:
    for accept in ("", OPENMETRICS):  # what it held from before is what the client library would write now
        assert page.render(accept) == Stock(page).render(accept)
    text = page.render("")[0].decode().splitlines()
    return [line for line in text if line.startswith(start) and f'app="{app}"' in line]


def test_nothing_is_said_before_the_application_has_said_anything(page: Exposition) -> None:
    """Neither of it nor of its circuits."""
    assert lines(page, "uptime_requests") == []
    assert lines(page, "uptime_shutdown") == []


def test_it_is_published_under_the_targets_name(situation: Situation, page: Exposition) -> None:
    """With the names that the toolkit has in an application; its calls are not told, so nothing is said of them."""
    began = situation.clock.wall()
    situation.happen("main_backend", seen=telling(model_server=CircuitSeen("open", "a", 600.0)))

    assert lines(page, "uptime_circuit") == [
        'uptime_circuit_state{app="main_backend",circuit="model_server",state="closed"} 0.0',
        'uptime_circuit_state{app="main_backend",circuit="model_server",state="open"} 1.0',
        'uptime_circuit_state{app="main_backend",circuit="model_server",state="half_open"} 0.0',
        f'{SINCE}{{app="main_backend",circuit="model_server"}} {_go(began - 600)}',
        'uptime_circuit_transitions_total{app="main_backend",circuit="model_server",to="closed"} 0.0',
        'uptime_circuit_transitions_total{app="main_backend",circuit="model_server",to="open"} 0.0',
        'uptime_circuit_transitions_total{app="main_backend",circuit="model_server",to="half_open"} 0.0',
    ]
    assert lines(page, "uptime_requests") == ['uptime_requests_in_flight{app="main_backend"} 3.0']
    assert lines(page, "uptime_shutdown") == ['uptime_shutdown_in_progress{app="main_backend"} 0.0']
    assert lines(page, "uptime_check") == [
        'uptime_check_up{app="main_backend",check="database"} 1.0',
        f'uptime_check_last_run_timestamp_seconds{{app="main_backend",check="database"}} {_go(began - 4)}',
    ]


@pytest.mark.parametrize("reason", [None, Reason.BODY])
def test_nothing_is_said_while_nobody_knows(
    situation: Situation, page: Exposition, reason: Reason | None
) -> None:
    """Down or stale: only how often a change was seen stays, as it was seen."""
    situation.happen("main_backend", seen=telling(a=CircuitSeen("closed")))
    situation.happen("main_backend", seen=telling(a=CircuitSeen("open")))
    assert len(lines(page, "uptime_")) == 11
    if reason is None:
        situation.clock.pass_time(100)
    else:
        situation.happen("main_backend", reason)

    assert lines(page, "uptime_") == [
        'uptime_circuit_transitions_total{app="main_backend",circuit="a",to="closed"} 0.0',
        'uptime_circuit_transitions_total{app="main_backend",circuit="a",to="open"} 1.0',
        'uptime_circuit_transitions_total{app="main_backend",circuit="a",to="half_open"} 0.0',
    ]


def test_what_it_no_longer_tells_of_is_gone(situation: Situation, page: Exposition) -> None:
    """Names that come and go pile up nowhere."""
    for n in range(20):
        situation.happen("main_backend", seen=telling(**{f"c{n}": CircuitSeen("closed")}))
    assert {line.split('"')[3] for line in lines(page, "uptime_circuit")} == {"c19"}
    situation.watches["main_backend"].adopt(HttpTarget(url="http://backend.test/"))
    assert lines(page, "uptime_circuit") == []


def test_the_exporters_own_drains_are_published(situation: Situation, tmp_path: Path) -> None:
    """Those of earlier processes too; both results are there from the start."""
    drain = GracefulShutdown(30, record=tmp_path / "shutdowns.json")
    page = Exposition(situation, situation, Reloads(successful=True, at=0.0), drain=drain, process=False)
    before = lines(page, "uptime_shutdown", "uptime-exporter")
    (tmp_path / "shutdowns.json").write_text('{"clean": 4, "timeout": 1, "last_seconds": 30.5}')

    assert before == [
        'uptime_shutdown_in_progress{app="uptime-exporter"} 0.0',
        'uptime_shutdowns_total{app="uptime-exporter",result="clean"} 0.0',
        'uptime_shutdowns_total{app="uptime-exporter",result="timeout"} 0.0',
    ]
    assert lines(page, "uptime_shutdown", "uptime-exporter") == [
        'uptime_shutdown_in_progress{app="uptime-exporter"} 0.0',
        'uptime_shutdown_seconds{app="uptime-exporter"} 30.5',
        'uptime_shutdowns_total{app="uptime-exporter",result="clean"} 4.0',
        'uptime_shutdowns_total{app="uptime-exporter",result="timeout"} 1.0',
    ]


def test_the_rule_for_open_circuits_holds_for_it(
    situation: Situation, page: Exposition, tmp_path: Path
) -> None:
    """Prometheus fires for what this page says of the open circuit, and not for the closed one."""
    seen = telling(model_server=CircuitSeen("open"), asr_ocr_server=CircuitSeen("closed"))
    situation.happen("main_backend", seen=seen)
    series = [line.rpartition(" ") for line in lines(page, "uptime_circuit_state{")]
    fired = 'ALERTS{alertname="UptimeCircuitOpen",alertstate="firing"}'
    which = fired.replace("}", ',app="main_backend",circuit="model_server",severity="critical"}')
    checks = [
        {"expr": fired, "eval_time": at, "exp_samples": samples}
        for at, samples in (("4m", []), ("11m", [{"labels": which, "value": 1}]))
    ]
    story = {
        "interval": "30s",
        "input_series": [{"series": name, "values": f"{float(value):g}x30"} for name, _, value in series],
        "promql_expr_test": checks,
    }
    file = tmp_path / "bridge.test.yaml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [story]}))
    said = subprocess.run(
        [need("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr


def _go(number: float) -> str:
    return f"{number / 1e9!r}e+09"
