"""The JSON that scripts and old clients read."""

import json
from pathlib import Path

import pytest

from support.golden import agrees
from support.situations import BEAT, DOOR, MODEL_SERVER, MYSQL, Scene
from uptime_exporter.ledger.span import State
from uptime_exporter.outcome import OwnFault, Reason, Seen
from uptime_exporter.web import answers

GOLDEN = Path(__file__).parent / "golden"


Shape = dict[str, type | tuple[type, ...]]


def a_known_situation() -> Scene:
    scene = Scene()
    scene.everybody(4, but=["asr_ocr_server"])
    for _ in range(5):
        scene.clock.pass_time(BEAT)
        scene.past("model_server").beat(Reason.CONNECT, "connection refused", attempts=3)
        scene.past("mysql").beat(seen=Seen(degraded=True, message="replica is behind"))
    scene.clock.pass_time(3.25)
    return scene


def test_reliability_of_a_known_situation() -> None:
    """Every field that existing clients read, and what stands beside them."""
    said = answers.reliability(a_known_situation().backend())

    assert agrees(GOLDEN / "reliability.json", json.dumps(said, indent=2) + "\n")


def test_health_of_a_known_situation() -> None:
    """The status code is about the exporter, the status about its targets."""
    status, said = answers.health(a_known_situation().backend())

    assert status == 200
    assert agrees(GOLDEN / "health.json", json.dumps(said, indent=2) + "\n")


CIRCUIT: Shape = {
    "name": str,
    "state": str,
    "failure_count": int,
    "last_failure_time": (str, type(None)),
    "threshold": int,
    "recovery_timeout": int,
}
CHECK: Shape = {
    "name": str,
    "healthy": bool,
    "last_check": (str, type(None)),
    "uptime_percentage": (int, float),
    "history_size": int,
}
SHUTDOWN: Shape = {"is_shutting_down": bool, "active_requests": int, "shutdown_timeout": int}


def fits(part: object, shape: Shape) -> bool:
    return isinstance(part, dict) and all(isinstance(part[key], kind) for key, kind in shape.items())


@pytest.mark.parametrize("scene", [Scene(), a_known_situation(), Scene({})], ids=["new", "known", "empty"])
def test_old_clients_find_their_shapes(scene: Scene) -> None:
    """Names and types are the watched backend's, from the very first request on; NaN never."""
    said = json.loads(json.dumps(answers.reliability(scene.backend()), allow_nan=False))
    inside = json.loads(json.dumps(answers.health(scene.backend())[1], allow_nan=False))

    assert said["uptime_target"] == "99.9%"
    assert said["max_downtime_per_month"] == "43.8 minutes"
    assert inside["status"] in {"healthy", "degraded", "unhealthy"}
    for parts in (said, inside["reliability"]):
        assert all(fits(circuit, CIRCUIT) for circuit in parts["circuit_breakers"].values())
        assert all(fits(check, CHECK) for check in parts["health_monitor"]["checks"].values())
        assert isinstance(parts["health_monitor"]["overall_healthy"], bool)
        assert fits(parts["graceful_shutdown"], SHUTDOWN)
        assert all(name == part["name"] for name, part in parts["circuit_breakers"].items())
        assert all(name == part["name"] for name, part in parts["health_monitor"]["checks"].items())


def checks(scene: Scene) -> list[str]:
    said = json.loads(json.dumps(answers.reliability(scene.backend())))
    return list(said["health_monitor"]["checks"])


def test_the_database_keeps_its_old_name_among_the_checks() -> None:
    """The circuit is named like the target, the check as the backend names it."""
    said = answers.reliability(Scene().backend())

    assert checks(Scene()) == ["model_server", "asr_ocr_server", "database"]
    assert list(json.loads(json.dumps(said["circuit_breakers"]))) == [
        "model_server",
        "asr_ocr_server",
        "mysql",
    ]


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        ({"mysql": DOOR}, ["mysql"]),
        ({"orders": MYSQL}, ["orders"]),
        ({"mysql": MYSQL, "database": MODEL_SERVER}, ["mysql", "database"]),
    ],
)
def test_only_the_database_called_mysql_has_an_old_name(targets: dict[str, object], names: list[str]) -> None:
    """A name of the operator's own choice stays, and no two checks fall together."""
    assert checks(Scene(targets)) == names  # type: ignore[arg-type] # a table of mixed targets


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        ({}, "degraded"),
        ({"a": None, "b": None}, "healthy"),
        ({"a": None}, "degraded"),
        ({"a": None, "b": OwnFault.NETWORK}, "degraded"),
        ({"a": None, "b": Reason.BODY}, "unhealthy"),
        ({"b": Reason.BODY}, "unhealthy"),
    ],
)
def test_the_status_of_the_watched_system(reasons: dict[str, Reason | OwnFault | None], status: str) -> None:
    """Down is unhealthy; not known to be well is degraded, never healthy."""
    scene = Scene({"a": MODEL_SERVER, "b": DOOR})
    for name, reason in reasons.items():
        scene.past(name).beat(reason)

    assert answers.health(scene.backend())[1]["status"] == status


def test_degraded_is_healthy_but_the_status_says_so() -> None:
    """A degraded target counts as up."""
    scene = Scene({"a": MODEL_SERVER})
    scene.past("a").beat(seen=Seen(degraded=True))

    said = json.loads(json.dumps(answers.health(scene.backend())[1]))

    assert said["status"] == "degraded"
    assert said["reliability"]["health_monitor"]["overall_healthy"] is True


@pytest.mark.parametrize(
    ("reason", "healthy"), [(None, True), (Reason.BODY, False), (OwnFault.NETWORK, False)]
)
def test_all_is_well_only_where_that_is_known(reason: Reason | OwnFault | None, *, healthy: bool) -> None:
    """What nobody knows is not claimed to be healthy."""
    scene = Scene({"a": MODEL_SERVER})
    scene.past("a").beat(reason)

    said = json.loads(json.dumps(answers.reliability(scene.backend())))

    assert said["health_monitor"]["overall_healthy"] is healthy
    assert said["health_monitor"]["checks"]["a"]["healthy"] is healthy


def test_a_stopped_beat_is_the_exporters_own_illness() -> None:
    """Alive but not probing is 503, and says for whom."""
    scene = Scene()
    scene.monitor.stopped = ["mysql", "model_server"]

    status, said = answers.health(scene.backend())

    assert status == 503
    assert said["exporter"] == {
        "status": "stalled",
        "message": "the exporter has stopped probing mysql, model_server",
    }


async def test_draining_is_503_and_says_so() -> None:
    """A load balancer looks elsewhere."""
    scene = Scene()
    scene.monitor.stopped = ["mysql"]
    scene.drain.begin()

    status, said = answers.health(scene.backend())

    assert status == 503
    assert said["exporter"] == {"status": "draining", "message": "the exporter is shutting down"}


def test_every_promise_is_told_under_sla() -> None:
    """Seconds, ratios, and the last outages with begin, length and reason."""
    scene = Scene()
    scene.everybody(1)
    now = scene.clock.wall()
    scene.ledger.account(
        "system",
        (7200, State.UP, ""),
        (300, State.DOWN, "mysql: auth"),
        (100, State.UP, ""),
        until=now,
        targets=["mysql"],
    )

    assert answers.reliability(scene.backend())["sla"] == {
        "system": {
            "targets": ["mysql"],
            "objective_ratio": 0.999,
            "window_seconds": 2_592_000.0,
            "state": "up",
            "availability_ratio": 7300 / 7600,
            "coverage_ratio": 1.0,
            "downtime_seconds": 300.0,
            "unknown_seconds": 0.0,
            "error_budget_seconds": 2592.0,
            "error_budget_remaining_seconds": 2292.0,
            "error_budget_remaining_ratio": pytest.approx(2292 / 2592),
            "outages": [
                {
                    "begin": "2026-01-01T12:53:50.000Z",
                    "end": "2026-01-01T12:58:50.000Z",
                    "seconds": 300.0,
                    "reason": "mysql: auth",
                }
            ],
        }
    }


def test_another_objective_is_told_in_the_old_words() -> None:
    """99.95 % leave 21.9 minutes a month."""
    backend = Scene().backend(objective=0.9995)

    said = answers.reliability(backend)

    assert (said["uptime_target"], said["max_downtime_per_month"]) == ("99.95%", "21.9 minutes")
