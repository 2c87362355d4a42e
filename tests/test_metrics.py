"""The exposition: complete, valid in both formats, and nothing left behind."""

import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from support.loop import FakeClock
from support.published import Situation
from support.servers import need
from uptime_exporter import __version__
from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.span import State
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.outcome import OwnFault, Reason, Seen
from uptime_exporter.settings import HttpTarget, MysqlTarget

GOLDEN = Path(__file__).parent / "golden"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def situation(clock: FakeClock) -> Situation:
    """A model server that is degraded, a database that is down, and a target that nobody has asked yet."""
    now = Situation(clock)
    now.watch("model_server", HttpTarget(url="https://models.test/health?key=hidden"))
    now.watch("mysql", MysqlTarget(host="::1"))
    now.watch("new", HttpTarget(url="http://new.test:8002/"))
    for _ in range(4):
        now.happen("mysql", Reason.TOO_MANY_CONNECTIONS, detail="1040", attempts=3)
    now.happen("mysql", OwnFault.RESOURCES)
    seen = Seen(
        degraded=True,
        models={"llama": True, 'odd "name"\\\n': False},
        certificate_expires=clock.wall() + 86_400,
    )
    phases = {"resolve": 0.0005, "connect": 0.0005, "tls": 0.001, "processing": 0.002, "transfer": 0.0}
    now.happen("model_server", seen=seen, phases=phases)
    now.happen("mysql", Reason.CONNECT, attempts=3, seconds=2.75)
    now.happen("model_server", seen=seen, phases=phases)
    for name, targets in (
        ("system", ("model_server", "mysql")),
        ("model_server", ("model_server",)),
        ("new", ("new",)),
    ):
        now.accounts[name] = Account(name, Terms(targets), born=0)
    now.accounts["system"].add(100_000, State.UP)
    now.accounts["system"].add(110_000, State.UNKNOWN, "exporter_down")
    now.accounts["system"].add(150_500, State.DOWN, "mysql: connect")
    now.accounts["model_server"].add(150_500, State.UP)
    return now


def exposition(situation: Situation) -> Exposition:
    return Exposition(situation, situation, Reloads(successful=True, at=1_767_225_600.0), process=False)


@pytest.mark.parametrize(
    ("accept", "golden"),
    [("", "metrics.txt"), (OPENMETRICS, "metrics.openmetrics.txt")],
)
def test_the_exposition_is_the_golden_file(situation: Situation, accept: str, golden: str) -> None:
    """Every name, label and text that rules and dashboards hold on to; UPDATE_GOLDEN=1 writes it anew."""
    text = exposition(situation).render(accept)[0].decode().replace(__version__, "VERSION")
    text = text.replace(f'python="{platform.python_version()}"', 'python="PYTHON"')
    path = GOLDEN / golden
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_promtool_finds_nothing_to_complain_of(situation: Situation) -> None:
    """Prometheus' own linter passes the exposition, process metrics included."""
    promtool = need("promtool")
    body, _ = Exposition(situation, situation, Reloads(successful=True, at=0.0)).render("")
    done = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_both_formats_say_the_same(situation: Situation) -> None:
    """OpenMetrics parses strictly, and its samples are those of the text format."""
    page = exposition(situation)
    text, text_type = page.render("")
    openmetrics, openmetrics_type = page.render(OPENMETRICS)
    assert "0.0.4" in text_type
    assert "openmetrics" in openmetrics_type

    def samples(families: Iterable[Metric]) -> set[object]:
        return {(s.name, tuple(sorted(s.labels.items())), s.value) for f in families for s in f.samples}

    strict = parse_openmetrics(openmetrics.decode())  # type: ignore[no-untyped-call] # has no types
    assert samples(strict) == samples(parse_text(text.decode()))
    assert b"_created" not in text + openmetrics


def test_nothing_is_said_of_what_nobody_knows(situation: Situation) -> None:
    """Before the first probe there is no `up`, but every counter stands at 0."""
    text = exposition(situation).render("")[0].decode()
    assert 'uptime_target_up{target="new"}' not in text
    assert 'uptime_probe_failures_total{reason="timeout",target="new"} 0.0' in text
    assert 'uptime_probe_inconclusive_total{reason="resolver",target="new"} 0.0' in text
    assert 'uptime_probes_total{target="new"} 0.0' in text


def test_a_stale_verdict_is_no_verdict(situation: Situation, clock: FakeClock) -> None:
    """Two and a half beats after the last probe the target is unknown."""
    page = exposition(situation)
    assert 'uptime_target_up{target="model_server"} 1.0' in page.render("")[0].decode()
    clock.pass_time(50)
    text = page.render("")[0].decode()
    assert 'uptime_target_up{target="model_server"}' not in text
    assert 'uptime_target_degraded{target="model_server"}' not in text
    assert 'uptime_probes_total{target="model_server"} 2.0' in text


def test_a_target_that_leaves_the_settings_leaves_the_exposition(situation: Situation) -> None:
    """No series outlives its target."""
    del situation.watches["mysql"]
    situation.accounts["system"].terms = Terms(("model_server",))
    assert "mysql" not in exposition(situation).render("")[0].decode()


def test_no_secret_is_in_an_address(situation: Situation) -> None:
    """A query string may carry a key, so addresses end before it."""
    text = exposition(situation).render("")[0].decode()
    assert 'address="https://models.test:443/health"' in text
    assert "hidden" not in text


def test_labels_keep_clear_of_what_scrapers_add() -> None:
    """Labels such as `service` or `env` belong to those who run Prometheus."""
    names = set()
    for line in (GOLDEN / "metrics.txt").read_text().splitlines():
        if "{" in line and not line.startswith("#"):
            names |= {part.partition("=")[0] for part in line.partition("{")[2].split(",")}
    assert not names & {"service", "env", "type", "region", "job", "instance"}
