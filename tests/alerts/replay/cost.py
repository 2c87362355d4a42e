"""What the 30-day figure costs a Prometheus, our way and Sloth's, on the same backfilled month."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from alerts.replay import rules
from alerts.replay.exporter import BEAT
from alerts.replay.incidents import BEGIN, DAY
from alerts.replay.samples import SCRAPED, Samples, empty, store
from support.prometheus import prometheus

DAYS = 31
TIMES = 20
OURS = ("sla:uptime_sla_downtime_seconds:increase30d", "sla:uptime_sla_uptime_seconds:increase30d")
"""From these two the ratio is computed."""
SLOTHS = "sum_over_time(slo:sli_error:ratio_rate5m[30d]) / count_over_time(slo:sli_error:ratio_rate5m[30d])"
EVALUATIONS = (1, 4)
"""A minute, ours and Sloth's: its group has no interval of its own, and Prometheus' is 15 s."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one evaluation."""

    samples: int
    """That the engine read."""
    milliseconds: float
    """Within the engine, the best of twenty; whatever else runs only adds to it."""
    figures: int
    """How many it answered."""


def month(targets: int) -> Samples:
    """Return a month of so many promises every 30 s: the ledger's totals, and what Sloth has recorded of them."""
    samples = empty()
    for place in range(targets):
        name = f"target_{place}"
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


async def costs(folder: Path, targets: int) -> tuple[Cost, Cost]:
    """Return ours and Sloth's."""
    await store(month(targets), folder)
    assert SLOTHS in (rules.RIVALS / "sloth.yaml").read_text()
    means = rules.recorded(rules.OURS.glob("*.yaml"))
    async with prometheus(folder, retention="10y") as server:
        parts = [await _cost(server.url, means[name]) for name in OURS]
        sloths = await _cost(server.url, SLOTHS)
    return Cost(sum(p.samples for p in parts), sum(p.milliseconds for p in parts), parts[0].figures), sloths


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
    return Cost(read, 1000 * min(took), len(data["result"]))
