"""The tables of a ledger file, version by version."""

import sqlite3
from collections.abc import Sequence

APPLICATION_ID = int.from_bytes(b"UPTM", "big")
"""By which a ledger is told from other programs' databases; stands in the file's header."""

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        """CREATE TABLE ledger (
            id TEXT NOT NULL, moment INTEGER NOT NULL, wall INTEGER NOT NULL)""",
        """CREATE TABLE adjustment (at INTEGER NOT NULL, ahead INTEGER NOT NULL)""",
        """CREATE TABLE promise (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, targets TEXT NOT NULL, objective REAL NOT NULL,
            length INTEGER NOT NULL, born INTEGER NOT NULL, watched INTEGER NOT NULL)""",
        # Apart from `promise`, since all of it is written anew at every commit.
        """CREATE TABLE account (
            id INTEGER PRIMARY KEY, settled INTEGER NOT NULL, up INTEGER NOT NULL, down INTEGER NOT NULL,
            unknown INTEGER NOT NULL, start INTEGER NOT NULL, state INTEGER NOT NULL, reason TEXT NOT NULL)""",
        # No index: every row is appended, and whoever reads them reads nearly all.
        """CREATE TABLE span (
            id INTEGER PRIMARY KEY, account INTEGER NOT NULL, start INTEGER NOT NULL, until INTEGER NOT NULL,
            state INTEGER NOT NULL, reason TEXT NOT NULL)""",
    ),
)
"""Version n is what the first n of them make; none is ever changed."""

VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the tables; 0: there are none."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to `VERSION`, all or nothing; *connection* is in autocommit mode."""
    version = version_of(connection)
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in MIGRATIONS[version:]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
