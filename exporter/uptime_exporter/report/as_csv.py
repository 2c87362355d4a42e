"""A report as CSV (RFC 4180): a row for each promise, and one for each of its outages and gaps.

The column `kind` says which: period, outage or gap. The figures of the promise stand in every row, so that any row
can be read by itself.
"""

import csv
import io
from collections.abc import Iterator

from uptime_exporter.report.as_json import iso, ratio
from uptime_exporter.report.findings import Findings
from uptime_exporter.report.statement import Statement, Stretch
from uptime_exporter.report.wording import Dates

OWN = ("sla", "kind", "begin", "end", "seconds", "reasons", "began_before", "goes_on")
FIGURES = (
    "objective_ratio",
    "allowance_seconds",
    "verdict",
    "availability_ratio",
    "coverage_ratio",
    "uptime_seconds",
    "downtime_seconds",
    "unknown_seconds",
)

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell begins with that a spreadsheet would compute (OWASP, CSV injection)."""

Cell = str | float | None


def as_csv(findings: Findings) -> str:
    """Return the report as rows that end in CR LF."""
    dates = Dates(findings.timeline, findings.period.zone, with_year=True)
    paper = io.StringIO(newline="")
    writer = csv.writer(paper)
    writer.writerow(OWN + FIGURES)
    for statement in findings.statements:
        figures = _figures(statement)
        writer.writerows([*map(_guarded, row), *figures] for row in _rows(statement, dates))
    return paper.getvalue()


def _rows(statement: Statement, dates: Dates) -> Iterator[list[Cell]]:
    begin, until = (iso(dates.at(moment)) for moment in (statement.begin, statement.until))
    period: list[Cell] = [begin, until, statement.elapsed / 1000, "", "", ""]
    yield [statement.name, "period", *period]
    for kind, stretches in (("outage", statement.outages), ("gap", statement.gaps)):
        for stretch in stretches:
            yield [statement.name, kind, *_stretch(stretch, dates)]


def _stretch(stretch: Stretch, dates: Dates) -> list[Cell]:
    flags = [_yes_or_no(flag) for flag in (stretch.began_before, stretch.goes_on)]
    begin, end = (iso(dates.at(moment)) for moment in (stretch.begin, stretch.end))
    return [begin, end, stretch.length / 1000, "; ".join(stretch.reasons), *flags]


def _figures(statement: Statement) -> list[Cell]:
    return [
        statement.objective,
        statement.allowance / 1000,
        statement.judgement.value,
        ratio(statement.up, statement.seen),
        ratio(statement.seen, statement.elapsed),
        statement.up / 1000,
        statement.down / 1000,
        statement.unknown / 1000,
    ]


def _yes_or_no(flag: bool) -> str:  # noqa: FBT001 - it is what is said
    return "yes" if flag else "no"


def _guarded(cell: Cell) -> Cell:
    return "'" + cell if isinstance(cell, str) and cell.startswith(FORMULA) else cell
