"""Times, durations and numbers as people say them."""

import pytest

from uptime_exporter.words import count, iso, moment, percent, spell, stopwatch

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (252, "4 min 12 s"),
        (600, "10 min"),
        (659, "10 min"),
        (3599, "59 min"),
        (3660, "1 h 1 min"),
        (86_399, "23 h 59 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, said: str) -> None:
    """It says as much as somebody on call needs, and survives a clock that was set back."""
    assert spell(seconds).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 ms"), (0.0004, "0.4 ms"), (0.0143, "14 ms"), (0.9, "900 ms"), (17.2, "17.20 s")],
)
def test_an_answer_is_timed_in_fitting_units(seconds: float, said: str) -> None:
    """Milliseconds while they are few, seconds after that."""
    assert stopwatch(seconds).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(1.0, "100 %"), (0.99962, "99.9 %"), (0.99999, "99.9 %"), (0.29, "29 %"), (0.0, "0 %")],
)
def test_a_ratio_is_never_rounded_up_to_a_whole(ratio: float, said: str) -> None:
    """100 % means that nothing failed."""
    assert percent(ratio).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("unix", "said"),
    [
        (NOON - 3600, "11:00:00 UTC"),
        (NOON + 9 * 86_400, "10 Jan 12:00 UTC"),
        (NOON - 86_400, "31 Dec 2025"),
    ],
)
def test_a_moment_has_its_date_where_it_is_not_today(unix: float, said: str) -> None:
    """Nobody takes yesterday's time for today's."""
    assert moment(unix, NOON) == said


def test_machines_get_iso_8601() -> None:
    """In UTC, to the millisecond; nothing stays nothing."""
    assert iso(NOON + 0.5) == "2026-01-01T12:00:00.500Z"
    assert iso(None) is None


def test_one_is_not_many() -> None:
    """The plural is right."""
    assert (count(1, "target"), count(0, "target"), count(2, "day")) == ("1 target", "0 targets", "2 days")
