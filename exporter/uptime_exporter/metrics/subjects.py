"""What the page is about, one after the other, and when something about it may have changed."""

import platform
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from uptime_exporter import __version__
from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.span import Millis, State
from uptime_exporter.metrics.family import Labels, Values
from uptime_exporter.monitor import Application, Circuit, Histogram, ToldCheck, ToldCircuit, Watch
from uptime_exporter.monitor.circuit import STATES
from uptime_exporter.reliability.drain import GracefulShutdown

APP = "uptime-exporter"
"""The `app` label of what the exporter itself holds."""

NOTHING: Values = MappingProxyType({})

UP, DOWN, UNKNOWN = State

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

    @property
    def busy(self) -> bool:
        """Whether a probe is under way, which measures what it is made to wait."""


class Books(Protocol):
    """The part of the ledger that is published."""

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Promise → its account."""

    @property
    def commits(self) -> int:
        """Different whenever `totals` may say something else."""

    def totals(self, name: str) -> Mapping[State, int]:
        """Return a promise's totals in milliseconds, as they are on the disk."""

    @property
    def write_failures(self) -> int:
        """Commits that failed since the start."""


Stamp = tuple[object, object, object]
"""By `Pace`: each part is different whenever what the families of that pace say may be."""


class Source(Protocol[ITEM, SUBJECT_co]):
    """Tells what there is to publish of one kind, and spares the reading of what has not changed."""

    def items(self) -> Iterable[ITEM]:
        """Return everything there is now; while it is gone through others may have their turn."""

    def labels(self, item: ITEM) -> Labels:
        """Return the label values that name it."""

    def mark(self, item: ITEM) -> object:
        """Return what is different whenever anything said about the item may be; each page asks every item."""

    def stamp(self, item: ITEM, mark: Any) -> Stamp:
        """Return what that mark means for the families of each pace."""

    def subject(self, item: ITEM, stamp: Any) -> SUBJECT_co:
        """Return what the families read, at that stamp of it."""


class Targets:
    """The targets that are watched."""

    def __init__(self, monitor: Watching) -> None:
        self._monitor = monitor
        self._stand: dict[bool | None, set[str]] = {}

    def items(self) -> Iterable[Watch]:
        """Return the watches."""
        self._stand = {True: set(), False: set(), None: set()}
        return self._monitor.watches.values()

    def labels(self, item: Watch) -> Labels:
        """Return its name."""
        return (item.name,)

    def mark(self, item: Watch) -> tuple[int, bool | None]:
        """Return how often it has changed, and whether it is up: a verdict gets stale without any change."""
        known = item.known
        up = None if known is None else known.reason is None
        self._stand[up].add(item.name)
        return item.changes, up

    def stamp(self, item: Watch, mark: tuple[int, bool | None]) -> Stamp:
        """Return its counts of changes, and whether it is up."""
        changes, up = mark
        return item.settings, (item.upsets, up), changes

    def subject(self, item: Watch, _stamp: object) -> Watch:
        """Return the watch."""
        return item

    def together(self, targets: Sequence[str]) -> tuple[bool | None, Sequence[str]]:
        """Return whether all *targets* are up, as their marks said last, and which of them are not watched.

        False if one is down, else None if nobody knows of one.
        """
        up, down, unknown = self._stand[True], self._stand[False], self._stand[None]
        if up.issuperset(targets):
            return True, ()
        unwatched = [t for t in targets if t not in up and t not in down and t not in unknown]
        return None if down.isdisjoint(targets) else False, tuple(unwatched)


class Circuits:
    """The circuits that the exporter itself holds: one for each target."""

    def __init__(self, monitor: Watching) -> None:
        self._monitor = monitor

    def items(self) -> Iterable[Circuit]:
        """Return the circuits."""
        return (watch.circuit for watch in self._monitor.watches.values())

    def labels(self, item: Circuit) -> Labels:
        """Return its name, and that it is the exporter's own."""
        return APP, item.name

    def mark(self, item: Circuit) -> int:
        """Return how often it has changed."""
        return item.changes

    def stamp(self, item: Circuit, mark: int) -> Stamp:
        """Return its counts of changes."""
        return None, item.turns, mark

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

TOLD = TypeVar("TOLD", Application, ToldCircuit, ToldCheck)


class Told(NamedTuple, Generic[TOLD]):
    """Something that an application tells of, and the application's watch."""

    watch: Watch
    what: TOLD

    @property
    def mark(self) -> tuple[int, bool]:
        """How often the application has changed, and whether nobody knows what it is like now."""
        return self.watch.changes, self.watch.told is None


class ToldApplications:
    """The applications that are asked what they tell of themselves."""

    def __init__(self, monitor: Watching) -> None:
        self._monitor = monitor

    def items(self) -> Iterable[Told[Application]]:
        """Return them with their watches."""
        return (Told(w, w.application) for w in self._monitor.watches.values() if w.application is not None)

    def labels(self, item: Told[Application]) -> Labels:
        """Return its name."""
        return (item.watch.name,)

    def mark(self, item: Told[Application]) -> tuple[int, bool]:
        """Return how often its application has changed, and whether nobody knows what that is like now."""
        return item.mark

    def stamp(self, _item: Told[Application], mark: tuple[int, bool]) -> Stamp:
        """Return it: what is told changes seldom or often together."""
        return None, mark, mark

    def subject(self, item: Told[Application], _stamp: object) -> AnyApplication:
        """Return what it says, if that still holds."""
        told = item.watch.told
        return AnyApplication() if told is None else AnyApplication(told.in_flight, told.shutting_down)


class ToldCircuits:
    """The circuits that applications tell of."""

    def __init__(self, applications: ToldApplications) -> None:
        self._applications = applications

    def items(self) -> Iterable[Told[ToldCircuit]]:
        """Return them."""
        return (Told(a.watch, c) for a in self._applications.items() for c in a.what.circuits.values())

    def labels(self, item: Told[ToldCircuit]) -> Labels:
        """Return its name, under its application's."""
        return item.watch.name, item.what.name

    def mark(self, item: Told[ToldCircuit]) -> tuple[int, bool]:
        """Return how often its application has changed, and whether nobody knows what that is like now."""
        return item.mark

    def stamp(self, _item: Told[ToldCircuit], mark: tuple[int, bool]) -> Stamp:
        """Return it: what is told changes seldom or often together."""
        return None, mark, mark

    def subject(self, item: Told[ToldCircuit], _stamp: object) -> CircuitNow:
        """Return what is said of it, if that still holds, and how often it was seen to change."""
        circuit = item.what
        if item.watch.told is None:
            return CircuitNow(NOTHING, None, circuit.transitions, NOTHING)
        states = {state: float(circuit.seen.state == state) for state in STATES}
        return CircuitNow(states, circuit.since, circuit.transitions, NOTHING)


class ToldChecks:
    """The checks that applications tell of."""

    def __init__(self, applications: ToldApplications) -> None:
        self._applications = applications

    def items(self) -> Iterable[Told[ToldCheck]]:
        """Return them."""
        return (Told(a.watch, c) for a in self._applications.items() for c in a.what.checks.values())

    def labels(self, item: Told[ToldCheck]) -> Labels:
        """Return its name, under its application's."""
        return item.watch.name, item.what.name

    def mark(self, item: Told[ToldCheck]) -> tuple[int, bool]:
        """Return how often its application has changed, and whether nobody knows what that is like now."""
        return item.mark

    def stamp(self, _item: Told[ToldCheck], mark: tuple[int, bool]) -> Stamp:
        """Return it: what is told changes seldom or often together."""
        return None, mark, mark

    def subject(self, item: Told[ToldCheck], _stamp: object) -> CheckNow:
        """Return what is said of it, if that still holds."""
        known = item.watch.told is not None
        return CheckNow(item.what.healthy if known else None, item.what.last_check if known else None)


class OwnDrain:
    """How the exporter itself stops."""

    def __init__(self, drain: GracefulShutdown) -> None:
        self._drain = drain

    def items(self) -> Iterable[GracefulShutdown]:
        """Return its drain."""
        return (self._drain,)

    def labels(self, _item: GracefulShutdown) -> Labels:
        """Return what it calls itself."""
        return (APP,)

    def mark(self, _item: GracefulShutdown) -> object:
        """Return one like no other: another process may have written the record."""
        return object()

    def stamp(self, _item: GracefulShutdown, mark: object) -> Stamp:
        """Return it."""
        return None, None, mark

    def subject(self, item: GracefulShutdown, _stamp: object) -> AnyApplication:
        """Return how it ended so far."""
        return AnyApplication(None, item.is_shutting_down, item.last_seconds, item.shutdowns)


class Promise(NamedTuple):
    """A promise, and what has become of it."""

    terms: Terms
    unwatched: Container[str]
    """The names of targets of which nobody knows anything."""
    up: bool | None
    downtime: Millis
    unknown: Millis
    availability: float | None
    budget_remaining: Millis
    uptime: Millis
    coverage: float | None


class Promises:
    """The promises of the settings."""

    def __init__(self, books: Books, targets: Targets) -> None:
        self._books = books
        self._targets = targets

    def items(self) -> Iterable[Account]:
        """Return the accounts."""
        return self._books.accounts.values()

    def labels(self, item: Account) -> Labels:
        """Return the promise's name."""
        return (item.name,)

    def mark(self, item: Account) -> tuple[Terms, int, int, bool | None, Sequence[str]]:
        """Return how often account and totals have changed, the terms, and how its targets are."""
        terms = item.terms
        return terms, item.changes, self._books.commits, *self._targets.together(terms.targets)

    def stamp(self, item: Account, mark: tuple[Terms, int, int, bool | None, Sequence[str]]) -> Stamp:
        """Return all that is said of it."""
        terms, _, _, up, unwatched = mark
        totals = self._books.totals(item.name)
        availability, coverage, _, remaining = item.figures()
        return (
            (terms, unwatched),
            (up, totals[DOWN], totals[UNKNOWN], availability, remaining),
            (totals[UP], coverage),
        )

    def subject(self, _item: Account, stamp: Any) -> Promise:
        """Return what is said of it, which is its stamp."""
        agreed, lost, seen = stamp
        return Promise._make(agreed + lost + seen)


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

    def items(self) -> Iterable[Exporter]:
        """Return the exporter."""
        return (self._exporter,)

    def labels(self, _item: Exporter) -> Labels:
        """Return none: there is no other."""
        return ()

    def mark(self, _item: Exporter) -> object:
        """Return one like no other."""
        return object()

    def stamp(self, _item: Exporter, mark: object) -> Stamp:
        """Return it."""
        return None, None, mark

    def subject(self, item: Exporter, _stamp: object) -> Exporter:
        """Return the exporter."""
        return item
