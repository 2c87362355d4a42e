"""A commit of thousands of accounts does not hold up the event loop, and tears nothing apart that comes in."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from support.ledgers import AtOnce
from support.loop import FakeClock
from uptime_exporter.ledger import Bookkeeper, Terms, read_history
from uptime_exporter.ledger.bookkeeper import SLICE
from uptime_exporter.ledger.core import BITE
from uptime_exporter.ledger.store import NOT_KEPT
from uptime_exporter.ledger.transfer import check
from uptime_exporter.outcome import Outcome, Reason

BEAT = 30.0
MANY = 1400
"""More than are copied at once."""

NAMES = [f"t{n}" for n in range(MANY)]
PROMISES = {"system": Terms(tuple(NAMES)), **{name: Terms((name,)) for name in NAMES}}


class Crowd:
    """Many targets, each with a promise."""

    def __init__(self, clock: FakeClock, path: Path) -> None:
        self.clock = clock
        self.book = Bookkeeper(path, clock, executor=AtOnce())
        self.book.open(PROMISES)
        self.beats = 0

    def beat(self, *names: str) -> None:
        """Take in an outcome of these, which is never the same twice in a row: each ends a span."""
        self.beats += 1
        reason = (None, Reason.CONNECT, Reason.TIMEOUT)[self.beats % 3]
        for name in names:
            now = self.clock.wall(), self.clock.monotonic()
            self.book.sink(Outcome(name, *now, BEAT, 0.1, reason))

    async def commit(self, meanwhile: Callable[[int], None]) -> int:
        """Commit once; return how often the loop turned before it was done."""
        turns, job = 0, asyncio.ensure_future(self.book.commit())
        await asyncio.sleep(0)
        while not job.done():
            meanwhile(turns)
            turns += 1
            await asyncio.sleep(0)
        assert await job
        return turns


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "uptime.db"


@pytest.fixture
async def crowd(clock: FakeClock, path: Path) -> Crowd:
    now = Crowd(clock, path)
    for _ in range(3):
        clock.pass_time(BEAT)
        now.beat(*NAMES)
        await now.book.commit()
    return now


def whole(path: Path) -> bool:
    """Return whether the file adds up, and holds every span that its totals count."""
    kept = [span.reason for record in read_history(path).records.values() for span in record.spans]
    return check(path) == [] and NOT_KEPT not in kept


async def test_what_comes_in_while_accounts_are_copied_is_whole(crowd: Crowd, path: Path) -> None:
    """A file that a crash leaves behind adds up: of each account both the span and the total, or neither."""

    def meanwhile(_turn: int) -> None:
        crowd.clock.pass_time(0.001)
        crowd.beat(NAMES[0], NAMES[MANY // 2], NAMES[-1])

    await crowd.commit(meanwhile)
    assert whole(path)
    await crowd.book.close()
    assert whole(path)


async def test_the_loop_turns_while_a_commit_is_made(crowd: Crowd) -> None:
    """Twice in what is settled at once, and in what is copied at once."""
    assert await crowd.commit(lambda _: None) >= 2 * MANY // BITE + MANY // SLICE


async def test_promises_that_change_while_accounts_are_copied_are_copied_anew(
    crowd: Crowd, path: Path
) -> None:
    """A reload closes spans of accounts that were copied already."""

    def meanwhile(turn: int) -> None:
        crowd.clock.pass_time(0.001)
        crowd.beat(*NAMES[:3], *NAMES[-3:])
        if turn in (2, 9, 15):
            crowd.book.apply(dict(list(PROMISES.items())[turn:]))

    await crowd.commit(meanwhile)
    assert whole(path)
    await crowd.book.close()
    assert whole(path)
