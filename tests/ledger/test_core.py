"""What the ledger makes of outcomes: the examples by which the promise is explained."""

from collections.abc import Mapping, Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.core import Ledger
from uptime_exporter.ledger.span import EXPORTER_DOWN, NOT_ASKED, NOT_WATCHED, Span, State

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BEAT = 30 * SECOND
START = 1_764_000_000_000

Answer = tuple[State, str]
UP: Answer = (State.UP, "")
DOWN: Answer = (State.DOWN, "timeout")
NO_VERDICT: Answer = (State.UNKNOWN, "resolver")

THREE = ("asr_ocr_server", "model_server", "mysql")
PROMISES = {**{name: Terms((name,)) for name in THREE}, "system": Terms(THREE)}
BEATS = dict.fromkeys(THREE, BEAT)


class Watch:
    """A ledger, and the beats of those whom it is about."""

    def __init__(self, promises: Mapping[str, Terms] = PROMISES) -> None:
        self.now = START
        self.ledger = Ledger()
        self.ledger.apply(promises, self.now)

    def beats(self, count: int, *targets: str, answer: Answer = UP, settle: bool = True) -> None:
        """Ask each of the targets (all three unless named) as many times."""
        for _ in range(count):
            for target in targets or THREE:
                self.ledger.record(target, self.now, BEAT, *answer)
            self.now += BEAT
            if settle:
                self.ledger.settle(self.now)

    def account(self, name: str = "system") -> Account:
        """Return an account that is settled up to now."""
        self.ledger.close(self.now)
        return self.ledger.accounts[name]

    def spans(self, name: str = "system") -> list[Span]:
        """Return all spans of a promise, counted from the start, in seconds."""
        account = self.account(name)
        spans = [*account.closed, *([account.open] if account.open else [])]
        return [
            Span((s.start - START) // SECOND, (s.end - START) // SECOND, s.state, s.reason) for s in spans
        ]


@pytest.fixture
def watch() -> Watch:
    """Three targets, each with its own promise, and one about all of them."""
    return Watch()


@pytest.mark.parametrize("lag", [0, 1, 14_999, 29_999])
def test_45_minutes_of_outage_are_45_minutes(lag: int) -> None:
    """Give or take a beat, wherever between two beats it begins; the breaker has no say in it."""
    watch = Watch()
    began, ended = START + HOUR + lag, START + HOUR + lag + 45 * MINUTE
    while watch.now < START + 3 * HOUR:
        watch.beats(1, answer=DOWN if began <= watch.now < ended else UP)

    assert watch.account().down == pytest.approx(45 * MINUTE, abs=BEAT)


def test_an_exporter_that_was_away_for_20_minutes_knows_nothing_of_them(watch: Watch) -> None:
    """They are unknown, and move the availability by nothing."""
    watch.beats(119)
    watch.beats(1, answer=DOWN)
    before = watch.account("mysql")
    after = Account("mysql", before.terms, before.born)
    after.restore(before.settled, before.totals, before.open, before.take_closed())
    back = watch.now + 20 * MINUTE
    after.add(back, State.UNKNOWN, EXPORTER_DOWN)
    Ledger().apply({"mysql": before.terms}, back, [after])

    assert after.unknown == 20 * MINUTE
    assert after.availability == before.availability
    assert after.coverage == pytest.approx(60 / 80)


def test_a_machine_that_was_suspended_knows_nothing_of_it(watch: Watch) -> None:
    """But of the 2.5 beats for which the last verdict stands."""
    watch.beats(10)
    watch.now += 20 * MINUTE
    watch.beats(10)

    assert watch.account().unknown == 20 * MINUTE - 1.5 * BEAT
    assert watch.account().availability == 1


def test_a_service_two_hours_old_has_not_lost_its_month_in_one_probe(watch: Watch) -> None:
    """The budget is that of the whole window, not of the part seen so far."""
    watch.beats(120, "mysql")
    watch.beats(1, "mysql", answer=DOWN)
    watch.beats(119, "mysql")
    account = watch.account("mysql")

    assert account.down == BEAT
    assert account.budget_remaining / account.terms.budget == pytest.approx(0.988, abs=0.001)


def test_the_loss_of_everything_is_one_outage_of_the_system(watch: Watch) -> None:
    """Three targets that are down for an hour are an hour, not three."""
    watch.beats(120)
    watch.beats(120, answer=DOWN)
    watch.beats(120)

    assert watch.account().totals[State.DOWN] == HOUR
    assert [span.state for span in watch.spans()] == [State.UP, State.DOWN, State.UP]
    assert watch.spans()[1].reason == "asr_ocr_server: timeout, model_server: timeout, mysql: timeout"


def test_outages_that_overlap_are_one_and_name_who_is_down(watch: Watch) -> None:
    """The system is down from the first to fall to the last to rise."""
    watch.beats(1)
    for mysql, model_server in ((DOWN, UP), (DOWN, DOWN), (UP, DOWN), (UP, UP)):
        watch.ledger.record("asr_ocr_server", watch.now, BEAT, *UP)
        watch.ledger.record("mysql", watch.now, BEAT, *mysql)
        watch.ledger.record("model_server", watch.now, BEAT, *model_server)
        watch.now += BEAT
    account = watch.account()

    assert watch.spans() == [
        Span(0, 30, State.UP),
        Span(30, 60, State.DOWN, "mysql: timeout"),
        Span(60, 90, State.DOWN, "model_server: timeout, mysql: timeout"),
        Span(90, 120, State.DOWN, "model_server: timeout"),
        Span(120, 150, State.UP),
    ]
    assert list(account.recent) == [Span(START + 30_000, START + 120_000, State.DOWN, "mysql: timeout")]


def test_a_million_beats_add_up_to_the_millisecond() -> None:
    """Whole numbers do not drift."""
    beat = 33_333
    ledger = Ledger()
    ledger.apply({"mysql": Terms(("mysql",))}, START)
    for k in range(1_000_000):
        ledger.record("mysql", START + k * beat, beat, *(UP if k % 1000 else DOWN))
    ledger.close(START + 1_000_000 * beat)

    assert ledger.accounts["mysql"].totals == {
        State.UP: 999_000 * beat,
        State.DOWN: 1000 * beat,
        State.UNKNOWN: 0,
    }


def test_a_target_is_unknown_until_it_was_asked(watch: Watch) -> None:
    """And so is every promise about it that is not broken already."""
    watch.beats(1, "mysql", "model_server")

    assert watch.spans() == [Span(0, 30, State.UNKNOWN, f"asr_ocr_server: {NOT_ASKED}")]
    assert watch.spans("mysql") == [Span(0, 30, State.UP)]


def test_what_is_down_outweighs_what_is_unknown(watch: Watch) -> None:
    """One that is down breaks the promise, whatever the others are."""
    watch.beats(1, "mysql", answer=DOWN)

    assert watch.account().state is State.DOWN


def test_a_verdict_stands_for_two_and_a_half_beats(watch: Watch) -> None:
    """After that nobody knows."""
    watch.beats(1, "mysql", answer=DOWN)
    watch.now += HOUR

    assert watch.spans("mysql") == [
        Span(0, 75, State.DOWN, "timeout"),
        Span(75, 3630, State.UNKNOWN, NOT_ASKED),
    ]


def test_a_probe_without_a_verdict_leaves_the_last_one_standing(watch: Watch) -> None:
    """A fault of the exporter is not an outage; if it lasts, it is why nobody knows."""
    watch.beats(1, "mysql")
    watch.beats(3, "mysql", answer=NO_VERDICT)
    watch.beats(1, "mysql")

    assert watch.spans("mysql") == [
        Span(0, 75, State.UP),
        Span(75, 120, State.UNKNOWN, "resolver"),
        Span(120, 150, State.UP),
    ]


def test_nothing_is_settled_that_a_probe_under_way_may_still_change(watch: Watch) -> None:
    """A probe takes less than a beat: that is how far the account stays behind."""
    watch.beats(2, "mysql")
    watch.ledger.settle(watch.now + 20 * SECOND)
    watch.ledger.record("mysql", watch.now, BEAT, *DOWN)
    watch.now += BEAT

    assert watch.spans("mysql") == [Span(0, 60, State.UP), Span(60, 90, State.DOWN, "timeout")]


def test_of_a_target_whose_beat_is_known_the_first_probe_counts_whole() -> None:
    """Nothing is settled before it can have answered."""
    watch = Watch()
    watch.ledger.apply(PROMISES, START, beats=BEATS)
    watch.ledger.settle(START + 20 * SECOND)
    watch.ledger.record("mysql", START + SECOND, BEAT, *DOWN)
    watch.now += BEAT

    assert watch.spans("mysql") == [Span(0, 1, State.UNKNOWN, NOT_ASKED), Span(1, 30, State.DOWN, "timeout")]


def test_an_outcome_that_comes_too_late_counts_from_what_is_settled(watch: Watch) -> None:
    """It still stands for 2.5 beats from when its probe began, not from when it came in."""
    watch.ledger.close(START + MINUTE)
    watch.ledger.record("mysql", START, BEAT, *DOWN)
    watch.now += 2 * MINUTE

    assert watch.spans("mysql") == [
        Span(0, 60, State.UNKNOWN, NOT_ASKED),
        Span(60, 75, State.DOWN, "timeout"),
        Span(75, 120, State.UNKNOWN, NOT_ASKED),
    ]


def test_an_outcome_that_was_overtaken_is_no_news(watch: Watch) -> None:
    """What a later probe has found is not undone by an earlier one."""
    watch.ledger.record("mysql", START + BEAT, BEAT, *UP)
    watch.ledger.record("mysql", START, BEAT, *DOWN)
    watch.now += 2 * BEAT

    assert watch.account("mysql").state is State.UP
    assert watch.account("mysql").down == 0


def test_of_two_outcomes_at_the_same_instant_the_later_one_counts(watch: Watch) -> None:
    """And the other leaves no span without length."""
    watch.beats(1)
    for answer in (DOWN, UP):
        watch.ledger.record("mysql", watch.now, BEAT, *answer)
    watch.beats(1)

    assert watch.spans() == [Span(0, 60, State.UP)]
    assert watch.spans("mysql") == [Span(0, 60, State.UP)]


def test_the_order_in_which_targets_answer_changes_nothing() -> None:
    """Whose probe took longer is not what is accounted for."""
    stories = []
    for order in permutations(THREE):
        watch = Watch()
        watch.beats(1)
        for target in order:
            watch.ledger.record(target, watch.now + 5 * SECOND * THREE.index(target), BEAT, *DOWN)
        watch.now += BEAT
        stories.append(watch.spans())

    assert all(story == stories[0] for story in stories)
    assert [span.start for span in stories[0]] == [0, 30, 35, 40]


history = st.lists(
    st.tuples(
        st.sampled_from(THREE),
        st.integers(0, 40),
        st.integers(0, 29),
        st.sampled_from([UP, DOWN, NO_VERDICT]),
    ),
    max_size=40,
)


@given(history, st.lists(st.integers(0, 1200), max_size=30))
def test_when_it_is_settled_changes_nothing_in_the_end(
    probes: list[tuple[str, int, int, Answer]], settled: list[int]
) -> None:
    """Whoever looks often sees the same history as who looks once, if probes answer within their beat."""
    answered = {
        (target, beat): (beat * BEAT, beat * BEAT + lasts * SECOND, answer)
        for target, beat, lasts, answer in probes
    }

    def spans(looks: Sequence[int]) -> Mapping[str, list[Span]]:
        watch = Watch({})
        watch.ledger.apply(PROMISES, START, beats=BEATS)
        events = [(look * SECOND, "", 0, UP) for look in looks]
        events += [(ends, target, began, answer) for (target, _), (began, ends, answer) in answered.items()]
        for at, target, began, answer in sorted(events, key=lambda event: event[:2]):
            watch.ledger.record(target, START + began, BEAT, *answer)
            if not target:
                watch.ledger.settle(START + at)
        watch.now = START + 1300 * SECOND
        return {name: watch.spans(name) for name in PROMISES}

    assert spans(settled) == spans([])


def test_a_thousand_that_fall_one_by_one_are_not_a_thousand_spans() -> None:
    """The file grows with the number of outages, not with that of their victims."""
    names = [f"server_{i:03}" for i in range(1000)]
    watch = Watch({"system": Terms(tuple(names))})
    watch.beats(1, *names)
    for beat, answer in enumerate([DOWN, UP], start=1):
        for i, name in enumerate(names):
            watch.ledger.record(name, START + beat * BEAT + (i * 7919) % BEAT, BEAT, *answer)
        watch.now += BEAT
    watch.beats(1, *names)

    assert watch.account().recent[0].length == pytest.approx(BEAT, abs=BEAT)
    assert len(watch.spans()) < 60
    assert any(span.reason.endswith(" and others") for span in watch.spans())


def test_other_targets_count_from_the_reload_on(watch: Watch) -> None:
    """What was promised before stays as it was kept; verdicts that still hold go over."""
    watch.beats(2, answer=DOWN)
    watch.ledger.apply({"system": Terms(("mysql", "new")), "mysql": Terms(("mysql",))}, watch.now)
    watch.beats(1, "mysql", "new")
    watch.ledger.close(watch.now)

    assert watch.ledger.accounts.keys() == {"system", "mysql"}
    assert [(s.start, s.end, s.state) for s in watch.spans()] == [(0, 60, State.DOWN), (60, 90, State.UP)]


def test_an_account_that_was_not_settled_up_to_its_return_is_unknown_meanwhile() -> None:
    """Never up by oversight."""
    back = Account("mysql", Terms(("mysql",)), START)
    back.add(START + HOUR, State.UP)
    ledger = Ledger()
    ledger.apply({"mysql": back.terms}, START + 2 * HOUR, [back])

    assert back.totals == {State.UP: HOUR, State.DOWN: 0, State.UNKNOWN: HOUR}
    assert back.open == Span(START + HOUR, START + 2 * HOUR, State.UNKNOWN, NOT_WATCHED)


def test_outcomes_of_targets_that_nobody_promises_are_ignored(watch: Watch) -> None:
    """A probe may answer after its target was taken out of the settings."""
    watch.ledger.apply({"mysql": PROMISES["mysql"]}, START)
    watch.beats(1)

    assert watch.ledger.accounts.keys() == {"mysql"}


def test_a_target_named_twice_is_one_target() -> None:
    """It is as down as it would be if it were named once."""
    watch = Watch({"system": Terms(("mysql", "mysql"))})
    watch.beats(1, "mysql", answer=DOWN)

    assert watch.spans() == [Span(0, 30, State.DOWN, "timeout")]
