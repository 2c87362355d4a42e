"""One exporter per ledger: a lock beside the file, so that readers need none."""

import fcntl
import os
from pathlib import Path

from uptime_exporter.ledger.trouble import InUseError

LONGEST = 32
"""Bytes of the lock file that are read: a process id is shorter."""


class Lock:
    """Held by one process at a time, and let go by the system if that dies."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._path = ledger.with_name(ledger.name + ".lock")
        self._held: int | None = None

    def hold(self) -> None:
        """Take the lock; nothing if it is held already, and its directory still stands where it stood.

        Raises:
            InUseError: Another process holds it.
            OSError: The lock file cannot be made.

        """
        if self._held is not None and self._in_place(self._held):
            return
        self.release()
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._take(file)
        except BaseException:
            os.close(file)
            raise
        self._held = file

    def release(self) -> None:
        """Let go. The file stays: who removed it could take away another one's lock."""
        if self._held is not None:
            held, self._held = self._held, None
            os.close(held)

    def _take(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, LONGEST).decode(errors="replace").strip() or "unknown"
            raise InUseError(
                f"{self._ledger} belongs to another exporter (process {holder}); "
                "stop that one, or name another file as ledger"
            ) from None
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())

    def _in_place(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except OSError:
            return False
