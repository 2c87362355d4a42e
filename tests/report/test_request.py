"""What may be asked for, and what is said to who asks for something else."""

import argparse
from datetime import UTC as UTC_OFFSET
from datetime import datetime

import pytest
from freezegun import freeze_time

from support.histories import BERLIN, eventful, history
from uptime_exporter.clock import SystemClock
from uptime_exporter.errors import ReportError
from uptime_exporter.report import Request, add_arguments
from uptime_exporter.report.calendar import local


def ask(*arguments: str) -> Request:
    parser = argparse.ArgumentParser(prog="report", exit_on_error=False)
    add_arguments(parser)
    return Request.from_arguments(parser.parse_args(arguments), SystemClock().wall())


def asked(*arguments: str) -> list[str]:
    period = ask(*arguments).period
    return [local(border, period.zone).isoformat() for border in (period.begin, period.end)]


def names(*slas: str) -> list[str]:
    arguments = [part for sla in slas for part in ("--sla", sla)]
    return [record.name for record in ask(*arguments).choose(eventful())]


@pytest.mark.parametrize(
    ("now", "begin", "end"),
    [
        ("2026-11-23T21:00:00", "2026-11-01", "2026-12-01"),
        ("2026-02-28T23:59:59", "2026-02-01", "2026-03-01"),
        ("2028-02-29T12:00:00", "2028-02-01", "2028-03-01"),
        ("2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        ("2027-01-01T00:00:00", "2027-01-01", "2027-02-01"),
    ],
)
def test_unless_asked_it_is_about_the_present_month(now: str, begin: str, end: str) -> None:
    """In UTC, as text, on standard output."""
    with freeze_time(now):
        assert asked() == [f"{begin}T00:00:00+00:00", f"{end}T00:00:00+00:00"]
        assert (ask().format, ask().output) == ("text", None)


@freeze_time("2026-12-31T23:30:00")
def test_which_month_it_is_depends_on_where_one_is() -> None:
    """In Berlin the next year has begun."""
    assert asked("--time-zone", "Europe/Berlin")[0] == "2027-01-01T00:00:00+01:00"


@freeze_time("2026-12-02T08:00:00")
@pytest.mark.parametrize(
    ("arguments", "begin", "end"),
    [
        (["--month", "2026-10"], "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"),
        (
            ["--from", "2026-11-03", "--to", "2026-11-03"],
            "2026-11-03T00:00:00+01:00",
            "2026-11-04T00:00:00+01:00",
        ),
        (
            ["--from", "2026-11-03T06:00", "--to", "2026-11-03T07:30:15"],
            "2026-11-03T06:00:00+01:00",
            "2026-11-03T07:30:15+01:00",
        ),
        (["--from", "2026-11-03T06:00Z"], "2026-11-03T07:00:00+01:00", "2026-12-02T09:00:01+01:00"),
    ],
)
def test_borders_are_of_the_time_zone(arguments: list[str], begin: str, end: str) -> None:
    """A day is included, a time is not, and one with an offset is taken at its word."""
    assert asked("--time-zone", "Europe/Berlin", *arguments) == [begin, end]


@freeze_time("2026-11-23")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--month", "11"], "'11' is not a month such as 2026-11"),
        (["--month", "2026-13"], "'2026-13' is not a month such as 2026-11"),
        (["--month", "0012-01"], "'0012-01' must lie in the years 1970 to 2999"),
        (
            ["--from", "yesterday"],
            "'yesterday' is not a day such as 2026-11-03 or a time such as 2026-11-03T06:00",
        ),
        (["--from", "9999-12-31"], "'9999-12-31' must lie in the years 1970 to 2999"),
        (["--time-zone", "Europe/Berln"], "is no time zone of the tz database, such as Europe/Berlin"),
        (["--time-zone", "Europe"], "is no time zone of the tz database"),
        (["--time-zone", "../etc/passwd"], "is no time zone of the tz database"),
        (["--month", "2026-10", "--from", "2026-10-01"], "not allowed with argument --month"),
        (["--format", "pdf"], "invalid choice: 'pdf'"),
    ],
)
def test_an_argument_that_means_nothing(arguments: list[str], said: str) -> None:
    """The message says what would."""
    with pytest.raises(argparse.ArgumentError) as raised:
        ask(*arguments)

    assert said in str(raised.value)


@freeze_time("2026-11-23")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "2026-11-03"], "--to needs --from"),
        (["--month", "2026-10", "--to", "2026-11-03"], "--to needs --from"),
        (["--month", "2026-12"], "2026-12-01 00:00 is in the future; ask for a period that has begun"),
        (["--from", "2026-11-03", "--to", "2026-11-02"], "--to must be later than --from"),
    ],
)
def test_arguments_that_do_not_go_together(arguments: list[str], said: str) -> None:
    """The message says what to give instead."""
    with pytest.raises(ReportError, match=said):
        ask(*arguments)


def test_single_targets_are_not_reported_unless_asked_for() -> None:
    """Nor are they left out when they are, and nothing is told twice."""
    assert names() == ["system", "front_door"]
    assert names("all") == ["system", "front_door", "mysql"]
    assert names("mysql", "system", "mysql") == ["mysql", "system"]


def test_where_there_are_only_single_targets_they_are_reported() -> None:
    """A report without a promise would say nothing."""
    mysql = eventful().records["mysql"]

    assert [record.name for record in ask().choose(history(mysql))] == ["mysql"]


def test_an_unknown_promise() -> None:
    """The message names those that are known."""
    with pytest.raises(ReportError, match=r"no promise 'sistem'; the ledger knows mysql, system, front_door"):
        names("sistem")


def test_a_ledger_that_holds_nothing_yet() -> None:
    """That is not an empty report."""
    with pytest.raises(ReportError, match="holds no promise yet"):
        ask().choose(history())


@freeze_time("2026-11-23T12:00:00")
def test_the_present_second_is_part_of_what_is_so_far() -> None:
    """So that the period is under way, and the last minutes are waited for."""
    request = ask("--from", "2026-11-22")

    assert request.period.end > request.now == datetime(2026, 11, 23, 12, tzinfo=UTC_OFFSET).timestamp()
    assert ask("--time-zone", "Europe/Berlin").period.zone is BERLIN
