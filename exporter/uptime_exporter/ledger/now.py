"""Ledger time as it passes: the monotonic clock, begun where the wall clock or the last commit stood."""

from uptime_exporter.clock import Clock
from uptime_exporter.ledger.span import Millis
from uptime_exporter.ledger.timeline import Adjustment, Timeline

STEP: Millis = 500
"""A difference from the wall clock by more than this is a step; less is drift and rounding."""

INSTANT = 0.05
"""Seconds between two readings of the clocks that count as one moment."""


class LedgerTime:
    """Says what time it is on the ledger's own axis.

    Attributes:
        timeline: What the wall clock showed when.
        lag: Milliseconds by which the wall clock was behind the last commit at the start; 0 as a rule.

    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._monotonic, self._wall = self._read()
        self._began = self._wall
        self.timeline = Timeline()
        self.lag: Millis = 0

    @property
    def began(self) -> Millis:
        """The moment of the start."""
        return self._began

    def now(self) -> Millis:
        """Return the present moment."""
        return self.of(self._clock.monotonic())

    def of(self, monotonic: float) -> Millis:
        """Return the moment at which the monotonic clock showed *monotonic* seconds."""
        return self._began + round(monotonic * 1000) - self._monotonic

    def go_on(self, moment: Millis, wall: Millis, timeline: Timeline) -> Millis:
        """Move onto the axis of a ledger that was committed last at *moment*, when the wall clock showed *wall*.

        Returns:
            By how much every moment of this axis so far has to be moved.

        """
        gap = self._wall - wall
        self.lag = max(0, -gap)
        began, self._began = self._began, moment + max(0, gap)
        shift, since = self._began - began, self.timeline.adjustments
        self.timeline = timeline
        for step in (Adjustment(began, 0), *since):
            self._adjust(step.at + shift, step.offset - shift)
        return shift

    def look(self) -> Millis:
        """Compare with the wall clock; return by how many milliseconds it has been set, 0 if it has not."""
        monotonic, wall = self._read()
        now = self._began + monotonic - self._monotonic
        before = self.timeline.offset
        self._adjust(now, wall - now)
        return self.timeline.offset - before

    def wall(self) -> Millis:
        """Return Unix time in milliseconds."""
        return round(self._clock.wall() * 1000)

    def _adjust(self, at: Millis, offset: Millis) -> None:
        if abs(offset - self.timeline.offset) > STEP:
            self.timeline.adjust(at, offset)

    def _read(self) -> tuple[Millis, Millis]:
        """Return both clocks in milliseconds, read in one moment: a pause in between would be a step."""
        while True:
            before, wall, after = self._clock.monotonic(), self._clock.wall(), self._clock.monotonic()
            if after - before < INSTANT:
                return round(after * 1000), round(wall * 1000)
