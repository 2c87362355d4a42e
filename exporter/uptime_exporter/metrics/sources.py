"""Where the page's subjects come from: what the exporter itself knows and holds."""

from collections.abc import Iterable, Sequence
from typing import Any

from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.span import State
from uptime_exporter.metrics.family import Labels
from uptime_exporter.metrics.subjects import APP, AnyApplication, Books, Exporter, Promise, Stamp, Watching
from uptime_exporter.monitor import Circuit, Watch
from uptime_exporter.reliability.drain import GracefulShutdown

UP, DOWN, UNKNOWN = State


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
