"""A ledger's file, the bookkeeper that keeps it, and days that pass in no time."""

import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from support.loop import FakeClock
from uptime_exporter.ledger import Bookkeeper, State, Terms
from uptime_exporter.outcome import Outcome, OwnFault, Reason

BEAT = 30.0
DAY = 86_400.0
PROMISES = {"web": Terms(("web",)), "db": Terms(("db",)), "system": Terms(("web", "db"))}

T = TypeVar("T")


class AtOnce(Executor):
    """Does everything in the caller's thread, so that a fake clock does not run away meanwhile."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for who asks for the result
            done.set_exception(error)
        return done


@dataclass
class Desk:
    """A bookkeeper, its clock, and what the targets answer."""

    clock: FakeClock
    path: Path
    book: Bookkeeper

    def hear(self, *, down: str = "", faulty: str = "") -> None:
        """Have one beat's outcomes come in: up, but for *down* and for those that could not be asked."""
        for name in ("web", "db"):
            reason = Reason.CONNECT if name in down else OwnFault.NETWORK if name in faulty else None
            self.book.sink(Outcome(name, self.clock.wall(), self.clock.monotonic(), BEAT, 0.0, reason))

    async def beat(self, times: int = 1, *, down: str = "", faulty: str = "") -> bool:
        """Let so many beats pass, each with outcomes and a commit; return whether the last one was written."""
        written = False
        for _ in range(times):
            self.hear(down=down, faulty=faulty)
            self.clock.pass_time(BEAT)
            written = await self.book.commit()
        return written

    def totals(self, name: str = "system") -> dict[State, float]:
        """Return seconds by state."""
        return seconds(self.book.accounts[name].totals)


def desk(clock: FakeClock, path: Path, promises: Mapping[str, Terms] = PROMISES, **settings: Any) -> Desk:
    """Open a ledger."""
    book = Bookkeeper(path, clock, executor=AtOnce(), beat=BEAT, **settings)
    book.open(promises)
    return Desk(clock, path, book)


def seconds(totals: Mapping[State, int]) -> dict[State, float]:
    return {state: total / 1000 for state, total in totals.items()}


def copied(path: Path, folder: Path) -> Path:
    """Return what a disk holds whose machine loses power now: all that was flushed."""
    folder.mkdir()
    for end in ("", "-wal"):
        shutil.copy(path.with_name(path.name + end), folder)
    return folder / path.name
