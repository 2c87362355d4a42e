"""What an application tells of itself, in the JSON and on the page."""

from typing import Any

from support.situations import BEAT, Scene
from uptime_exporter.outcome import AppSeen, CheckSeen, CircuitSeen, Reason, Seen
from uptime_exporter.settings import ReliabilityTarget
from uptime_exporter.web import answers
from uptime_exporter.web.page import render_page

BACKEND = ReliabilityTarget(url="http://localhost:8000/reliability")
TOLD = AppSeen(
    circuits={"model_server": CircuitSeen("open"), "<asr>": CircuitSeen("closed")},
    checks={"database": CheckSeen(healthy=True), "asr": CheckSeen(healthy=None)},
    in_flight=3,
    shutting_down=True,
    lost=("timestamp is 17, expected a time in ISO 8601",),
)


def scene() -> Scene:
    scene = Scene({"main_backend": BACKEND})
    scene.past("main_backend").beat(seen=Seen(degraded=True, message="shutting down", application=TOLD))
    return scene


def check(scene: Scene) -> Any:
    said: Any = answers.reliability(scene.backend())
    return said["health_monitor"]["checks"]["main_backend"]


def test_it_stands_beside_what_old_clients_read() -> None:
    """Under its target's check; the exporter's own circuits and requests are not mixed with it."""
    now = scene()
    said: Any = answers.reliability(now.backend())

    told = check(now)["application"]
    assert told["circuits"]["model_server"]["state"] == "open"
    assert told["circuits"]["model_server"]["state_since"].endswith("Z")
    assert told["checks"] == {"database": {"healthy": True}, "asr": {"healthy": None}}
    assert (told["active_requests"], told["is_shutting_down"]) == (3, True)
    assert told["left_out"] == ["timestamp is 17, expected a time in ISO 8601"]
    assert list(said["circuit_breakers"]) == ["main_backend"]
    assert said["graceful_shutdown"]["active_requests"] == 0


def test_nothing_is_told_while_nobody_knows() -> None:
    """Down or stale, what it said before is not repeated as if it were so."""
    now = scene()
    now.clock.pass_time(3 * BEAT)
    assert check(now)["application"] is None
    now.past("main_backend").beat(Reason.BODY, "it says: broken")
    assert check(now)["application"] is None


async def test_the_page_names_what_is_not_well() -> None:
    """As it was said, and as text."""
    page = await render_page(scene().backend())

    assert "1 of 2 closed, <strong>not: <bdi>model_server</bdi></strong>" in page
    assert "1 of 2 well, <strong>not: <bdi>asr</bdi></strong>" in page
    assert "shutting down, 3 in flight" in page
    assert "timestamp is 17, expected a time" in page
    assert "<asr>" not in page
