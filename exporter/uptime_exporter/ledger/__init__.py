"""Outcomes in, seconds and spans out; a pure core, and a store that makes it last."""

from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.bookkeeper import Bookkeeper, beat_of, terms_of
from uptime_exporter.ledger.history import History, Record, read_history
from uptime_exporter.ledger.span import Millis, Span, State
from uptime_exporter.ledger.timeline import Timeline

__all__ = [
    "Account",
    "Bookkeeper",
    "History",
    "Millis",
    "Record",
    "Span",
    "State",
    "Terms",
    "Timeline",
    "beat_of",
    "read_history",
    "terms_of",
]
