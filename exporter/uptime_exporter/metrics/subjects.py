"""What the families read, and how a source of it says that nothing has changed."""

import platform
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from uptime_exporter import __version__
from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.span import Millis, State
from uptime_exporter.metrics.family import Labels, Values
from uptime_exporter.monitor import Circuit, Histogram, Watch
from uptime_exporter.outcome import NOTHING

APP = "uptime-exporter"
"""The `app` label of what the exporter itself holds."""

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


AnyCircuit = Circuit | CircuitNow


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
