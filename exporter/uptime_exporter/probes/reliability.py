"""Ask an application for its ``/reliability``: what its circuits, its requests and its shutdown are like."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeVar

from uptime_exporter.errors import ProbeFailure
from uptime_exporter.outcome import AppSeen, CheckSeen, CircuitSeen, Reason, Seen
from uptime_exporter.probes.dial import Dialler
from uptime_exporter.probes.http import HttpProbe
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.text import in_words, one_line
from uptime_exporter.settings import ReliabilityTarget

MOST = 50
"""Circuits, and checks, that are taken in of one application: each is a handful of series."""
NAME = 100
"""Characters of a name; a longer one is cut."""
MOST_REQUESTS = 10**9
"""No process answers more at once; what is above it is a mistake."""
LONGEST_TIME = 64
"""Characters of a time."""
MOST_DIGITS = 20
LOST = 5
"""Complaints that are told one by one."""

PARTS = ("circuit_breakers", "graceful_shutdown", "health_monitor")

State = Literal["closed", "open", "half_open"]
STATES: Mapping[str, State] = {"closed": "closed", "open": "open", "half_open": "half_open"}

Entry = TypeVar("Entry")

_MISSING = object()

_shown = partial(in_words, limit=40)
"""What is wrong about a value; of all that is left out one line is told."""


class ReliabilityProbe:
    """Sends one request on a fresh connection; phases and reasons are those of `HttpProbe`."""

    def __init__(self, target: ReliabilityTarget, dialler: Dialler | None = None) -> None:
        """Get ready.

        Raises:
            SettingsError: The URL or a file for TLS cannot be used.

        """
        self._probe = HttpProbe(target.request, dialler, judge=judge)

    async def check(self, phases: Phases) -> Seen:
        """Return what the application said of itself, if it did; see `Probe.check`."""
        return await self._probe.check(phases)


def judge(body: bytes, *, seen: Seen) -> Seen:
    """Return *seen* and what *body* says of the application.

    What is not as it should be is left out and named in `AppSeen.lost`; the rest counts.

    Raises:
        ProbeFailure: body: it is no such JSON, or says that the application cannot tell.

    """
    said = _parse(body)
    if said.get("error"):
        raise ProbeFailure(Reason.BODY, f"it says: {one_line(_text(said['error']))}", seen)
    if not any(part in said for part in PARTS):
        raise ProbeFailure(Reason.BODY, f"it has none of {', '.join(PARTS)}; is this its /reliability?", seen)
    application, message = _Reading(said).read()
    return replace(seen, degraded=bool(message), message=message, application=application)


def _parse(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise ProbeFailure(Reason.BODY, "the body is no JSON, or is nested too deeply") from error
    if not isinstance(said, dict):
        raise ProbeFailure(Reason.BODY, "the body is no JSON object")
    return said


def _integer(digits: str) -> float:
    """Return a whole number, or infinity for one that is too long to be meant."""
    return int(digits) if len(digits) <= MOST_DIGITS else math.inf


def _text(value: object) -> str:
    return value if isinstance(value, str) else type(value).__name__


class _Lost(Exception):  # noqa: N818 - named after what it says of a value
    """A value is not what it should be; the message names it, and says what it should be."""


@dataclass
class _Reading:
    """One body, and what in it could not be understood."""

    said: Mapping[str, Any]
    lost: list[str] = field(default_factory=list)
    unread: int = 0

    def read(self) -> tuple[AppSeen, str]:
        """Return what the application said, and in what way it is not at its best; empty if in none."""
        now = self._or_none(lambda: _time(self.said, "timestamp"))
        shutdown = self._part("graceful_shutdown")
        monitor = self._part("health_monitor")
        circuits = self._each("circuit_breakers", self._part("circuit_breakers"), lambda c: _circuit(c, now))
        checks = self._each(
            "health_monitor.checks",
            self._or_none(lambda: _object(monitor, "checks")) or {},
            lambda c: _check(c, now),
        )
        draining = self._or_none(lambda: _truth(shutdown, "is_shutting_down"))
        in_flight = self._or_none(lambda: _requests(shutdown))
        ails = list(_ailments(circuits, checks, draining=draining))
        lost = tuple(self._complaints())
        return AppSeen(circuits, checks, in_flight, draining, lost), one_line("; ".join(ails), 200)

    def _part(self, name: str) -> Mapping[str, Any]:
        return self._or_none(lambda: _object(self.said, name)) or {}

    def _or_none(self, read: Callable[[], Entry | None]) -> Entry | None:
        try:
            return read()
        except _Lost as error:
            self._lose(str(error))
            return None

    def _each(
        self, where: str, entries: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Entry]
    ) -> Mapping[str, Entry]:
        found: dict[str, Entry] = {}
        for key, entry in list(entries.items())[:MOST]:
            name = one_line(key, NAME)
            if not name or name in found:
                self._lose(f'{where}: "{one_line(name, 40)}" is no name of its own')
                continue
            try:
                found[name] = read(_as_object(entry))
            except _Lost as error:
                self._lose(f"{where}.{one_line(name, 40)}: {error}")
        if len(entries) > MOST:
            self._lose(f"{where}: only the first {MOST} of {len(entries)} are read")
        return found

    def _lose(self, complaint: str) -> None:
        if len(self.lost) < LOST:
            self.lost.append(complaint)
        else:
            self.unread += 1

    def _complaints(self) -> Iterator[str]:
        yield from self.lost
        if self.unread:
            yield f"and {self.unread} more"


def _ailments(
    circuits: Mapping[str, CircuitSeen], checks: Mapping[str, CheckSeen], *, draining: bool | None
) -> Iterator[str]:
    """Yield in what way an application that answers is not at its best."""
    if draining:
        yield "shutting down"
    for name, circuit in circuits.items():
        if circuit.state != "closed":
            yield f"circuit {name} is {circuit.state.replace('_', '-')}"
    for name, check in checks.items():
        if check.healthy is False:
            yield f"check {name} is down"


def _circuit(said: Mapping[str, Any], now: datetime | None) -> CircuitSeen:
    state = said.get("state", _MISSING)
    if not isinstance(state, str) or state not in STATES:
        raise _Lost(f"state is {_shown(state)}, expected {', '.join(STATES)}")
    since = _time(said, "state_since")
    return CircuitSeen(STATES[state], said["state_since"] if since else None, _age(since, now))


def _check(said: Mapping[str, Any], now: datetime | None) -> CheckSeen:
    healthy = _truth(said, "healthy")
    last = _time(said, "last_check")
    is_unknown = last is None or said.get("state") == "unknown"
    return CheckSeen(None if is_unknown else healthy, said["last_check"] if last else None, _age(last, now))


def _requests(said: Mapping[str, Any]) -> int | None:
    number = said.get("active_requests")
    if number is None:
        return None
    if type(number) is not int or not 0 <= number <= MOST_REQUESTS:
        raise _Lost(f"graceful_shutdown.active_requests is {_shown(number)}, expected a number of requests")
    return number


def _truth(said: Mapping[str, Any], name: str) -> bool | None:
    value = said.get(name)
    if value is not None and not isinstance(value, bool):
        raise _Lost(f"{name} is {_shown(value)}, expected true or false")
    return value


def _time(said: Mapping[str, Any], name: str) -> datetime | None:
    value = said.get(name)
    if value is None:
        return None
    with suppress(ValueError):
        if isinstance(value, str) and len(value) <= LONGEST_TIME:
            return datetime.fromisoformat(value)
    raise _Lost(f"{name} is {_shown(value)}, expected a time in ISO 8601")


def _age(then: datetime | None, now: datetime | None) -> float | None:
    """Return the seconds from *then* to *now*, both by the application's clock, whichever zone that is in."""
    if then is None or now is None or (then.tzinfo is None) != (now.tzinfo is None):
        return None
    return max(0.0, (now - then).total_seconds())


def _object(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = said.get(name)
    if value is not None and not isinstance(value, dict):
        raise _Lost(f"{name} is {_shown(value)}, expected an object")
    return value or {}


def _as_object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Lost(f"is {_shown(value)}, expected an object")
    return value
