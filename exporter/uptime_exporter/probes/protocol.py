"""What a probe is, and how it says how far it came."""

from typing import Protocol

from uptime_exporter.clock import stopwatch
from uptime_exporter.outcome import Reason, Seen


class Phases:
    """The phases of one attempt, timed as they happen.

    A probe that is cancelled halfway has still said where it was.

    Attributes:
        seconds: Phase → seconds; a phase that was cut short is in it too.
        current: The phase that is under way, or the last one that was entered; empty before the first.
        on_timeout: What it means if the deadline strikes now.

    """

    __slots__ = ("current", "on_timeout", "seconds")

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.current = ""
        self.on_timeout = Reason.TIMEOUT

    def phase(self, name: str) -> "_Phase":
        """Time what happens inside as *name*; a phase entered twice (a redirect) adds up."""
        self.current = name
        return _Phase(self.seconds, name)


class _Phase:
    """Adds the time that is spent inside, however it ends; a generator would cost five times as much."""

    __slots__ = ("_began", "_name", "_seconds")

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds = seconds
        self._name = name

    def __enter__(self) -> None:
        self._began = stopwatch()

    def __exit__(self, *_raised: object) -> None:
        lasted = stopwatch() - self._began
        self._seconds[self._name] = self._seconds.get(self._name, 0.0) + lasted


class Probe(Protocol):
    """One way of asking one target whether it is well.

    A probe knows nothing of schedules, deadlines, retries or metrics. It asks once, takes as long as it takes, and
    lets its caller cancel it at any point; it leaves nothing behind, neither a socket nor a query.
    """

    async def check(self, phases: Phases) -> Seen:
        """Return what was seen if the target is up.

        Args:
            phases: Filled in as the attempt goes on.

        Raises:
            ProbeFailure: It is not.
            Inconclusive: The fault is on our side; nothing is known.

        """
