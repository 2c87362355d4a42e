"""The ledger's file: an SQLite database that takes one batch per beat, whole or not at all."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from uptime_exporter.errors import LedgerError
from uptime_exporter.ledger.account import RECENT, Account, Terms
from uptime_exporter.ledger.schema import APPLICATION_ID, VERSION, migrate, version_of
from uptime_exporter.ledger.span import Millis, Span, State
from uptime_exporter.ledger.timeline import Adjustment
from uptime_exporter.ledger.trouble import CorruptError, believed, told

BITE = 2000
"""Old spans that one batch deletes at most, so that none takes long."""

PATIENCE = 2.0
"""Seconds for which a commit waits when another program has locked the file."""

LOG_LIMIT = 8 * 2**20
"""Bytes to which the write-ahead log is cut back when a reader has made it grow."""

NOT_KEPT = "not_kept"
"""Reason of a stretch whose spans are lost although its totals are not: the file was replaced by an older copy,
or the disk was away for so long that memory had to do with less."""

_MAGIC = b"SQLite format 3\0"
_HEADER = 100
_OURS = APPLICATION_ID.to_bytes(4, "big")
"""Bytes 68 to 71 of the header (sqlite.org/fileformat.html)."""
_CODES: Mapping[State, int] = {State.UP: 0, State.DOWN: 1, State.UNKNOWN: 2}
_STATES: Mapping[int, State] = {code: state for state, code in _CODES.items()}

Row = tuple[object, ...]


class Standing(NamedTuple):
    """How an account stands."""

    name: str
    terms: Terms
    born: Millis
    watched: bool
    """Whether the settings name it."""
    settled: Millis
    up: Millis
    down: Millis
    unknown: Millis
    open: Span | None

    @classmethod
    def of(cls, account: Account, *, watched: bool) -> "Standing":
        """Return a copy that further outcomes do not change."""
        up, down, unknown = account.totals.values()  # in the order of the states
        terms, born, settled = account.terms, account.born, account.settled
        return cls(account.name, terms, born, watched, settled, up, down, unknown, account.open)

    @property
    def totals(self) -> dict[State, Millis]:
        """State → milliseconds since the account began."""
        return {State.UP: self.up, State.DOWN: self.down, State.UNKNOWN: self.unknown}

    def restored(self, past: Iterable[Span], terms: Terms | None = None) -> Account:
        """Return the account, ready to go on, under other terms if given."""
        account = Account(self.name, terms or self.terms, self.born)
        account.restore(self.settled, self.totals, self.open, past)
        return account


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file holds besides closed spans."""

    id: str
    """Of the ledger, for as long as it lives, whatever file it is in."""
    moment: Millis
    """Ledger time of the last commit."""
    wall: Millis
    """Unix time of the last commit."""
    adjustments: Sequence[Adjustment]
    standings: Sequence[Standing]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be written at once."""

    kept: Kept
    spans: Sequence[tuple[str, Span]]
    """Promise and span, closed since the last batch; those that the file has already are passed over."""
    retire: Millis | None = None
    """Closed spans that ended before this moment may be deleted; None: all stay."""


class Store:
    """An open file that is written to.

    Attributes:
        kept: What the file held when it was opened; None if it was new.

    """

    def __init__(self, path: Path) -> None:
        """Open the file, and make it if there is none.

        Raises:
            CorruptError: It is damaged.
            LedgerError: It cannot be used, for now or until somebody does something about it.

        """
        self._path = path
        with told(path):
            _examine(path)
            self._connection = _connect(path, "rwc")
            try:
                with believed(path):
                    _prepare(self._connection)
                    self.kept = load(self._connection)
                    self._ends: dict[int, Millis] = dict(self._connection.execute(_ENDS))
                    self._promises = dict(_numbered(self._connection))
                self._place = _place(path)
            except BaseException:
                self._connection.close()
                raise
        self._next = 1 + max((number for number, _, _ in self._promises.values()), default=0)
        self._adjusted = list(self.kept.adjustments) if self.kept else []
        self._log_place: tuple[int, int] | None = None
        self._first = True

    def past(self, promises: Mapping[str, Millis]) -> dict[str, list[Span]]:
        """Return what a window needs of the past: from when on it is known, and what was not up.

        Args:
            promises: Name → since when.

        """
        with told(self._path), believed(self._path):
            return past(self._connection, promises)

    def write(self, batch: Batch) -> int:
        """Make *batch* last: when this returns it survives a crash of the machine.

        Returns:
            How many old spans were deleted.

        Raises:
            CorruptError: The file is damaged.
            LedgerError: Nothing was written, or into a file that is no longer at its place.

        """
        with told(self._path):
            self._check_place()
            with _transaction(self._connection):
                self._write_accounts(batch.kept.standings)
                self._write_spans(self._new(batch))
                self._write_adjustments(batch.kept.adjustments)
                self._write_ledger(batch.kept)
                retired = 0 if batch.retire is None else _retire(self._connection, batch.retire)
            self._check_place()
        self._first = False
        return retired

    def close(self) -> None:
        """Close the file, the write-ahead log taken in, so that it can be copied alone."""
        with told(self._path), closing(self._connection):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def abandon(self) -> None:
        """Close the file as it is; raises nothing."""
        try:
            self._connection.close()
        except sqlite3.Error:
            return  # it is given up because it fails

    def _write_accounts(self, standings: Iterable[Standing]) -> None:
        numbered = [(standing, self._number(standing)) for standing in standings]
        # Not as a list: between one row and the next SQLite lets the event loop's thread go on.
        self._connection.executemany(_UPDATE_ACCOUNT, ((*_columns(s), number) for s, number in numbered))

    def _number(self, standing: Standing) -> int:
        """Return the promise's number, its terms written if they are news."""
        number, terms, watched = self._promises.get(standing.name, (None, None, None))
        if number is None:
            number, self._next = self._next, self._next + 1
            self._connection.execute(_INSERT_ACCOUNT, (number, *_columns(standing)))
        elif (terms is standing.terms or terms == standing.terms) and watched == standing.watched:
            return number
        self._connection.execute(_REPLACE_PROMISE, (number, *_promise(standing)))
        self._promises[standing.name] = (number, standing.terms, standing.watched)
        return number

    def _new(self, batch: Batch) -> Iterator[tuple[int, Span]]:
        for name, span in batch.spans:
            yield from self._follow(self._promises[name][0], span)
        if self._first:
            for standing in batch.kept.standings:
                if standing.open is not None:
                    yield from self._follow(self._promises[standing.name][0], standing.open, closed=False)

    def _follow(self, number: int, span: Span, *, closed: bool = True) -> Iterator[tuple[int, Span]]:
        """Yield what of *span* the file has not, with a stopgap before it if something in between is lost."""
        end = self._ends.get(number)
        if end is not None and end < span.start:
            yield number, Span(end, span.start, State.UNKNOWN, NOT_KEPT)
            self._ends[number] = span.start
        if closed and (end is None or end < span.end):
            self._ends[number] = span.end
            yield (
                number,
                Span(span.start if end is None else max(end, span.start), span.end, span.state, span.reason),
            )

    def _write_spans(self, spans: Iterable[tuple[int, Span]]) -> None:
        rows = ((number, s.start, s.end, _CODES[s.state], s.reason) for number, s in spans)
        self._connection.executemany(_INSERT_SPAN, rows)

    def _write_adjustments(self, adjustments: Sequence[Adjustment]) -> None:
        known = len(self._adjusted)
        if self._first and list(adjustments[:known]) != self._adjusted:
            self._connection.execute("DELETE FROM adjustment")
            known = 0
        self._connection.executemany(_INSERT_ADJUSTMENT, [(a.at, a.offset) for a in adjustments[known:]])
        self._adjusted = list(adjustments)

    def _write_ledger(self, kept: Kept) -> None:
        self._connection.execute("DELETE FROM ledger")
        self._connection.execute("INSERT INTO ledger VALUES (?, ?, ?)", (kept.id, kept.moment, kept.wall))

    def _check_place(self) -> None:
        """See to it that the path still leads to the open file: writing into a deleted one succeeds silently."""
        log = _place(self._path.with_name(self._path.name + "-wal"))
        if _place(self._path) != self._place or (self._log_place not in (None, log)):
            raise LedgerError(
                f"{self._path} was moved, deleted or replaced; put it back, or let a new one begin"
            )
        self._log_place = log


_ENDS = "SELECT account, max(until) FROM span GROUP BY account"
_UPDATE_ACCOUNT = """
    UPDATE account SET settled = ?, up = ?, down = ?, unknown = ?, start = ?, state = ?, reason = ? WHERE id = ?
"""
_INSERT_ACCOUNT = "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_REPLACE_PROMISE = "INSERT OR REPLACE INTO promise VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_SPAN = "INSERT INTO span (account, start, until, state, reason) VALUES (?, ?, ?, ?, ?)"
_INSERT_ADJUSTMENT = "INSERT INTO adjustment VALUES (?, ?)"
_ACCOUNTS = """
    SELECT name, targets, objective, length, born, watched, settled, up, down, unknown, start, state, reason
    FROM promise LEFT JOIN account USING (id) ORDER BY id
"""
_PAST = f"""
    SELECT name, start, until, state, reason
    FROM (
        SELECT id, account, start, until, state, reason
        FROM (
            SELECT *, row_number() OVER (PARTITION BY account, state ORDER BY id DESC) AS age
            FROM span WHERE state <> {_CODES[State.UP]}
        ) WHERE until > ? OR (state = {_CODES[State.DOWN]} AND age <= {RECENT})
        UNION
        SELECT * FROM span WHERE id IN (SELECT min(id) FROM span GROUP BY account)
    ) AS span JOIN promise ON promise.id = span.account ORDER BY span.id
"""  # noqa: S608 - numbers of our own
_SPANS = """
    SELECT name, start, until, state, reason FROM span JOIN promise ON promise.id = span.account ORDER BY span.id
"""


def load(connection: sqlite3.Connection) -> Kept | None:
    """Return what the file holds besides closed spans; None if nothing was written yet.

    Raises:
        ValueError, TypeError, KeyError, sqlite3.Error: It contradicts itself.

    """
    row = connection.execute("SELECT id, moment, wall FROM ledger").fetchone()
    if row is None:
        return None
    adjustments = [Adjustment(_whole(at), _whole(ahead)) for at, ahead in connection.execute(_ADJUSTMENTS)]
    standings = [_standing(row) for row in connection.execute(_ACCOUNTS)]
    return Kept(str(row[0]), _whole(row[1]), _whole(row[2]), adjustments, standings)


_ADJUSTMENTS = "SELECT at, ahead FROM adjustment ORDER BY rowid"


def past(connection: sqlite3.Connection, promises: Mapping[str, Millis]) -> dict[str, list[Span]]:
    """Return, of each promise since the moment given, all that is not up, after the first span that is kept.

    The last outages are there in any case.
    """
    found: dict[str, list[Span]] = {name: [] for name in promises}
    for name, *columns in connection.execute(_PAST, (min(promises.values(), default=0),)):
        if name in found:
            found[name].append(_span(*columns))
    return found


def spans(connection: sqlite3.Connection) -> Iterator[tuple[str, Span]]:
    """Yield every closed span with its promise's name, in the order in which they were written."""
    for name, *columns in connection.execute(_SPANS):
        yield name, _span(*columns)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file to read it only, beside an exporter that writes to it.

    What was written by an older version is brought up to date in memory; the file is left as it is.

    Raises:
        CorruptError: It is damaged.
        LedgerError: There is none, it is another program's, or a newer version has written it.

    """
    with told(path), believed(path):
        if not path.is_file():
            raise LedgerError(f"there is no ledger {path}; name the file that the exporter writes")
        _examine(path)
        with closing(_connect_to_read(path)) as connection:
            if version_of(connection) < VERSION:
                with closing(_copy(connection)) as current:
                    yield current
            else:
                connection.execute("BEGIN")  # one state of it, whatever is written meanwhile
                yield connection


def _copy(connection: sqlite3.Connection) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None)
    connection.backup(copy)
    migrate(copy)
    return copy


def _connect(path: Path, mode: str, *, alone: bool = False) -> sqlite3.Connection:
    """Open *path*; *alone*: nobody writes to it, which is all that can be read where nothing may be created."""
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"
    if alone and not os.access(path.parent, os.W_OK):
        address += "&immutable=1"
    connection = sqlite3.connect(
        address, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = (
        bytes.decode
    )  # raises ValueError where SQLite's module has an error without a code
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Open *path* without changing it, unless a crash has left it halfway: then SQLite must tidy up first."""
    connection = _connect(path, "ro", alone=not _place(path.with_name(path.name + "-wal")))
    try:
        connection.execute("PRAGMA application_id")
    except sqlite3.OperationalError as error:
        connection.close()
        half_written = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY
        if not half_written or _head(path)[68:72] != _OURS:
            raise
        connection = _connect(path, "rw")
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _examine(path: Path) -> None:
    """Look at a file before anything is written to it.

    Raises:
        CorruptError: It was a ledger, or blank where it should not be.
        LedgerError: It is somebody else's, or newer.

    """
    if not path.exists() or not (head := _head(path)):
        return
    ours = head[68:72] == _OURS
    if not head.startswith(_MAGIC):
        if ours or not head.strip(b"\0"):
            raise CorruptError(f"{path} is damaged (its header is gone)")
        raise LedgerError(f"{path} is no ledger; name another file as ledger")
    with closing(_connect_to_read(path)) as connection:
        _check_owner(path, connection)
        problems = [text for (text,) in connection.execute("PRAGMA quick_check(3)") if text != "ok"]
        if problems:
            raise CorruptError(f"{path} is damaged ({'; '.join(problems)})")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADER)


def _check_owner(path: Path, connection: sqlite3.Connection) -> None:
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner != APPLICATION_ID and (owner or tables):
        raise LedgerError(f"{path} is another program's database; name another file as ledger")
    version = version_of(connection)
    if version > VERSION:
        raise LedgerError(
            f"{path} was written by a newer version (format {version}, known up to {VERSION}); "
            "update uptime-exporter, or name another file as ledger"
        )


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")  # first: so the file's own header has it
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT}")
    migrate(connection)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _retire(connection: sqlite3.Connection, before: Millis) -> int:
    """Delete the oldest spans as far as they ended *before*, one bite of them; return how many."""
    last, count = None, 0
    oldest = connection.execute("SELECT id, until FROM span ORDER BY id LIMIT ?", (BITE,)).fetchall()
    for number, until in oldest:
        if until > before:
            break
        last, count = number, count + 1
    if last is not None:
        connection.execute("DELETE FROM span WHERE id <= ?", (last,))
    return count


def _place(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _numbered(connection: sqlite3.Connection) -> Iterator[tuple[str, tuple[int, Terms, bool]]]:
    rows = connection.execute("SELECT id, name, targets, objective, length, watched FROM promise")
    for number, name, targets, objective, length, watched in rows:
        yield name, (number, _terms(targets, objective, length), bool(watched))


def _columns(standing: Standing) -> Row:
    """Return what is written of an account each time; one that has not begun has a last span without length."""
    _, _, _, _, settled, up, down, unknown, last = standing
    if last is None:
        return settled, up, down, unknown, settled, _CODES[State.UNKNOWN], ""
    return settled, up, down, unknown, last.start, _CODES[last.state], last.reason


def _promise(standing: Standing) -> Row:
    terms = standing.terms
    targets = json.dumps(terms.targets, ensure_ascii=False)
    return standing.name, targets, terms.objective, terms.window, standing.born, int(standing.watched)


def _standing(row: Row) -> Standing:
    name, targets, objective, length, born, watched, *account = row
    settled, up, down, unknown, start = map(_whole, account[:5])
    standing = Standing(
        name=_text(name),
        terms=_terms(targets, objective, length),
        born=_whole(born),
        watched=bool(watched),
        settled=settled,
        up=up,
        down=down,
        unknown=unknown,
        open=None if start == settled else _span(start, settled, *account[5:]),
    )
    if min(up, down, unknown) < 0 or up + down + unknown != settled - standing.born:
        raise ValueError(f"the totals of {standing.name} do not add up")
    return standing


def _terms(targets: object, objective: object, length: object) -> Terms:
    names = json.loads(_text(targets))
    if not isinstance(names, list) or not names:
        raise ValueError("a promise without targets")
    if not isinstance(objective, float) or not 0 < objective <= 1:
        raise ValueError(f"the objective {objective!r}")
    if (window := _whole(length)) <= 0:
        raise ValueError(f"a window of {window} ms")
    return Terms(tuple(map(_text, names)), objective, window)


def _span(start: object, until: object, state: object, reason: object) -> Span:
    span = Span(_whole(start), _whole(until), _STATES[_whole(state)], _text(reason))
    if span.length <= 0:
        raise ValueError(f"a span that ends at {span.end}, before it begins")
    return span


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} in place of a whole number")
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError(f"{value!r} in place of text")
    return value
