"""The JSON of an application, and its toolkit's state in one word."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.golden import agrees
from support.loop import FakeClock
from support.toolkits import FakePool, busy
from uptime_exporter import words
from uptime_exporter.reliability import Reliability, shapes
from uptime_exporter.reliability.checkout import Use
from uptime_exporter.reliability.core import Status

GOLDEN = Path(__file__).parent / "golden"


async def test_reliability_of_a_known_situation(clock: FakeClock) -> None:
    """Every field that existing clients read, and what stands beside them."""
    said = shapes.encode((await busy(clock)).report())

    assert agrees(GOLDEN / "reliability.json", said.decode())


async def test_health_of_a_known_situation(clock: FakeClock) -> None:
    """The same parts, and one word."""
    said = shapes.encode((await busy(clock)).health())

    assert agrees(GOLDEN / "health.json", said.decode())


async def test_a_reset_answers_with_the_breaker(clock: FakeClock) -> None:
    """As it is now."""
    toolkit = await busy(clock)

    assert toolkit.reset("model_server") == {
        "success": True,
        "message": "Circuit model_server is closed",
        "status": {
            "name": "model_server",
            "state": "closed",
            "failure_count": 0,
            "last_failure_time": "2026-01-01T00:00:32.250Z",
            "threshold": 5,
            "recovery_timeout": 60,
            "state_since": "2026-01-01T00:00:36.250Z",
        },
    }


def test_an_exporter_reads_the_same_shapes_from_both() -> None:
    """The names in an application's answer are among those in the exporter's own."""
    web = Path(__file__).parents[1] / "web" / "golden"
    for name in ("reliability.json", "health.json"):
        ours = json.loads((GOLDEN / name).read_text())
        theirs = json.loads((web / name).read_text())
        assert _names(ours) <= _names(theirs)


def _names(told: Any, path: str = "") -> set[str]:
    """Return the paths of all names, those of single circuits and checks left out."""
    if not isinstance(told, dict):
        return {path}
    many = path.endswith(("circuit_breakers", "checks"))
    return {n for key, value in told.items() for n in _names(value, path if many else f"{path}/{key}")}


@pytest.mark.parametrize(
    ("checks", "circuit", "status"),
    [
        ({}, "closed", "healthy"),
        ({"a": "up"}, "closed", "healthy"),
        ({"a": "up", "b": "unknown"}, "closed", "degraded"),
        ({"a": "up"}, "open", "degraded"),
        ({"a": "up"}, "half_open", "degraded"),
        ({"a": "up", "b": "down"}, "closed", "unhealthy"),
        ({"a": "down"}, "open", "unhealthy"),
    ],
)
def test_an_applications_state_in_one_word(checks: dict[str, Any], circuit: Any, status: Status) -> None:
    """Down is unhealthy; not known to be well, or kept from calling, is degraded."""
    toolkit = Reliability("main-backend")
    toolkit.breaker("model_server").state = circuit
    toolkit.monitor({name: lambda: True for name in checks})
    for name, state in checks.items():
        toolkit.checks.checks[name].state = state

    assert toolkit.status == status


def test_every_name_is_given_once() -> None:
    """Names are labels: a second circuit of the same name would hide the first."""
    toolkit = Reliability("main-backend")
    toolkit.breaker("a")
    toolkit.retry("a")
    toolkit.pool(FakePool(Use("a", 1, 1.0)))
    toolkit.monitor({"a": lambda: True})

    for again in (
        lambda: toolkit.breaker("a"),
        lambda: toolkit.retry("a"),
        lambda: toolkit.pool(FakePool(Use("a", 1, 1.0))),
        lambda: toolkit.monitor({}),
    ):
        with pytest.raises(ValueError, match=r"already: "):
            again()


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_circuits_name_is_part_of_a_path(name: str) -> None:
    """One that could not be reset is refused."""
    with pytest.raises(ValueError, match="its name is a part of a path"):
        Reliability("main-backend").breaker(name)


@pytest.mark.parametrize("objective", [0.0, 1.0, 99.9])
def test_a_promise_is_between_nothing_and_everything(objective: float) -> None:
    """99.9 was meant as 0.999."""
    with pytest.raises(ValueError, match=r"must be between 0 and 1, such as 0\.999"):
        Reliability("main-backend", objective=objective)


@given(st.none() | st.floats(0, 4e9))
def test_times_are_told_as_everywhere_else(unix: float | None) -> None:
    """The toolkit, which imports nothing of the exporter, writes them as the exporter does."""
    assert shapes.iso(unix) == words.iso(unix)


async def test_pools_are_disconnected_together() -> None:
    """At the application's end."""
    toolkit = Reliability("main-backend")
    pools = [toolkit.pool(FakePool(Use(name, 1, 1.0))) for name in ("http", "mysql")]

    await toolkit.disconnect()

    assert [pool.disconnected for pool in pools] == [["http"], ["mysql"]]
