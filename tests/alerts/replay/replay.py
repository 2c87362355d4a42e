"""An incident from end to end: exporter, scrapes, Prometheus, alerts, pages, and what there is to say of them."""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alerts.replay.exporter import Exporter
from alerts.replay.firing import Restart, Spell, spells
from alerts.replay.incidents import BEGIN, MINUTE, Incident
from alerts.replay.paging import Alertmanager, Page
from alerts.replay.rules import EVERY, Pack
from alerts.replay.samples import SCRAPED, Samples, empty, merge, scrape, store
from support.loop import FakeClock
from support.prometheus import prometheus

SCRAPE_EVERY = 15.0
PHASE = 7.0
"""Seconds after each evaluation at which the scrape falls; both have a phase of their own by the target's name."""
LATE = 5 * MINUTE
"""Seconds after an incident's end within which the first page still tells of it; a later one tells of nothing."""
BEFORE = 10 * MINUTE
"""Seconds that are evaluated before the incident."""
QUIET = (f"up{{{SCRAPED}}}", f"process_start_time_seconds{{{SCRAPED}}}")


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of an incident under somebody's rules; seconds."""

    pages: int
    """How often the phone rang, from the beginning on."""
    firing: int
    """Alerts that page, each time that one fired."""
    page_after: float | None
    """From the start of the first failed probe to the first page."""
    resolved_after: float | None
    """From recovery to when the last page is resolved."""
    midway: bool
    """A page was resolved while the incident went on."""
    false: int
    """Pages that nobody should have been woken by: for no incident, or begun after its end."""
    others: frozenset[str]
    """Alerts that fired and paged nobody."""


@dataclass(frozen=True, slots=True)
class Run:
    """What an incident left behind."""

    samples: Samples
    first_failure: float
    """Unix time at which the first failed probe began, or the incident where none did."""
    end: float


def play(incident: Incident, names: Collection[str], *, with_past: bool = True) -> Run:
    """Return what Prometheus scrapes of an incident and, unless that is stored already, of the time before it."""
    start, end = BEGIN - incident.age, BEGIN + incident.lasts + incident.after
    exporter = Exporter(FakeClock(start), incident.story)
    tape = _Tape(incident, exporter, names)
    if has_quiet_past(incident):
        if with_past:
            merge(tape.samples, past(incident.age, frozenset(names)))
        exporter.advance(BEGIN - PHASE)
        start = BEGIN
    tape.run(start, end)
    failed = [at for _, at in exporter.failed if at >= BEGIN]
    return Run(tape.samples, min(failed, default=BEGIN), end)


def has_quiet_past(incident: Incident) -> bool:
    """Return whether nothing happened before the incident, so that it shares its past with others."""
    return not incident.earlier


@cache
def past(age: float, names: frozenset[str]) -> Samples:
    """Return what was scraped in a quiet time before an incident: the same for all."""
    incident = Incident("quiet", 0.0, age=age)
    exporter = Exporter(FakeClock(BEGIN - age), incident.story)
    tape = _Tape(incident, exporter, names)
    tape.run(BEGIN - age, BEGIN)
    return tape.samples


class _Tape:
    """Scrapes while the exporter runs, and evaluates the one rule whose past others ask for."""

    def __init__(self, incident: Incident, exporter: Exporter, names: Collection[str]) -> None:
        self.samples = empty()
        self._incident = incident
        self._exporter = exporter
        self._names = names

    def run(self, start: float, end: float) -> None:
        """Scrape from *start* up to but not including *end*."""
        at = start
        while at < end:
            self._evaluation(at)
            self._scrape(at + PHASE)
            at += SCRAPE_EVERY

    def _scrape(self, at: float) -> None:
        self._come_and_go(at)
        self._exporter.advance(at)
        if self._away(at):
            return
        scrape(self._exporter.exposition(), at, self._names, self.samples)
        self._add("up", at, float(self._exporter.runs))
        if self._exporter.runs:
            self._add("process_start_time_seconds", at, self._exporter.began)
        if self._incident.extra is not None:
            for series, value in self._incident.extra(at - BEGIN).items():
                self.samples[series].append((at, str(value)))

    def _come_and_go(self, at: float) -> None:
        if self._incident.gone is None:
            return
        leaves, returns = (BEGIN + seconds for seconds in self._incident.gone)
        if self._exporter.runs and leaves <= at < returns:
            self._exporter.advance(leaves)
            self._exporter.stop()
        elif not self._exporter.runs and at >= returns:
            self._exporter.advance(returns)
            self._exporter.start(ledger_lost=self._incident.ledger_lost)

    def _add(self, name: str, at: float, value: float) -> None:
        self.samples[f"{name}{{{SCRAPED}}}"].append((at, str(value)))

    def _evaluation(self, at: float) -> None:
        if not self._away(at):
            watchdog = 'ALERTS{alertname="UptimeWatchdog",alertstate="firing",severity="none"}'
            self.samples[watchdog].append((at, "1"))

    def _away(self, at: float) -> bool:
        return any(BEGIN + begins <= at < BEGIN + ends for begins, ends in self._incident.restarts)


async def replay(
    incident: Incident, packs: Sequence[tuple[Pack, Alertmanager]], folder: Path, pasts: Path | None = None
) -> dict[str, Measured]:
    """Return pack → what it makes of the incident.

    Args:
        incident: What happens.
        packs: Each with who tells of it.
        folder: For Prometheus.
        pasts: Where quiet times before incidents are kept, for the next incident.

    """
    names = frozenset(name for pack, _ in packs for name in pack.reads)
    kept = pasts is not None and has_quiet_past(incident)
    if pasts is not None and kept:
        shutil.copytree(await _stored_past(incident.age, names, pasts), folder / "tsdb")
    run = play(incident, names, with_past=not kept)
    await store(run.samples, folder)
    async with prometheus(folder, retention="10y") as server:
        found = {pack.name: await fired(server.url, pack, incident, run) for pack, _ in packs}
    return {pack.name: measure(incident, run, found[pack.name], am) for pack, am in packs}


async def _stored_past(age: float, names: frozenset[str], pasts: Path) -> Path:
    folder = pasts / f"{age:g}"
    if not folder.exists():
        folder.mkdir()
        await store(past(age, names), folder)
    return folder / "tsdb"


async def fired(url: str, pack: Pack, incident: Incident, run: Run) -> list[Spell]:
    restarts = [Restart(BEGIN + begins, BEGIN + ends) for begins, ends in incident.restarts]
    start = BEGIN - min(BEFORE, incident.age / 2)
    return await spells(url, pack, start, run.end - EVERY, restarts)


def measure(incident: Incident, run: Run, fired: Sequence[Spell], alertmanager: Alertmanager) -> Measured:
    """Return what there is to say of an incident."""
    over, pages = BEGIN + incident.late + incident.lasts, alertmanager.pages(fired)
    of_it = [p for p in pages if run.first_failure <= p.begins < over] or _late(pages, over)
    last = max((page.ends for page in of_it), default=None)
    paging = {name for page in pages for name in page.alerts}
    return Measured(
        pages=len(pages),
        firing=sum(1 for spell in fired if alertmanager.wakes(spell)),
        page_after=of_it[0].begins - run.first_failure if of_it else None,
        resolved_after=None if last is None else last - over,
        midway=_resolved_midway(of_it, over),
        false=len(pages) - (0 if incident.wakes is False else len(of_it)),
        others=frozenset(spell.says("alertname") for spell in fired) - paging - {"UptimeWatchdog"},
    )


def _late(pages: Sequence[Page], over: float) -> list[Page]:
    """Return the page that tells of an incident just after its end."""
    return [page for page in pages if over <= page.begins < over + LATE][:1]


def _resolved_midway(pages: Sequence[Page], over: float) -> bool:
    """Return whether there is a time between the first page and the end in which none is open."""
    told_until = pages[0].ends if pages else over
    for page in pages:
        if page.begins > told_until:
            return True
        told_until = max(told_until, page.ends)
    return told_until < over
