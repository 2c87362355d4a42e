"""Spans that have ended and are not written yet."""

from collections.abc import Iterable, Sequence

from uptime_exporter.ledger.account import Account
from uptime_exporter.ledger.span import Span, State
from uptime_exporter.ledger.store import NOT_KEPT

MOST = 200_000
"""Spans that wait for a disk to come back, some 40 MB; beyond it only what they add up to is kept."""

Entry = tuple[str, Span]


class Pending:
    """In the order in which they ended, each with its promise's name."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._entries: list[Entry] = []

    def take(self, accounts: Iterable[Account]) -> None:
        """Take over what has been closed in *accounts* since the last call."""
        for account in accounts:
            if account.closed:
                self._entries.extend((account.name, span) for span in account.take_closed())

    def bound(self) -> None:
        """Keep no more of them than memory should hold; not while a batch is being written."""
        if len(self._entries) > self._most:
            self._entries = _folded(self._entries)

    def all(self) -> Sequence[Entry]:
        """Return a copy of them."""
        return tuple(self._entries)

    def of(self, name: str) -> list[Span]:
        """Return those of one promise."""
        return [span for owner, span in self._entries if owner == name]

    def drop(self, count: int) -> None:
        """Forget the first *count*: they are written."""
        del self._entries[:count]


def _folded(entries: Iterable[Entry]) -> list[Entry]:
    """Return one stretch per promise that says only from when to when nothing is kept."""
    reach: dict[str, Span] = {}
    for name, span in entries:
        first = reach.get(name, span)
        reach[name] = Span(first.start, span.end, State.UNKNOWN, NOT_KEPT)
    return list(reach.items())
