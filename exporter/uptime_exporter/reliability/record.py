"""How the drains so far ended, in a file, because the process that drains takes its last sample along.

A drain that is under way has a file of its own beside the record, locked for as long as its process lives. Whoever
finds one unlocked knows that the process was killed before its end, and counts it as one that ran out of time.
Several processes may share a record.
"""

import fcntl
import json
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

log = logging.getLogger(__name__)

Drained = Literal["clean", "timeout"]

UNDER_WAY = ".draining"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many drains ended in which way."""

    clean: int = 0
    timeout: int = 0
    last_seconds: float | None = None
    """What the latest took; its whole time limit if it was killed."""

    def and_one(self, result: Drained, seconds: float) -> "Tally":
        """Return what it is after one more."""
        one_more = replace(self, last_seconds=round(seconds, 6))
        if result == "clean":
            return replace(one_more, clean=self.clean + 1)
        return replace(one_more, timeout=self.timeout + 1)


class Record:
    """The tally of one application, in memory, and in a file where there is one.

    No way of failing of the file is an error for the application: the log says what is wrong, and the tally goes
    on in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known = Tally()
        self._said: str | None = None
        self._under_way: tuple[Path, int] | None = None

    def read(self) -> Tally:
        """Return the tally as the processes that share it have left it."""
        if self._path is not None:
            with self._forgiving(self._path):
                if self._abandoned(self._path):
                    with _alone_in(self._path.parent):
                        self._settle(self._path)
                else:
                    self._known = self._load(self._path)
        return self._known

    def begin(self, limit: float) -> None:
        """Note that a drain is under way that may take *limit* seconds; a second call changes nothing.

        Takes no lock that this process might hold already, so that a signal handler may call it.
        """
        if self._path is None or self._under_way is not None:
            return
        with self._forgiving(self._path):
            name = f"{self._path.name}.{os.getpid()}-{secrets.token_hex(4)}"
            hidden = self._path.with_name(f".{name}")
            held = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(held, json.dumps({"limit": limit}).encode())
            self._under_way = hidden.rename(self._path.with_name(name + UNDER_WAY)), held

    def end(self, result: Drained, seconds: float) -> None:
        """Note how the drain ended and how long it took."""
        if self._path is None:
            self._known = self._known.and_one(result, seconds)
            return
        known, stored = self._known, False
        with self._forgiving(self._path), _alone_in(self._path.parent):
            self._known = self._load(self._path).and_one(result, seconds)
            self._store(self._path)
            stored = True
        if not stored:
            self._path, self._known = None, known.and_one(result, seconds)
        self._no_longer_under_way()

    def _no_longer_under_way(self) -> None:
        if self._under_way is not None:
            path, held = self._under_way
            with suppress(OSError):
                path.unlink()
            os.close(held)
            self._under_way = None

    def _settle(self, path: Path) -> None:
        """Count the drains whose processes are gone."""
        tally, gone = self._load(path), self._abandoned(path)
        for each in gone:
            tally = tally.and_one("timeout", _limit_of(each))
        self._known = tally
        if gone:
            self._store(path)
        for each in gone:
            each.unlink(missing_ok=True)

    @staticmethod
    def _abandoned(path: Path) -> list[Path]:
        found = path.parent.glob(f"{_literally(path.name)}.*{UNDER_WAY}")
        return [each for each in sorted(found) if _is_free(each)]

    def _load(self, path: Path) -> Tally:
        try:
            return _tally(path.read_bytes())
        except FileNotFoundError:
            return Tally()
        except (ValueError, TypeError, KeyError) as error:
            self._say(f"{path}: cannot be read as a record of shutdowns ({error}); counting from 0 again")
            return self._known

    def _store(self, path: Path) -> None:
        written = path.with_name(f".{path.name}.{os.getpid()}.new")
        with written.open("w") as out:
            json.dump(asdict(self._known), out)
            out.flush()
            os.fsync(out.fileno())
        written.replace(path)

    @contextmanager
    def _forgiving(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._say(
                f"{path}: shutdowns cannot be recorded ({error.strerror or error}); "
                "how this process ends will not be known: make the directory and let this user write to it"
            )

    def _say(self, what: str) -> None:
        if what != self._said:
            self._said = what
            log.warning("%s", what)


def _tally(content: bytes) -> Tally:
    said = json.loads(content)
    clean, timeout, last = said["clean"], said["timeout"], said["last_seconds"]
    if not all(type(count) is int and count >= 0 for count in (clean, timeout)):
        raise ValueError("clean and timeout must be whole numbers")
    return Tally(clean, timeout, None if last is None else float(last))


def _limit_of(path: Path) -> float:
    try:
        return float(json.loads(path.read_bytes())["limit"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0.0  # killed between two instructions: it did not take long


def _is_free(path: Path) -> bool:
    """Return whether the process that locked *path* is gone; this one's own lock counts as well."""
    try:
        held = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False  # its drain has just ended
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(held)
    return True


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep the other processes that share a record from writing it."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _literally(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
