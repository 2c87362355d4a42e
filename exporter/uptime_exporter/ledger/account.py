"""What became of one promise: totals that only grow, a rolling window, and what is under way."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from uptime_exporter.ledger.span import Millis, Span, State

RECENT = 10
"""Outages that the page shows."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is promised."""

    targets: tuple[str, ...]
    """The promise is kept while all of them are up."""
    objective: float = 0.999
    """Part of the time, 0 to 1."""
    window: Millis = 30 * 86_400_000

    @property
    def budget(self) -> float:
        """Milliseconds of downtime that the whole window allows."""
        return (1 - self.objective) * self.window


class Account:
    """The account of one promise, up to the moment until which everything is settled.

    Attributes:
        born: Where it begins.
        settled: Up to here every millisecond is up, down or unknown, and stays so.
        totals: State → milliseconds since `born`; their sum is ``settled - born``, and none ever goes down.
        closed: Spans that have ended since `take_closed` was called last, in order.
        recent: The last outages that have ended, oldest first.

    """

    def __init__(self, name: str, terms: Terms, born: Millis) -> None:
        self.name = name
        self.terms = terms
        self.born = born
        self.settled = born
        self.totals = dict.fromkeys(State, 0)
        self.closed: list[Span] = []
        self.recent: deque[Span] = deque(maxlen=RECENT)
        self.open: Span | None = None
        self._window = _Window(terms.window)

    def add(self, end: Millis, state: State, reason: str = "") -> None:
        """Settle what lies between `settled` and *end*; nothing if that is past already."""
        if end <= self.settled:
            return
        start, self.settled = self.settled, end
        self.totals[state] += end - start
        self._window.add(Span(start, end, state, reason))
        last = self.open
        if last is not None and (last.state, last.reason) == (state, reason):
            self.open = Span(last.start, end, state, reason)
            return
        if last is not None:
            self._close(last)
        self.open = Span(start, end, state, reason)

    def take_closed(self) -> list[Span]:
        """Return the spans that have ended since the last call, and forget them here."""
        closed, self.closed = self.closed, []
        return closed

    def restore(
        self, settled: Millis, totals: dict[State, Millis], last: Span | None, past: Iterable[Span]
    ) -> None:
        """Go on where a stored account stood.

        Args:
            settled: Up to where it was settled.
            totals: As they stood.
            last: The span that was under way.
            past: Closed spans, oldest first, at least those that the window still touches.

        """
        self.settled, self.totals, self.open = settled, dict(totals), last
        self.rewind(past)

    def rewind(self, past: Iterable[Span]) -> None:
        """Fill the window anew from closed spans, oldest first, after a restart or under other terms."""
        self._window = _Window(self.terms.window)
        self.recent.clear()
        for span in past:
            self._window.add(span)
            self._remember(span)
        if self.open is not None:
            self._window.add(self.open)

    @property
    def state(self) -> State:
        """The state up to `settled`."""
        return State.UNKNOWN if self.open is None else self.open.state

    @property
    def elapsed(self) -> Millis:
        """How much of the window has gone by since the account began."""
        return min(self.terms.window, self.settled - self.born)

    @property
    def down(self) -> Millis:
        """Downtime within the window."""
        return self._window.lost(self.settled)[State.DOWN]

    @property
    def unknown(self) -> Millis:
        """Unknown time within the window."""
        return self._window.lost(self.settled)[State.UNKNOWN]

    @property
    def up(self) -> Millis:
        """Uptime within the window."""
        return self.elapsed - self.down - self.unknown

    @property
    def availability(self) -> float | None:
        """Uptime of what was seen within the window, 0 to 1; None if nothing was."""
        seen = self.up + self.down
        return self.up / seen if seen else None

    @property
    def coverage(self) -> float | None:
        """Part of the elapsed window that was seen, 0 to 1; None before anything has elapsed."""
        return (self.up + self.down) / self.elapsed if self.elapsed else None

    @property
    def budget_remaining(self) -> float:
        """Milliseconds of downtime that are left; negative when the promise is broken.

        Of the whole window, not of the part seen so far: a service that is two hours old has not lost its month
        in one failed probe.
        """
        return self.terms.budget - self.down

    def _close(self, span: Span) -> None:
        self.closed.append(span)
        self._remember(span)

    def _remember(self, span: Span) -> None:
        """Keep an outage for the page; one whose reason changed on the way is still one."""
        if span.state is not State.DOWN:
            return
        if self.recent and self.recent[-1].end == span.start:
            before = self.recent.pop()
            span = Span(before.start, span.end, State.DOWN, before.reason)
        self.recent.append(span)


class _Window:
    """The lost time of the last so many milliseconds, kept as it goes: no question scans it."""

    def __init__(self, length: Millis) -> None:
        self._length = length
        self._lost: deque[Span] = deque()
        self._sums = {State.DOWN: 0, State.UNKNOWN: 0}

    def add(self, span: Span) -> None:
        """Take in a stretch that follows the one before it."""
        if span.state is State.UP:
            return
        self._sums[span.state] += span.length
        last = self._lost[-1] if self._lost else None
        if last is not None and last.state is span.state and last.end == span.start:
            self._lost[-1] = Span(last.start, span.end, span.state)
        else:
            self._lost.append(span)

    def lost(self, now: Millis) -> dict[State, Millis]:
        """Return downtime and unknown time of the window that ends *now*."""
        begin = now - self._length
        while self._lost and self._lost[0].start < begin:
            first = self._lost.popleft()
            self._sums[first.state] -= min(first.end, begin) - first.start
            if first.end > begin:
                self._lost.appendleft(Span(begin, first.end, first.state))
        return self._sums
