"""Everything that a ledger file says, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uptime_exporter.ledger.account import Terms
from uptime_exporter.ledger.span import Millis, Span, State
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
