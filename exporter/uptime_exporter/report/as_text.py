"""A report for a terminal or a mail: plain lines of at most a hundred characters."""

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap

from uptime_exporter.ledger.span import Millis
from uptime_exporter.report.findings import Findings
from uptime_exporter.report.sentences import borders, made, notes, promised, short_gaps, used
from uptime_exporter.report.statement import Statement, Stretch
from uptime_exporter.report.wording import (
    Dates,
    coverage,
    kept,
    lasting,
    left,
    marks,
    reasons,
    title,
    verdict,
)
from uptime_exporter.words import count

WIDTH = 100
LABEL = 12
"""Width of the first column."""
BAR = 50
"""Characters that stand for the whole allowance."""

Row = tuple[str, str, str, str]


def as_text(findings: Findings) -> str:
    """Return the report as lines."""
    head = f"UPTIME IN {title(findings.period).upper()}"
    lines = [head, "=" * len(head), *wrap(borders(findings), WIDTH), made(findings)]
    for note in notes(findings):
        lines += wrap(note, WIDTH)
    for statement in findings.statements:
        lines += ["", "", *_promise(findings, statement)]
    return "\n".join(_printable(line.rstrip()) for line in lines) + "\n"


def _printable(line: str) -> str:
    """Return a line that does nothing to a terminal, whatever an imported ledger holds."""
    return "".join(char if char.isprintable() else "\ufffd" for char in line)


def _promise(findings: Findings, statement: Statement) -> Iterator[str]:
    word, *rest = re.split(r"(?=[,:])", verdict(statement), maxsplit=1)
    head = f"{statement.name}: {word.upper()}{''.join(rest)}"
    yield from wrap(head, WIDTH)
    yield "-" * min(len(head), WIDTH)
    yield from _fact("promised", promised(findings, statement))
    yield from _fact("kept", f"{kept(statement)} of the time that was seen")
    yield from _fact("downtime", f"{used(statement)}; {left(statement)}")
    yield from _fact("", _bar(statement.down, statement.allowance))
    yield from _fact("unknown", lasting(statement.unknown) if statement.unknown else "none")
    yield from _fact("coverage", f"{coverage(statement)} of the time that has gone by was seen")
    yield from _fact("about", ", ".join(statement.targets))
    yield from _outages(findings, statement)
    yield from _gaps(findings, statement)


def _fact(label: str, said: str) -> Iterator[str]:
    indent = " " * (LABEL + 2)
    yield from wrap(said, WIDTH, initial_indent=f"  {label:{LABEL}}", subsequent_indent=indent)


def _bar(down: Millis, allowance: Millis) -> str:
    """Return what is spent as a bar; any downtime shows, and only a broken promise fills all of it."""
    if down > allowance:
        return f"[{'#' * BAR}] overspent"
    full = min(BAR - 1, -(-BAR * down // allowance)) if down else 0
    return f"[{'#' * full}{'.' * (BAR - full)}]"


def _outages(findings: Findings, statement: Statement) -> Iterator[str]:
    yield ""
    if not statement.outages:
        yield "  No outage was seen."
        return
    yield f"  {count(len(statement.outages), 'outage')}"
    yield from _table(statement.outages, findings, statement)


def _gaps(findings: Findings, statement: Statement) -> Iterator[str]:
    listed, rest = findings.long_gaps(statement), short_gaps(findings, statement)
    if not listed and not rest:
        return
    yield ""
    if listed:
        yield f"  {count(len(listed), 'gap')} in which nobody saw anything"
        yield from _table(listed, findings, statement)
    if rest:
        yield f"  {rest}"


def _table(stretches: Sequence[Stretch], findings: Findings, statement: Statement) -> Iterator[str]:
    period = findings.period
    dates = Dates(findings.timeline, period.zone, period.spans_years)
    rows: list[Row] = [("begin", "end", "length", "reason")]
    rows += [_row(stretch, dates, statement) for stretch in stretches]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        lead = "    " + "".join(f"{cell:{width}}  " for cell, width in zip(row[:3], widths, strict=True))
        indent = " " * len(lead)
        yield from wrap(row[3], WIDTH, initial_indent=lead, subsequent_indent=indent, drop_whitespace=True)


def _row(stretch: Stretch, dates: Dates, statement: Statement) -> Row:
    why = "; ".join([reasons(stretch), *marks(stretch, statement)])
    return dates.say(stretch.begin), dates.until(stretch.begin, stretch.end), lasting(stretch.length), why
