"""The file as somebody who never gives up would keep it: opened anew at each batch until it can be written to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from uptime_exporter import logs
from uptime_exporter.clock import Clock
from uptime_exporter.errors import LedgerError
from uptime_exporter.ledger.lock import Lock
from uptime_exporter.ledger.span import Millis, Span
from uptime_exporter.ledger.store import Batch, Kept, Store
from uptime_exporter.ledger.trouble import CorruptError, told

log = logs.get("ledger")

COMPANIONS = ("", "-wal", "-shm")
"""What belongs to a file of SQLite, by the end of its name."""


@dataclass(frozen=True, slots=True)
class Written:
    """A batch has been made to last."""

    retired: int
    """Old spans that were deleted."""
    past: Mapping[str, list[Span]] = field(default_factory=dict)
    """What was asked for of the past, the batch included."""


@dataclass(frozen=True, slots=True)
class Found:
    """Nothing was written: the file holds a ledger that has to be taken into account first."""

    kept: Kept
    past: Mapping[str, list[Span]]


class Archive:
    """Blocks, and is used by one thread at a time."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = Lock(path)
        self._store: Store | None = None

    def find(self, windows: Mapping[str, Millis]) -> Found | None:
        """Open the file; return what it holds, None if that is nothing yet.

        Args:
            windows: Promise → length, of those for which it is not the one in the file.

        Raises:
            InUseError: Another exporter writes to it.
            LedgerError: It cannot be used; perhaps later.

        """
        store = self._opened()
        kept = store.kept
        if kept is None:
            return None
        try:
            lengths = {standing.name: standing.terms.window for standing in kept.standings} | dict(windows)
            return Found(kept, store.past(_since(kept, lengths)))
        except CorruptError as error:
            self._set_aside(error)
            return None

    def write(self, batch: Batch, windows: Mapping[str, Millis], *, merged: bool = True) -> Written | Found:
        """Make *batch* last.

        Args:
            batch: Everything that is not written yet.
            windows: Promise → length of the window whose past is wanted.
            merged: Whether *batch* goes on from what the file held when it was opened first.

        Raises:
            LedgerError: It could not be done; a later batch has to hold all this too.

        """
        try:
            store = self._opened()
            if self._is_news(store, batch, merged=merged):
                found = self.find({standing.name: standing.terms.window for standing in batch.kept.standings})
                if found is not None:
                    return found
                store = self._opened()
            return self._write(store, batch, windows)
        except CorruptError as error:
            self._set_aside(error)
            return self._write(self._opened(), batch, windows)
        except BaseException:
            self._drop()
            raise

    def close(self) -> None:
        """Close the file and let others have it.

        Raises:
            LedgerError: The write-ahead log could not be taken in; nothing is lost.

        """
        store, self._store = self._store, None
        try:
            if store is not None:
                store.close()
        finally:
            self._lock.release()

    def _opened(self) -> Store:
        with told(self._path):
            self._lock.hold()
        if self._store is None:
            try:
                self._store = Store(self._path)
            except CorruptError as error:
                self._set_aside(error)
                self._store = Store(self._path)
        return self._store

    def _is_news(self, store: Store, batch: Batch, *, merged: bool) -> bool:
        if store.kept is None or store.kept.id == batch.kept.id:
            return False
        if merged:
            raise LedgerError(
                f"another ledger has been put in the place of {self._path}; "
                "restart the exporter to go on with that one, or put the old one back"
            )
        return True

    def _write(self, store: Store, batch: Batch, windows: Mapping[str, Millis]) -> Written:
        retired = store.write(batch)
        return Written(retired, store.past(_since(batch.kept, windows)) if windows else {})

    def _drop(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.abandon()

    def _set_aside(self, error: CorruptError) -> None:
        """Keep a damaged file under another name; before it is closed, lest closing deletes a part of it."""
        when = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = _free_name(self._path.with_name(f"{self._path.name}.corrupt-{when}"))
        with told(self._path):
            for end in COMPANIONS:
                part = self._path.with_name(self._path.name + end)
                if part.exists():
                    part.rename(aside.with_name(aside.name + end))
        self._drop()
        log.error(
            "the ledger is damaged: it was set aside and a new one begins; to go on from a backup, stop the "
            "exporter and put `uptime-exporter ledger import` of an export in the place of the new one",
            why=str(error),
            aside=str(aside),
        )


def _since(kept: Kept, windows: Mapping[str, Millis]) -> dict[str, Millis]:
    return {name: kept.moment - length for name, length in windows.items()}


def _free_name(path: Path) -> Path:
    name, number = path, 1
    while name.exists():
        number += 1
        name = path.with_name(f"{path.name}-{number}")
    return name
