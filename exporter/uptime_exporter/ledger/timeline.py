"""Ledger time and calendar time, and what has become of the difference."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter

from uptime_exporter.ledger.span import Millis

DAY: Millis = 86_400_000


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A step of the wall clock: from `at` on, Unix time is ledger time plus `offset`."""

    at: Millis
    offset: Millis


@dataclass(slots=True)
class Timeline:
    """Tells the date of a moment of ledger time, and the other way round.

    Ledger time begins as Unix time. Each step of the wall clock is kept, so that a moment before it keeps the date
    that the wall clock showed then: a machine that starts in 1970 until it has asked for the time reports no
    outage of half a century.
    """

    adjustments: list[Adjustment] = field(default_factory=list)
    """In order of `at`."""

    @property
    def offset(self) -> Millis:
        """What Unix time is ahead of ledger time now."""
        return self.adjustments[-1].offset if self.adjustments else 0

    def adjust(self, at: Millis, offset: Millis) -> None:
        """Note that from *at* on Unix time is ahead by *offset*; of two steps at once the later one counts."""
        while self.adjustments and self.adjustments[-1].at >= at:
            self.adjustments.pop()
        if offset != self.offset:
            self.adjustments.append(Adjustment(at, offset))

    def unix(self, moment: Millis) -> float:
        """Return the Unix time in seconds that the wall clock showed at *moment*."""
        before = bisect_right(self.adjustments, moment, key=attrgetter("at"))
        return (moment + (self.adjustments[before - 1].offset if before else 0)) / 1000

    def moment(self, unix: float) -> Millis:
        """Return when the wall clock showed *unix* seconds first, or passed over it; a later date is never earlier.

        A clock that was more than a day ahead of the present one was wrong: what it showed is still to come.
        """
        wanted = round(unix * 1000)
        for begin, end, offset in self._stretches():
            if wanted - offset < end and offset <= self.offset + DAY:
                return int(max(begin, wanted - offset))
        raise AssertionError("the last stretch has no end")

    def _stretches(self) -> Sequence[tuple[float, float, Millis]]:
        """Return begin, end and offset of each; the first has always lasted, the last always will."""
        steps = [a.at for a in self.adjustments]
        offsets = [0, *(a.offset for a in self.adjustments)]
        return list(zip([-inf, *steps], [*steps, inf], offsets, strict=True))
