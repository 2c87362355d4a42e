"""Counts in buckets, as plain integers."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

MICRO = 1e6
"""What lies behind a microsecond of a sum is the floating point's own."""

PRECISE = 1e9
"""Seconds up to which floating point holds microseconds."""


class Histogram:
    """Observations in seconds, counted by upper bound.

    Attributes:
        bounds: Upper bounds, ascending, without the infinite one.

    """

    __slots__ = ("_counts", "_sum", "bounds")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self._sum += seconds

    @property
    def sum(self) -> float:
        """Of all observations, to the microsecond."""
        return int(self._sum * MICRO + 0.5) / MICRO if 0 <= self._sum < PRECISE else self._sum

    @property
    def counts(self) -> tuple[int, ...]:
        """Observations up to each bound, and all of them as the last."""
        return tuple(accumulate(self._counts))

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Yield each upper bound, the infinite one last, with the number of observations up to it."""
        return zip((*self.bounds, float("inf")), accumulate(self._counts), strict=True)
