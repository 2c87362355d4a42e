"""The figures of a report as people say them; none is ever rounded in favour of the promise."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from uptime_exporter.ledger.span import EXPORTER_DOWN, NOT_ASKED, NOT_WATCHED, Millis
from uptime_exporter.ledger.timeline import Timeline
from uptime_exporter.report.calendar import Period, local
from uptime_exporter.report.statement import NOT_RECORDED, Judgement, Statement, Stretch

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
AVERAGE_MONTH = DAY * 146_097 // 4800
"""400 years of the Gregorian calendar are 146 097 days and 4800 months: 30.44 days."""

DIGITS = 3
"""Of a percentage, at least."""

NAMED = 3
"""Reasons that a line names before it counts the others."""

PHRASES = {
    EXPORTER_DOWN: "the exporter did not run",
    NOT_ASKED: "no verdict",
    NOT_WATCHED: "not watched",
    NOT_RECORDED: "nothing is recorded",
}

_REASON = re.compile(r"(?:(?<=: )|^)[a-z_]+(?=, | and \d|$)")


@dataclass(frozen=True, slots=True)
class Dates:
    """Says when something was, as the clock on the wall showed it then."""

    timeline: Timeline
    zone: ZoneInfo
    with_year: bool

    def at(self, moment: Millis) -> datetime:
        """Return the local time, in whole milliseconds."""
        return local(self.timeline.unix(moment), self.zone)

    def say(self, moment: Millis) -> str:
        """Return date, time and offset from UTC."""
        return self._full(self.at(moment))

    def until(self, begin: Millis, end: Millis) -> str:
        """Return when something ended, without what goes without saying beside its beginning."""
        first, last = self.at(begin), self.at(end)
        if (first.date(), first.utcoffset()) == (last.date(), last.utcoffset()):
            return f"{last:%H:%M:%S}"
        return self._full(last)

    def _full(self, at: datetime) -> str:
        return f"{at:%d %b %Y %H:%M:%S}{offset(at)}" if self.with_year else f"{at:%d %b %H:%M:%S}{offset(at)}"


def offset(at: datetime) -> str:
    """Return the offset from UTC, after a space, as ``+01:00``."""
    return " " + at.isoformat(timespec="seconds")[19:]


def minute(at: datetime) -> str:
    """Return date, time to the minute and offset."""
    seconds = f":{at:%S}" if at.second else ""
    return f"{at.day} {at:%b %Y %H:%M}{seconds}{offset(at)}"


def title(period: Period) -> str:
    """Return what to call a period."""
    if period.is_month:
        return f"{period.first:%B %Y}"
    if period.is_year:
        return f"{period.first:%Y}"
    first, last = (f"{day.day} {day:%b %Y}" for day in (period.first, period.last))
    return first if first == last else f"{first} to {last}"


def percent(part: Millis, whole: Millis, digits: int = DIGITS) -> str:
    """Return a part of the whole, rounded down: 100 % is all of it."""
    scaled = 100 * 10**digits * part // whole
    return "100 %" if part == whole else f"{Decimal(scaled).scaleb(-digits):f} %"


def objective(statement: Statement) -> str:
    """Return the promised part, as exactly as it was set."""
    return f"{_hundredfold(statement.objective):f} %"


def percent_left(statement: Statement) -> str:
    """Return the part that may be missing."""
    return f"{100 - _hundredfold(statement.objective):f} %"


def kept(statement: Statement) -> str:
    """Return the availability, with no fewer digits than the promise has."""
    if not statement.seen:
        return "not known"
    exponent = _hundredfold(statement.objective).as_tuple().exponent
    digits = max(DIGITS, -exponent) if isinstance(exponent, int) else DIGITS
    return percent(statement.up, statement.seen, digits)


def coverage(statement: Statement) -> str:
    """Return the part of the elapsed time of which the state is known."""
    return percent(statement.seen, statement.elapsed, 2) if statement.elapsed else "not known"


def lasting(length: Millis) -> str:
    """Return how long something lasted, to the second below a day and to the minute above."""
    if length < SECOND:
        return f"{length / SECOND:g} s"
    parts = _parts((length + SECOND // 2) // SECOND)
    first = next(n for n, (number, _) in enumerate(parts) if number)
    said = [f"{number} {unit}" for number, unit in parts[first : first + 3] if number]
    return " ".join(said)


def spent(statement: Statement) -> tuple[str, str, str]:
    """Return downtime and allowance as numbers of the unit that comes third.

    Rounded so that who compares them comes to the same result as who compares the exact values.
    """
    scale, unit = (MINUTE, "min") if statement.allowance >= MINUTE else (SECOND, "s")
    allowed = 10 * statement.allowance // scale
    down = -(-10 * statement.down // scale)
    if statement.remaining >= 0:
        down = min(down, allowed)
    return _tenth(down), _tenth(allowed), unit


def average_month(statement: Statement) -> str:
    """Return what the promise allows in a month of average length."""
    allowed = float(1 - Decimal(str(statement.objective))) * AVERAGE_MONTH
    return f"{allowed / MINUTE:.1f} min" if allowed >= MINUTE else f"{allowed / SECOND:.1f} s"


def left(statement: Statement) -> str:
    """Return what remains of the allowance, or how much too much it was."""
    if statement.remaining < 0:
        return f"over by {lasting(-statement.remaining)}"
    return f"{lasting(statement.remaining)} left" if statement.remaining else "nothing left"


def verdict(statement: Statement) -> str:
    """Return whether the promise was kept, in a few words."""
    so_far = "" if statement.complete else " so far"
    match statement.judgement:
        case Judgement.KEPT:
            return f"kept{so_far}"
        case Judgement.BROKEN:
            return "broken" if statement.complete else "broken already"
        case Judgement.KEPT_IF:
            return f"kept{so_far}, if the {lasting(statement.unknown)} nobody saw were up"
        case Judgement.UNKNOWN:
            return f"cannot be known{'' if statement.complete else ' yet'}: {_unseen(statement)}"


def reasons(stretch: Stretch) -> str:
    """Return why, in the order in which it came to be so."""
    told = [spoken(reason) for reason in stretch.reasons[:NAMED]]
    more = len(stretch.reasons) - len(told)
    return ", then ".join(told) + (f" and {more} more" if more else "")


def marks(stretch: Stretch, statement: Statement) -> Sequence[str]:
    """Return what is to be said of a stretch that is cut at a border."""
    before = ["began before"] if stretch.began_before else []
    under_way = not statement.complete and stretch.end == statement.until
    return before + (["still under way" if under_way else "went on after"] if stretch.goes_on else [])


def spoken(reason: str) -> str:
    """Return a reason in words; the names of targets before it stay as they are."""
    said = _REASON.sub(lambda found: PHRASES.get(found[0], found[0].replace("_", " ")), reason)
    return said or "no reason is recorded"


def _unseen(statement: Statement) -> str:
    if statement.seen:
        return f"nobody saw {lasting(statement.unknown)} of it"
    return "nothing is recorded of this time" if not statement.elapsed else "nobody saw any of it"


def _hundredfold(part: float) -> Decimal:
    return (Decimal(str(part)) * 100).normalize() + Decimal(0)


def _tenth(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}"


def _parts(seconds: int) -> Sequence[tuple[int, str]]:
    minutes, second = divmod(seconds, 60)
    hours, minute_ = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return ((days, "d"), (hour, "h"), (minute_, "min"), (second, "s"))
