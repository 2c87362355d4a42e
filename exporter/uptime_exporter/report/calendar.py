"""Stretches of the calendar in a time zone: months, days and hours, daylight saving included."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

DAY, HOUR = 86_400, 3600


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of a period, in whole seconds of Unix time, `end` not included."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Period:
    """What a report is about, in whole seconds of Unix time, `end` not included."""

    begin: int
    end: int
    zone: ZoneInfo

    @property
    def first(self) -> datetime:
        """The local time at which it begins."""
        return local(self.begin, self.zone)

    @property
    def last(self) -> datetime:
        """The local time of its last second."""
        return local(self.end - 1, self.zone)

    @property
    def is_month(self) -> bool:
        """Whether it is one whole month of the calendar."""
        return self == month(self.first.year, self.first.month, self.zone)

    @property
    def is_year(self) -> bool:
        """Whether it is one whole year of the calendar."""
        year = self.first.year
        return (self.begin, self.end) == tuple(
            midnight(date(each, 1, 1), self.zone) for each in (year, year + 1)
        )

    @property
    def spans_years(self) -> bool:
        """Whether a date in it is clear only with its year."""
        return self.first.year != self.last.year

    def hours(self) -> Iterator[Slot]:
        """Yield every hour as a clock on the wall shows it, in order.

        Where a clock is set in the midst of an hour, the parts before and after are slots of their own.
        """
        at = self.begin
        while at < self.end:
            until = min(_next_hour(at, self.zone), self.end)
            yield Slot(at, until)
            at = until

    def days(self) -> Iterator[Slot]:
        """Yield every day, in order; of 23 or 25 hours where the clock is set."""
        at = self.begin
        while at < self.end:
            until = min(midnight(local(at, self.zone).date() + timedelta(days=1), self.zone), self.end)
            yield Slot(at, until)
            at = until


def local(unix: float, zone: ZoneInfo) -> datetime:
    """Return the local time at *unix* seconds."""
    return datetime.fromtimestamp(unix, zone)


def midnight(day: date, zone: ZoneInfo) -> int:
    """Return when *day* begins; where its midnight is skipped, when the clock is set."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def month(year: int, number: int, zone: ZoneInfo) -> Period:
    """Return a month of the calendar; *number* is from 1 to 12."""
    following = date(year + number // 12, number % 12 + 1, 1)
    return Period(midnight(date(year, number, 1), zone), midnight(following, zone), zone)


def _next_hour(at: int, zone: ZoneInfo) -> int:
    """Return when the clock shows a full hour next, or is set."""
    shown = local(at, zone)
    full = at + HOUR - shown.minute * 60 - shown.second
    is_set = partial(_differs, shown.utcoffset(), zone)
    return at + bisect_left(range(at, full), x=True, key=is_set)


def _differs(offset: timedelta | None, zone: ZoneInfo, at: int) -> bool:
    return local(at, zone).utcoffset() != offset
