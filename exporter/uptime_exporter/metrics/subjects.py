"""What the page is about, one after the other, and when something about it may have changed."""

import platform
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

from uptime_exporter import __version__
from uptime_exporter.ledger.account import Account, Figures, Terms
from uptime_exporter.ledger.span import State
from uptime_exporter.metrics.family import Labels, Values
from uptime_exporter.monitor import Circuit, Histogram, ToldCheck, ToldCircuit, Watch, all_up
from uptime_exporter.monitor.circuit import STATES
from uptime_exporter.reliability.drain import GracefulShutdown

APP = "uptime-exporter"
"""The `app` label of what the exporter itself holds."""

NOTHING: Values = MappingProxyType({})

ITEM = TypeVar("ITEM")
SUBJECT_co = TypeVar("SUBJECT_co", covariant=True)


@dataclass(slots=True)
class Reloads:
    """What became of the latest reload of the settings."""

    successful: bool
    at: float
    """Unix time of the latest successful one, the start included."""


class Watching(Protocol):
    """The part of the monitor that is published."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        """Target → what is known of it."""

    @property
    def lateness(self) -> Histogram:
        """Seconds from when a probe was due to when it began."""


class Books(Protocol):
    """The part of the ledger that is published."""

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Promise → its account."""

    def totals(self, name: str) -> Mapping[State, int]:
        """Return a promise's totals in milliseconds, as they are on the disk."""

    @property
    def write_failures(self) -> int:
        """Commits that failed since the start."""


Stamp = tuple[object, object]


class Source(Protocol[ITEM, SUBJECT_co]):
    """Tells what there is to publish of one kind, and spares the reading of what has not changed."""

    def items(self) -> Sequence[tuple[Labels, ITEM]]:
        """Return everything there is now, by the label values that name it."""

    def stamp(self, item: ITEM) -> Stamp:
        """Return what is different whenever anything said about the item may be.

        Its first part is whenever what the rare families say may be.
        """

    def subject(self, item: ITEM, stamp: Any) -> SUBJECT_co:
        """Return what the families read, at that stamp of it."""


class Targets:
    """The targets that are watched.

    Attributes:
        verdicts: Target → whether it is up, as its stamp said last.

    """

    def __init__(self, monitor: Watching) -> None:
        self._monitor = monitor
        self.verdicts: dict[str, bool | None] = {}

    def items(self) -> Sequence[tuple[Labels, Watch]]:
        """Return the watches."""
        watches = self._monitor.watches
        self.verdicts = dict.fromkeys(watches)
        return [((name,), watch) for name, watch in watches.items()]

    def stamp(self, item: Watch) -> Stamp:
        """Return its counts of changes, and whether it is up: a verdict gets stale without any change."""
        up = self.verdicts[item.name] = item.up
        return item.upsets, (item.changes, up)

    def subject(self, item: Watch, _stamp: object) -> Watch:
        """Return the watch."""
        return item


class Circuits:
    """The circuits that the exporter itself holds: one for each target."""

    def __init__(self, monitor: Watching) -> None:
        self._monitor = monitor

    def items(self) -> Sequence[tuple[Labels, Circuit]]:
        """Return the circuits."""
        return [((APP, watch.circuit.name), watch.circuit) for watch in self._monitor.watches.values()]

    def stamp(self, item: Circuit) -> Stamp:
        """Return its counts of changes."""
        return item.turns, item.changes

    def subject(self, item: Circuit, _stamp: object) -> Circuit:
        """Return the circuit."""
        return item


class CircuitNow(NamedTuple):
    """A circuit that an application tells of."""

    states: Values
    """Empty while nobody knows."""
    since: float | None
    transitions: Values
    calls: Values


class CheckNow(NamedTuple):
    """A check that an application tells of."""

    healthy: bool | None
    last_check: float | None


class AnyApplication(NamedTuple):
    """An application, with as much as is known of it."""

    in_flight: int | None = None
    shutting_down: bool | None = None
    last_shutdown: float | None = None
    """Seconds."""
    shutdowns: Values = NOTHING


AnyCircuit = Circuit | CircuitNow


class ToldApplications:
    """The applications that are asked what they tell of themselves."""

    def __init__(self, monitor: Watching) -> None:
        self._monitor = monitor

    def items(self) -> Sequence[tuple[Labels, Watch]]:
        """Return their watches."""
        return [((w.name,), w) for w in self._monitor.watches.values() if w.application is not None]

    def stamp(self, item: Watch) -> Stamp:
        """Return how often it has changed, and whether anybody knows what it is like now."""
        return (item.changes, item.told is None), None

    def subject(self, item: Watch, _stamp: object) -> AnyApplication:
        """Return what it says, if that still holds."""
        told = item.told
        return AnyApplication() if told is None else AnyApplication(told.in_flight, told.shutting_down)


class ToldCircuits:
    """The circuits that applications tell of."""

    def __init__(self, monitor: Watching) -> None:
        self._monitor = monitor
        self._told: dict[ToldCircuit, Watch] = {}

    def items(self) -> Sequence[tuple[Labels, ToldCircuit]]:
        """Return them, under their application's name."""
        watches = self._monitor.watches.values()
        self._told = {c: w for w in watches if w.application for c in w.application.circuits.values()}
        return [((watch.name, circuit.name), circuit) for circuit, watch in self._told.items()]

    def stamp(self, item: ToldCircuit) -> Stamp:
        """Return how often its application has changed, and whether anybody knows what that is like now."""
        watch = self._told[item]
        return (watch.changes, watch.told is None), None

    def subject(self, item: ToldCircuit, _stamp: object) -> CircuitNow:
        """Return what is said of it, if that still holds, and how often it was seen to change."""
        if self._told[item].told is None:
            return CircuitNow(NOTHING, None, item.transitions, NOTHING)
        states = {state: float(item.seen.state == state) for state in STATES}
        return CircuitNow(states, item.since, item.transitions, NOTHING)


class ToldChecks:
    """The checks that applications tell of."""

    def __init__(self, monitor: Watching) -> None:
        self._monitor = monitor
        self._told: dict[ToldCheck, Watch] = {}

    def items(self) -> Sequence[tuple[Labels, ToldCheck]]:
        """Return them, under their application's name."""
        watches = self._monitor.watches.values()
        self._told = {c: w for w in watches if w.application for c in w.application.checks.values()}
        return [((watch.name, check.name), check) for check, watch in self._told.items()]

    def stamp(self, item: ToldCheck) -> Stamp:
        """Return how often its application has changed, and whether anybody knows what that is like now."""
        watch = self._told[item]
        return (watch.changes, watch.told is None), None

    def subject(self, item: ToldCheck, _stamp: object) -> CheckNow:
        """Return what is said of it, if that still holds."""
        known = self._told[item].told is not None
        return CheckNow(item.healthy if known else None, item.last_check if known else None)


class OwnDrain:
    """How the exporter itself stops."""

    def __init__(self, drain: GracefulShutdown) -> None:
        self._drain = drain

    def items(self) -> Sequence[tuple[Labels, GracefulShutdown]]:
        """Return its drain."""
        return [((APP,), self._drain)]

    def stamp(self, _item: GracefulShutdown) -> Stamp:
        """Return one like no other: another process may have written the record."""
        return None, object()

    def subject(self, item: GracefulShutdown, _stamp: object) -> AnyApplication:
        """Return how it ended so far."""
        return AnyApplication(None, item.is_shutting_down, item.last_seconds, item.shutdowns)


class Promise(NamedTuple):
    """An account, with what the page says beside it."""

    terms: Terms
    watched: Container[str]
    """The names of targets."""
    up: bool | None
    totals: Mapping[State, int]
    figures: Figures


class Promises:
    """The promises of the settings."""

    def __init__(self, books: Books, targets: Targets) -> None:
        self._books = books
        self._targets = targets
        self._watched: list[str] = []
        self._generation = 0

    def items(self) -> Sequence[tuple[Labels, Account]]:
        """Return the accounts."""
        watched = list(self._targets.verdicts)
        if watched != self._watched:
            self._watched = watched
            self._generation += 1
        return [((name,), account) for name, account in self._books.accounts.items()]

    def stamp(self, item: Account) -> "_Standing":
        """Return under which terms, up to where it is settled and written, and what is said beside it."""
        terms, totals = item.terms, self._books.totals(item.name)
        up = all_up(map(self._targets.verdicts.get, terms.targets))
        return (terms, self._generation), (up, totals, item.settled, item.rewinds)

    def subject(self, item: Account, stamp: "_Standing") -> Promise:
        """Return the account with what is said beside it."""
        up, totals, *_ = stamp[1]
        return Promise(item.terms, self._targets.verdicts, up, totals, item.figures())


_Standing = tuple[tuple[Terms, int], tuple[bool | None, Mapping[State, int], int, int]]


@dataclass(frozen=True, slots=True)
class Exporter:
    """The exporter itself."""

    monitor: Watching
    books: Books
    reloads: Reloads

    @property
    def build(self) -> Labels:
        """Versions of the exporter and of Python."""
        return __version__, platform.python_version()


class Itself:
    """The one exporter there is, of which some number has always changed."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter

    def items(self) -> Sequence[tuple[Labels, Exporter]]:
        """Return the exporter."""
        return [((), self._exporter)]

    def stamp(self, _item: Exporter) -> Stamp:
        """Return one like no other."""
        return None, object()

    def subject(self, item: Exporter, _stamp: object) -> Exporter:
        """Return the exporter."""
        return item
