"""Whose turn it is: one timer for all, and no sleep between two whose turns are close together."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

from uptime_exporter.clock import Clock

T = TypeVar("T")


class Agenda(Generic[T]):
    """Begins each entry when it is due, or a little sooner if the one before it has just ended.

    Waking up costs a probe more than all it does: caches are cold by then, and Python needs much of them. So
    whoever ends lets the next one go that would have to begin soon anyway; one by one, so that no two disturb
    each other's measurement.
    """

    def __init__(self, clock: Clock, begin: Callable[[T], None]) -> None:
        """Begin entries by *begin*, which must not raise."""
        self._clock = clock
        self._begin = begin
        self._entries: list[tuple[float, int, float, T]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    def put(self, entry: T, due: float, ahead: float) -> None:
        """Begin *entry* at the monotonic time *due*, or up to *ahead* seconds before."""
        heapq.heappush(self._entries, (due, next(self._order), ahead, entry))
        self._set_timer()

    def pass_on(self) -> None:
        """Begin the next one now, if it may: somebody has ended."""
        if self._entries:
            due, _, ahead, entry = self._entries[0]
            if due - ahead <= self._clock.monotonic():
                heapq.heappop(self._entries)
                self._set_timer()
                self._begin(entry)

    def keep(self, stays: Callable[[T], bool]) -> None:
        """Strike out all other entries."""
        self._entries = [each for each in self._entries if stays(each[3])]
        heapq.heapify(self._entries)
        self._set_timer()

    def _set_timer(self) -> None:
        """Have the timer go off when the first entry is due."""
        if self._timer is not None:
            if self._entries and self._entries[0][0] == self._rings_at:
                return
            self._timer.cancel()
            self._timer = None
        if self._entries:
            self._rings_at = self._entries[0][0]
            wait = max(0.0, self._rings_at - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        """Begin all that are due; none, where the loop's clock runs ahead of ours."""
        self._timer = None
        now, due = self._clock.monotonic(), []
        while self._entries and self._entries[0][0] <= now:
            due.append(heapq.heappop(self._entries)[3])
        self._set_timer()
        for entry in due:
            self._begin(entry)
