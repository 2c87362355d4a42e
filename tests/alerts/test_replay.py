"""What our rules make of incidents, on a real Prometheus; of all, beside the rivals: `python -m alerts.replay`."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from alerts.replay import months, rules, table
from alerts.replay.cost import costs
from alerts.replay.exporter import BEAT, REFUSED, SILENT, TARGETS, WELL, Exporter, Fate, as_it_runs
from alerts.replay.firing import spells
from alerts.replay.incidents import BEGIN, HOUR, MINUTE, Incident, everything, named
from alerts.replay.paging import Alertmanager
from alerts.replay.replay import PHASE, Measured, play, replay
from alerts.replay.samples import empty, store
from alerts.replay.unit import objections
from support.loop import FakeClock, FakeLoop
from support.prometheus import prometheus

AGE = 7 * HOUR
"""Long enough for the windows that page."""

NEAR = 0.02
"""Seconds by which a real failure is confirmed later, for the pauses between attempts."""


Ours = Callable[[Incident], Coroutine[Any, Any, Measured]]


@pytest.fixture(scope="session")
def pasts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quiet times before incidents: the same for many tests."""
    return tmp_path_factory.mktemp("pasts")


@pytest.fixture
def ours(tmp_path: Path, pasts: Path) -> Ours:
    """Measure an incident under our rules."""

    async def measured(incident: Incident) -> Measured:
        incident = replace(incident, age=min(AGE, incident.age), after=min(HOUR, incident.after))
        return (await replay(incident, [(rules.ours(), Alertmanager.of())], tmp_path, pasts))["ours"]

    return measured


def figures(page: str) -> dict[str, float]:
    """Return what a page says, but for how long probes took."""
    timed = ("uptime_probe_duration", "uptime_probe_phase", "uptime_exporter_probe_lateness", "#")
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith(timed))
    return {series: float(value) for series, value in lines}


def test_days_in_seconds_publish_what_the_real_exporter_does(tmp_path: Path) -> None:
    """An outage of one target and then of all: the same page at each scrape."""

    def story(target: str, at: float) -> Fate:
        since = at - BEGIN
        down = (300 <= since < 420 and target == "mysql") or 600 <= since < 840
        return REFUSED if down else WELL

    scrapes = [BEGIN + PHASE + 15 * n for n in range(80)]
    fast, clock = Exporter(FakeClock(BEGIN), story), FakeClock(BEGIN)
    with asyncio.Runner(loop_factory=lambda: FakeLoop(clock)) as runner:
        pages = runner.run(as_it_runs(clock, story, tmp_path / "uptime.db", scrapes))
    for at, page in zip(scrapes, pages, strict=True):
        fast.advance(at)
        told, real = figures(fast.exposition()), figures(page)
        assert told.keys() == real.keys()
        for series, value in real.items():
            near = NEAR if "_seconds" in series else 1e-4
            assert told[series] == pytest.approx(value, abs=near, rel=0), (series, at - BEGIN)


async def test_our_arithmetic_is_the_rule_managers(tmp_path: Path) -> None:
    """Minute for minute the alerts that `promtool test rules` fires, with the original files."""
    incident = replace(named("everything down for 5 minutes"), age=HOUR, after=HOUR)
    pack = rules.ours()
    samples = empty()
    for series, points in play(incident, pack.reads).samples.items():
        if not series.startswith("ALERTS"):
            samples[series] = [(at - PHASE, value) for at, value in points]
    await store(samples, tmp_path)
    start, end = BEGIN - HOUR, max(at for points in samples.values() for at, _ in points)
    async with prometheus(tmp_path, retention="10y") as server:
        fired = await spells(server.url, pack, start, end)
    assert {spell.says("burn_tier") for spell in fired} >= {"fast", "slow"}
    assert await objections(sorted(rules.OURS.glob("*.yaml")), samples, start, fired, tmp_path) == ""


@pytest.mark.parametrize(
    ("fate", "late"),
    [(REFUSED, 0), (REFUSED, 8), (REFUSED, 23), (SILENT, 4), (SILENT, 15)],
    ids=lambda value: getattr(value, "reason", value),
)
async def test_a_full_outage_pages_once_within_two_minutes(fate: Fate, late: float, ours: Ours) -> None:
    """From the start of the first failed probe until the page leaves, in whatever phase it begins."""
    incident = Incident("everything down", 5 * MINUTE, everything(fate), late=late)
    measured = await ours(incident)
    assert measured.page_after is not None
    assert measured.page_after <= 120
    assert (measured.pages, measured.false, measured.midway) == (1, 0, False)


@pytest.mark.parametrize(
    "name",
    [
        "two lost probes, 20 minutes apart",
        "two lost probes in a row",
        "one target degraded for 2 hours",
        "one lost probe of a service two hours old",
        "the ledger lost: totals begin at 0",
    ],
)
async def test_nobody_is_woken_for_nothing(name: str, ours: Ours) -> None:
    """Not by two lost probes in an hour, and not by what costs no budget."""
    measured = await ours(named(name))
    assert (measured.pages, measured.firing) == (0, 0)


@pytest.mark.parametrize(
    "name",
    [
        "everything down for 45 minutes",
        "one target after the other down, 5 minutes apart, 1 hour",
        "flapping: 2 minutes down, 3 up, for 1 hour",
        "Prometheus restarted 90 s into 45 minutes down",
        "Prometheus restarted 20 minutes into 45 minutes down",
        "the exporter gone for 20 minutes while everything is down for 45",
    ],
)
async def test_one_outage_is_one_page_until_it_is_over(name: str, ours: Ours) -> None:
    """However many targets, promises and tiers it takes along, and whatever Prometheus forgets meanwhile."""
    measured = await ours(named(name))
    assert (measured.pages, measured.midway, measured.false) == (1, False, 0)


async def test_who_goes_blind_in_an_outage_and_stays_blind_is_heard(ours: Ours) -> None:
    """The outage's page lasts half an hour longer than what was seen; then nobody sees, which is a page too."""
    incident = Incident(
        "gone in mid-outage", 2 * HOUR, everything(REFUSED), gone=(10 * MINUTE, 100 * MINUTE), after=HOUR
    )
    measured = await ours(incident)
    assert measured.pages == 3, "the outage, the blindness, and the outage that is seen again"


def test_a_slow_loss_rings_seldom() -> None:
    """One probe in a hundred, for half a day."""
    assert months.rings(months.ALL[0], 0.99, 12 * HOUR, 100) < 3


@pytest.mark.parametrize(("availability", "monthly"), [(0.9995, 0.15), (0.9997, 1 / 12)])
def test_quiet_times_stay_quiet(availability: float, monthly: float) -> None:
    """Independent single failures: fewer pages than promised, the whole 95 % interval of two centuries."""
    assert months.rate(months.ALL[0], availability, years=200).interval[1] < monthly


def noisy(target: str, since: float) -> Fate:
    """Lose single beats of every target, far more often than in any quiet month, never two in a row."""
    lost, beat = 0, int(since // BEAT)
    while Random(f"{target} {beat - lost}").random() < 0.01:
        lost += 1
    return REFUSED if lost % 2 else WELL


async def test_quiet_times_are_counted_as_prometheus_would(tmp_path: Path) -> None:
    """Hours of single failures: the same alerts begin at the same evaluations, and end within a beat."""
    incident = Incident("noisy", 6 * HOUR, noisy, age=AGE, after=3 * HOUR)
    packs = [only_burn(pack) for pack in (rules.ours(), rules.sloth(), rules.pyrra())]
    run = play(incident, {name for pack in packs for name in pack.reads})
    exporter = Exporter(FakeClock(BEGIN - AGE), incident.story)
    exporter.advance(run.end)
    lost = [sorted(at for name, at in exporter.failed if name == target) for target in TARGETS]
    await store(run.samples, tmp_path)
    async with prometheus(tmp_path, retention="10y") as server:
        for counting, pack in zip(months.ALL, packs, strict=True):
            found = await spells(server.url, pack, BEGIN - 10 * MINUTE, run.end - 15)
            real = months.union(*([(spell.begins, spell.ends)] for spell in found))
            counted = counting.fires(lost)
            assert [begins for begins, _ in real] == [first for first, _ in counted]
            assert [ends for _, ends in real] == pytest.approx(
                [last for _, last in counted], abs=2 * BEAT, rel=0
            )
            assert counted


def only_burn(pack: rules.Pack) -> rules.Pack:
    """Return the alerts that page because of burn."""
    burn = {"UptimeErrorBudgetBurn", "SlothErrorBudgetBurn", "ErrorBudgetBurn"}
    pages = {"critical", "page"}
    return rules.Pack(
        pack.name, tuple(a for a in pack.alerts if a.name in burn and not pages.isdisjoint(a.labels.values()))
    )


async def test_the_30_day_figure_costs_next_to_nothing(tmp_path: Path) -> None:
    """At most 3 % of what Sloth's way takes of the same backfilled month, by the quieter quarter of the times."""
    our, sloths = await costs(tmp_path, 6)
    assert our.figures == sloths.figures == 6
    assert our.samples <= 0.0003 * sloths.samples
    assert our.took[0] <= 0.03 * sloths.took[0]


def test_the_measured_table_is_of_these_rules() -> None:
    """README's table was measured with the rules, rivals, routes and incidents that are here."""
    assert table.told(table.README.read_text()) == table.fingerprint(), (
        "measure anew: PYTHONPATH=tests python -m alerts.replay"
    )
