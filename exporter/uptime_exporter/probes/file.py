"""Ask a folder whether the newest of its files is fresh."""

import asyncio
import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from uptime_exporter.errors import Inconclusive, ProbeFailure
from uptime_exporter.outcome import OwnFault, Reason, Seen
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.text import one_line
from uptime_exporter.settings import FileTarget, duration
from uptime_exporter.words import spell

_NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_LONGEST = 200
_NOT_THERE = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Found:
    """A file, as its folder tells of it."""

    path: str
    written: float
    """Unix time."""
    size: int
    """Bytes."""


Look = Callable[[str], Found | None]


class FileProbe:
    """Looks for the newest file that matches.

    A file system may hang for ever, and with it the thread that looks: there is at most one for each target, and no
    end of the process waits for it.
    """

    def __init__(
        self, target: FileTarget, *, look: Look | None = None, wall: Callable[[], float] = time.time
    ) -> None:
        self._target = target
        self._look = look or newest
        self._wall = wall
        self._looking: Future[Found | None] | None = None

    async def check(self, phases: Phases) -> Seen:
        """Return if the newest file that matches is young and large enough.

        Phase: ``look``.

        Raises:
            ProbeFailure: stale.
            Inconclusive: The exporter cannot see whether it is.

        """
        with phases.phase("look"):
            found = await self._found()
        if found is None:
            raise _stale(f"no file matches {self._target.path}")
        return Seen(message=self._judged(found))

    async def _found(self) -> Found | None:
        try:
            if self._looking is None or self._looking.done():
                self._looking = _in_thread(lambda: self._look(self._target.path))
            return await asyncio.wrap_future(self._looking)
        except OSError as error:
            raise _unseen(error) from error

    def _judged(self, found: Found) -> str:
        age = self._wall() - found.written
        told = f"{Path(found.path).name} ({found.size} bytes, {_spelt(age)})"
        if found.size < self._target.min_bytes:
            raise _stale(f"{told} is smaller than {self._target.min_bytes} bytes")
        # A file from the future, more than clocks differ, would hide for years that nothing came after it.
        if abs(age) > self._target.younger_than:
            raise _stale(f"{told} must be younger than {duration(self._target.younger_than)}")
        return one_line(told, _LONGEST)


def newest(pattern: str) -> Found | None:
    """Return the regular file that matches and was written to last, or None.

    As in a shell, a wildcard matches within one folder, and no name that begins with a dot.

    Raises:
        OSError: What is there cannot be seen.

    """
    known = filter(
        None, map(_known, _matching(Path("/" if pattern.startswith("/") else "."), _parts(pattern)))
    )
    return max(known, key=lambda found: found.written, default=None)


def _parts(pattern: str) -> list[str]:
    return [part for part in pattern.split("/") if part not in ("", ".")]


def _matching(folder: Path, parts: list[str]) -> Iterator[Path]:
    """Yield what matches *parts*, one pattern for each folder on the way and one for the file."""
    if not parts:
        yield folder
        return
    name, *rest = parts
    for inside in _names(folder, name) if set("*?[") & set(name) else [name]:
        yield from _matching(folder / inside, rest)


def _names(folder: Path, pattern: str) -> list[str]:
    try:
        names = [entry.name for entry in folder.iterdir()]
    except _NOT_THERE:
        return []
    return [
        name for name in names if fnmatchcase(name, pattern) and name.startswith(".") <= (pattern[0] == ".")
    ]


def _known(path: Path) -> Found | None:
    try:
        status = path.stat()
    except _NOT_THERE:
        return None
    return Found(str(path), status.st_mtime, status.st_size) if stat.S_ISREG(status.st_mode) else None


def _in_thread(look: Callable[[], Found | None]) -> Future[Found | None]:
    """Call *look* in a thread that does not hold up the end of the process."""
    call = Future[Found | None]()
    call.set_running_or_notify_cancel()  # whoever stops waiting for it does not cancel it

    def answer() -> None:
        try:
            call.set_result(look())
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets to see it
            call.set_exception(error)

    try:
        threading.Thread(target=answer, name="file probe", daemon=True).start()
    except RuntimeError as error:
        raise Inconclusive(OwnFault.RESOURCES, "no thread is left for looking at files") from error
    return call


def _unseen(error: OSError) -> Inconclusive:
    fault = OwnFault.RESOURCES if error.errno in _NONE_LEFT else OwnFault.UNREADABLE
    where = error.filename or "the file"
    who = f" by user {os.geteuid()}" if isinstance(error, PermissionError) else ""
    why = f"{where} cannot be looked at{who} ({os.strerror(error.errno or 0)})"
    return Inconclusive(fault, one_line(why, _LONGEST))


def _stale(detail: str) -> ProbeFailure:
    return ProbeFailure(Reason.STALE, one_line(detail, _LONGEST))


def _spelt(age: float) -> str:
    return f"{spell(age)} old" if age >= 0 else f"{spell(-age)} in the future"
