"""A report as JSON, for programs.

Seconds are numbers, ratios are 0 to 1, dates are ISO 8601 with their offset from UTC::

    time_zone, made_at
    period              begin, end (not included), complete (it is over)
    clock_steps[]       at, seconds: the clock on the wall was set forward, or back where negative
    slas[]
      sla, targets[], objective_ratio
      begin             of the period, or where the ledger begins to say something of it
      until             where the account ends: with the period, or now
      elapsed_seconds   from begin to until = uptime + downtime + unknown
      promised_seconds  from begin to the end of the period
      allowance_seconds downtime that the promise allows in promised_seconds
      remaining_seconds of it; negative where the promise is broken
      verdict           kept | kept_if_unseen_was_up | broken | cannot_be_known
      verdict_text      the same for people
      availability_ratio, coverage_ratio   null where nothing was seen, or nothing has elapsed
      uptime_seconds, downtime_seconds, unknown_seconds
      outages[], gaps[] begin, end, seconds, reasons[], began_before, goes_on
                        cut at begin and until; the two flags say that they were
"""

import json
from collections.abc import Mapping
from datetime import datetime

from uptime_exporter.ledger.span import Millis
from uptime_exporter.report.calendar import local
from uptime_exporter.report.findings import Findings
from uptime_exporter.report.statement import Statement, Stretch
from uptime_exporter.report.wording import Dates, verdict

Value = Mapping[str, object]


def as_json(findings: Findings) -> str:
    """Return the report as an object, with a line break at its end."""
    period, dates = findings.period, Dates(findings.timeline, findings.period.zone, with_year=True)
    whole = {
        "time_zone": period.zone.key,
        "made_at": iso(local(findings.now, period.zone)),
        "period": {
            "begin": iso(period.first),
            "end": iso(local(period.end, period.zone)),
            "complete": findings.complete,
        },
        "clock_steps": [
            {"at": iso(dates.at(step.at)), "seconds": step.length / 1000} for step in findings.steps
        ],
        "slas": [_promise(statement, dates) for statement in findings.statements],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def iso(at: datetime) -> str:
    """Return a date with its offset, to the millisecond."""
    return at.isoformat(timespec="milliseconds")


def ratio(part: Millis, whole: Millis) -> float | None:
    """Return a part of one; None of nothing."""
    return part / whole if whole else None


def _promise(statement: Statement, dates: Dates) -> Value:
    return {
        "sla": statement.name,
        "targets": list(statement.targets),
        "objective_ratio": statement.objective,
        "begin": iso(dates.at(statement.begin)),
        "until": iso(dates.at(statement.until)),
        "elapsed_seconds": statement.elapsed / 1000,
        "promised_seconds": statement.length / 1000,
        "allowance_seconds": statement.allowance / 1000,
        "remaining_seconds": statement.remaining / 1000,
        "verdict": statement.judgement.value,
        "verdict_text": verdict(statement),
        "availability_ratio": ratio(statement.up, statement.seen),
        "coverage_ratio": ratio(statement.seen, statement.elapsed),
        "uptime_seconds": statement.up / 1000,
        "downtime_seconds": statement.down / 1000,
        "unknown_seconds": statement.unknown / 1000,
        "outages": [_stretch(outage, dates) for outage in statement.outages],
        "gaps": [_stretch(gap, dates) for gap in statement.gaps],
    }


def _stretch(stretch: Stretch, dates: Dates) -> Value:
    return {
        "begin": iso(dates.at(stretch.begin)),
        "end": iso(dates.at(stretch.end)),
        "seconds": stretch.length / 1000,
        "reasons": list(stretch.reasons),
        "began_before": stretch.began_before,
        "goes_on": stretch.goes_on,
    }
