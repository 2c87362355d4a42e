"""What vmalert makes of the same samples: the shipped rule files, replayed against a real VictoriaMetrics."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from alerts.replay.firing import STALE, Labels
from alerts.replay.rules import EVERY
from alerts.replay.samples import Samples
from support.badservers import closed_port
from support.process import eventually
from support.servers import newer

FIRING = 'last_over_time(ALERTS{alertstate="firing"}[1ms])'
"""The samples themselves, none of them held on."""
FIGURE = "sla:uptime_sla_availability:ratio30d"


@asynccontextmanager
async def victoria_metrics(folder: Path) -> AsyncIterator[str]:
    """Run a VictoriaMetrics with its data in *folder*; yield its URL."""
    address = f"127.0.0.1:{closed_port()}"
    with (folder / "victoria.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            newer("victoria-metrics"),
            f"-storageDataPath={folder / 'victoria'}",
            f"-httpListenAddr={address}",
            "-retentionPeriod=100y",
            "-search.disableCache",
            "-search.latencyOffset=0s",
            f"-search.maxStalenessInterval={STALE}",
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:

            async def ready() -> bool | None:
                try:
                    return True if (await client.get("/health")).status_code == 200 else None
                except httpx.TransportError:
                    return None

            await eventually(ready)
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was written."""

    alerts: Mapping[Labels, Sequence[float]]
    """At which evaluations each fired."""
    figures: Mapping[Labels, float]
    """The latest 30-day figures."""


async def verdicts(rules: Path, samples: Samples, start: float, end: float, folder: Path) -> Verdicts:
    """Return what the rules say from *start* to *end*; without `keep_firing_for`, which a replay leaves out.

    Args:
        rules: Where the rule files are.
        samples: What was scraped.
        start: Unix time.
        end: Unix time.
        folder: For the data.

    """
    async with (
        victoria_metrics(folder) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client,
    ):
        await _store(client, samples)
        visible = asyncio.create_task(_show_at_once(client))
        await _replay(rules, url, start, end, folder)
        visible.cancel()
        await client.get("/internal/force_flush")
        alerts = {
            _labels(each["metric"]): [round(at, 3) for at, _ in each["values"]]
            for each in await _ask(client, "query_range", FIRING, start=start, end=end, step=EVERY)
        }
        figures = {
            _labels(each["metric"]): float(each["value"][1])
            for each in await _ask(client, "query", f"last_over_time({FIGURE}[2m])", time=end)
        }
    return Verdicts(alerts, figures)


async def _ask(client: httpx.AsyncClient, how: str, query: str, **when: float) -> Any:
    params = {"query": query, "nocache": "1"} | {key: f"{value:.3f}" for key, value in when.items()}
    answer = (await client.post(f"/api/v1/{how}", data=params)).json()
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


def _labels(metric: Mapping[str, str]) -> Labels:
    return frozenset((k, v) for k, v in metric.items() if k not in ("__name__", "alertstate"))


async def _show_at_once(client: httpx.AsyncClient) -> None:
    """Let each rule see what the rules before it have recorded, which takes some seconds otherwise."""
    while True:
        await client.get("/internal/force_flush")
        await asyncio.sleep(0.1)


async def _store(client: httpx.AsyncClient, samples: Samples) -> None:
    lines = [f"{series} {value} {at * 1000:.0f}" for series, every in samples.items() for at, value in every]
    answer = await client.post("/api/v1/import/prometheus", content="\n".join([*lines, ""]))
    assert answer.status_code == 204, answer.text
    await client.get("/internal/force_flush")


async def _replay(rules: Path, url: str, start: float, end: float, folder: Path) -> None:
    log = folder / "vmalert.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            newer("vmalert"),
            f"-rule={rules}/*.yaml",
            f"-datasource.url={url}",
            f"-remoteWrite.url={url}",
            f"-replay.timeFrom={_rfc3339(start)}",
            f"-replay.timeTo={_rfc3339(end)}",
            "-replay.maxDatapointsPerQuery=10000",
            "-replay.disableProgressBar",
            f"-evaluationInterval={EVERY:g}s",
            "-remoteWrite.flushInterval=50ms",
            "-replay.rulesDelay=500ms",
            "-disableAlertgroupLabel",
            f"-httpListenAddr=127.0.0.1:{closed_port()}",
            stdout=out,
            stderr=out,
        )
    assert await process.wait() == 0, log.read_text()


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
