"""What an application publishes."""

import asyncio
import re
import subprocess
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from support.asgi import client_of
from support.golden import agrees
from support.loop import FakeClock
from support.servers import need
from support.toolkits import busy
from uptime_exporter.reliability import Reliability
from uptime_exporter.reliability.metrics import Toolkit

GOLDEN = Path(__file__).parent / "golden"
EXPORTERS = Path(__file__).parents[1] / "golden" / "metrics.txt"
CONTRACT = {
    "uptime_circuit_state": {"app", "circuit", "state"},
    "uptime_circuit_state_since_timestamp_seconds": {"app", "circuit"},
    "uptime_circuit_transitions_total": {"app", "circuit", "to"},
    "uptime_circuit_calls_total": {"app", "circuit", "outcome"},
    "uptime_requests_total": {"app", "method", "route", "code"},
    "uptime_request_failures_total": {"app"},
    "uptime_request_duration_seconds_bucket": {"app", "route", "le"},
    "uptime_requests_in_flight": {"app"},
    "uptime_retries_total": {"app", "policy", "outcome"},
    "uptime_shutdown_in_progress": {"app"},
    "uptime_shutdown_seconds": {"app"},
    "uptime_shutdowns_total": {"app", "result"},
}


async def a_toolkit(clock: FakeClock) -> Reliability:
    """Return one that was asked something, too."""
    toolkit = await busy(clock)
    toolkit.requests.clock = clock.monotonic

    async def answer(_scope: object, _receive: object, send: object) -> None:
        clock.pass_time(0.03)
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator] # ASGI's
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator] # ASGI's

    async with client_of(toolkit.requests.wrap(answer)) as client:
        await client.get("/whatever")
        await client.request("BREW", "/coffee")
    return toolkit


def families(toolkit: Reliability) -> dict[str, Metric]:
    return {family.name: family for family in Toolkit(toolkit).collect()}


def text_of(toolkit: Reliability) -> str:
    registry = CollectorRegistry()
    registry.register(toolkit.collector)
    return generate_latest(registry).decode()


async def test_the_exposition_of_a_known_situation(clock: FakeClock) -> None:
    """Every family, label and value."""
    assert agrees(GOLDEN / "metrics.txt", text_of(await a_toolkit(clock)))


async def test_names_and_labels_are_the_promised_ones(clock: FakeClock) -> None:
    """Rules and dashboards hold on to them."""
    toolkit = await a_toolkit(clock)
    await toolkit.drain.wait()
    told = {sample.name: set(sample.labels) for f in families(toolkit).values() for sample in f.samples}

    assert {name: told.get(name) for name in CONTRACT} == CONTRACT
    assert not any(name.endswith("_created") for name in told)
    assert not {"service", "env", "type", "region"} & set().union(*told.values())


def test_every_value_of_a_label_is_there_from_the_start() -> None:
    """A counter that first appears at 1 hides what it counts from `increase`."""
    toolkit = Reliability("main-backend")
    toolkit.breaker("model_server")
    toolkit.retry("model_server")
    toolkit.monitor({"database": lambda: True})
    told = families(toolkit)

    def values(name: str, label: str) -> dict[str, float]:
        return {s.labels[label]: s.value for s in told[name].samples}

    assert values("uptime_circuit_state", "state") == {"closed": 1, "open": 0, "half_open": 0}
    assert values("uptime_circuit_transitions", "to") == {"closed": 0, "open": 0, "half_open": 0}
    assert values("uptime_circuit_calls", "outcome") == {"success": 0, "failure": 0, "rejected": 0}
    assert values("uptime_retries", "outcome") == {"success": 0, "failure": 0, "deadline": 0, "budget": 0}
    assert values("uptime_shutdowns", "result") == {"clean": 0, "timeout": 0}
    assert values("uptime_checks", "result") == {"success": 0, "failure": 0}
    assert values("uptime_request_failures", "app") == {"main-backend": 0}
    assert told["uptime_check_up"].samples == []
    assert told["uptime_shutdown_seconds"].samples == []


async def test_circuits_are_described_as_the_exporter_does(clock: FakeClock) -> None:
    """One name, one text, whoever publishes it."""
    exporters = EXPORTERS.read_text(encoding="utf-8")
    described = re.findall(
        r"^# (?:HELP|TYPE) (uptime_(?:circuit|shutdown|request)\w+) .*$", exporters, re.MULTILINE
    )
    ours = text_of(await a_toolkit(clock)).splitlines()

    assert {"uptime_circuit_state", "uptime_circuit_calls_total"} <= set(described)
    for line in exporters.splitlines():
        if re.match(r"# (HELP|TYPE) uptime_circuit", line):
            assert line in ours


async def test_promtool_finds_nothing_to_complain_of(clock: FakeClock) -> None:
    """Names, units and texts are as Prometheus likes them."""
    told = text_of(await a_toolkit(clock))
    command = [need("promtool"), "check", "metrics"]
    done = await asyncio.to_thread(subprocess.run, command, input=told, capture_output=True, text=True)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")
