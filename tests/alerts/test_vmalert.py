"""Who outgrows one Prometheus keeps the rules, and what they say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.replay import rules, victoria
from alerts.replay.firing import Labels, spells, steps
from alerts.replay.incidents import BEGIN, DAY, HOUR, MINUTE, named
from alerts.replay.replay import play
from alerts.replay.rules import EVERY, Pack
from alerts.replay.samples import SCRAPED, Samples, empty, store
from support.prometheus import prometheus

AGES: Mapping[str, float] = {
    "everything down for 45 minutes": 7 * HOUR,
    "the exporter gone for 20 minutes while everything is down for 45": 7 * HOUR,
    "two lost probes in a row": HOUR,
    "one target degraded for 2 hours": HOUR,
    "a certificate that runs out in 10 days": HOUR,
    "a drain that times out": HOUR,
}
"""Incident → how long it was quiet before; each has a job of its own, so that one replay has them all."""
READ = {"uptime_sla_uptime_seconds_total"}
"""By the 30-day figure alone."""
WATCHED = 150 * MINUTE
START, END = BEGIN - 10 * MINUTE, BEGIN + WATCHED - MINUTE
CHAINED = {("alertname", "UptimeMonitorBlind"), ("severity", "warning")}
"""Reads what other alerts have just said: a replay may or may not have written that by then."""
NEAR = MINUTE
"""Seconds between the evaluations of the slowest group: how much sooner or later the same verdict may come."""


def everything(pack: Pack) -> Samples:
    """Return what was scraped of all incidents, and of a promise older than 30 days."""
    samples = empty()
    for number, (name, age) in enumerate(AGES.items()):
        incident = named(name)
        run = play(replace(incident, age=age, after=WATCHED - incident.lasts), pack.reads | READ)
        for series, points in run.samples.items():
            if not (series.startswith("ALERTS") and number):
                samples[series.replace('job="', f'job="{number}-')] += points
    for at in (*steps(END - 30 * DAY - MINUTE, END - 30 * DAY, EVERY), *steps(END - MINUTE, END, EVERY)):
        for word, rate in (("uptime", 0.998), ("downtime", 0.002), ("unknown", 0.0)):
            born = 40 * DAY * (1 - rate)  # seconds of all kinds, not in the proportion of later ones
            samples[f'uptime_sla_{word}_seconds_total{{sla="old",{SCRAPED}}}'].append(
                (at, f"{born + rate * (at - END + 31 * DAY):.3f}")
            )
    return samples


def active(pack: Pack) -> Pack:
    """Return the alerts without `keep_firing_for`."""
    return Pack(pack.name, tuple(replace(alert, keep=0.0) for alert in pack.alerts))


def stretches(moments: Iterable[float]) -> list[tuple[float, float]]:
    """Return from when to when, of evaluations at most a minute apart."""
    found: list[tuple[float, float]] = []
    for at in moments:
        begins = found.pop()[0] if found and at - found[-1][1] <= NEAR else at
        found.append((begins, at))
    return found


def near(found: Sequence[tuple[float, float]]) -> object:
    return [pytest.approx(stretch, abs=NEAR, rel=0) for stretch in found]


@pytest.mark.timeout(300)
async def test_vmalert_gives_the_verdicts_of_prometheus(tmp_path: Path) -> None:
    """Alert by alert, of every group, from the same samples: the same from when to when; and the same 30 days."""
    pack = rules.ours()
    samples = everything(pack)
    theirs = await victoria.verdicts(rules.OURS, samples, START, END, tmp_path)
    await store(samples, tmp_path)
    figure = rules.recorded(rules.OURS.glob("*.yaml"))[victoria.FIGURE]
    async with prometheus(tmp_path, retention="10y") as server:
        fired = await spells(server.url, active(pack), START, END)
        figures = {frozenset(labels.items()): value for labels, value in await server.query(figure, at=END)}
    ours: dict[Labels, list[tuple[float, float]]] = {}
    for spell in fired:
        assert not spell.labels >= CHAINED
        ours.setdefault(spell.labels, []).append((spell.begins, spell.ends))
    said = {labels: stretches(moments) for labels, moments in theirs.alerts.items() if not labels >= CHAINED}
    assert said == {labels: near(found) for labels, found in ours.items()}
    assert theirs.figures == pytest.approx(figures, abs=1e-9, rel=0)
    assert len(figures) >= 5
