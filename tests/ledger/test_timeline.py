"""Ledger time and dates, through steps of the wall clock of every size."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uptime_exporter.ledger.timeline import Adjustment, Timeline

HOUR = 3_600_000
DAY = 24 * HOUR
BORN = 1_764_000_000_000

steps = st.one_of(
    st.sampled_from([HOUR, -HOUR, 1000, -1000, 1]),
    st.integers(-30 * HOUR, 30 * HOUR),
)
clocks = st.lists(st.tuples(st.integers(1, 400 * HOUR), steps), max_size=8)


def timeline(changes: list[tuple[int, int]]) -> Timeline:
    """Return what becomes of a clock that is stepped so far after so long."""
    made = Timeline()
    at = BORN
    for after, step in changes:
        at += after
        made.adjust(at, made.offset + step)
    return made


def test_a_clock_that_was_never_set_needs_no_translation() -> None:
    """Ledger time begins as Unix time."""
    assert Timeline().unix(BORN) == BORN / 1000
    assert Timeline().moment(BORN / 1000) == BORN


@given(clocks, st.integers(-500 * HOUR, 4000 * HOUR))
def test_every_moment_has_the_date_that_the_wall_clock_showed_then(
    changes: list[tuple[int, int]], late: int
) -> None:
    """Steps made before a moment move its date; steps made after it do not."""
    moment = BORN + late
    date, at = moment, BORN
    for after, step in changes:
        at += after
        date += step if at <= moment else 0

    assert timeline(changes).unix(moment) == date / 1000


@given(st.integers(-30 * HOUR, 30 * HOUR), st.integers(-90 * HOUR, 90 * HOUR))
def test_a_date_leads_back_to_its_moment(step: int, late: int) -> None:
    """Only the skipped and the repeated stretch of a step cannot be told both ways."""
    clock, moment = timeline([(1, step)]), BORN + late
    assume(not 0 <= -step + late <= -step and not 0 <= late <= -step and abs(step) <= DAY)

    assert clock.moment(clock.unix(moment)) == moment


@given(clocks, st.integers(-500 * HOUR, 4000 * HOUR))
def test_a_date_leads_to_when_the_wall_clock_first_got_there(
    changes: list[tuple[int, int]], late: int
) -> None:
    """Not counting the time in which it was more than a day ahead of what it says now."""
    clock, date = timeline(changes), (BORN + late) / 1000
    moment = clock.moment(date)
    begins = [-10 * BORN, *(a.at for a in clock.adjustments)]
    offsets = [0, *(a.offset for a in clock.adjustments)]
    believed = [
        (begin, end)
        for begin, end, offset in zip(begins, [*begins[1:], 10 * BORN], offsets, strict=True)
        if offset <= offsets[-1] + DAY
    ]

    assert clock.unix(moment) >= date
    assert any(begin <= moment < end for begin, end in believed)
    assert all(clock.unix(min(moment, end) - 1) < date for begin, end in believed if begin < moment)


@given(clocks, st.integers(-500 * HOUR, 4000 * HOUR), st.integers(0, 100 * HOUR))
def test_a_later_date_is_never_earlier(changes: list[tuple[int, int]], late: int, later: int) -> None:
    """So the days of a month follow each other, and what is in one is in no other."""
    clock = timeline(changes)

    assert clock.moment((BORN + late) / 1000) <= clock.moment((BORN + late + later) / 1000)


def test_an_hour_that_was_skipped_is_one_moment() -> None:
    """No ledger time goes by while the wall clock is put forward."""
    clock = Timeline([Adjustment(BORN, HOUR)])

    assert clock.moment((BORN + HOUR // 2) / 1000) == BORN
    assert clock.unix(BORN - 1) == (BORN - 1) / 1000
    assert clock.unix(BORN) == (BORN + HOUR) / 1000


def test_of_an_hour_that_was_shown_twice_the_first_counts() -> None:
    """Both have the same dates, and belong to the same day."""
    clock = Timeline([Adjustment(BORN, -HOUR)])

    assert clock.unix(BORN - HOUR // 2) == clock.unix(BORN + HOUR // 2)
    assert clock.moment((BORN - HOUR // 2) / 1000) == BORN - HOUR // 2
    assert clock.moment(BORN / 1000) == BORN + HOUR


def test_a_leap_second_moves_no_date_by_more_than_itself() -> None:
    """The second that is shown twice belongs to both."""
    clock = Timeline([Adjustment(BORN, -1000)])

    assert clock.unix(BORN - 1) == (BORN - 1) / 1000
    assert clock.unix(BORN) == (BORN - 1000) / 1000
    assert clock.moment(BORN / 1000) == BORN + 1000


def test_a_machine_that_starts_in_1970_has_no_past_of_half_a_century() -> None:
    """What it saw before it knew the time keeps the date it showed; all later dates are right."""
    clock = Timeline()
    clock.adjust(at=12_000, offset=BORN)

    assert clock.unix(11_999) == pytest.approx(11.999)
    assert clock.unix(12_000) == (BORN + 12_000) / 1000
    assert clock.moment((BORN - HOUR) / 1000) == 12_000
    assert clock.moment((BORN + HOUR) / 1000) == HOUR


def test_a_clock_that_started_in_1970_once_more_hides_nothing_that_went_before() -> None:
    """A machine without a battery begins so after every loss of power."""
    clock = Timeline([Adjustment(BORN, -BORN), Adjustment(BORN + HOUR, 0)])

    assert clock.moment((BORN - HOUR) / 1000) == BORN - HOUR
    assert clock.moment((BORN + HOUR // 2) / 1000) == BORN + HOUR
    assert clock.moment((BORN + 2 * HOUR) / 1000) == BORN + 2 * HOUR


def test_a_clock_that_was_ten_years_ahead_for_a_while_hides_nothing_that_follows() -> None:
    """Otherwise every report of the next ten years would be about the ten minutes before the correction."""
    years = 10 * 365 * 24 * HOUR
    first = Timeline([Adjustment(BORN + years, -years)])  # the ledger was begun with a wrong date
    later = Timeline([Adjustment(BORN, years), Adjustment(BORN + HOUR, 0)])

    assert first.moment((BORN - HOUR) / 1000) == BORN + years
    assert first.moment((BORN + HOUR) / 1000) == BORN + years + HOUR
    assert later.moment((BORN + 2 * HOUR) / 1000) == BORN + 2 * HOUR


def test_of_two_steps_at_the_same_moment_the_later_one_counts() -> None:
    """A step that was taken back at once leaves no trace."""
    clock = Timeline()
    clock.adjust(BORN, HOUR)
    clock.adjust(BORN, -HOUR)
    assert clock.adjustments == [Adjustment(BORN, -HOUR)]

    clock.adjust(BORN, 0)
    assert clock.adjustments == []


def test_a_clock_that_goes_right_needs_no_new_note() -> None:
    """The difference is noted when it changes, not whenever somebody looks."""
    clock = Timeline()
    for at in range(BORN, BORN + 10 * HOUR, HOUR):
        clock.adjust(at, 7)

    assert clock.adjustments == [Adjustment(BORN, 7)]


@given(clocks)
def test_the_notes_stay_in_order(changes: list[tuple[int, int]]) -> None:
    """So that a moment's offset is found by halving."""
    assert all(a.at < b.at and a.offset != b.offset for a, b in pairwise(timeline(changes).adjustments))
