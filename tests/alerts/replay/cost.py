"""What the 30-day figure costs a Prometheus, our way and Sloth's, on the same backfilled month."""

from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import yaml

from alerts.replay import rules
from alerts.replay.exporter import BEAT
from alerts.replay.incidents import BEGIN, DAY
from alerts.replay.samples import SCRAPED, Samples, empty, store
from support.prometheus import prometheus

DAYS = 31
TIMES = 21
GROUP = "uptime-30d"
"""All of it is ours, the ratio and what is looked up for young promises included."""
SLOTHS = "sum_over_time(slo:sli_error:ratio_rate5m[30d]) / count_over_time(slo:sli_error:ratio_rate5m[30d])"
EVALUATIONS = (1, 4)
"""A minute, ours and Sloth's: its group has no interval of its own, and Prometheus' is 15 s."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one evaluation."""

    samples: int
    """That the engine read."""
    took: tuple[float, float, float]
    """Milliseconds within the engine: the quartiles of twenty-one."""
    figures: int
    """How many it answered."""

    @property
    def milliseconds(self) -> float:
        """The median."""
        return self.took[1]


def asked() -> tuple[str, ...]:
    """Return the expressions of our 30-day figure, as Prometheus evaluates them: reading what others record."""
    files = (yaml.safe_load(path.read_text()) for path in sorted(rules.OURS.glob("*.yaml")))
    groups = [group for file in files for group in file["groups"] if group["name"] == GROUP]
    return tuple(rule["expr"] for group in groups for rule in group["rules"])


def month(targets: int) -> Samples:
    """Return a month of so many promises every 30 s: the ledger's totals, and what both have recorded of them."""
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
                if word != "unknown":
                    ours = f'sla:uptime_sla_{word}_seconds:increase30d{{sla="{name}",{SCRAPED}}}'
                    samples[ours].append((at, str(seconds)))
            recorded = "0.1" if beat % (2000 + place) < 10 else "0"
            samples[f'slo:sli_error:ratio_rate5m{{target="{name}"}}'].append((at, recorded))
    return samples


async def costs(folder: Path, targets: int) -> tuple[Cost, Cost]:
    """Return ours and Sloth's, asked in turn."""
    await store(month(targets), folder)
    assert SLOTHS in (rules.RIVALS / "sloth.yaml").read_text()
    seen: tuple[list[_Answer], list[_Answer]] = ([], [])
    async with (
        prometheus(folder, retention="10y") as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client,
    ):
        for _ in range(TIMES):
            seen[0].append(_together([await _ask(client, question) for question in asked()]))
            seen[1].append(await _ask(client, SLOTHS))
    ours, sloths = map(_cost, seen)
    return ours, sloths


@dataclass(frozen=True, slots=True)
class _Answer:
    samples: int
    milliseconds: float
    figures: int


async def _ask(client: httpx.AsyncClient, question: str) -> _Answer:
    params = {"query": question, "time": str(BEGIN - BEAT), "stats": "all"}
    data: dict[str, Any] = (await client.post("/api/v1/query", data=params)).json()["data"]
    stats = data["stats"]
    took = 1000 * stats["timings"]["execTotalTime"]
    return _Answer(stats["samples"]["totalQueryableSamples"], took, len(data["result"]))


def _together(parts: list[_Answer]) -> _Answer:
    """Return what a group of rules takes, of which the last one answers."""
    return _Answer(
        sum(part.samples for part in parts), sum(part.milliseconds for part in parts), parts[-1].figures
    )


def _cost(answers: list[_Answer]) -> Cost:
    low, middle, high = quantiles((answer.milliseconds for answer in answers), n=4)
    return Cost(answers[0].samples, (low, middle, high), answers[0].figures)
