"""Ledger time and dates, through steps of the wall clock of every size."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uptime_exporter.ledger.timeline import Adjustment, Timeline

HOUR = 3_600_000
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


@given(clocks, st.integers(-500 * HOUR, 4000 * HOUR))
def test_a_date_that_was_shown_once_leads_back_to_its_moment(
    changes: list[tuple[int, int]], late: int
) -> None:
    """Only the repeated and the skipped stretch of a step cannot be told both ways."""
    clock, moment = timeline(changes), BORN + late
    date = clock.unix(moment)
    begins = [a.at for a in clock.adjustments]
    offsets = [0, *(a.offset for a in clock.adjustments)]
    shown = [
        round(date * 1000) - offset
        for begin, end, offset in zip([float("-inf"), *begins], [*begins, float("inf")], offsets, strict=True)
        if begin <= round(date * 1000) - offset < end
    ]
    assume(len(shown) == 1)

    assert clock.moment(date) == moment


@given(clocks, st.integers(-500 * HOUR, 4000 * HOUR))
def test_every_date_leads_to_a_moment(changes: list[tuple[int, int]], late: int) -> None:
    """To one at which the wall clock showed it, else to a step that passed over it."""
    clock, date = timeline(changes), (BORN + late) / 1000
    moment = clock.moment(date)

    assert clock.unix(moment) == date or clock.unix(moment - 1) < date < clock.unix(moment)


def test_an_hour_that_was_skipped_is_one_moment() -> None:
    """No ledger time goes by while the wall clock is put forward."""
    clock = Timeline([Adjustment(BORN, HOUR)])

    assert clock.moment((BORN + HOUR // 2) / 1000) == BORN
    assert clock.unix(BORN - 1) == (BORN - 1) / 1000
    assert clock.unix(BORN) == (BORN + HOUR) / 1000


def test_of_an_hour_that_was_shown_twice_the_second_counts() -> None:
    """Both have the same dates; whoever asks for one of them gets what came after the correction."""
    clock = Timeline([Adjustment(BORN, -HOUR)])

    assert clock.unix(BORN - HOUR // 2) == clock.unix(BORN + HOUR // 2)
    assert clock.moment((BORN - HOUR // 2) / 1000) == BORN + HOUR // 2


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


def test_a_clock_that_was_ten_years_ahead_for_a_while_hides_nothing_that_follows() -> None:
    """Otherwise every report of the next ten years would be about the ten minutes before the correction."""
    years = 10 * 365 * 24 * HOUR
    first = Timeline([Adjustment(BORN + years, -years)])
    later = Timeline([Adjustment(BORN, years), Adjustment(BORN + HOUR, 0)])

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
