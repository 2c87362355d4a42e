"""The dashboards' questions as Grafana would put them, and a real Prometheus' answers."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.prometheus import Prometheus, prometheus
from support.servers import need

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
SCRAPE = 15
"""Seconds: the data source's `timeInterval`."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Answers = dict[int, dict[str, Any]]
"""Panel → letter of the query → Prometheus' `data`."""


@dataclass(frozen=True, slots=True)
class Range:
    """The time that a dashboard shows, in Unix seconds, on a page that is so many pixels wide."""

    start: int
    end: int
    width: int = 1400

    def step(self, panel: Mapping[str, Any], target: Mapping[str, Any]) -> int:
        """Return the seconds between two points of a panel."""
        points = panel.get("maxDataPoints") or self.width * panel["gridPos"]["w"] // 24
        return max(seconds(target.get("interval") or f"{SCRAPE}s"), rounded((self.end - self.start) / points))

    def milliseconds(self) -> dict[str, int]:
        """Return it as tests/grafana/render takes it."""
        return {"from": self.start * 1000, "to": self.end * 1000}


# fmt: off
_NICE = (
    (1.5, 1), (3.5, 2), (7.5, 5), (12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120), (450, 300),
    (750, 600), (1050, 900), (1500, 1200), (2700, 1800), (5400, 3600), (9000, 7200), (16_200, 10_800),
    (32_400, 21_600), (64_800, 43_200), (math.inf, 86_400),
)
# fmt: on
"""Below so many seconds, so many: packages/grafana-data/src/datetime/rangeutil.ts, so far as it is used here."""


def rounded(seconds: float) -> int:
    """Return the interval that Grafana takes instead: `roundInterval` in its rangeutil."""
    return next(nice for below, nice in _NICE if seconds < below)


def seconds(duration: str) -> int:
    """Return how long something like 15s or 1h is."""
    return int(duration[:-1]) * UNITS[duration[-1]]


def boards() -> dict[str, dict[str, Any]]:
    """Return the committed dashboards by their uid."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def panels(board: Mapping[str, Any], *kinds: str) -> Iterator[dict[str, Any]]:
    """Yield the panels that show something, of these kinds only if any are named."""
    for panel in board["panels"]:
        if panel["type"] in kinds or (not kinds and panel["type"] != "row"):
            yield panel


def asked(expression: str, variables: Mapping[str, str], shown: Range, step: int) -> str:
    """Return an expression with Grafana's and the dashboard's variables filled in.

    Raises:
        KeyError: It has one that nobody knows.

    """
    known = {
        "__interval": f"{step}s",
        "__rate_interval": f"{max(step + SCRAPE, 4 * SCRAPE)}s",
        "__range": f"{shown.end - shown.start}s",
        "__from": str(shown.start),
        **variables,
    }
    return re.sub(r"\$\{(\w+)[\w:]*\}|\$(\w+)", lambda found: known[found[1] or found[2]], expression)


async def answers(
    server: Prometheus, board: Iterable[Mapping[str, Any]], variables: Mapping[str, str], shown: Range
) -> Answers:
    """Return what Prometheus answers to each query of these panels."""
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
        return {
            panel["id"]: {
                target["refId"]: await _ask(client, panel, target, variables, shown)
                for target in panel.get("targets", ())
            }
            for panel in board
        }


async def _ask(
    client: httpx.AsyncClient,
    panel: Mapping[str, Any],
    target: Mapping[str, Any],
    variables: Mapping[str, str],
    shown: Range,
) -> Any:
    step = shown.step(panel, target)
    query = {"query": asked(target["expr"], variables, shown, step)}
    if target.get("instant"):
        answer = await client.get("/api/v1/query", params=query | {"time": str(shown.end)})
    else:
        times = {"start": shown.start // step * step, "end": shown.end // step * step, "step": step}
        answer = await client.get("/api/v1/query_range", params=query | {k: str(v) for k, v in times.items()})
    said = answer.json()
    assert said["status"] == "success", (panel["title"], query, said)
    return said["data"] | ({} if target.get("instant") else {"step": step})


@asynccontextmanager
async def filled(folder: Path, samples: Iterable[str]) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that holds these samples, in OpenMetrics' notation and in order of their series."""
    text = folder / "samples.om"
    text.write_text("\n".join([*samples, "# EOF", ""]), encoding="utf-8")
    command = (
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--max-block-duration=1000h",
        str(text),
        str(folder / "tsdb"),
    )
    process = await asyncio.create_subprocess_exec(
        need("promtool"), *command, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
    async with prometheus(folder, retention="100y") as server:
        yield server
