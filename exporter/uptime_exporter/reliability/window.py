"""How many of the latest calls failed, and how many were slow."""

FAILED = 1
SLOW = 2


class Window:
    """The latest calls, and the two rates above which they are too bad.

    Adding a call takes the same time whatever the window's size, and a byte for each call is all it keeps.

    Args:
        size: How many calls it holds; then the oldest gives way.
        minimum: Fewer calls than these say nothing.
        failure_rate: Share of failed calls (0-1) from which they are too many; None: any may fail.
        slow_rate: Share of slow calls (0-1) from which they are too many; None: none is slow.
        slow_after: Seconds from which a call is slow.

    """

    __slots__ = (
        "_failed",
        "_filled",
        "_marks",
        "_next",
        "_slow",
        "failure_rate",
        "minimum",
        "size",
        "slow_after",
        "slow_rate",
    )

    def __init__(
        self, size: int, minimum: int, failure_rate: float | None, slow_rate: float | None, slow_after: float
    ) -> None:
        self.minimum = minimum
        self.failure_rate = failure_rate
        self.slow_rate = slow_rate
        self.slow_after = slow_after
        self.size = size
        self.clear()

    def clear(self) -> None:
        """Forget all calls."""
        self._marks = bytearray(self.size)
        self._next = self._filled = self._failed = self._slow = 0

    def add(self, failed: bool, slow: bool) -> bool:  # noqa: FBT001 - in the way of every call; keywords cost
        """Take one call; return whether one of the rates is too high now."""
        marks, at = self._marks, self._next
        mark = failed | slow << 1
        if marks[at] != mark:
            self._count(marks[at], -1)
            self._count(mark, 1)
            marks[at] = mark
        self._next = (at + 1) % len(marks)
        if self._filled < len(marks):
            self._filled += 1
        return bool(self._failed or self._slow) and self._filled >= self.minimum and self._too_many()

    def _count(self, mark: int, step: int) -> None:
        if mark & FAILED:
            self._failed += step
        if mark & SLOW:
            self._slow += step

    def _too_many(self) -> bool:
        return _reaches(self._failed / self._filled, self.failure_rate) or _reaches(
            self._slow / self._filled, self.slow_rate
        )


def _reaches(rate: float, limit: float | None) -> bool:
    return limit is not None and rate >= limit
