"""The exporter as it publishes itself, probe by probe, with its time in a test's hands.

`Exporter` drives the real watches, circuits and ledger without an event loop, so that days pass in seconds;
`as_it_runs` lets the real monitor and bookkeeper do the same. A test shows that Prometheus cannot tell them apart.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from support.ledgers import AtOnce
from support.loop import FakeClock
from support.scripted import Probes, ScriptedProbe, target
from uptime_exporter.errors import ProbeFailure
from uptime_exporter.ledger import Account, Bookkeeper, Terms
from uptime_exporter.ledger.bookkeeper import SOONEST, STATES
from uptime_exporter.ledger.core import Ledger
from uptime_exporter.ledger.span import EXPORTER_DOWN, State
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.monitor import Histogram, Monitor, Watch
from uptime_exporter.monitor.monitor import LATENESS
from uptime_exporter.outcome import UNSEEN, Outcome, OwnFault, Reason, Seen
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.reliability.schedule import Schedule

BEAT = 30.0
TARGETS = ("model_server", "asr_ocr_server", "mysql")
PROMISES = {"system": Terms(TARGETS)} | {name: Terms((name,)) for name in TARGETS}
BEATS = dict.fromkeys(TARGETS, round(BEAT * 1000))


ATTEMPTS = 3
NO_PAUSE = 0.001
"""Seconds of `retry_backoff` at most: as good as none, since the real one varies."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to become of a probe."""

    reason: Reason | OwnFault | None = None
    seconds: float = 0.05
    """To the verdict, confirmation included."""
    seen: Seen = UNSEEN


WELL = Fate()
REFUSED = Fate(Reason.CONNECT, 2.25)
"""Three refusals, and the pauses between them at their mean."""
SILENT = Fate(Reason.TIMEOUT, 17.25)
"""Three attempts of 5 s, and the pauses."""

Story = Callable[[str, float], Fate]
"""Target and Unix time at which the probe begins → what becomes of it."""


@dataclass(frozen=True, slots=True, order=True)
class _Event:
    at: float
    order: int
    happens: Callable[[], None] = field(compare=False)


class Exporter:
    """Asks by the beat, as the story goes."""

    def __init__(self, clock: FakeClock, story: Story) -> None:
        self.clock = clock
        self.story = story
        self.ledger = Ledger()
        self.ledger.apply(PROMISES, self._now(), (), BEATS)
        self.busy = False
        self.commits = self.write_failures = 0
        self.failed: list[tuple[str, float]] = []
        self._agenda: list[_Event] = []
        self._order = count()
        self._begin()

    @property
    def accounts(self) -> Mapping[str, Account]:
        return self.ledger.accounts

    def exposition(self) -> str:
        """Return the page, or nothing while it does not run."""
        if not self.runs:
            return ""
        reloads = Reloads(successful=True, at=self.began)
        return Exposition(self, self, reloads, process=False).render("")[0].decode()

    def advance(self, until: float) -> None:
        """Let everything happen that is due before *until*."""
        while self._agenda and self._agenda[0].at <= until:
            event = heapq.heappop(self._agenda)
            self._pass_to(event.at)
            event.happens()
        self._pass_to(until)

    def stop(self) -> None:
        """Go, as after SIGTERM."""
        self.ledger.close(self._now())
        self.runs = False
        self._agenda.clear()

    def start(self, *, ledger_lost: bool = False) -> None:
        """Come back with the ledger's file, or without it."""
        now, accounts = self._now(), list(self.accounts.values())
        self.ledger = Ledger()
        if ledger_lost:
            accounts = []
        for account in accounts:
            account.add(now, State.UNKNOWN, EXPORTER_DOWN)
        self.ledger.apply(PROMISES, now, accounts, BEATS)
        self._begin()

    def _begin(self) -> None:
        self.runs = True
        self.began = self.clock.wall()
        self.lateness = Histogram(LATENESS)
        self.watches = {name: Watch(name, target(host=name), self.clock) for name in TARGETS}
        for place, name in enumerate(TARGETS):
            first = Schedule(name, BEAT).first(self.clock.monotonic(), place=place, of=len(TARGETS))
            self._plan(first - self.clock.monotonic(), partial(self.ask, name))
        self._commit()

    def _now(self) -> int:
        return round(self.clock.wall() * 1000)

    def _pass_to(self, at: float) -> None:
        self.clock.pass_time(max(0.0, at - self.clock.wall()))

    def _plan(self, after: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, _Event(self.clock.wall() + after, next(self._order), happens))

    def totals(self, name: str) -> Mapping[State, int]:
        """Return a promise's totals as of the last commit."""
        return self._published[name]

    def _commit(self) -> None:
        """Do what the bookkeeper does once a beat, and sooner after bad news."""
        self.ledger.settle(self._now())
        self._published = {name: account.totals for name, account in self.accounts.items()}
        self.commits += 1
        self._committed = self.clock.wall()
        self._plan(BEAT, partial(self._commit_again, self._committed))

    def _commit_again(self, after: float) -> None:
        if self._committed == after:
            self._commit()

    def ask(self, name: str) -> None:
        """Begin a probe."""
        watch, fate = self.watches[name], self.story(name, self.clock.wall())
        watch.circuit.beat()
        outcome = Outcome(
            target=name,
            at=self.clock.wall(),
            monotonic=self.clock.monotonic(),
            interval=BEAT,
            seconds=fate.seconds,
            reason=fate.reason,
            attempts=1 if fate.reason is None else ATTEMPTS,
            seen=fate.seen,
        )
        self._plan(fate.seconds, partial(self.take, outcome))

    def take(self, outcome: Outcome) -> None:
        """Come to a verdict."""
        watch = self.watches[outcome.target]
        watch.record(outcome)
        watch.circuit.feed(outcome)
        state, reason = STATES[outcome.verdict], str(outcome.reason or "")
        self.ledger.record(outcome.target, round(outcome.at * 1000), BEATS[outcome.target], state, reason)
        if outcome.reason is not None:
            self.failed.append((outcome.target, outcome.at))
            soonest = max(0.0, self._committed + SOONEST - self.clock.wall())
            self._plan(soonest, partial(self._commit_again, self._committed))
        due = Schedule(outcome.target, BEAT).after(outcome.monotonic, self.clock.monotonic())
        self._plan(due - self.clock.monotonic(), partial(self.ask, outcome.target))


class _Told(ScriptedProbe):
    """Answers as the story goes."""

    def __init__(self, name: str, clock: FakeClock, story: Story) -> None:
        super().__init__()
        self._name = name
        self._clock = clock
        self._story = story

    async def check(self, phases: Phases) -> Seen:
        fate = self._story(self._name, self._clock.wall())
        self.lasts = fate.seconds if fate.reason is None else fate.seconds / ATTEMPTS
        await super().check(phases)
        if isinstance(fate.reason, Reason):
            raise ProbeFailure(fate.reason, "as the story goes")
        return fate.seen


async def as_it_runs(clock: FakeClock, story: Story, ledger: Path, scrapes: Iterable[float]) -> list[str]:
    """Return what the real exporter publishes at these Unix times; on a loop that goes by *clock*.

    Args:
        clock: When it starts.
        story: What becomes of probes.
        ledger: A file that is not there yet.
        scrapes: Ascending.

    """
    books = Bookkeeper(ledger, clock, executor=AtOnce(), beat=BEAT)
    books.open(PROMISES, dict.fromkeys(TARGETS, BEAT))
    probes = Probes(**{name: _Told(name, clock, story) for name in TARGETS})
    monitor = Monitor(clock, probes.build, books.sink)
    exposition = Exposition(monitor, books, Reloads(successful=True, at=clock.wall()), process=False)
    await monitor.apply({name: target(host=name, retry_backoff=NO_PAUSE) for name in TARGETS})
    keeping = asyncio.create_task(books.run())
    pages = []
    for at in scrapes:
        await asyncio.sleep(at - clock.wall())
        pages.append(exposition.render("")[0].decode())
    await monitor.stop()
    keeping.cancel()
    await books.close()
    return pages
