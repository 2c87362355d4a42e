"""Months, days and hours as clocks on walls show them."""

from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.histories import BERLIN, UTC, at
from uptime_exporter.report.calendar import DAY, HOUR, Period, local, month

NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
ZONES = [UTC, BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/Havana")]


def day(text: str, zone: ZoneInfo) -> Period:
    begin = int(at(text, zone))
    return next(Period(each.begin, each.end, zone) for each in Period(begin, begin + 2 * DAY, zone).days())


def shown(period: Period) -> list[str]:
    return [f"{local(hour.begin, period.zone):%H:%M%z}" for hour in period.hours()]


@pytest.mark.parametrize(
    ("name", "zone", "hours"),
    [
        ((2026, 2), BERLIN, 28 * 24),
        ((2028, 2), BERLIN, 29 * 24),
        ((2100, 2), UTC, 28 * 24),
        ((2026, 11), BERLIN, 30 * 24),
        ((2026, 12), BERLIN, 31 * 24),
        ((2026, 3), BERLIN, 31 * 24 - 1),
        ((2026, 10), BERLIN, 31 * 24 + 1),
        ((2026, 3), NEW_YORK, 31 * 24 - 1),
        ((2026, 11), NEW_YORK, 30 * 24 + 1),
        ((2026, 10), LORD_HOWE, 31 * 24 - 0.5),
        ((2026, 4), LORD_HOWE, 30 * 24 + 0.5),
    ],
)
def test_a_month_is_as_long_as_it_is(name: tuple[int, int], zone: ZoneInfo, hours: float) -> None:
    """From its first midnight to the next month's, in seconds."""
    period = month(*name, zone)

    assert period.end - period.begin == hours * HOUR
    assert period.is_month


def test_the_year_ends_with_december() -> None:
    """January follows, in the next year."""
    december = month(2026, 12, BERLIN)

    assert local(december.end, BERLIN).isoformat() == "2027-01-01T00:00:00+01:00"
    assert (december.first.day, december.last.day) == (1, 31)


def test_a_whole_year_is_known_as_one() -> None:
    """And nothing else is."""
    begin, end = int(at("2026-01-01", BERLIN)), int(at("2027-01-01", BERLIN))

    assert Period(begin, end, BERLIN).is_year
    assert not Period(begin, end, UTC).is_year
    assert not Period(begin, end - 1, BERLIN).is_year


@pytest.mark.parametrize(
    ("date", "zone", "around", "number"),
    [
        ("2026-03-29", BERLIN, ["01:00+0100", "03:00+0200"], 23),
        ("2026-10-25", BERLIN, ["02:00+0200", "02:00+0100"], 25),
        ("2026-03-08", NEW_YORK, ["01:00-0500", "03:00-0400"], 23),
        ("2026-11-01", NEW_YORK, ["01:00-0400", "01:00-0500"], 25),
        ("2026-10-04", LORD_HOWE, ["01:00+1030", "02:30+1100", "03:00+1100"], 24),
        ("2026-04-05", LORD_HOWE, ["01:00+1100", "01:30+1030", "02:00+1030"], 25),
        ("2026-11-09", BERLIN, ["00:00+0100", "01:00+0100"], 24),
    ],
)
def test_a_night_in_which_the_clock_is_set(date: str, zone: ZoneInfo, around: list[str], number: int) -> None:
    """An hour that does not exist is not there; one that comes twice is there twice."""
    hours = shown(day(date, zone))

    assert len(hours) == number
    assert ",".join(around) in ",".join(hours)


def test_a_clock_that_is_set_in_the_midst_of_an_hour() -> None:
    """Newfoundland did so at one minute past midnight until 2011: that minute is a slot of its own."""
    zone = ZoneInfo("America/St_Johns")

    assert shown(day("2010-03-14", zone))[:3] == ["00:00-0330", "01:01-0230", "02:00-0230"]


def test_a_day_without_midnight() -> None:
    """Havana sets its clocks at midnight: the day begins at one, and the one before has all its hours."""
    zone = ZoneInfo("America/Havana")

    assert shown(day("2026-03-08T01:00", zone))[0] == "01:00-0400"
    assert len(shown(day("2026-03-07", zone))) == 24


def test_a_day_that_never_was() -> None:
    """Samoa went over the date line and left out 30 December 2011."""
    zone = ZoneInfo("Pacific/Apia")
    days = [local(each.begin, zone).day for each in month(2011, 12, zone).days()]

    assert days == [*range(1, 30), 31]


@given(st.sampled_from(ZONES), st.integers(0, 4_000_000_000), st.integers(1, 40 * DAY))
def test_slots_tile_the_period(zone: ZoneInfo, begin: int, length: int) -> None:
    """None is empty, none overlaps another, nothing is left out, and no hour is longer than one."""
    period = Period(begin, begin + length, zone)

    for slots, longest in ((list(period.hours()), HOUR), (list(period.days()), 25 * HOUR)):
        assert (slots[0].begin, slots[-1].end) == (period.begin, period.end)
        assert all(one.end == other.begin for one, other in pairwise(slots))
        assert all(0 < slot.end - slot.begin <= longest for slot in slots)
