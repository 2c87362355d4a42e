"""The account of one promise for one period, to the millisecond."""

from bisect import bisect_left
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.histories import BERLIN, UTC, at, eventful, of_spans, record
from uptime_exporter.ledger.history import Record
from uptime_exporter.ledger.span import EXPORTER_DOWN, Span, State
from uptime_exporter.ledger.timeline import Timeline
from uptime_exporter.report.calendar import HOUR, Period, month
from uptime_exporter.report.statement import NOT_RECORDED, Judgement, Statement, draw_up, share

UP, DOWN, UNKNOWN = State.UP, State.DOWN, State.UNKNOWN
NOVEMBER = month(2026, 11, UTC)
LATER = at("2026-12-05")
MINUTE = 60_000


def stated(record: Record, now: float = LATER, period: Period = NOVEMBER) -> Statement:
    return draw_up(record, Timeline(), period, now)


def november(*, down: float = 0, unknown: float = 0, objective: float = 0.999) -> Statement:
    """Return a November with so many minutes lost."""
    begin = NOVEMBER.begin * 1000
    first, second = begin + round(down * MINUTE), begin + round((down + unknown) * MINUTE)
    spans = [
        Span(begin, first, DOWN, "connect"),
        Span(first, second, UNKNOWN, EXPORTER_DOWN),
        Span(second, NOVEMBER.end * 1000, UP),
    ]
    return stated(of_spans("system", [span for span in spans if span.length], objective=objective))


@pytest.mark.parametrize(
    ("down", "unknown", "judgement"),
    [
        (0, 0, Judgement.KEPT),
        (43.2, 0, Judgement.KEPT),
        (43.2 + 1 / MINUTE, 0, Judgement.BROKEN),
        (23.2, 20, Judgement.KEPT),
        (23.2, 20 + 1 / MINUTE, Judgement.KEPT_IF),
        (0, 43.3, Judgement.KEPT_IF),
        (43.2, 20 * 24 * 60, Judgement.UNKNOWN),
        (43.1, 10 * 24 * 60, Judgement.UNKNOWN),
        (0, 16 * 24 * 60, Judgement.UNKNOWN),
        (0, 30 * 24 * 60, Judgement.UNKNOWN),
        (44, 29 * 24 * 60, Judgement.BROKEN),
    ],
)
def test_what_became_of_the_promise(down: float, unknown: float, judgement: Judgement) -> None:
    """99.9 % of 30 days are 43.2 minutes, and a millisecond more is too much; what nobody saw decides nothing."""
    assert november(down=down, unknown=unknown).judgement is judgement


@pytest.mark.parametrize(
    ("name", "minutes"), [((2026, 2), 40.32), ((2028, 2), 41.76), ((2026, 11), 43.2), ((2026, 12), 44.64)]
)
def test_the_allowance_is_that_of_the_very_month(name: tuple[int, int], minutes: float) -> None:
    """And of all of it, daylight saving included."""
    everything = record("system", ("2026-01-01", UP, ""), until="2030-01-01")

    assert stated(everything, LATER, month(*name, UTC)).allowance == round(minutes * MINUTE)
    assert stated(everything, LATER, month(2026, 10, BERLIN)).allowance == 31 * 86_400 + 3600


@pytest.mark.parametrize("objective", [0.9, 0.99, 0.999, 0.9999, 0.99999])
def test_the_allowance_is_exact(objective: float) -> None:
    """``1 - 0.999`` is not 0.001 to a computer, and nobody loses a promise by that."""
    lost = NOVEMBER.end * 1000 - NOVEMBER.begin * 1000

    assert november(objective=objective).allowance == lost // round(1 / (1 - objective))


def test_an_outage_that_changed_its_reason_is_one() -> None:
    """Its reasons are listed once each, in order."""
    outages = stated(
        record(
            "system",
            ("2026-11-01", UP, ""),
            ("2026-11-05T14:00", DOWN, "timeout"),
            ("2026-11-05T14:05", DOWN, "connect"),
            ("2026-11-05T14:10", DOWN, "timeout"),
            ("2026-11-05T14:20", UP, ""),
            ("2026-11-05T14:21", DOWN, "dns"),
            ("2026-11-05T14:22", UP, ""),
            until="2026-12-01",
        )
    ).outages

    assert [(outage.length / MINUTE, outage.reasons) for outage in outages] == [
        (20, ("timeout", "connect")),
        (1, ("dns",)),
    ]


def test_an_outage_is_cut_at_the_borders() -> None:
    """What lies outside counts for the month in which it lies, and so do its reasons."""
    ends_of_year = record(
        "system",
        ("2026-10-31T23:50", DOWN, "dns"),
        ("2026-10-31T23:55", DOWN, "connect"),
        ("2026-11-01T00:10", UP, ""),
        ("2026-11-30T23:40", DOWN, "tls"),
        ("2026-12-01T00:30", UP, ""),
        until="2026-12-02",
    )

    first, last = stated(ends_of_year).outages

    assert (first.length / MINUTE, first.reasons) == (10, ("connect",))
    assert (first.began_before, first.goes_on) == (True, False)
    assert (last.length / MINUTE, last.began_before, last.goes_on) == (20, False, True)


def test_an_outage_from_midnight_to_midnight_is_not_cut() -> None:
    """It touches the borders and does not cross them."""
    (outage,) = stated(
        record(
            "system",
            ("2026-10-01", UP, ""),
            ("2026-11-01", DOWN, "dns"),
            ("2026-12-01", UP, ""),
            until="2026-12-02",
        )
    ).outages

    assert (outage.began_before, outage.goes_on) == (False, False)


def test_an_outage_under_way() -> None:
    """It goes on, as far as anybody knows."""
    (outage,) = stated(
        record("system", ("2026-11-01", UP, ""), ("2026-11-05", DOWN, "dns"), until="2026-11-05T00:10"),
        now=at("2026-11-05T00:10:40"),
    ).outages

    assert (outage.length / MINUTE, outage.goes_on) == (10, True)


def test_a_month_under_way_is_judged_by_its_whole_allowance() -> None:
    """An hour that is over has not lost the month; and nobody has failed to see the future."""
    begun = record(
        "system", ("2026-11-01", UP, ""), ("2026-11-01T01:00", DOWN, "dns"), until="2026-11-01T01:30"
    )

    statement = stated(begun, now=at("2026-11-01T01:30:45"))

    assert statement.judgement is Judgement.KEPT
    assert (statement.elapsed / MINUTE, statement.unknown, statement.remaining / MINUTE) == (90, 0, 13.2)
    assert not statement.complete


def test_a_ledger_that_has_fallen_silent() -> None:
    """Minutes are news still coming; more is time of which nothing is known."""
    until_noon = record("system", ("2026-11-01", UP, ""), until="2026-11-05T12:00")

    assert stated(until_noon, now=at("2026-11-05T12:05")).unknown == 0
    silent = stated(until_noon, now=at("2026-11-05T12:06"))
    assert [(gap.length / MINUTE, gap.reasons) for gap in silent.gaps] == [(6, (NOT_RECORDED,))]
    assert stated(until_noon).unknown == (NOVEMBER.end - at("2026-11-05T12:00")) * 1000


def test_silence_after_an_outage_is_no_outage() -> None:
    """It ended where nobody looked any more, and does not go on for all that is known."""
    statement = stated(record("system", ("2026-11-01", DOWN, "dns"), until="2026-11-01T00:10"))

    assert [(outage.length / MINUTE, outage.goes_on) for outage in statement.outages] == [(10, False)]
    assert statement.gaps[0].begin == statement.outages[0].end


def test_a_ledger_that_began_in_mid_month() -> None:
    """The account begins with it, and so does the allowance."""
    statement = draw_up(
        eventful().records["system"], Timeline(), month(2026, 11, BERLIN), at("2026-12-02", BERLIN)
    )

    assert statement.late
    assert statement.begin == at("2026-11-03T09:12:44", BERLIN) * 1000
    assert statement.allowance == statement.length // 1000
    assert not stated(record("system", ("2026-11-01", UP, ""), until="2026-12-01")).late


@pytest.mark.parametrize("name", [(2026, 9), (2026, 12)])
def test_a_month_of_which_the_ledger_says_nothing(name: tuple[int, int]) -> None:
    """Before it began there is no account; after it fell silent all is unknown."""
    october = record("system", ("2026-10-01", DOWN, "dns"), until="2026-11-01")

    statement = stated(october, LATER, month(*name, UTC))

    assert statement.judgement is Judgement.UNKNOWN
    assert statement.outages == ()
    assert statement.unknown == statement.elapsed


def test_a_promise_of_which_nothing_is_settled() -> None:
    """It has just been made."""
    fresh = of_spans("system", [Span(NOVEMBER.begin * 1000, NOVEMBER.begin * 1000, UP)])
    fresh = Record(fresh.name, fresh.terms, fresh.born, fresh.settled, fresh.totals, [])

    statement = stated(fresh, now=NOVEMBER.begin + 30)

    assert (statement.elapsed, statement.judgement) == (0, Judgement.UNKNOWN)
    assert stated(fresh).unknown == NOVEMBER.end * 1000 - NOVEMBER.begin * 1000


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_of_the_clock_lengthens_nothing(hours: int) -> None:
    """The month is as long as it took; an outage across the step lasts as long as it lasted."""
    stepped = at("2026-11-15T12:00")
    timeline = Timeline()
    timeline.adjust(round(stepped * 1000), hours * 3_600_000)
    across = record(
        "system",
        ("2026-10-01", UP, ""),
        ("2026-11-15T11:50", DOWN, "dns"),
        ("2026-11-15T12:10", UP, ""),
        until="2027-01-01",
    )

    statement = draw_up(across, timeline, NOVEMBER, LATER)
    shares = share(statement, timeline, list(NOVEMBER.hours()))

    assert statement.down == 20 * MINUTE
    assert statement.elapsed == (NOVEMBER.end - NOVEMBER.begin - hours * HOUR) * 1000
    lengths = {sum(sums.values()) // 3_600_000 for sums in shares}
    assert lengths == ({1, 0} if hours > 0 else {1, 2})


def test_a_machine_that_started_in_1970() -> None:
    """The account of the month begins when the machine had learnt the time."""
    timeline = Timeline()
    timeline.adjust(90_000, round(at("2026-11-10") * 1000) - 90_000)
    started = of_spans("system", [Span(0, 10_000, UNKNOWN, "not_asked"), Span(10_000, 3_690_000, UP)])

    statement = draw_up(started, timeline, NOVEMBER, at("2026-11-10T01:00:20"))

    assert statement.late
    assert (statement.begin, statement.elapsed, statement.up) == (90_000, 3_600_000, 3_600_000)


ZONES = [BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu")]
NIGHTS = [at("2026-10-25T00:00Z"), at("2026-03-29T00:00Z"), at("2026-11-01T04:00Z"), at("2026-10-03T14:00Z")]


class Second(NamedTuple):
    """What a model that holds every single second knows of one."""

    wall: int
    state: State | None
    """None before the ledger began."""
    reason: str


@st.composite
def lives(draw: st.DrawFn) -> tuple[Record, Timeline, Period, float]:
    """Draw a ledger of some hours around a night in which clocks are set, and a question about it."""
    born = int(draw(st.sampled_from(NIGHTS))) + draw(st.integers(-3600, 3600))
    pieces = draw(
        st.lists(
            st.tuples(st.integers(1, 4000), st.sampled_from(State), st.sampled_from("ab")),
            min_size=1,
            max_size=8,
        )
    )
    ends = [born + sum(piece[0] for piece in pieces[: number + 1]) for number in range(len(pieces))]
    borders = [born, *ends]
    spans = [
        Span(first * 1000, last * 1000, state, reason)
        for (first, last), (_, state, reason) in zip(pairwise(borders), pieces, strict=True)
    ]
    timeline = Timeline()
    for moment in sorted(draw(st.sets(st.integers(born, ends[-1]), max_size=2))):
        timeline.adjust(moment * 1000, draw(st.integers(-5000, 5000)) * 1000)
    begin = born + draw(st.integers(-4000, 12_000))
    period = Period(begin, begin + draw(st.integers(1, 20_000)), draw(st.sampled_from(ZONES)))
    now = period.end + 12_000  # past every step of the clock, and with nothing to come
    return of_spans("system", spans), timeline, period, now


def every_second(record: Record, timeline: Timeline) -> list[Second]:
    """Return what was, a second at a time, from before the ledger began until long after it fell silent."""
    before = [Second(record.born // 1000 - n, None, "") for n in range(5000, 0, -1)]
    silence = Span(record.settled, record.settled + 40_000_000, UNKNOWN, NOT_RECORDED)
    return before + [
        Second(int(timeline.unix(span.start + n * 1000)), span.state, span.reason)
        for span in [*record.spans, silence]
        for n in range(span.length // 1000)
    ]


def between(seconds: list[Second], begin: int, end: int) -> list[Second]:
    """Return the seconds from when the clock showed *begin* or more to when it showed *end* or more."""
    latest = list(accumulate((second.wall for second in seconds), max))
    return seconds[bisect_left(latest, begin) : bisect_left(latest, end)]


@given(lives())
def test_against_a_model_that_holds_every_second(
    life: tuple[Record, Timeline, Period, float],
) -> None:
    """Sums, outages, gaps and the share of each hour are those of counting seconds, whatever the clock did."""
    record, timeline, period, now = life
    inside = between(every_second(record, timeline), period.begin, period.end)

    statement = draw_up(record, timeline, period, now)

    counted = {state: 1000 * sum(each.state is state for each in inside) for state in State}
    assert statement.sums == counted
    runs = [(state, list(run)) for state, run in groupby(inside, key=lambda second: second.state)]
    for state, stretches in ((DOWN, statement.outages), (UNKNOWN, statement.gaps)):
        told = [
            (len(run) * 1000, tuple(dict.fromkeys(s.reason for s in run)))
            for each, run in runs
            if each is state
        ]
        assert [(stretch.length, stretch.reasons) for stretch in stretches] == told
    slots = list(period.hours())
    shares = share(statement, timeline, slots)
    assert {state: sum(sums[state] for sums in shares) for state in State} == counted
    for slot, sums in zip(slots, shares, strict=True):
        within = between(inside, slot.begin, slot.end)
        assert sums == {state: 1000 * sum(each.state is state for each in within) for state in State}


@given(lives())
def test_a_judgement_is_never_better_than_the_figures(
    life: tuple[Record, Timeline, Period, float],
) -> None:
    """Kept means at least the objective of what was seen; broken means less."""
    statement = draw_up(*life)
    good = 1000 * statement.up >= 999 * statement.seen

    if statement.judgement in {Judgement.KEPT, Judgement.KEPT_IF}:
        assert good
    elif statement.judgement is Judgement.BROKEN:
        assert not good
