"""What a scrape costs, beside the client library's own rendering of the same data."""

import asyncio
import gzip
import random
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from bench.table import Goal, Table, progress, spread
from support.loop import FakeClock
from support.published import Situation
from support.stock import Stock
from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.span import State
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.settings import HttpTarget

SIZES = (100, 1000, 5000)
ROUNDS = 11
SCRAPE = 15.0
GOAL = Goal(0.05)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Crowd:
    """So many targets that are up, each with a promise of its own, and one promise about all of them."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self.situation = Situation(FakeClock())
        self.committed: dict[str, dict[State, int]] = {}
        for n in range(number):
            self.situation.watch(f"t{n}", HttpTarget(url=f"http://h{n}.test:8000/health"))
        names = tuple(self.situation.watches)
        for name, targets in [*((name, (name,)) for name in names), ("system", names)]:
            self.situation.accounts[name] = Account(name, Terms(targets), born=0)
        self.pass_time(1)
        self.page = Exposition(
            self.situation, self.situation, Reloads(successful=True, at=0.0), process=False
        )
        self.stock = Stock(self.page)
        self.loop = asyncio.Runner()

    def pass_time(self, part: float) -> None:
        """Let the time between two scrapes go by, in which so great a part of the targets is probed."""
        clock, chance = self.situation.clock, self._random.random
        for number, name in enumerate(self.situation.watches):
            if number % 100 < part * 100:
                phases = {
                    phase: round(chance() / 1000, 6)
                    for phase in ("resolve", "connect", "processing", "transfer")
                }
                self.situation.happen(name, None, seconds=round(chance() / 50, 6), phases=phases)
                clock.pass_time(-30)
        clock.pass_time(SCRAPE)
        for account in self.situation.accounts.values() if part else ():
            account.add(round((clock.wall() - 1_767_225_600) * 1000), State.UP)

    def served(self, *, packed: bool) -> float:
        """Return CPU seconds of all threads, for the page alone: the loop runs anyway."""

        async def scrape() -> float:
            began = time.process_time()
            await self.page.serve("", gzip=packed)
            return time.process_time() - began

        return self.loop.run(scrape())


def cost(work: Callable[[], object]) -> float:
    """Return CPU seconds of all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def scrapes(number: int) -> dict[str, list[float]]:
    """Return CPU seconds by what is measured, one figure for each round."""
    crowd, taken = Crowd(number), dict[str, list[float]]()
    crowd.served(packed=False)
    for _ in range(ROUNDS):
        for what, part in (("half", 0.5), ("all", 1.0), ("nothing", 0.0)):
            crowd.pass_time(part)
            taken.setdefault(what, []).append(crowd.served(packed=False))
        taken.setdefault("stock", []).append(cost(lambda: crowd.stock.render("")))
        crowd.pass_time(0.5)
        taken.setdefault("packed", []).append(crowd.served(packed=True))
        taken.setdefault("stock packed", []).append(cost(lambda: gzip.compress(crowd.stock.render("")[0])))
    crowd.loop.close()
    return taken


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> str:
    """Return the ratio of the medians."""
    return f"{median(mine) / median(theirs):.3f}"


def measure() -> Iterator[Table]:
    """Yield the table of the scrape."""
    rows = []
    for number in progress("scrapes", SIZES):
        taken = scrapes(number)
        rows.append(
            [
                str(number),
                spread(taken["stock"]),
                spread(taken["half"]),
                ratio(taken["half"], taken["stock"]),
                GOAL.judged(median(taken["half"]) / median(taken["stock"])),
                *(ratio(taken[what], taken["stock"]) for what in ("all", "nothing")),
                ratio(taken["packed"], taken["stock packed"]),
                f"{median(taken['half']) / number * 1e6:.1f} us",
            ]
        )
    yield Table(
        "A scrape against generate_latest on the same data",
        (
            "targets",
            "generate_latest, CPU",
            "ours, CPU",
            "ratio",
            "goal",
            "if all have changed",
            "if nothing has",
            "with gzip",
            "per target",
        ),
        rows,
        "Every 15 s, targets probed every 30 s: half of them have changed from one scrape to the next, and every "
        "promise. Both bodies are the same, byte by byte. generate_latest renders a collector that yields the "
        "families; with gzip it compresses as the client library does, at level 9.",
    )
