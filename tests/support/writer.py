"""An exporter's bookkeeper in a process of its own, that says what it has made to last."""

import asyncio
import os
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import NamedTuple

from uptime_exporter.clock import SystemClock
from uptime_exporter.ledger import Bookkeeper, Span, State, Terms
from uptime_exporter.outcome import Outcome, Reason

INTERVAL = 0.002
TARGETS = tuple("abcdef")
PROMISES = {**{name: Terms((name,)) for name in TARGETS}, "all": Terms(TARGETS)}


class Promised(NamedTuple):
    """What a process that dies has promised to keep of one account."""

    settled: int
    totals: dict[State, int]
    open: Span | None


def write(path: Path, told: Connection, seed: int) -> None:
    """Tell that it begins; then commit as fast as possible and tell after each, until killed."""
    told.send({})
    asyncio.run(_write(path, told, Random(seed)))


async def _write(path: Path, told: Connection, random: Random) -> None:
    clock = SystemClock()
    book = Bookkeeper(path, clock)
    book.open(PROMISES)
    while os.getppid() != 1:
        for target in TARGETS:
            reason = Reason.CONNECT if random.random() < 0.2 else None
            book.sink(Outcome(target, clock.wall(), clock.monotonic(), INTERVAL, 0.0, reason))
        if await book.commit():
            told.send({n: Promised(a.settled, a.totals, a.open) for n, a in book.accounts.items()})
