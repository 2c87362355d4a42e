"""What the routes need to know of the rest of the program, and the two things that they may ask it to do."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from uptime_exporter.clock import Clock
from uptime_exporter.ledger.account import Account
from uptime_exporter.ledger.timeline import Timeline
from uptime_exporter.monitor import Watch
from uptime_exporter.reliability.drain import GracefulShutdown
from uptime_exporter.settings import Secret


class Watching(Protocol):
    """The part of the monitor that is shown."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        """Target → what is known of it, in the order of the settings."""

    @property
    def everything_down(self) -> bool:
        """Whether all targets fail at once."""

    def stalled(self) -> list[str]:
        """Return the targets whose beat has stopped."""

    def reset(self, circuit: str) -> Watch:
        """Close the circuit of that name; raise KeyError if there is none."""


def _nothing() -> None:
    return None


def _three_nines() -> float:
    return 0.999


class Ledger(Protocol):
    """The part of the ledger that is shown."""

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Promise → its account; one that is named like a target is shown with it."""

    @property
    def timeline(self) -> Timeline:
        """Tells the date of a moment of ledger time."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with the ledger and what to do about it, in one sentence; None if nothing is."""


class Render(Protocol):
    """Makes the page for Prometheus."""

    async def __call__(self, accept: str, /, *, gzip: bool) -> tuple[Sequence[bytes], str]:
        """Return its parts, compressed or not, and the content type, for an ``Accept`` header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What the rest of the program lends to the routes."""

    monitor: Watching
    drain: GracefulShutdown
    clock: Clock
    render: Render
    """The exposition."""
    reload: Callable[[], Awaitable[None]]
    """Read the settings again; raises SettingsError where they cannot be used, having changed nothing."""
    drill: Callable[[float], Awaitable[None]]
    """Watch a target that is down, for so many seconds, 0 ends it; raises SettingsError if its name is taken."""
    admin_token: Callable[[], Secret | None] = _nothing
    """Asked at every request, as a reload may change it."""
    loopback_only: bool = False
    """Whether nobody but this machine can reach the listener."""
    objective: Callable[[], float] = _three_nines
    """Of the promise about the whole system, 0 to 1."""
    ledger: Ledger
    """The account of every promise."""
