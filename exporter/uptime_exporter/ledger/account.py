"""What became of one promise: totals that only grow, a rolling window, and what is under way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from uptime_exporter.ledger.span import Millis, Span, State

UP, DOWN, UNKNOWN = State

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

    budget: Millis = field(init=False, repr=False, compare=False)
    """Downtime that the whole window allows; at least a millisecond, as it is divided by."""

    def __post_init__(self) -> None:
        """Work the budget out once: every scrape asks for it."""
        object.__setattr__(self, "budget", max(1, round((1 - self.objective) * self.window)))


class Figures(NamedTuple):
    """What the window amounts to."""

    availability: float | None
    """Uptime of what was seen within it, 0 to 1; None if nothing was."""
    coverage: float | None
    """Part of what has elapsed of it that was seen, 0 to 1; None before anything has."""
    budget: Millis
    """Downtime that the whole of it allows."""
    budget_remaining: Millis
    """What is left of that; negative when the promise is broken."""


class Account:
    """The account of one promise, up to the moment until which everything is settled.

    Attributes:
        terms: May be changed at any time; under a longer window nobody knows what lay before the shorter one until
            `rewind` tells.
        born: Where it begins.
        settled: Up to here every millisecond is up, down or unknown, and stays so.
        changes: How often anything of this has changed, terms apart.
        closed: Spans that have ended since `take_closed` was called last, in order.
        recent: The last outages that have ended, oldest first.

    """

    __slots__ = (
        *("_down", "_reason", "_since", "_state", "_unknown", "_up", "_window", "born", "changes", "closed"),
        *("name", "recent", "settled", "terms"),
    )

    def __init__(self, name: str, terms: Terms, born: Millis) -> None:
        self.name = name
        self.terms = terms
        self.born = born
        self.settled = born
        self.changes = 0
        self.closed: Sequence[Span] = ()
        self.recent: Sequence[Span] = ()
        self._window = _Window(born)
        self._up = self._down = self._unknown = 0  # of closed spans
        # The span under way, as plain fields: while nothing changes, `add` moves one number on.
        self._since = born
        self._state = UNKNOWN
        self._reason = ""

    def add(self, end: Millis, state: State, reason: str = "") -> None:
        """Settle what lies between `settled` and *end*; nothing if that is past already."""
        if end <= self.settled:
            return
        if state is not self._state or reason != self._reason:
            self._close()
            self._since, self._state, self._reason = self.settled, state, reason
        self.settled = end
        self.changes += 1

    def take_closed(self) -> list[Span]:
        """Return the spans that have ended since the last call, and forget them here."""
        closed, self.closed = self.closed, ()
        return list(closed)

    def restore(
        self, settled: Millis, totals: Mapping[State, Millis], last: Span | None, past: Iterable[Span]
    ) -> None:
        """Go on where a stored account stood.

        Args:
            settled: Up to where it was settled.
            totals: As they stood, `last` included.
            last: The span that was under way.
            past: Closed spans, oldest first, at least those that the window still touches.

        """
        closed = dict.fromkeys(State, 0) | dict(totals)
        self.settled = settled
        self._since, self._state, self._reason = settled, UNKNOWN, ""
        if last is not None:
            self._since, self._state, self._reason = last.start, last.state, last.reason
            closed[last.state] -= settled - last.start
        self._up, self._down, self._unknown = closed[UP], closed[DOWN], closed[UNKNOWN]
        self.rewind(past)

    def rewind(self, past: Iterable[Span]) -> None:
        """Fill the window anew from closed spans, oldest first, after a restart or under other terms.

        All of them count, also those that nobody has taken yet; the one under way is known here.
        What the window covers before the first of them is unknown: what nobody can tell is not up.
        """
        past = list(past)
        self.changes += 1
        self._window = _Window(past[0].start if past else self._since)
        self.recent = ()
        for span in past:
            self._window.add(span)
            self._remember(span)

    @property
    def open(self) -> Span | None:
        """The span under way, up to `settled`; None if the account has just begun."""
        if self._since == self.settled:
            return None
        return Span(self._since, self.settled, self._state, self._reason)

    @property
    def totals(self) -> dict[State, Millis]:
        """State → milliseconds since `born`; their sum is ``settled - born``, and none ever goes down."""
        totals = {UP: self._up, DOWN: self._down, UNKNOWN: self._unknown}
        totals[self._state] += self.settled - self._since
        return totals

    @property
    def state(self) -> State:
        """The state up to `settled`."""
        return self._state

    @property
    def elapsed(self) -> Millis:
        """How much of the window has gone by since the account began."""
        elapsed, window = self.settled - self.born, self.terms.window
        return min(window, elapsed)

    @property
    def down(self) -> Millis:
        """Downtime within the window."""
        return self._lost()[0]

    @property
    def unknown(self) -> Millis:
        """Unknown time within the window."""
        return self._lost()[1]

    @property
    def up(self) -> Millis:
        """Uptime within the window."""
        return self.elapsed - self.down - self.unknown

    def figures(self) -> Figures:
        """Return all that the window amounts to, for less than one after the other would cost."""
        terms, (down, unknown) = self.terms, self._lost()
        elapsed = self.settled - self.born
        elapsed = min(elapsed, terms.window)
        seen, budget = elapsed - unknown, terms.budget
        availability = (seen - down) / seen if seen else None
        return Figures(availability, seen / elapsed if elapsed else None, budget, budget - down)

    @property
    def availability(self) -> float | None:
        """Uptime of what was seen within the window, 0 to 1; None if nothing was."""
        return self.figures().availability

    @property
    def coverage(self) -> float | None:
        """Part of the elapsed window that was seen, 0 to 1; None before anything has elapsed."""
        return self.figures().coverage

    @property
    def budget_remaining(self) -> Millis:
        """Downtime that is left; negative when the promise is broken.

        Of the whole window, not of the part seen so far: a service that is two hours old has not lost its month
        in one failed probe.
        """
        return self.terms.budget - self.down

    def _lost(self) -> tuple[Millis, Millis]:
        """Return downtime and unknown time within the window; what it does not know any more is unknown."""
        begin, window = self.settled - self.terms.window, self._window
        if begin > window.since:
            window.forget(begin)
        down, unknown, state = window.down, window.unknown, self._state
        if state is not UP:
            under_way = self.settled - max(self._since, begin)
            down, unknown = (down + under_way, unknown) if state is DOWN else (down, unknown + under_way)
        if window.since > self.born:
            unknown += max(0, window.since - max(begin, self.born))
        return down, unknown

    def _close(self) -> None:
        span = self.open
        if span is None:
            return
        self._up, self._down, self._unknown = self.totals.values()
        self._window.add(span)
        self._window.forget(self.settled - self.terms.window)
        if isinstance(self.closed, list):
            self.closed.append(span)
        else:
            self.closed = [span]
        self._remember(span)

    def _remember(self, span: Span) -> None:
        """Keep an outage for the page; one whose reason changed on the way is still one."""
        if span.state is not DOWN:
            return
        if self.recent and self.recent[-1].end == span.start:
            *earlier, before = self.recent
            self.recent = (*earlier, Span(before.start, span.end, DOWN, before.reason))
        else:
            self.recent = (*self.recent, span)[-RECENT:]


class _Window:
    """The lost time of closed spans since some moment, kept as it goes: no question scans it.

    Attributes:
        since: What lies before is not known here, or no longer.
        down: Downtime.
        unknown: Unknown time.

    """

    __slots__ = ("_first", "_spans", "down", "since", "unknown")

    def __init__(self, since: Millis) -> None:
        self.since = since
        self.down = self.unknown = 0
        self._spans: list[Span] = []  # an empty deque is half a kilobyte
        self._first = 0

    def add(self, span: Span) -> None:
        """Take in a stretch that follows the one before it."""
        if span.state is not UP:
            self._count(span.state, span.length)
            self._spans.append(span)

    def forget(self, begin: Millis) -> None:
        """Let go of what lies before *begin*; with every span, so that it stays small although nobody asks."""
        if begin <= self.since:
            return
        self.since = begin
        spans = self._spans
        while self._first < len(spans) and (first := spans[self._first]).start < begin:
            self._count(first.state, first.start - min(first.end, begin))
            if first.end > begin:
                spans[self._first] = Span(begin, first.end, first.state)
            else:
                self._first += 1
        if self._first > len(spans) // 2:  # seldom enough to cost nothing, however many there are
            del spans[: self._first]
            self._first = 0

    def _count(self, state: State, length: Millis) -> None:
        if state is DOWN:
            self.down += length
        else:
            self.unknown += length
