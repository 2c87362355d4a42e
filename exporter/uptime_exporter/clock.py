"""Wall and monotonic time, as an argument."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from.

    Waiting is the event loop's business; a test's loop goes by the same hands as its clock.
    """

    def wall(self) -> float:
        """Return Unix time in seconds; may be set back or forward at any moment."""

    def monotonic(self) -> float:
        """Return seconds since some start; never goes back, and goes on while the machine is suspended."""


stopwatch = time.perf_counter
"""Seconds for measuring what lasts less than a probe, on the finest clock there is."""

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> float:
        """Return Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since boot, suspended time included (Linux's CLOCK_BOOTTIME; clock_gettime(2))."""
        return time.clock_gettime(_BOOTTIME)
