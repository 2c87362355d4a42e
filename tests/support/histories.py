"""What a ledger says, made by hand: changes of state at dates that a reader can check."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from uptime_exporter.ledger.account import Terms
from uptime_exporter.ledger.history import History, Record
from uptime_exporter.ledger.span import EXPORTER_DOWN, Span, State
from uptime_exporter.ledger.timeline import Timeline
from uptime_exporter.report.statement import total

BERLIN = ZoneInfo("Europe/Berlin")
UTC = ZoneInfo("UTC")
THREE = ("model_server", "asr_ocr_server", "mysql")

Change = tuple[str, State, str]
"""From when on, in which state, why."""


def at(text: str, zone: ZoneInfo = UTC) -> float:
    """Return the Unix time of a local time, or of one with an offset."""
    date = datetime.fromisoformat(text)
    return (date if date.tzinfo else date.replace(tzinfo=zone)).timestamp()


def record(
    name: str,
    *changes: Change,
    until: str,
    zone: ZoneInfo = UTC,
    targets: Sequence[str] = THREE,
    objective: float = 0.999,
) -> Record:
    """Return the record of a promise that begins with the first change and is settled up to *until*."""
    moments = [round(at(when, zone) * 1000) for when in (*(change[0] for change in changes), until)]
    states = [change[1:] for change in changes]
    spans = [
        Span(*pair, state, reason) for pair, (state, reason) in zip(pairwise(moments), states, strict=True)
    ]
    return of_spans(name, spans, targets=targets, objective=objective)


def of_spans(
    name: str, spans: Sequence[Span], *, targets: Sequence[str] = THREE, objective: float = 0.999
) -> Record:
    """Return the record of a promise that is made of these."""
    terms = Terms(tuple(targets), objective)
    return Record(name, terms, spans[0].start, spans[-1].end, total(spans), spans)


def history(*records: Record, timeline: Timeline | None = None) -> History:
    """Return a ledger of these promises."""
    return History({each.name: each for each in records}, timeline or Timeline())


def eventful(until: str = "2026-12-01T00:00:30") -> History:
    """Return a month in Berlin with all that a report has to tell, from its third day on."""
    up, down, unknown = State.UP, State.DOWN, State.UNKNOWN
    system = record(
        "system",
        ("2026-11-03T09:12:44", unknown, "not_asked"),
        ("2026-11-03T09:12:45", up, ""),
        ("2026-11-05T14:05:12", down, "model_server: connect"),
        ("2026-11-05T14:11:42", down, "model_server: timeout"),
        ("2026-11-05T14:17:30", up, ""),
        ("2026-11-11T23:54:10", down, "asr_ocr_server: body, mysql: too_many_connections"),
        ("2026-11-12T00:03:40", up, ""),
        ("2026-11-16T03:00:00", unknown, EXPORTER_DOWN),
        ("2026-11-16T03:20:00", up, ""),
        ("2026-11-19T10:00:00.250", unknown, "mysql: not_asked"),
        ("2026-11-19T10:00:15.250", up, ""),
        ("2026-11-21T17:40:01", down, "mysql: no_greeting"),
        ("2026-11-21T17:40:31", up, ""),
        ("2026-11-30T23:58:00", down, "model_server: status"),
        until=until,
        zone=BERLIN,
    )
    door = record(
        "front_door",
        ("2026-10-20T00:00:00", up, ""),
        ("2026-11-08T06:00:00", down, "tls"),
        ("2026-11-08T07:31:07", up, ""),
        until=until,
        zone=BERLIN,
        targets=("proxy", "login"),
        objective=0.9995,
    )
    mysql = record("mysql", ("2026-10-20T00:00:00", up, ""), until=until, zone=BERLIN, targets=("mysql",))
    return history(mysql, system, door)
