"""Ledger time and calendar time, and what has become of the difference."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from uptime_exporter.ledger.span import Millis


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
        """Return when the wall clock showed *unix* seconds first, or passed over it."""
        wanted = round(unix * 1000)
        for begin, end, offset in self._stretches():
            if end is None or wanted - offset < end:
                return max(begin, wanted - offset) if begin is not None else wanted - offset
        raise AssertionError("the last stretch has no end")

    def _stretches(self) -> Sequence[tuple[Millis | None, Millis | None, Millis]]:
        begins: list[Millis | None] = [None, *(a.at for a in self.adjustments)]
        ends: list[Millis | None] = [*(a.at for a in self.adjustments), None]
        offsets = [0, *(a.offset for a in self.adjustments)]
        return list(zip(begins, ends, offsets, strict=True))
