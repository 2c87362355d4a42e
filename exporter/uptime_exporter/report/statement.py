"""What was promised and what was kept in a period, in whole milliseconds of ledger time."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import groupby, pairwise
from operator import attrgetter

from uptime_exporter.ledger.history import Record
from uptime_exporter.ledger.span import Millis, Span, State
from uptime_exporter.ledger.timeline import Timeline
from uptime_exporter.report.calendar import Period, Slot

NOT_RECORDED = "not_recorded"
"""The reason of time that has gone by and of which the ledger says nothing."""

SETTLING: Millis = 5 * 60_000
"""What a ledger in use may be behind the clock: a verdict is settled a beat or two after its probe."""

Sums = Mapping[State, Millis]


class Judgement(StrEnum):
    """What became of a promise."""

    KEPT = "kept"
    """Even if it was down whenever nobody looked."""
    KEPT_IF = "kept_if_unseen_was_up"
    """Unless it was down while nobody looked."""
    BROKEN = "broken"
    """Even if it was up whenever nobody looked."""
    UNKNOWN = "cannot_be_known"
    """Too little was seen."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """An outage or a gap, cut at the borders of the account."""

    begin: Millis
    end: Millis
    reasons: tuple[str, ...]
    """Each once, in the order of their first appearance."""
    began_before: bool
    goes_on: bool
    """Beyond the period, or it is under way."""

    @property
    def length(self) -> Millis:
        """How long it lasts within the account."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Statement:
    """The account of one promise for one period."""

    name: str
    targets: tuple[str, ...]
    objective: float
    begin: Millis
    """Of the period, or where the ledger begins to say something of it."""
    until: Millis
    """Where the account ends: with the period, or now."""
    end: Millis
    """Of the period."""
    complete: bool
    """Whether the period is over."""
    late: bool
    """Whether the ledger begins, or what is kept of it, after the period has begun."""
    spans: tuple[Span, ...]
    """From `begin` to `until`, without a gap."""
    sums: Sums
    outages: tuple[Stretch, ...]
    gaps: tuple[Stretch, ...]
    """Unknown time in one piece."""

    @property
    def up(self) -> Millis:
        """Uptime."""
        return self.sums[State.UP]

    @property
    def down(self) -> Millis:
        """Downtime."""
        return self.sums[State.DOWN]

    @property
    def unknown(self) -> Millis:
        """Time of which nobody knows."""
        return self.sums[State.UNKNOWN]

    @property
    def seen(self) -> Millis:
        """Time of which the state is known."""
        return self.up + self.down

    @property
    def elapsed(self) -> Millis:
        """Time that the account is about."""
        return self.until - self.begin

    @property
    def length(self) -> Millis:
        """Time that the promise is about: the period, as far as the ledger could ever tell of it."""
        return self.end - self.begin

    @property
    def allowance(self) -> Millis:
        """Downtime that the promise allows in `length`, rounded down; exact for any decimal objective."""
        return int((1 - Fraction(str(self.objective))) * self.length)

    @property
    def remaining(self) -> Millis:
        """Downtime that is left; negative where the promise is broken."""
        return self.allowance - self.down

    @property
    def judgement(self) -> Judgement:
        """Whether the promise was kept, as far as anybody can know.

        A period under way is judged by its whole allowance: an hour that is over has not lost the month.
        """
        if not self.seen:
            return Judgement.UNKNOWN
        if self.down > self.allowance:
            return Judgement.BROKEN
        if self.down + self.unknown <= self.allowance:
            return Judgement.KEPT
        return Judgement.KEPT_IF if self._looks_kept else Judgement.UNKNOWN

    @property
    def _looks_kept(self) -> bool:
        """Whether what was seen is most of it, and keeps the promise by itself."""
        in_time = not self.complete or self.up >= Fraction(str(self.objective)) * self.seen
        return self.seen > self.unknown and in_time


def draw_up(record: Record, timeline: Timeline, period: Period, now: float) -> Statement:
    """Return the account of one promise.

    Args:
        record: Of the promise.
        timeline: Of the ledger; durations are differences of its time, whatever the clock on the wall did.
        period: What is asked for.
        now: Unix time.

    """
    start, end = timeline.moment(period.begin), timeline.moment(period.end)
    first = record.spans[0].start if record.spans else record.settled
    begin = min(max(first, start), end)
    complete = now >= period.end
    until = max(begin, _until(record, timeline.moment(now), end, complete=complete))
    spans = tuple(_clip(_whole(record, until), begin, until))
    return Statement(
        name=record.name,
        targets=record.terms.targets,
        objective=record.terms.objective,
        begin=begin,
        until=until,
        end=end,
        complete=complete,
        late=begin > start or timeline.unix(begin) > period.begin,
        spans=spans,
        sums=total(spans),
        outages=tuple(_stretches(record, begin, until, State.DOWN)),
        gaps=tuple(_stretches(record, begin, until, State.UNKNOWN)),
    )


def total(spans: Iterable[Span]) -> dict[State, Millis]:
    """Return state → milliseconds."""
    sums = dict.fromkeys(State, 0)
    for span in spans:
        sums[span.state] += span.length
    return sums


def share(statement: Statement, timeline: Timeline, slots: Sequence[Slot]) -> list[Sums]:
    """Return what falls into each slot; the slots tile the period, so that the sums add up to the statement's.

    A slot that the clock on the wall passed over is empty; one that it showed twice holds both.
    """
    borders = [timeline.moment(slot.begin) for slot in slots] + [statement.end]
    starts = [span.start for span in statement.spans]
    sums: list[Sums] = []
    for begin, end in pairwise(borders):
        touched = statement.spans[max(0, bisect_right(starts, begin) - 1) : bisect_right(starts, end)]
        sums.append(total(_clip(touched, begin, end)))
    return sums


def _until(record: Record, present: Millis, end: Millis, *, complete: bool) -> Millis:
    """Return up to where something could be known; the news of the last minutes are still coming."""
    settling = not complete and 0 <= present - record.settled <= SETTLING
    return min(end, record.settled if settling else max(present, record.settled))


def _whole(record: Record, until: Millis) -> Iterator[Span]:
    """Yield the spans, and as unknown what they leave out up to *until*."""
    at = record.spans[0].start if record.spans else record.settled
    for span in record.spans:
        if at < span.start:
            yield Span(at, span.start, State.UNKNOWN, NOT_RECORDED)
        yield span
        at = span.end
    if at < until:
        yield Span(at, until, State.UNKNOWN, NOT_RECORDED)


def _clip(spans: Iterable[Span], begin: Millis, end: Millis) -> Iterator[Span]:
    for span in spans:
        inner = Span(max(span.start, begin), min(span.end, end), span.state, span.reason)
        if inner.length > 0:
            yield inner


def _stretches(record: Record, begin: Millis, until: Millis, wanted: State) -> Iterator[Stretch]:
    """Yield what is in one piece of one state, however often its reason changes."""
    for each, group in groupby(_whole(record, until), key=attrgetter("state")):
        run = list(group)
        within = list(_clip(run, begin, until)) if each is wanted else []
        if within:
            yield Stretch(
                within[0].start,
                within[-1].end,
                tuple(dict.fromkeys(span.reason for span in within)),
                began_before=run[0].start < begin,
                goes_on=run[-1].end > until or until == run[-1].end == record.settled,
            )
