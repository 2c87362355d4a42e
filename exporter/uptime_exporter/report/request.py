"""What a person asks a report for, by arguments."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self, TypeVar, get_args
from zoneinfo import ZoneInfo, available_timezones

from uptime_exporter.errors import ReportError
from uptime_exporter.ledger.history import History, Record
from uptime_exporter.ledger.span import Millis
from uptime_exporter.report.calendar import Period, local, midnight, month

Format = Literal["text", "json", "csv", "html"]

YEARS = range(1970, 3000)
"""Those that a report may be about."""

LEAST_GAP: Millis = 75_000
"""2.5 beats of 30 s: shorter gaps are only summed up."""

ALL = "all"

UTC = ZoneInfo("UTC")

Border = date | datetime
_Parsed = TypeVar("_Parsed", date, datetime)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let *parser* understand what `Request.from_arguments` reads."""
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--month", type=_a_month, metavar="YYYY-MM", help="a calendar month; the present one unless given"
    )
    when.add_argument(
        "--from", type=_a_border, dest="begin", metavar="WHEN", help="a day, or a time as 2026-11-03T06:00"
    )
    parser.add_argument(
        "--to",
        type=_a_border,
        dest="end",
        metavar="WHEN",
        help="a day (included) or a time; now unless given",
    )
    parser.add_argument(
        "--sla",
        action="append",
        default=[],
        metavar="NAME",
        help="a promise; may be repeated; all: single targets' too; those of several targets unless given",
    )
    parser.add_argument(
        "--time-zone",
        type=_a_zone,
        default=UTC,
        metavar="ZONE",
        help="such as Europe/Berlin; UTC unless given",
    )
    parser.add_argument(
        "--format", choices=get_args(Format), default="text", help="text unless given; html is one file"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where to write it; standard output unless given"
    )


@dataclass(frozen=True, slots=True)
class Request:
    """What a report is to say."""

    period: Period
    now: float
    """Unix time."""
    slas: tuple[str, ...] = ()
    """Names of promises; empty: those that are about more than a single target."""
    format: Format = "text"
    output: Path | None = None
    least_gap: Millis = LEAST_GAP
    """Gaps that are at least so long are listed one by one."""

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace, now: float) -> Self:
        """Return what was asked for at *now*, in Unix time.

        Raises:
            ReportError: The arguments contradict each other.

        """
        return cls(
            period=_period(arguments, now),
            now=now,
            slas=tuple(arguments.sla),
            format=arguments.format,
            output=arguments.output,
        )

    def choose(self, history: History) -> list[Record]:
        """Return the records that are asked for, promises of several targets first.

        Raises:
            ReportError: The ledger does not know a name, or no promise at all.

        """
        known = sorted(history.records.values(), key=_is_single)
        if not known:
            raise ReportError(
                "the ledger holds no promise yet; ask again when the exporter has run for a while"
            )
        if ALL in self.slas:
            return known
        if self.slas:
            return [_named(history, name) for name in dict.fromkeys(self.slas)]
        return [record for record in known if not _is_single(record)] or known


def _is_single(record: Record) -> bool:
    return record.terms.targets == (record.name,)


def _named(history: History, name: str) -> Record:
    if name not in history.records:
        known = ", ".join(history.records)
        raise ReportError(
            f"there is no promise {name!r}; the ledger knows {known}, and --sla {ALL} shows them all"
        )
    return history.records[name]


def _period(arguments: argparse.Namespace, now: float) -> Period:
    zone: ZoneInfo = arguments.time_zone
    if arguments.begin is None and arguments.end is not None:
        raise ReportError("--to needs --from, and does not go with --month; give both, or --month alone")
    if arguments.begin is None:
        today = local(now, zone)
        year, number = arguments.month or (today.year, today.month)
        asked = month(year, number, zone)
    else:
        asked = Period(_begin(arguments.begin, zone), _end(arguments.end, zone, now), zone)
    return _checked(asked, now)


def _checked(period: Period, now: float) -> Period:
    if period.begin > now:
        raise ReportError(f"{period.first:%Y-%m-%d %H:%M} is in the future; ask for a period that has begun")
    if period.end <= period.begin:
        raise ReportError("the period ends before it begins; --to must be later than --from")
    return period


def _begin(border: Border, zone: ZoneInfo) -> int:
    if not isinstance(border, datetime):
        return midnight(border, zone)
    return int((border if border.tzinfo else border.replace(tzinfo=zone)).timestamp())


def _end(border: Border | None, zone: ZoneInfo, now: float) -> int:
    if border is None:
        return int(now) + 1  # the second under way is part of it
    return _begin(border if isinstance(border, datetime) else border + timedelta(days=1), zone)


def _a_month(text: str) -> tuple[int, int]:
    first = _parsed(lambda given: datetime.strptime(given, "%Y-%m"), text, "a month such as 2026-11")  # noqa: DTZ007 - a month has no zone yet
    return first.year, first.month


def _a_border(text: str) -> Border:
    return _parsed(_day_or_time, text, "a day such as 2026-11-03 or a time such as 2026-11-03T06:00")


def _day_or_time(text: str) -> Border:
    at = datetime.fromisoformat(text)
    return at if ":" in text else at.date()


def _parsed(read: Callable[[str], _Parsed], text: str, wanted: str) -> _Parsed:
    try:
        value = read(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None
    if value.year not in YEARS:
        raise argparse.ArgumentTypeError(f"{text!r} must lie in the years {YEARS[0]} to {YEARS[-1]}")
    return value


def _a_zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # no such zone, no name of a file, or a folder of zones
        raise argparse.ArgumentTypeError(_no_zone(text, available_timezones())) from None


def _no_zone(text: str, known: Iterable[str]) -> str:
    near = get_close_matches(text, known, n=1) or ["Europe/Berlin"]
    return f"{text!r} is no time zone of the tz database, such as {near[0]}"
