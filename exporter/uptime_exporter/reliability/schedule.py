"""When a check is due: a beat at a phase of its own, stable from start to start."""

import zlib
from dataclasses import dataclass

STARTS_PER_SECOND = 100
"""How fast first checks follow each other after a start; 1000 are made within 10 s."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The beats of one check, in monotonic seconds.

    The phase comes from the name, so that checks spread over the interval and none moves when others come or go.
    """

    name: str
    interval: float

    @property
    def phase(self) -> float:
        """Seconds after each whole interval at which the target is due."""
        return self.interval * zlib.crc32(self.name.encode()) / 2**32

    def first(self, now: float, *, place: int, of: int) -> float:
        """Return when it is due for the first time that starts as number *place* (from 0) *of* so many."""
        return now + place * min(1 / STARTS_PER_SECOND, self.interval / of)

    def after(self, began: float, now: float) -> float:
        """Return the next beat after one that began at *began*, never in the past.

        Beats that went by meanwhile are left out: after a suspend it goes on from now. The first regular beat
        leaves at least half an interval to the one before it.
        """
        earliest = max(began + self.interval / 2, now)
        beats = (earliest - self.phase) // self.interval + 1
        return self.phase + beats * self.interval
