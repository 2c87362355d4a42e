"""Sentences that text and HTML have in common."""

from collections.abc import Iterator

from uptime_exporter.report.calendar import local
from uptime_exporter.report.findings import Findings
from uptime_exporter.report.statement import Statement
from uptime_exporter.report.wording import (
    Dates,
    average_month,
    lasting,
    minute,
    objective,
    percent_left,
    spent,
)
from uptime_exporter.words import count


def borders(findings: Findings) -> str:
    """Return from when to when, and in which time zone."""
    period = findings.period
    first, last = minute(period.first), minute(local(period.end, period.zone))
    return f"{first} to {last}, {period.zone.key}"


def made(findings: Findings) -> str:
    """Return when the report was made, and what follows from it."""
    when = minute(local(findings.now, findings.period.zone).replace(second=0))
    return f"Made {when}" + ("." if findings.complete else ": the period is under way, and this is so far.")


def promised(findings: Findings, statement: Statement) -> str:
    """Return what was promised, for this very period."""
    time = promised_time(findings, statement)
    return f"{objective(statement)} of {time}: {allowed(statement)}{_usual(findings, statement)}"


def allowed(statement: Statement) -> str:
    """Return what the promise allows."""
    _, most, unit = spent(statement)
    return f"at most {most} {unit} of downtime"


def allowance(findings: Findings, statement: Statement) -> str:
    """Return where the allowance comes from."""
    rest = percent_left(statement)
    return f"{rest} of {promised_time(findings, statement)}{_usual(findings, statement)}"


def promised_time(findings: Findings, statement: Statement) -> str:
    """Return the time that the promise is about."""
    if not statement.late:
        return lasting(statement.length)
    if not statement.length:
        return "time before the ledger's beginning"
    at = Dates(findings.timeline, findings.period.zone, with_year=True).at(statement.begin)
    return f"{lasting(statement.length)}, from the ledger's beginning on {minute(at)}"


def used(statement: Statement) -> str:
    """Return downtime against the allowance."""
    down, allowed, unit = spent(statement)
    part = f" ({-(-100 * statement.down // statement.allowance)} %)" if statement.allowance else ""
    return f"{down} of {allowed} {unit}{part}"


def notes(findings: Findings) -> Iterator[str]:
    """Yield what a reader would wonder about."""
    dates = Dates(findings.timeline, findings.period.zone, with_year=True)
    for step in findings.steps:
        way = "forward" if step.length > 0 else "back"
        yield (
            f"The machine's clock was set {way} by {lasting(abs(step.length))} at {dates.say(step.at)}; "
            "lengths are not affected by it, dates are those that the clock showed."
        )


def short_gaps(findings: Findings, statement: Statement) -> str | None:
    """Return what the gaps that are not listed come to."""
    number, length = findings.short_gaps(statement)
    more = "more " if findings.long_gaps(statement) else ""
    short = f"each under {lasting(findings.least_gap)}"
    return f"{count(number, f'{more}short gap')}, {short}: {lasting(length)}" if number else None


def _usual(findings: Findings, statement: Statement) -> str:
    return f"; an average month allows {average_month(statement)}" if findings.period.is_month else ""
