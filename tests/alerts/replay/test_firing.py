"""`for`, `keep_firing_for` and what a restart forgets, evaluation by evaluation."""

from collections.abc import Iterable

from alerts.replay.firing import Restart, Spell, apply, joined
from alerts.replay.rules import Alert

NOBODY = frozenset({("alertname", "It")})


def fires(
    present: Iterable[float], *, lasting: float = 0, keep: float = 0, restart: Restart | None = None
) -> list[tuple[float, float]]:
    """Return when an alert fires that is evaluated every 15 s for half an hour, and true at these seconds."""
    alert = Alert("It", "it", {}, lasting, keep, 15)
    found = apply(alert, {NOBODY: set(present)}, 0, 1800, [restart] if restart else [])
    return [(spell.begins, spell.ends) for spell in joined(found)]


def every15(begin: int, end: int) -> list[float]:
    return [float(at) for at in range(begin, end + 1, 15)]


def test_what_is_true_fires_until_the_first_evaluation_that_finds_it_false() -> None:
    """Without `for` at the first evaluation."""
    assert fires(every15(60, 90)) == [(60, 105)]


def test_what_has_to_last_fires_late_and_not_at_all_if_it_is_interrupted() -> None:
    """One evaluation without it begins the time anew."""
    assert fires(every15(0, 120), lasting=60) == [(60, 135)]
    assert fires([*every15(0, 45), *every15(75, 120)], lasting=60) == []


def test_what_is_kept_outlasts_a_gap_that_is_shorter() -> None:
    """A gap as long ends it."""
    assert fires([*every15(0, 60), *every15(105, 120)], keep=60) == [(0, 195)]
    assert fires([*every15(0, 60), *every15(165, 180)], keep=60) == [(0, 135), (165, 255)]


def test_a_restart_forgets_a_short_time_and_shortens_a_long_one_to_ten_minutes() -> None:
    """Of what was pending for eight of fifteen minutes, ten are left."""
    restart = Restart(480, 540)
    assert fires(every15(420, 1800), lasting=120, restart=restart) == [(660, 1800)]
    assert fires(every15(0, 1800), lasting=900, restart=restart) == [(1140, 1800)]
    assert fires(every15(0, 1800), lasting=900, restart=Restart(1200, 1260)) == [(900, 1800)]


def test_alertmanager_waits_four_minutes_for_a_prometheus_that_is_away() -> None:
    """An alert that fires again by then never ended; one that does not, ends only then."""
    away = Restart(300, 360)
    assert fires(every15(0, 1800), restart=away) == [(0, 1800)]
    assert fires(every15(0, 285), restart=away) == [(0, 540)]


def test_spells_that_touch_are_one() -> None:
    """Those of another alert are not."""
    other = frozenset({("alertname", "Another")})
    found = joined([Spell(NOBODY, 0, 10), Spell(NOBODY, 10, 20), Spell(other, 5, 15), Spell(NOBODY, 30, 40)])
    assert {(s.begins, s.ends) for s in found} == {(0, 20), (5, 15), (30, 40)}
