"""Everything that a ledger file says, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uptime_exporter.ledger.account import Terms
from uptime_exporter.ledger.span import Millis, Span, State
from uptime_exporter.ledger.store import Standing, load, reading, spans
from uptime_exporter.ledger.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Record:
    """What is written of one promise."""

    name: str
    terms: Terms
    """As applied last."""
    born: Millis
    settled: Millis
    totals: Mapping[State, Millis]
    """Since `born`."""
    spans: Sequence[Span]
    """Without a gap up to `settled`, oldest first, the one under way last; as far back as they are kept."""


@dataclass(frozen=True, slots=True)
class History:
    """A ledger's content."""

    records: Mapping[str, Record]
    """Promise → record; of former promises too."""
    timeline: Timeline


def read_history(path: Path) -> History:
    """Return what the file *path* holds, while an exporter may be writing to it.

    Raises:
        LedgerError: There is no such file, or it is damaged, another program's or a newer version's.

    """
    with reading(path) as connection:
        kept = load(connection)
        if kept is None:
            return History({}, Timeline())
        closed: dict[str, list[Span]] = {standing.name: [] for standing in kept.standings}
        for name, span in spans(connection):
            closed[name].append(span)
        records = {s.name: _record(s, closed[s.name]) for s in kept.standings}
        return History(records, Timeline(list(kept.adjustments)))


def _record(standing: Standing, closed: Sequence[Span]) -> Record:
    last = [] if standing.open is None else [standing.open]
    return Record(
        name=standing.name,
        terms=standing.terms,
        born=standing.born,
        settled=standing.settled,
        totals=standing.totals,
        spans=[*closed, *last],
    )
