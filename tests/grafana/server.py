"""A real Prometheus that remembers the month, with what the rules would have recorded of it."""

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from alerts.replay import rules, samples
from grafana import history
from grafana.build import limits
from grafana.reading import Asked, View
from support.prometheus import Prometheus, prometheus

RECORDED = tuple(
    rule["record"]
    for rule in limits.rules()
    if rule.get("record", "").endswith(
        (":burn1h", ":burn6h", ":burn1d", ":burn3d", ":ratio1h", ":ratio5m", "s:sum")
    )
)
"""Recorded series that dashboards read; none is made of another."""

ALERTS = (
    "UptimeSLABreached",
    "UptimeErrorBudgetLow",
    "UptimeTargetDown",
    "UptimeTargetDegraded",
    "UptimeCircuitOpen",
    "UptimeCertificateExpiring",
    "UptimeShutdownTimeout",
    "UptimeRequestFailureRateHigh",
)
"""Those that the month makes fire, but for the burn of budgets, whose rules take long to go through once more."""

Result = list[dict[str, Any]]
"""What Prometheus answers: series with their labels and values."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A Prometheus that can be asked as Grafana asks."""

    url: str

    async def ask(self, asked: Asked, view: View) -> Result:
        """Return the answer; an error of Prometheus fails the test with the query."""
        step = view.step(asked)
        expr = view.expr(asked)
        if asked.instant:
            return await self._get("query", expr, time=view.now)
        begin = (view.now - view.seconds) // step * step
        return await self._get("query_range", expr, start=begin, end=view.now // step * step, step=step)

    async def over(self, expr: str, begin: float, end: float, step: float) -> Result:
        """Return the answer over a range."""
        return await self._get("query_range", expr, start=begin, end=end, step=step)

    async def series(self, selector: str, label: str, view: View) -> set[str]:
        """Return the values of a label, as a variable asks for them."""
        params = {"match[]": selector, "start": view.now - view.seconds, "end": view.now}
        answer = await self._request(f"label/{label}/values", params)
        return set(answer)

    async def _get(self, how: str, expr: str, **params: float) -> Result:
        answer = await self._request(how, {"query": expr, **params})
        result: Result = answer["result"]
        return result

    async def _request(self, path: str, params: Mapping[str, Any]) -> Any:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as client:
            answer = (
                await client.get(f"/api/v1/{path}", params={k: str(v) for k, v in params.items()})
            ).json()
        assert answer["status"] == "success", (answer, params)
        return answer["data"]


@asynccontextmanager
async def remembering(folder: Path) -> AsyncIterator[Memory]:
    """Run a Prometheus over the blocks in *folder*."""
    async with prometheus(folder, retention="10y") as server:
        yield Memory(server.url)


async def build(folder: Path) -> None:
    """Write the month into *folder*: what was scraped, and then what rules make of it."""
    await samples.store(history.happened(), folder)
    async with prometheus(folder, retention="10y") as server:
        ruled = await _ruled(server)
    await samples.store(ruled, folder)


async def _ruled(server: Prometheus) -> samples.Samples:
    """Return recorded series and firing alerts, as often as there are scrapes."""
    memory, made = Memory(server.url), samples.empty()
    for rule in limits.rules():
        if rule.get("record") in RECORDED:
            await _evaluate(memory, rule["expr"], {"__name__": rule["record"]}, made)
    for alert in rules.ours().alerts:
        if alert.name in ALERTS:
            labels = {"__name__": "ALERTS", "alertname": alert.name, "alertstate": "firing"}
            await _evaluate(memory, alert.expr, labels | dict(alert.labels), made, value="1")
    return made


async def _evaluate(
    memory: Memory, expr: str, labels: Mapping[str, str], made: samples.Samples, *, value: str = ""
) -> None:
    seldom = (history.START + history.SELDOM, history.END, history.SELDOM)
    spells = (seldom, *((*spell, history.CLOSE) for spell in history.CLOSELY))
    points: dict[str, dict[float, str]] = {}
    for begin, end, step in spells:
        for found in await memory.over(expr, begin, end, step):
            metric = found["metric"] | labels
            name = metric.pop("__name__")
            inside = ",".join(f'{key}="{word}"' for key, word in sorted(metric.items()))
            points.setdefault(f"{name}{{{inside}}}", {}).update(
                (at, value or said) for at, said in found["values"]
            )
    for series, known in points.items():
        made[series] = sorted(known.items())


@contextmanager
def once(folder: Path) -> Iterator[Path]:
    """Let one of several processes build the month, and the others wait for it; yield where it lies."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "built").exists():
            asyncio.run(build(folder))
            (folder / "built").touch()
    yield folder


def shared(base: Path) -> Path:
    """Return a folder that all workers of one run of tests have in common."""
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "grafana-month"


def copied(month: Path, folder: Path) -> Path:
    """Return a copy of the month that a Prometheus of its own may use."""
    shutil.copytree(month / "tsdb", folder / "tsdb", ignore=shutil.ignore_patterns("lock", "wal"))
    return folder
