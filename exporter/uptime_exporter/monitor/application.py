"""What is known of an application from what it says of itself: the state of things, and what was seen to change."""

from datetime import datetime
from typing import TypeVar

from uptime_exporter.monitor.circuit import STATES
from uptime_exporter.outcome import AppSeen, CheckSeen, CircuitSeen, Outcome

Unix = TypeVar("Unix", float, None)


class ToldCircuit:
    """One circuit, as its application tells of it.

    Attributes:
        name: What the application calls it.
        since: Unix time since which it has been in its present state: the application's word, or when it was first
            seen so.
        transitions: State entered → how often that was seen; what happens between two probes is not.

    """

    def __init__(self, name: str, seen: CircuitSeen, at: float) -> None:
        self.name = name
        self.transitions = dict.fromkeys(STATES, 0)
        self.since = _moment(seen.since, seen.age, at, otherwise=at)
        self.seen = seen

    def take(self, seen: CircuitSeen, at: float) -> None:
        """Take in what was said at the Unix time *at*."""
        if seen.state != self.seen.state:
            self.transitions[seen.state] += 1
            self.since = _moment(seen.since, seen.age, at, otherwise=at)
        elif seen.since is not None and seen.since != self.seen.since:
            self.since = _moment(seen.since, seen.age, at, otherwise=self.since)
        self.seen = seen


class ToldCheck:
    """One of the application's own checks, as it tells of it.

    Attributes:
        name: What the application calls it.
        healthy: None while the application does not know.
        last_check: Unix time at which it was made last; None if that cannot be told.

    """

    def __init__(self, name: str, seen: CheckSeen, at: float) -> None:
        self.name = name
        self._last = seen.last
        self.healthy = seen.healthy
        self.last_check = _moment(seen.last, seen.age, at, otherwise=None)

    def take(self, seen: CheckSeen, at: float) -> None:
        """Take in what was said at the Unix time *at*."""
        self.healthy = seen.healthy
        if seen.last != self._last:
            self._last = seen.last
            self.last_check = _moment(seen.last, seen.age, at, otherwise=None)


class Application:
    """The application behind a target.

    Attributes:
        circuits: Name → circuit, of the latest answer.
        checks: Name → check, of the latest answer.

    """

    def __init__(self) -> None:
        self.circuits: dict[str, ToldCircuit] = {}
        self.checks: dict[str, ToldCheck] = {}

    def take(self, outcome: Outcome) -> None:
        """Take in what the application said, if it said anything; what it no longer tells of is forgotten."""
        told = outcome.seen.application
        if told is not None:
            self.circuits = {n: self._circuit(n, seen, outcome.at) for n, seen in told.circuits.items()}
            self.checks = {n: self._check(n, seen, outcome.at) for n, seen in told.checks.items()}

    def _circuit(self, name: str, seen: CircuitSeen, at: float) -> ToldCircuit:
        circuit = self.circuits.get(name)
        if circuit is None:
            return ToldCircuit(name, seen, at)
        circuit.take(seen, at)
        return circuit

    def _check(self, name: str, seen: CheckSeen, at: float) -> ToldCheck:
        check = self.checks.get(name)
        if check is None:
            return ToldCheck(name, seen, at)
        check.take(seen, at)
        return check


def lost(outcome: Outcome | None) -> tuple[str, ...]:
    """Return what of an application's answer could not be understood."""
    told: AppSeen | None = outcome.seen.application if outcome else None
    return told.lost if told else ()


def _moment(said: str | None, age: float | None, at: float, *, otherwise: Unix) -> float | Unix:
    """Return the Unix time that an application means, never one after *at*, when it said so; or else *otherwise*.

    Its clock may be wrong, and need not say in which zone it is: how long ago that was by its own reckoning counts
    more than the time itself.
    """
    if age is not None:
        return max(0.0, at - age)
    if said is None:
        return otherwise
    moment = datetime.fromisoformat(said)
    return otherwise if moment.tzinfo is None else max(0.0, min(at, moment.timestamp()))
