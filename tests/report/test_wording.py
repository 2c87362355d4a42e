"""Figures as people say them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.histories import of_spans
from uptime_exporter.ledger.span import Span, State
from uptime_exporter.ledger.timeline import Timeline
from uptime_exporter.report.calendar import DAY, Period
from uptime_exporter.report.request import UTC
from uptime_exporter.report.statement import Statement, draw_up
from uptime_exporter.report.wording import average_month, kept, lasting, percent, percent_left, spent, spoken


def thirty_days(down: int, objective: float) -> Statement:
    """Return the statement of 30 days with so many milliseconds down."""
    spans = [Span(0, down, State.DOWN, "dns"), Span(down, 30 * DAY * 1000, State.UP)]
    record = of_spans("system", [span for span in spans if span.length], objective=objective)
    return draw_up(record, Timeline(), Period(0, 30 * DAY, UTC), 31 * DAY)


@pytest.mark.parametrize(
    ("millis", "said"),
    [
        (0, "0 s"),
        (1, "0.001 s"),
        (250, "0.25 s"),
        (1000, "1 s"),
        (1499, "1 s"),
        (59_600, "1 min"),
        (738_000, "12 min 18 s"),
        (3_600_000, "1 h"),
        (3_605_000, "1 h 5 s"),
        (5_467_000, "1 h 31 min 7 s"),
        (2_592_000_000, "30 d"),
        (2_682_000_000, "31 d 1 h"),
        (2_386_036_000, "27 d 14 h 47 min"),
    ],
)
def test_how_long_something_lasted(millis: int, said: str) -> None:
    """To the second; from a day on the seconds are left out."""
    assert lasting(millis) == said


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(1, 1, "100 %"), (999_999, 1_000_000, "99.999 %"), (2, 3, "66.666 %"), (0, 5, "0.000 %")],
)
def test_a_part_is_rounded_down(part: int, whole: int, said: str) -> None:
    """100 % is all of it, and nothing less."""
    assert percent(part, whole) == said


@pytest.mark.parametrize(
    ("objective", "rest", "average"),
    [
        (0.999, "0.1 %", "43.8 min"),
        (0.9995, "0.05 %", "21.9 min"),
        (0.9, "10 %", "4382.9 min"),
        (0.99999, "0.001 %", "26.3 s"),
    ],
)
def test_what_a_promise_allows(objective: float, rest: str, average: str) -> None:
    """43.8 minutes of an average month is what people know of 99.9 %."""
    statement = thirty_days(0, objective)

    assert (percent_left(statement), average_month(statement)) == (rest, average)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("too_many_connections", "too many connections"),
        ("exporter_down", "the exporter did not run"),
        ("model_server: not_asked, mysql: no_greeting", "model_server: no verdict, mysql: no greeting"),
        ("a_b: dns, c_d: tls, e_f: read_only and 2 more", "a_b: dns, c_d: tls, e_f: read only and 2 more"),
        ("", "no reason is recorded"),
    ],
)
def test_reasons_are_words_and_targets_are_names(reason: str, said: str) -> None:
    """An underscore of a name belongs to it."""
    assert spoken(reason) == said


@given(
    st.integers(0, 30 * DAY * 1000), st.sampled_from([0.5, 0.9, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999])
)
def test_figures_and_verdict_never_contradict_each_other(down: int, objective: float) -> None:
    """Who compares the printed numbers comes to the same result."""
    statement = thirty_days(down, objective)
    lost, allowed = map(float, spent(statement)[:2])
    figure = float(kept(statement).removesuffix(" %")) / 100

    assert (lost <= allowed) == (statement.remaining >= 0)
    assert (figure >= objective - 1e-12) == (statement.remaining >= 0)
    assert figure < 1 or not down


def test_the_last_seconds_of_the_allowance() -> None:
    """43.189 minutes of 43.193 are kept, and look like it."""
    statement = thirty_days(43 * 60_000 + 11_340, 0.99900016)

    assert spent(statement) == ("43.1", "43.1", "min")
    assert statement.remaining > 0
