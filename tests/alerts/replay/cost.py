"""What the 30-day figure costs a Prometheus, our way and Sloth's, on the same backfilled month."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from alerts.replay import rules
from alerts.replay.exporter import BEAT, TARGETS
from alerts.replay.incidents import BEGIN, DAY
from alerts.replay.samples import SCRAPED, Samples, empty, store
from support.prometheus import prometheus

DAYS = 31
TIMES = 5
OURS = "sla:uptime_sla_availability:ratio30d"
SLOTHS = "slo:sli_error:ratio_rate30d"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one evaluation."""

    samples: int
    """That the engine read."""
    milliseconds: float
    """Within the engine, the median of five."""
    figures: int
    """How many it answered."""


def month() -> Samples:
    """Return a month of three promises every 30 s: the ledger's totals, and what Sloth has recorded of them."""
    samples = empty()
    for place, name in enumerate(TARGETS):
        for beat in range(int(DAYS * DAY / BEAT)):
            at = BEGIN - DAYS * DAY + beat * BEAT
            down = BEAT * (beat // (2000 + place))
            totals = {"uptime": beat * BEAT - down, "downtime": down, "unknown": 0.0}
            for word, seconds in totals.items():
                samples[f'uptime_sla_{word}_seconds_total{{sla="{name}",{SCRAPED}}}'].append(
                    (at, str(seconds))
                )
            recorded = "0.1" if beat % (2000 + place) < 10 else "0"
            samples[f'slo:sli_error:ratio_rate5m{{target="{name}"}}'].append((at, recorded))
    return samples


async def costs(folder: Path) -> tuple[Cost, Cost]:
    """Return ours and Sloth's."""
    await store(month(), folder)
    questions = (
        rules.recorded(rules.OURS.glob("*.yaml"))[OURS],
        "sum_over_time(slo:sli_error:ratio_rate5m[30d]) / count_over_time(slo:sli_error:ratio_rate5m[30d])",
    )
    assert questions[1] in (rules.RIVALS / "sloth.yaml").read_text()
    async with prometheus(folder, retention="10y") as server:
        ours, sloths = [await _cost(server.url, question) for question in questions]
    return ours, sloths


async def _cost(url: str, question: str) -> Cost:
    params = {"query": question, "time": str(BEGIN - BEAT), "stats": "all"}
    took: list[float] = []
    data: dict[str, Any] = {}
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
        for _ in range(TIMES):
            answer = (await client.post("/api/v1/query", data=params)).json()
            data = answer["data"]
            took.append(data["stats"]["timings"]["execTotalTime"])
    read = data["stats"]["samples"]["totalQueryableSamples"]
    return Cost(read, 1000 * statistics.median(took), len(data["result"]))
