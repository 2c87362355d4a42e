"""What the ledger costs: a beat, a scrape, a byte, a start."""

import asyncio
import gc
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.table import Table, progress, spread
from support.loop import FakeClock
from uptime_exporter.ledger import Bookkeeper, Terms
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.monitor import Histogram, Watch
from uptime_exporter.outcome import Outcome, Reason
from uptime_exporter.settings import TcpTarget

SIZES = (3, 100, 1000, 5000)
BEAT = 30.0
ROUNDS = 20
YEAR_TARGETS = 1000
OUTAGES_A_DAY = 5


def promises(number: int) -> dict[str, Terms]:
    """Return a promise for each target, and one about all of them."""
    names = tuple(f"t{n}" for n in range(number))
    return {**{name: Terms((name,)) for name in names}, "system": Terms(names)}


def outcomes(
    number: int, clock: FakeClock, down: frozenset[int] = frozenset(), interval: float = BEAT
) -> list[Outcome]:
    """Return what becomes of one beat; the probes begin a moment after each other."""
    at, monotonic = clock.wall(), clock.monotonic()
    return [
        Outcome(
            f"t{n}",
            at + n / number,
            monotonic + n / number,
            interval,
            0.1,
            Reason.CONNECT if n in down else None,
        )
        for n in range(number)
    ]


async def beats(number: int, folder: Path) -> tuple[list[float], list[float], float]:
    """Return CPU and wall seconds of each beat's work, and bytes written per probe."""
    clock = FakeClock()
    path = folder / f"{number}.db"
    books = Bookkeeper(path, clock)
    books.open(promises(number))
    cpu, wall, written = [], [], []
    for _ in range(ROUNDS + 2):
        clock.pass_time(BEAT)
        news = outcomes(number, clock)
        gc.collect()
        before, began, began_wall = _written(), time.process_time(), time.perf_counter()
        for outcome in news:
            books.sink(outcome)
        assert await books.commit()
        cpu.append(time.process_time() - began)
        wall.append(time.perf_counter() - began_wall)
        written.append((_written() - before) / number)
    await books.close()
    return cpu[2:], wall[2:], statistics.median(written[2:])


def _written() -> int:
    """Return the bytes that this process has handed to the file system."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("wchar")).partition(":")[2])


class _Shown:
    """Watches, as the exposition asks for them."""

    lateness = Histogram((0.1,))
    busy = False

    def __init__(self, watches: dict[str, Watch]) -> None:
        self.watches = watches


async def scrapes(number: int, folder: Path) -> list[float]:
    """Return CPU seconds of rendering all metrics, and of the part that is the ledger's."""
    clock = FakeClock()
    books = Bookkeeper(folder / f"scrape-{number}.db", clock)
    books.open(promises(number))
    clock.pass_time(BEAT)
    for outcome in outcomes(number, clock):
        books.sink(outcome)
    clock.pass_time(2 * BEAT)
    await books.commit()
    watches = {f"t{n}": Watch(f"t{n}", TcpTarget(host="h", port=1), clock) for n in range(number)}
    page = Exposition(_Shown(watches), books, Reloads(successful=True, at=0.0), process=False)
    taken = []
    for _ in range(7):
        began = time.process_time()
        page.render("")
        taken.append(time.process_time() - began)
    await books.close()
    return taken


async def month(folder: Path, number: int, outages: int) -> int:
    """Return the bytes of a ledger's file after 30 days in which each target has so many outages."""
    clock = FakeClock()
    path = folder / f"month-{number}-{outages}.db"
    books = Bookkeeper(path, clock)
    books.open(promises(number))
    step = 30 * 86_400 / max(outages, 1)
    for _ in range(outages):
        for down in (frozenset(range(number)), frozenset[int]()):
            for outcome in outcomes(number, clock, down, interval=step):
                books.sink(outcome)
            clock.pass_time(BEAT)
        clock.pass_time(step - 2 * BEAT)
        await books.commit()
    await books.close()
    return path.stat().st_size


async def year(folder: Path) -> tuple[list[float], int]:
    """Return the seconds in which a year of history opens, and the size of its file."""
    clock = FakeClock()
    path = folder / "year.db"
    books = Bookkeeper(path, clock)
    books.open(promises(YEAR_TARGETS))
    for day in progress("a year of history", range(365)):
        struck = frozenset((day * OUTAGES_A_DAY + outage) % YEAR_TARGETS for outage in range(OUTAGES_A_DAY))
        for down in (struck, frozenset[int]()):
            for outcome in outcomes(YEAR_TARGETS, clock, down, interval=86_400):
                books.sink(outcome)
            clock.pass_time(5 * BEAT)
        await books.commit()
        clock.pass_time(86_400 - 10 * BEAT)
    await books.close()
    opened = []
    for _ in range(5):
        again = Bookkeeper(path, clock)
        began = time.perf_counter()
        again.open(promises(YEAR_TARGETS))
        opened.append(time.perf_counter() - began)
        await again.close()
    return opened, path.stat().st_size


def measure() -> Sequence[Table]:
    """Return all tables of the ledger."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        for number in progress("a beat and a scrape", SIZES):
            cpu, wall, written = asyncio.run(beats(number, folder))
            scraped = asyncio.run(scrapes(number, folder))
            rows.append([str(number), spread(cpu), spread(wall), f"{written:.0f} B", spread(scraped)])
        few, many = asyncio.run(month(folder, 100, 2)), asyncio.run(month(folder, 100, 60))
        opened, size = asyncio.run(year(folder))
    costs = Table(
        "The ledger: a beat and a scrape",
        ("targets", "beat, CPU", "beat, wall", "written per probe", "scrape of all metrics, CPU"),
        rows,
        "A beat: all outcomes recorded, settled and committed (one transaction, synchronous to the disk); each "
        "target has a promise of its own, and one is about all of them. Median (quartiles). The scrape is "
        "the exporter's own rendering, of targets that are not probed.",
    )
    sizes = Table(
        "The ledger: size and start",
        ("what", "figure"),
        [
            ["file per target-month, 2 outages each", f"{few / 100:.0f} B"],
            ["file per target-month, 60 outages each", f"{many / 100:.0f} B"],
            [f"{YEAR_TARGETS} targets, a year, {OUTAGES_A_DAY} outages a day: file", f"{size / 1e6:.2f} MB"],
            [f"{YEAR_TARGETS} targets, a year, {OUTAGES_A_DAY} outages a day: opens in", spread(opened)],
        ],
        "It grows with outages, not with probes.",
    )
    return costs, sizes
