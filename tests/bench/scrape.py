"""What a scrape costs, beside the client library's own rendering of the same data."""

import asyncio
import gc
import gzip
import random
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from bench.table import Goal, Table, progress, spread
from support.loop import FakeClock
from support.published import Situation
from support.stock import Stock
from uptime_exporter.app import COLLECTED
from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.span import State
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.settings import HttpTarget

SIZES = (100, 1000, 5000)
ROUNDS = 11
SCRAPE = 15.0
BOTH = (0, 1)
GOAL = Goal(0.05)
USUALLY_COLLECTED = gc.get_threshold()
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
        self.pass_time(*BOTH)
        self.page = Exposition(
            self.situation, self.situation, Reloads(successful=True, at=0.0), process=False
        )
        self.stock = Stock(self.page)
        self.loop = asyncio.Runner()

    def pass_time(self, *halves: int, committed: bool = True) -> None:
        """Let the time between two scrapes go by.

        Args:
            halves: Which halves of the targets are probed meanwhile, 0 or 1.
            committed: Whether the ledger is written meanwhile: what is told of a promise changes with that.

        """
        clock, chance = self.situation.clock, self._random.random
        for number, name in enumerate(self.situation.watches):
            if number % 2 in halves:
                phases = {
                    phase: round(chance() / 1000, 6)
                    for phase in ("resolve", "connect", "processing", "transfer")
                }
                self.situation.happen(name, None, seconds=round(chance() / 50, 6), phases=phases)
                clock.pass_time(-30)
        clock.pass_time(SCRAPE)
        if committed:
            for account in self.situation.accounts.values():
                account.add(round((clock.wall() - 1_767_225_600) * 1000), State.UP)
            self.situation.commit()

    def usually(self, *, packed: bool) -> float:
        """Return the mean CPU seconds of two scrapes: half of the targets are probed before each, one commit."""
        taken = 0.0
        for half in BOTH:
            self.pass_time(half, committed=half == 0)
            taken += self.served(packed=packed)
        return taken / 2

    def served(self, *, packed: bool) -> float:
        """Return CPU seconds of all threads, for the page alone: the loop runs anyway."""

        async def scrape() -> float:
            began = time.process_time()
            await self.page.serve("", gzip=packed)
            return time.process_time() - began

        return self.loop.run(scrape())


def cost(work: Callable[[], object], collected: Sequence[int] = USUALLY_COLLECTED) -> float:
    """Return CPU seconds of all threads, where garbage is collected that often."""
    gc.set_threshold(*collected)
    began = time.process_time()
    work()
    taken = time.process_time() - began
    gc.set_threshold(*COLLECTED)
    return taken


def scrapes(number: int) -> dict[str, list[float]]:
    """Return CPU seconds by what is measured, one figure for each round."""
    gc.set_threshold(*COLLECTED)
    crowd, taken = Crowd(number), dict[str, list[float]]()
    crowd.served(packed=False)
    for _ in range(ROUNDS):
        taken.setdefault("half", []).append(crowd.usually(packed=False))
        for what, halves in (("all", BOTH), ("nothing", ())):
            crowd.pass_time(*halves, committed=bool(halves))
            taken.setdefault(what, []).append(crowd.served(packed=False))
        taken.setdefault("stock", []).append(cost(lambda: crowd.stock.render("")))
        taken.setdefault("stock, rarely", []).append(cost(lambda: crowd.stock.render(""), COLLECTED))
        taken.setdefault("packed", []).append(crowd.usually(packed=True))
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
                ratio(taken["half"], taken["stock, rarely"]),
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
            "garbage collected rarely for both",
            "with gzip",
            "per target",
        ),
        rows,
        "Every 15 s, targets probed and the ledger written every 30 s: half of the targets have changed from one "
        "scrape to the next, and every promise from one to the one after next; the mean of two such scrapes. "
        "If all have changed, every promise has too. Both bodies are the same, byte by byte. generate_latest "
        "renders a collector that yields the families; with gzip it compresses as the client library does, at "
        "level 9. Python collects garbage as rarely as `run` has it for ours, and as usual for generate_latest, "
        "except where the table says so.",
    )
