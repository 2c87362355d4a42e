"""The JSON of `/health` and `/reliability`, in the shapes that existing clients read."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

MINUTES_A_MONTH = 365.25 / 12 * 24 * 60
"""A mean month: 0.1 % of it are 43.8 minutes."""

Json = dict[str, object]


def iso(unix: float | None) -> str | None:
    """Return a Unix time as ISO 8601 in UTC, to the millisecond."""
    if unix is None:
        return None
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def circuit(
    name: str,
    state: str,
    *,
    failures: int,
    last_failure: float | None,
    threshold: int,
    recovery: float,
    since: float,
) -> Json:
    """Return one breaker; times are Unix times, *recovery* is in seconds."""
    return {
        "name": name,
        "state": state,
        "failure_count": failures,
        "last_failure_time": iso(last_failure),
        "threshold": threshold,
        "recovery_timeout": plain(recovery),
        "state_since": iso(since),
    }


def shutdown(*, is_shutting_down: bool, active_requests: int, timeout: float) -> Json:
    """Return the part about the drain; *timeout* is in seconds."""
    return {
        "is_shutting_down": is_shutting_down,
        "active_requests": active_requests,
        "shutdown_timeout": plain(timeout),
    }


def check(
    name: str, *, healthy: bool, last_check: float | None, success_ratio: float | None, history_size: int
) -> Json:
    """Return one check; *last_check* is a Unix time, *success_ratio* is 0 to 1, None before the first."""
    return {
        "name": name,
        "healthy": healthy,
        "last_check": iso(last_check),
        "uptime_percentage": round((success_ratio or 0.0) * 100, 3),
        "history_size": history_size,
    }


def parts(
    circuits: Iterable[Json], graceful_shutdown: Json, checks: Iterable[Json], *, healthy: bool
) -> Json:
    """Return what `/health` and `/reliability` both carry; *healthy* is of all checks together."""
    return {
        "circuit_breakers": _by_name(circuits),
        "graceful_shutdown": graceful_shutdown,
        "health_monitor": {"checks": _by_name(checks), "overall_healthy": healthy},
    }


def promise(objective: float) -> Json:
    """Return what is promised, 0 to 1, in words."""
    return {
        "uptime_target": f"{objective * 100:.6g}%",
        "max_downtime_per_month": f"{(1 - objective) * MINUTES_A_MONTH:.1f} minutes",
    }


def after_reset(name: str, status: Json) -> Json:
    """Return what answers a reset, with the breaker as it is now."""
    return {"success": True, "message": f"Circuit {name} is closed", "status": status}


def unknown_circuit(name: str, known: Iterable[str]) -> Json:
    """Return what answers a reset of a circuit that there is not."""
    names = list(known)
    there_are = f"there are: {', '.join(names)}" if names else "there are none"
    return {"success": False, "message": f"There is no circuit {name}; {there_are}", "known": names}


def refused(message: str) -> Json:
    """Return what answers somebody who may not reset."""
    return {"success": False, "message": message}


def plain(seconds: float) -> float:
    """Return whole seconds as an integer: clients exist that read nothing else there."""
    return int(seconds) if seconds == int(seconds) else seconds


def encode(body: Json) -> bytes:
    """Return *body* in ASCII, which can say every string, and in JSON proper, which has no NaN."""
    return (json.dumps(body, indent=2, allow_nan=False) + "\n").encode("ascii")


def _by_name(each: Iterable[Json]) -> Mapping[str, Json]:
    return {str(one["name"]): one for one in each}
