"""What a probe is, and how it says how far it came."""

from collections.abc import Iterator
from contextlib import contextmanager
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

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside as *name*; a phase entered twice (a redirect) adds up."""
        self.current = name
        started = stopwatch()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + stopwatch() - started


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
