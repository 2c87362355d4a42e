"""What applications tell of their own reliability, as subjects of the page."""

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from uptime_exporter.metrics.family import Labels
from uptime_exporter.metrics.subjects import AnyApplication, CheckNow, CircuitNow, Stamp, Watching
from uptime_exporter.monitor import Application, ToldCheck, ToldCircuit, Watch
from uptime_exporter.monitor.circuit import STATES
from uptime_exporter.outcome import NOTHING

TOLD = TypeVar("TOLD", Application, ToldCircuit, ToldCheck)


class Told(NamedTuple, Generic[TOLD]):
    """Something that an application tells of, and the application's watch."""

    watch: Watch
    what: TOLD


class _Told(Generic[TOLD]):
    """All of it changes with the answers that the application gives, or does not give any more."""

    def mark(self, item: Told[TOLD]) -> tuple[int, bool]:
        """Return how often the application has changed, and whether nobody knows what it is like now."""
        return item.watch.changes, item.watch.told is None

    def stamp(self, _item: Told[TOLD], mark: tuple[int, bool]) -> Stamp:
        """Return it: what is told changes seldom or often together."""
        return None, mark, mark


class ToldApplications(_Told[Application]):
    """The applications that are asked what they tell of themselves."""

    def __init__(self, monitor: Watching) -> None:
        self._monitor = monitor

    def items(self) -> Iterable[Told[Application]]:
        """Return them with their watches."""
        return (Told(w, w.application) for w in self._monitor.watches.values() if w.application is not None)

    def labels(self, item: Told[Application]) -> Labels:
        """Return its name."""
        return (item.watch.name,)

    def subject(self, item: Told[Application], _stamp: object) -> AnyApplication:
        """Return what it says, if that still holds."""
        told = item.watch.told
        return AnyApplication() if told is None else AnyApplication(told.in_flight, told.shutting_down)


class ToldCircuits(_Told[ToldCircuit]):
    """The circuits that applications tell of."""

    def __init__(self, applications: ToldApplications) -> None:
        self._applications = applications

    def items(self) -> Iterable[Told[ToldCircuit]]:
        """Return them."""
        return (Told(a.watch, c) for a in self._applications.items() for c in a.what.circuits.values())

    def labels(self, item: Told[ToldCircuit]) -> Labels:
        """Return its name, under its application's."""
        return item.watch.name, item.what.name

    def subject(self, item: Told[ToldCircuit], _stamp: object) -> CircuitNow:
        """Return what is said of it, if that still holds, and how often it was seen to change."""
        circuit = item.what
        if item.watch.told is None:
            return CircuitNow(NOTHING, None, circuit.transitions, NOTHING)
        states = {state: float(circuit.seen.state == state) for state in STATES}
        return CircuitNow(states, circuit.since, circuit.transitions, NOTHING)


class ToldChecks(_Told[ToldCheck]):
    """The checks that applications tell of."""

    def __init__(self, applications: ToldApplications) -> None:
        self._applications = applications

    def items(self) -> Iterable[Told[ToldCheck]]:
        """Return them."""
        return (Told(a.watch, c) for a in self._applications.items() for c in a.what.checks.values())

    def labels(self, item: Told[ToldCheck]) -> Labels:
        """Return its name, under its application's."""
        return item.watch.name, item.what.name

    def subject(self, item: Told[ToldCheck], _stamp: object) -> CheckNow:
        """Return what is said of it, if that still holds."""
        known = item.watch.told is not None
        return CheckNow(item.what.healthy if known else None, item.what.last_check if known else None)
