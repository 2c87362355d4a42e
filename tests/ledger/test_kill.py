"""What was committed survives ``kill -9`` at any moment."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import pytest

from support.ledgers import AtOnce
from support.writer import PROMISES, Promised, write
from uptime_exporter.clock import SystemClock
from uptime_exporter.errors import LedgerError
from uptime_exporter.ledger import Bookkeeper, Record, State, read_history
from uptime_exporter.ledger.transfer import check

ROUNDS = int(os.environ.get("KILLS", "200"))
"""In all; fewer by hand."""

PARTS = 4
LONGEST = 0.04
"""Seconds that a writer lives at most: some die while they open the file."""

Told = Mapping[str, Promised]
Start = Callable[[Path, int], tuple[BaseProcess, Connection]]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start writers that do not have to load the program each time; they have begun when this returns."""
    tests = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", tests)  # by which the server finds what to preload
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.writer"])

    def start(path: Path, seed: int) -> tuple[BaseProcess, Connection]:
        listener, teller = context.Pipe(duplex=False)
        writer = context.Process(target=write, args=(path, teller, seed))
        writer.start()
        teller.close()
        assert listener.recv() == {}
        return writer, listener

    return start


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_while_writing(tmp_path: Path, start: Start, part: int) -> None:
    """The file opens and agrees with itself, holds all that was said to be written, and no total goes down."""
    path, random = tmp_path / "uptime.db", Random(part)
    totals = {name: dict.fromkeys(State, 0) for name in PROMISES}
    commits = 0
    for round_ in range(ROUNDS // PARTS):
        writer, listener = start(path, round_)
        writer.join(random.uniform(0, LONGEST))
        writer.kill()
        writer.join()
        told = everything_told(listener)
        commits += len(told)
        if not path.exists() or (not commits and path.stat().st_size == 0):
            continue
        assert check(path) == []
        records = read_history(path).records
        for promised in told:
            for name, promise in promised.items():
                keeps(records[name], promise)
        for name, record in records.items():
            assert all(record.totals[state] >= totals[name][state] for state in State)
            totals[name] = dict(record.totals)
    assert commits > 0


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path, start: Start) -> None:
    """The system lets go of the lock of a process that dies, however it dies."""
    writer, listener = start(tmp_path / "uptime.db", 0)
    assert listener.recv()
    second = Bookkeeper(tmp_path / "uptime.db", SystemClock(), executor=AtOnce())
    with pytest.raises(LedgerError, match=rf"belongs to another exporter \(process {writer.pid}\)"):
        second.open(PROMISES)
    writer.kill()
    writer.join()
    listener.close()
    second.open(PROMISES)

    assert second.trouble is None
    assert second.accounts["all"].settled > second.accounts["all"].born
    asyncio.run(second.close())


def everything_told(listener: Connection) -> list[Told]:
    """Return what a dead writer has said; its last word may be half of one."""
    told: list[Told] = []
    with listener:
        try:
            while True:
                told.append(listener.recv())
        except (EOFError, OSError):
            return told


def keeps(record: Record, promise: Promised) -> None:
    """Check that what was promised is in the file: in the totals, and as a span at its place."""
    assert record.settled >= promise.settled
    assert all(record.totals[state] >= total for state, total in promise.totals.items())
    last = promise.open
    assert last is not None
    assert any(
        (span.start, span.state, span.reason) == (last.start, last.state, last.reason)
        and span.end >= last.end
        for span in record.spans
    )
