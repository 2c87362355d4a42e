"""One promise's account: totals that only grow, and what a window makes of them."""

from uptime_exporter.ledger.account import RECENT, Account, Terms
from uptime_exporter.ledger.span import EXPORTER_DOWN, Span, State

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

MONTH = Terms(("mysql",), 0.999, 30 * DAY)
MONTHS_BUDGET = 43 * MINUTE + 12 * SECOND


def account(terms: Terms = MONTH) -> Account:
    """Return one that begins at 0."""
    return Account("mysql", terms, 0)


def test_an_account_that_has_just_begun_knows_nothing_yet() -> None:
    """There is nothing to divide by, and the whole budget is left."""
    new = account()

    assert (new.elapsed, new.up, new.down, new.unknown) == (0, 0, 0, 0)
    assert new.availability is None
    assert new.coverage is None
    assert new.budget_remaining == MONTHS_BUDGET
    assert new.open is None
    assert new.state is State.UNKNOWN


def test_availability_is_of_what_was_seen() -> None:
    """Unknown time lowers the coverage instead."""
    seen = account()
    seen.add(9 * MINUTE, State.UP)
    seen.add(10 * MINUTE, State.DOWN, "timeout")
    seen.add(20 * MINUTE, State.UNKNOWN, EXPORTER_DOWN)

    assert seen.availability == 0.9
    assert seen.coverage == 0.5


def test_nothing_seen_is_no_availability() -> None:
    """Neither 0 nor 1 would be true."""
    blind = account()
    blind.add(HOUR, State.UNKNOWN, EXPORTER_DOWN)

    assert blind.availability is None
    assert blind.coverage == 0


def test_a_promise_without_any_allowance_has_a_budget_of_a_millisecond() -> None:
    """So that there is a ratio to it; a budget that is overdrawn is negative."""
    strict = account(Terms(("mysql",), 1.0, DAY))
    strict.add(SECOND, State.DOWN, "timeout")

    assert strict.terms.budget == 1
    assert strict.budget_remaining == 1 - SECOND


def test_downtime_leaves_the_window_a_moment_at_a_time() -> None:
    """An outage that is half past the window's edge counts by half."""
    slid = account(Terms(("mysql",), 0.999, DAY))
    slid.add(HOUR, State.DOWN, "timeout")
    for end, down in ((DAY, HOUR), (DAY + HOUR // 2, HOUR // 2), (DAY + HOUR, 0), (3 * DAY, 0)):
        slid.add(end, State.UP)
        assert slid.down == down
        assert slid.up == DAY - down
    assert slid.totals == {State.UP: 3 * DAY - HOUR, State.DOWN: HOUR, State.UNKNOWN: 0}


def test_an_outage_longer_than_the_window_fills_it() -> None:
    """It counts as long as the window is, in the totals as long as it was."""
    broken = account(Terms(("mysql",), 0.999, DAY))
    broken.add(3 * DAY, State.DOWN, "timeout")

    assert (broken.up, broken.down) == (0, DAY)
    assert broken.totals[State.DOWN] == 3 * DAY


def test_what_is_settled_never_changes() -> None:
    """Whatever is said of the past afterwards is ignored."""
    settled = account()
    settled.add(HOUR, State.UP)
    settled.add(HOUR, State.DOWN, "timeout")
    settled.add(MINUTE, State.UNKNOWN, EXPORTER_DOWN)

    assert settled.open == Span(0, HOUR, State.UP)
    assert settled.take_closed() == []


def test_a_span_goes_on_until_state_or_reason_changes() -> None:
    """A row for each change, none for each beat."""
    spans = account()
    for end in range(MINUTE, HOUR + 1, MINUTE):
        spans.add(end, State.UP)
    spans.add(HOUR + MINUTE, State.DOWN, "timeout")
    spans.add(HOUR + 2 * MINUTE, State.DOWN, "connect")

    assert spans.take_closed() == [
        Span(0, HOUR, State.UP),
        Span(HOUR, HOUR + MINUTE, State.DOWN, "timeout"),
    ]
    assert spans.open == Span(HOUR + MINUTE, HOUR + 2 * MINUTE, State.DOWN, "connect")
    assert spans.take_closed() == []


def test_an_outage_whose_reason_changes_is_one_outage() -> None:
    """The page shows from when to when, and what it began with."""
    seen = account()
    seen.add(MINUTE, State.DOWN, "timeout")
    seen.add(3 * MINUTE, State.DOWN, "connect")
    seen.add(4 * MINUTE, State.UP)

    assert list(seen.recent) == [Span(0, 3 * MINUTE, State.DOWN, "timeout")]


def test_only_the_last_outages_are_remembered() -> None:
    """Memory does not grow with the years."""
    flapping = account()
    for minute in range(1, 101):
        flapping.add(minute * MINUTE, State.DOWN if minute % 2 else State.UP, "timeout" if minute % 2 else "")

    assert len(flapping.recent) == RECENT
    assert flapping.recent[-1] == Span(98 * MINUTE, 99 * MINUTE, State.DOWN, "timeout")


def test_a_restored_account_goes_on_where_it_stood() -> None:
    """Prometheus sees no reset, and the window forgets nothing."""
    before = account()
    before.add(HOUR, State.UP)
    before.add(HOUR + MINUTE, State.DOWN, "timeout")
    before.add(2 * HOUR, State.UP)
    after = account()
    after.restore(before.settled, before.totals, before.open, before.take_closed())

    assert after.totals == before.totals
    assert after.open == before.open
    assert list(after.recent) == list(before.recent)
    assert (after.up, after.down, after.unknown) == (before.up, before.down, before.unknown)


def test_an_outage_under_way_when_the_exporter_stopped_ends_in_the_unknown() -> None:
    """Nobody knows how long it went on."""
    after = account()
    after.restore(HOUR, {State.DOWN: HOUR}, Span(0, HOUR, State.DOWN, "timeout"), [])
    after.add(2 * HOUR, State.UNKNOWN, EXPORTER_DOWN)

    assert after.totals == {State.UP: 0, State.DOWN: HOUR, State.UNKNOWN: HOUR}
    assert after.take_closed() == [Span(0, HOUR, State.DOWN, "timeout")]


def test_a_shorter_window_counts_at_once() -> None:
    """All that it needs is known."""
    shortened = account(Terms(("mysql",), 0.9, 3 * DAY))
    shortened.add(HOUR, State.DOWN, "timeout")
    shortened.add(2 * DAY, State.UP)
    shortened.terms = Terms(("mysql",), 0.9, DAY)

    assert (shortened.down, shortened.unknown, shortened.elapsed) == (0, 0, DAY)


def test_a_longer_window_is_unknown_until_somebody_tells() -> None:
    """What was forgotten must not count as up; rewinding brings it back."""
    grown = account(Terms(("mysql",), 0.9, DAY))
    grown.add(HOUR, State.DOWN, "timeout")
    grown.add(2 * DAY, State.UP)
    assert grown.down == 0
    grown.terms = Terms(("mysql",), 0.9, 3 * DAY)
    assert (grown.up, grown.down, grown.unknown) == (DAY, 0, DAY)

    grown.rewind(grown.take_closed())
    assert (grown.up, grown.down, grown.unknown) == (2 * DAY - HOUR, HOUR, 0)


def test_what_was_not_kept_is_unknown() -> None:
    """Spans are kept for some time only; a window that reaches further back says that it does not know."""
    old = account()
    totals = {State.UP: 9 * DAY, State.DOWN: DAY}
    old.restore(
        10 * DAY, totals, Span(9 * DAY, 10 * DAY, State.UP), [Span(8 * DAY, 9 * DAY, State.DOWN, "timeout")]
    )

    assert (old.up, old.down, old.unknown) == (DAY, DAY, 8 * DAY)
    assert old.coverage == 0.2
    assert old.totals == {**totals, State.UNKNOWN: 0}
