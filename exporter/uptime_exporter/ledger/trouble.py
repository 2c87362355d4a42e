"""What can go wrong with the file, in words that say what to do."""

import errno
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from uptime_exporter.errors import LedgerError


class CorruptError(LedgerError):
    """The file is a ledger no longer: it cannot be read, or contradicts itself."""


class InUseError(LedgerError):
    """Another exporter writes to the file."""


_REMEDIES: Mapping[int, str] = {
    sqlite3.SQLITE_FULL: "the disk of {path} is full; free some space",
    sqlite3.SQLITE_READONLY: "{path} cannot be written to; make the file and its directory writable",
    sqlite3.SQLITE_PERM: "{path} cannot be written to; make the file and its directory writable",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened; its directory must exist and be writable",
    sqlite3.SQLITE_BUSY: "{path} is locked by another program; end it, perhaps a forgotten sqlite3 shell",
    sqlite3.SQLITE_LOCKED: "{path} is locked by another program; end it, perhaps a forgotten sqlite3 shell",
    sqlite3.SQLITE_IOERR: "the disk of {path} fails ({error}); look at the disk, its quota and its mount",
}
"""SQLite's primary result code → what is wrong and what to do."""

_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Raise what SQLite and the system say of *path* as something that a person can act on.

    Raises:
        CorruptError: The file's content makes no sense.
        LedgerError: Anything else; it may pass.

    """
    try:
        yield
    except sqlite3.Error as error:
        raise _sqlite_said(error, path) from error
    except OSError as error:
        raise LedgerError(_system_said(error, path)) from error
    except UnicodeDecodeError as error:  # also of SQLite's messages, which quote what is damaged
        raise CorruptError(f"{path} is damaged ({error})") from error


@contextmanager
def believed(path: Path) -> Iterator[None]:
    """Raise what makes no sense in *path* while it is read; not for writing, where it would be our own defect.

    Raises:
        CorruptError: No exporter has written this.

    """
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptError(f"{path} holds what no exporter has written ({error})") from error
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
            raise
        raise CorruptError(f"{path} lacks what every ledger has ({error})") from error


def _sqlite_said(error: sqlite3.Error, path: Path) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return LedgerError(f"{path} cannot be used ({error})")
    if code & 0xFF in _CORRUPT:
        return CorruptError(f"{path} is damaged ({error})")
    remedy = _REMEDIES.get(
        code & 0xFF, "{path} cannot be used ({error}); look at it with `uptime-exporter ledger check`"
    )
    return LedgerError(remedy.format(path=path, error=f"{error}, {error.sqlite_errorname}"))


def _system_said(error: OSError, path: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {path} is full; free some space"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"{path} cannot be opened: there is no directory {path.parent}; create it"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path} cannot be written to; make the file and its directory writable"
    return f"{path} cannot be used ({error.strerror}); look at the disk, its quota and its mount"
