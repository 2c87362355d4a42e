"""What the JSON routes say, in the shapes that existing clients of the watched backend read."""

from collections.abc import Iterable, Mapping
from typing import Literal

from uptime_exporter.monitor import Watch, together
from uptime_exporter.reliability import shapes
from uptime_exporter.reliability.drain import GracefulShutdown
from uptime_exporter.reliability.shapes import Json
from uptime_exporter.settings import MysqlTarget
from uptime_exporter.web import promises
from uptime_exporter.web.backend import Backend
from uptime_exporter.words import iso

State = Literal["down", "degraded", "unknown", "up"]


def state_of(watch: Watch) -> State:
    """Return what is known of a target, in one word."""
    match watch.up:
        case None:
            return "unknown"
        case False:
            return "down"
        case True:
            return "degraded" if watch.degraded else "up"


def status_of(watches: Iterable[Watch]) -> Literal["healthy", "degraded", "unhealthy"]:
    """Return how the watched system is: unhealthy if a target is down, degraded if one may be."""
    states = {state_of(watch) for watch in watches}
    if "down" in states:
        return "unhealthy"
    return "healthy" if states <= {"up"} else "degraded"


def ailment(backend: Backend) -> tuple[Literal["draining", "stalled"], str] | None:
    """Return what keeps the exporter itself from its work, with a sentence; None if nothing does."""
    if backend.drain.is_shutting_down:
        return "draining", "the exporter is shutting down"
    if stalled := backend.monitor.stalled():
        return "stalled", f"the exporter has stopped probing {', '.join(stalled)}"
    return None


def health(backend: Backend) -> tuple[int, Json]:
    """Return status code and body of ``/health``: the code is about the exporter, the body about targets."""
    trouble = ailment(backend)
    word, sentence = trouble or ("ok", "the exporter is probing")
    return 503 if trouble else 200, {
        "status": status_of(backend.monitor.watches.values()),
        "timestamp": iso(backend.clock.wall()),
        "reliability": _parts(backend),
        "exporter": {"status": word, "message": sentence},
    }


def reliability(backend: Backend) -> Json:
    """Return the body of ``/reliability``."""
    return {
        "timestamp": iso(backend.clock.wall()),
        **_parts(backend),
        **shapes.promise(backend.objective()),
        "sla": _promises(backend),
    }


def _promises(backend: Backend) -> Json:
    watches, date = backend.monitor.watches, backend.ledger.timeline.unix
    return {
        name: promises.as_json(account, date, up=together(account.terms.targets, watches))
        for name, account in backend.ledger.accounts.items()
    }


def after_reset(watch: Watch) -> Json:
    """Return the body that answers a reset."""
    return shapes.after_reset(watch.name, _circuit(watch))


def _parts(backend: Backend) -> Json:
    watches = backend.monitor.watches
    return shapes.parts(
        map(_circuit, watches.values()),
        _shutdown(backend.drain),
        (_check(watch, _check_name(watch, watches)) for watch in watches.values()),
        healthy=all(watch.up is True for watch in watches.values()),
    )


def _circuit(watch: Watch) -> Json:
    circuit = watch.circuit
    return shapes.circuit(
        watch.name,
        circuit.state.name,
        failures=circuit.failures,
        last_failure=circuit.last_failure,
        threshold=circuit.policy.threshold,
        recovery=circuit.policy.recovery,
        since=circuit.since,
    )


def _shutdown(drain: GracefulShutdown) -> Json:
    return shapes.shutdown(
        is_shutting_down=drain.is_shutting_down,
        active_requests=drain.active_requests,
        timeout=drain.shutdown_timeout,
    )


def _check_name(watch: Watch, watches: Mapping[str, Watch]) -> str:
    """Return ``database`` for the MySQL target ``mysql``, as the backend calls it, else the target's name."""
    old = watch.name == "mysql" and isinstance(watch.settings, MysqlTarget) and "database" not in watches
    return "database" if old else watch.name


def _check(watch: Watch, name: str) -> Json:
    """Return one check; what nobody knows is not healthy and 0 %, and `state` tells it apart from down."""
    told = watch.known or watch.latest
    old_clients_read = shapes.check(
        name,
        healthy=watch.up is True,
        last_check=watch.last_run,
        success_ratio=watch.success_ratio,
        history_size=len(watch.history),
    )
    return {
        **old_clients_read,
        "target": watch.name,
        "state": state_of(watch),
        "since": iso(watch.since),
        "reason": told.reason.value if told and told.reason else None,
        "detail": told.detail if told else "",
        "message": told.seen.message if told else "",
        **_application(watch),
    }


def _application(watch: Watch) -> Json:
    """Return what an application tells of itself, None while nobody knows; nothing for any other target."""
    if watch.application is None:
        return {}
    told = watch.told
    if told is None:
        return {"application": None}
    circuits = {
        name: {"state": circuit.seen.state, "state_since": iso(circuit.since)}
        for name, circuit in watch.application.circuits.items()
    }
    checks = {name: {"healthy": check.healthy} for name, check in watch.application.checks.items()}
    return {
        "application": {
            "circuits": circuits,
            "checks": checks,
            "active_requests": told.in_flight,
            "is_shutting_down": told.shutting_down,
            "left_out": list(told.lost),
        }
    }
