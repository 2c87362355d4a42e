"""What is remembered of what an application tells of itself."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from support.loop import FakeClock
from support.scripted import ScriptedProbe, target
from uptime_exporter import logs
from uptime_exporter.monitor import Asker, Monitor, ToldCircuit
from uptime_exporter.outcome import AppSeen, CheckSeen, CircuitSeen, Seen


@pytest.mark.parametrize(
    ("seen", "since"),
    [
        (CircuitSeen("open"), 1_000.0),
        (CircuitSeen("open", "1970-01-01T00:10:00Z", 300.0), 700.0),
        (CircuitSeen("open", "1970-01-01T00:10:00Z", 5_000.0), 0.0),
        (CircuitSeen("open", "1970-01-01T00:10:00Z"), 600.0),
        (CircuitSeen("open", "1970-01-01T02:10:00+02:00"), 600.0),
        (CircuitSeen("open", "1970-01-01T00:10:00"), 1_000.0),
        (CircuitSeen("open", "2100-01-01T00:00:00Z"), 1_000.0),
        (CircuitSeen("open", "9999-12-31T23:59:59-23:59"), 1_000.0),
        (CircuitSeen("open", "0001-01-01T00:00:00+23:59"), 0.0),
    ],
)
def test_since_when_is_the_applications_word_if_it_can_be(seen: CircuitSeen, since: float) -> None:
    """Its own reckoning rather than its clock; a future beginning would keep an alert silent for ever."""
    assert ToldCircuit("a", seen, 1_000.0).since == since


def test_the_same_word_is_the_same_time() -> None:
    """An age that jitters with the network moves nothing, nor does an answer without any time."""
    circuit = ToldCircuit("a", CircuitSeen("open", "t", 10.0), 1_000.0)
    circuit.take(CircuitSeen("open", "t", 39.9), 1_030.0)
    assert circuit.since == 990.0
    circuit.take(CircuitSeen("open"), 1_060.0)
    assert circuit.since == 990.0
    circuit.take(CircuitSeen("open", "u", 5.0), 1_090.0)
    assert circuit.since == 1_085.0


def test_changes_are_counted_as_they_are_seen() -> None:
    """What happens between two probes is not; a circuit that is first seen open has not been seen to open."""
    circuit = ToldCircuit("a", CircuitSeen("open"), 0.0)
    opened, trying, closed = CircuitSeen("open"), CircuitSeen("half_open"), CircuitSeen("closed")
    for seen in (opened, trying, opened, opened, closed):
        circuit.take(seen, 1.0)
    assert circuit.transitions == {"closed": 1, "open": 1, "half_open": 1}


def asker(seen: Seen, clock: FakeClock) -> Asker:
    return Asker("a", target(), ScriptedProbe(seen=seen), clock, nullcontext)


@pytest.fixture
def secret() -> Iterator[str]:
    """Something that an application may send back."""
    logs.redact(frozenset({"hunter2"}))
    yield "hunter2"
    logs.redact(frozenset())


async def test_a_secret_that_an_application_sends_back_goes_no_further(secret: str, clock: FakeClock) -> None:
    """Names end in labels and on the page, complaints in the log."""
    told = AppSeen({secret: CircuitSeen("open")}, {secret: CheckSeen(healthy=True)}, lost=(f"{secret} is 1",))
    attempt = await asker(Seen(application=told), clock).attempt()

    assert list(getattr(attempt.seen.application, "circuits", ())) != []
    assert secret not in repr(attempt.seen)


def test_what_is_left_out_is_logged_once(
    clock: FakeClock, run: Callable[[Coroutine[Any, Any, None]], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Not at every beat; and again when it is something else."""

    async def story() -> None:
        probe = ScriptedProbe(seen=Seen(application=AppSeen({}, {}, lost=("timestamp is 17",))))
        monitor = Monitor(clock, lambda _: probe, lambda _: None)
        await monitor.apply({"a": target()})
        await asyncio.sleep(95)
        probe.seen = Seen(application=AppSeen({}, {}, lost=("checks is 1",)))
        await asyncio.sleep(60)
        await monitor.stop()

    with caplog.at_level("WARNING", "uptime_exporter"):
        run(story())

    said = [vars(line)["fields"]["left_out"] for line in caplog.records if "not all" in line.msg]
    assert said == ["timestamp is 17", "checks is 1"]
