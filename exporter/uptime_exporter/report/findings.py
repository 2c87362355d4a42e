"""Everything that a report says, before anybody has put it into words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from uptime_exporter.ledger.history import History
from uptime_exporter.ledger.span import Millis
from uptime_exporter.ledger.timeline import Adjustment, Timeline
from uptime_exporter.report.calendar import Period
from uptime_exporter.report.request import Request
from uptime_exporter.report.statement import Statement, Stretch, draw_up

WORTH_TELLING: Millis = 60_000
"""Steps of the clock from which on a reader may wonder at a date."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the clock on the wall."""

    at: Millis
    length: Millis
    """Forward; negative: it was set back."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The statements of a period, and what is needed to date them."""

    period: Period
    now: float
    """Unix time at which they were made."""
    timeline: Timeline
    statements: Sequence[Statement]
    steps: Sequence[Step]
    least_gap: Millis

    @property
    def complete(self) -> bool:
        """Whether the period is over."""
        return self.now >= self.period.end

    def long_gaps(self, statement: Statement) -> Sequence[Stretch]:
        """Return the gaps that are told one by one."""
        return [gap for gap in statement.gaps if gap.length >= self.least_gap]

    def short_gaps(self, statement: Statement) -> tuple[int, Millis]:
        """Return how many gaps are not, and what they come to."""
        lengths = [gap.length for gap in statement.gaps if gap.length < self.least_gap]
        return len(lengths), sum(lengths)


def find(history: History, request: Request) -> Findings:
    """Return what was asked for.

    Raises:
        ReportError: The ledger does not know a promise that was named.

    """
    chosen = request.choose(history)
    statements = [draw_up(record, history.timeline, request.period, request.now) for record in chosen]
    steps = _steps(history.timeline, request.period)
    return Findings(request.period, request.now, history.timeline, statements, steps, request.least_gap)


def _steps(timeline: Timeline, period: Period) -> Sequence[Step]:
    first, last = timeline.moment(period.begin), timeline.moment(period.end)
    pairs = pairwise([Adjustment(0, 0), *timeline.adjustments])
    steps = [Step(after.at, after.offset - before.offset) for before, after in pairs]
    return [step for step in steps if first <= step.at < last and abs(step.length) >= WORTH_TELLING]
