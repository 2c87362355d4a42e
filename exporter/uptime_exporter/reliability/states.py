"""When to stop calling something that fails, and when to try again.

Closed ──── threshold failures in a row ────▶ Open
   ▲                                          │  ▲
   │                      recovery time over  │  │ failure
   │                                          ▼  │
   └──────────────── success ─────────────  HalfOpen
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

StateName = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class Closed:
    """Calls go through."""

    failures: int = 0
    """In a row, up to now."""
    name: ClassVar[StateName] = "closed"


@dataclass(frozen=True, slots=True)
class Open:
    """Calls are refused."""

    until: float
    """Monotonic time from which one trial is allowed."""
    name: ClassVar[StateName] = "open"


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """One trial decides."""

    name: ClassVar[StateName] = "half_open"


State = Closed | Open | HalfOpen


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The table of transitions, without a clock and without memory."""

    threshold: int = 5
    """Failures in a row that open the circuit."""
    recovery: float = 60.0
    """Seconds for which it stays open before a trial."""

    def before(self, state: State, now: float) -> State:
        """Return the state that a call finds that begins at monotonic time *now*."""
        match state:
            case Open(until) if now >= until:
                return HalfOpen()
            case _:
                return state

    def after(self, state: State, now: float, *, healthy: bool) -> State:
        """Return the state that a call finished at monotonic time *now* leaves behind."""
        match state:
            case Closed(failures) if not healthy and failures + 1 < self.threshold:
                return Closed(failures + 1)
            case Closed() | HalfOpen() if not healthy:
                return Open(until=now + self.recovery)
            case Closed() | HalfOpen():
                return Closed()
            case Open():
                return state  # an answer from before the trip, or a probe that ran anyway
