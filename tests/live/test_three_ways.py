"""The same downtime of the last 30 days three ways: the gauge, the report, and PromQL on a real Prometheus."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from support.loop import FakeClock
from support.prometheus import prometheus
from support.servers import need
from uptime_exporter.ledger.account import Terms
from uptime_exporter.ledger.bookkeeper import Bookkeeper
from uptime_exporter.ledger.history import read_history
from uptime_exporter.ledger.span import State
from uptime_exporter.outcome import Outcome, OwnFault, Reason
from uptime_exporter.report import Request
from uptime_exporter.report.calendar import Period
from uptime_exporter.report.findings import find

START = 1_767_225_600  # 2026-01-01
HOUR, DAY = 3600, 86_400
BEAT = 300
DAYS = 38
END = START + DAYS * DAY

DOWN = ((5 * DAY, 45 * 60), (8 * DAY + 3 * HOUR, 15 * 60), (20 * DAY, 300), (37 * DAY + 600, 2 * HOUR))
"""From the start, and for how long; the first is out of the window by now."""
GAPS = ((15 * DAY, 20 * 60), (30 * DAY, 3 * HOUR))
"""In which the exporter could find out nothing."""


@dataclass
class Told:
    """What the exporter said: its figures at the end, and its counters at each hour."""

    clock: FakeClock
    books: Bookkeeper
    ledger: Path
    samples: list[str]


def within(second: float, stretches: tuple[tuple[int, int], ...]) -> bool:
    return any(begin <= second < begin + length for begin, length in stretches)


def probed(clock: FakeClock, target: str) -> Outcome:
    """Return what becomes of a probe now; the database alone has the outages."""
    since = clock.wall() - START
    reason: OwnFault | Reason | None = None
    if within(since, GAPS):
        reason = OwnFault.RESOLVER
    elif target == "mysql" and within(since, DOWN):
        reason = Reason.CONNECT
    return Outcome(target, clock.wall(), clock.monotonic(), BEAT, 0.1, reason)


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    """Thirty-eight days with outages and gaps, kept by the real ledger."""
    clock = FakeClock(START)
    path = tmp_path / "uptime.db"
    books = Bookkeeper(path, clock)
    books.open({"system": Terms(("model_server", "mysql")), "mysql": Terms(("mysql",))})
    samples = []
    for beat in range(DAYS * DAY // BEAT + 1):
        for target in ("model_server", "mysql"):
            books.sink(probed(clock, target))
        if beat % (HOUR // BEAT) == 0:
            assert await books.commit()
            samples += [
                f'uptime_sla_{word}_seconds_total{{sla="{name}"}} {account.totals[state] / 1000} {clock.wall():.0f}'
                for name, account in books.accounts.items()
                for word, state in (("downtime", State.DOWN), ("uptime", State.UP))
            ]
        clock.pass_time(BEAT)
    yield Told(clock, books, path, samples)
    await books.close()


async def backfill(samples: list[str], folder: Path) -> None:
    """Write the samples as Prometheus' own blocks."""
    text = folder / "samples.om"
    families = sorted({line.partition("{")[0].removesuffix("_total") for line in samples})
    lines = []
    for family in families:
        lines += [
            f"# TYPE {family} counter",
            *(line for line in samples if line.startswith(f"{family}_total")),
        ]
    text.write_text("\n".join([*lines, "# EOF", ""]))
    process = await asyncio.create_subprocess_exec(
        need("promtool"),
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--max-block-duration=1000h",
        str(text),
        str(folder / "tsdb"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0


async def test_gauge_report_and_promql_agree(told: Told, tmp_path: Path) -> None:
    """To the millisecond, for a promise about one target and for one about all."""
    await backfill(told.samples, tmp_path)
    history = read_history(told.ledger)
    period = Period(END - 30 * DAY, END, ZoneInfo("UTC"))
    reported = {s.name: s for s in find(history, Request(period, END, ("all",))).statements}
    async with prometheus(tmp_path, retention="10y") as server:
        for name, account in told.books.accounts.items():
            downtime = f'uptime_sla_downtime_seconds_total{{sla="{name}"}}'
            uptime = f'uptime_sla_uptime_seconds_total{{sla="{name}"}}'
            ((_, down),) = await server.query(f"{downtime} - {downtime} offset 30d", at=END)
            ((_, up),) = await server.query(f"{uptime} - {uptime} offset 30d", at=END)
            assert round(down * 1000) == account.down == reported[name].sums[State.DOWN]
            assert up / (up + down) == pytest.approx(account.availability, abs=1e-12)
    expected = sum(length for begin, length in DOWN if begin >= (DAYS - 30) * DAY)
    assert told.books.accounts["system"].down == expected * 1000
