"""Keeps the ledger while the exporter runs: takes in outcomes, and makes them last once a beat."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from uuid import uuid4

from uptime_exporter import logs
from uptime_exporter.clock import Clock
from uptime_exporter.errors import LedgerError
from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.archive import Archive, Found, Written
from uptime_exporter.ledger.core import Ledger
from uptime_exporter.ledger.now import LedgerTime
from uptime_exporter.ledger.pending import Pending
from uptime_exporter.ledger.span import EXPORTER_DOWN, NOT_WATCHED, Millis, Span, State
from uptime_exporter.ledger.store import BITE, Batch, Kept, Standing
from uptime_exporter.ledger.timeline import Timeline
from uptime_exporter.ledger.trouble import InUseError
from uptime_exporter.outcome import Outcome, Verdict
from uptime_exporter.settings import Sla

log = logs.get("ledger")

DAY: Millis = 86_400_000
RETENTION: Millis = 400 * DAY
"""For how long closed spans are kept: a year and a month."""

SHORTEST, LONGEST = 1.0, 30.0
"""Seconds between two commits."""

SOONEST = 1.0
"""Seconds between two commits while something is down: the alerts stand on what is committed."""

NO_TIME: Mapping[State, Millis] = dict.fromkeys(State, 0)

STATES: Mapping[Verdict, State] = {
    Verdict.UP: State.UP,
    Verdict.DOWN: State.DOWN,
    Verdict.INCONCLUSIVE: State.UNKNOWN,
}

NO_INTERVALS: Mapping[str, float] = MappingProxyType({})

SLICE = 128
"""Accounts that are copied at once: some tenths of a millisecond."""

T = TypeVar("T")


def terms_of(promises: Mapping[str, Sla]) -> dict[str, Terms]:
    """Return the promises of the settings as the ledger counts: in milliseconds."""
    return {
        name: Terms(tuple(sla.targets), sla.objective, round(sla.window * 1000))
        for name, sla in promises.items()
    }


def beat_of(intervals: Iterable[float]) -> float:
    """Return the seconds between two commits: the shortest of the targets' intervals, within reason."""
    return min(LONGEST, max(SHORTEST, min(intervals, default=LONGEST)))


class Bookkeeper:
    """Owns the accounts and their file; whatever becomes of the file, the accounts go on.

    Attributes:
        beat: Seconds between two commits; may be changed.
        commits: How many there were; those that failed count too, and so does the start.
        write_failures: Commits that failed.
        trouble: What is wrong with the file and what to do about it, in one line; None while all is well.

    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        beat: float = LONGEST,
        retention: Millis = RETENTION,
        executor: Executor | None = None,
    ) -> None:
        """Do nothing yet.

        Args:
            path: The ledger's file.
            clock: Where time comes from.
            beat: Seconds between two commits.
            retention: Milliseconds for which closed spans are kept.
            executor: Where the file is written; None: a thread of its own.

        """
        self.beat = beat
        self.commits = 0
        self.write_failures = 0
        self.trouble: str | None = None
        self._archive = Archive(path, clock)
        self._executor = executor or ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._time = LedgerTime(clock)
        self._retention = retention
        self._retire_at = self._time.began + DAY
        self._id = uuid4().hex
        self._merged = False
        self._ledger = Ledger()
        self._promises: Mapping[str, Terms] = {}
        self._beats: Mapping[str, Millis] = {}
        self._former: dict[str, Account] = {}
        self._pending = Pending()
        self._published: Mapping[str, Standing] = {}
        self._applied = 0
        self._stale: set[str] = set()
        self._wake = asyncio.Event()
        self._job: asyncio.Task[bool] | None = None
        self._closed = False

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Promise → its account; those that the settings name."""
        return self._ledger.accounts

    @property
    def timeline(self) -> Timeline:
        """What date a moment of ledger time was."""
        return self._time.timeline

    def open(self, promises: Mapping[str, Terms], intervals: Mapping[str, float] = NO_INTERVALS) -> None:
        """Go on where the file stands, with these promises.

        Args:
            promises: Name → terms.
            intervals: Target → seconds from one probe to the next.

        Raises:
            LedgerError: Another exporter writes to the file. Any other trouble is only noted.

        """
        self._promises = promises
        self._keep_beat(intervals)
        try:
            found = self._archive.find({name: terms.window for name, terms in promises.items()})
        except InUseError:
            raise
        except LedgerError as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - probing goes on whatever it is; the log has it
            self._has_a_defect(error)
        else:
            self._merged = True
            if found is not None:
                self._go_on(found)
        self._apply(promises, self._time.began)
        self._publish({a.name: Standing.of(a, watched=watched) for a, watched in self._known()})

    def sink(self, outcome: Outcome) -> None:
        """Take in what became of a probe; raises nothing and never waits."""
        if self._closed:
            return
        try:
            at, interval = self._time.of(outcome.monotonic), round(outcome.interval * 1000)
            verdict, reason = outcome.verdict, outcome.reason or ""
            self._ledger.record(outcome.target, at, interval, STATES[verdict], str(reason))
            if verdict is Verdict.DOWN:
                self._wake.set()
        except Exception:
            log.exception("the ledger has a defect: an outcome is not accounted for", target=outcome.target)

    def apply(self, promises: Mapping[str, Terms], intervals: Mapping[str, float] = NO_INTERVALS) -> None:
        """Account for these promises from now on; a window of another length is filled from the file soon.

        Args:
            promises: Name → terms.
            intervals: Target → seconds from one probe to the next.

        """
        self._keep_beat(intervals)
        self._apply(promises, self._time.now())
        self._wake.set()

    def totals(self, name: str) -> Mapping[State, Millis]:
        """Return what a promise's totals were at the last commit, all 0 for one that was never committed.

        What is published is on the disk: a counter that a crash takes back would look to Prometheus like one that
        began anew, and its increase would be the whole of it. While the file is in trouble they go on all the same.
        """
        standing = self._published.get(name)
        return NO_TIME if standing is None else standing.totals

    async def run(self) -> None:
        """Commit once a beat, until cancelled; sooner after a change of promises, and while something is down."""
        while True:
            self._wake.clear()
            await self.commit()
            await asyncio.sleep(min(SOONEST, self.beat))
            try:
                async with asyncio.timeout(self.beat - SOONEST):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def commit(self) -> bool:
        """Settle what no news can change any more and make it last; return whether it does.

        There is one commit at a time; cancelling the caller does not interrupt it.
        """
        if self._job is None:
            self._job = asyncio.create_task(self._commit(), name="commit of the ledger")
            self._job.add_done_callback(self._done)
        return await asyncio.shield(self._job)

    async def close(self) -> None:
        """Settle everything up to now, make it last, and let go of the file; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._job is not None:
            await asyncio.shield(self._job)
        self._ledger.close(self._time.now())
        await self.commit()
        try:
            await self._aside(self._archive.close)
        except LedgerError as error:
            log.warning("the ledger was not closed as it should be; nothing is lost", why=str(error))
        self._executor.shutdown(wait=False)

    def _keep_beat(self, intervals: Mapping[str, float]) -> None:
        self._beats = {target: round(interval * 1000) for target, interval in intervals.items()}
        if intervals:
            self.beat = beat_of(intervals.values())

    def _apply(self, promises: Mapping[str, Terms], now: Millis) -> None:
        self._applied += 1
        before = dict(self._ledger.accounts)
        lengths = {name: account.terms.window for name, account in (before | self._former).items()}
        returning = [self._former.pop(name) for name in promises if name in self._former]
        self._ledger.apply(promises, now, returning, self._beats)
        self._former |= {name: account for name, account in before.items() if name not in promises}
        self._pending.take([*before.values(), *returning, *self._former.values()])
        self._promises = promises
        self._stale |= {name for name, t in promises.items() if lengths.get(name, t.window) != t.window}

    def _done(self, _job: asyncio.Task[bool]) -> None:
        self._job = None

    async def _commit(self) -> bool:
        try:
            self._look_at_the_clock()
            await self._settle()
            result = await self._write()
            if isinstance(result, Found):
                self._merge(result)
                result = await self._write()
        except LedgerError as error:
            self._failed(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - probing goes on whatever it is; the log has it
            self._has_a_defect(error)
            return False
        self._succeeded()
        return isinstance(result, Written)

    async def _write(self) -> Written | Found:
        self._stale &= self._promises.keys()
        standings = await self._copied()
        batch, stale = self._batch(standings), {name: self._promises[name].window for name in self._stale}
        try:
            result = await self._aside(lambda: self._archive.write(batch, stale, merged=self._merged))
        finally:
            self._publish(standings)
        if isinstance(result, Written):
            self._written(batch, result, stale)
        return result

    def _publish(self, standings: Mapping[str, Standing]) -> None:
        self._published = standings
        self.commits += 1

    def _aside(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def _settle(self) -> None:
        if not self._closed:
            for _ in self._ledger.settling(self._time.now()):
                await asyncio.sleep(0)
        self._pending.take(self._ledger.accounts.values())
        self._pending.bound()

    def _known(self) -> list[tuple[Account, bool]]:
        """Return all accounts, and whether the settings name them."""
        accounts, former = self._ledger.accounts.values(), self._former.values()
        return [(account, True) for account in accounts] + [(account, False) for account in former]

    async def _copied(self) -> Mapping[str, Standing]:
        """Copy how each account stands, with its spans, a bite at a time: probes that are due begin in between.

        What comes in meanwhile counts for the accounts that follow, and for the others in the next commit.
        """
        while True:
            standings, applied = dict[str, Standing](), self._applied
            for number, (account, watched) in enumerate(self._known(), start=1):
                if account.closed:
                    self._pending.take((account,))
                standings[account.name] = Standing.of(account, watched=watched)
                if number % SLICE == 0:
                    await asyncio.sleep(0)
            if applied == self._applied:
                return standings

    def _batch(self, standings: Mapping[str, Standing]) -> Batch:
        now, wall = self._time.now(), self._time.wall()
        kept = Kept(self._id, now, wall, tuple(self.timeline.adjustments), tuple(standings.values()))
        return Batch(kept, self._pending.all(), self._retire(now, wall))

    def _retire(self, now: Millis, wall: Millis) -> Millis | None:
        """Return before when spans may go, once a day; by date, since a clock may have been years ahead once."""
        return self.timeline.moment((wall - self._retention) / 1000) if now >= self._retire_at else None

    def _written(self, batch: Batch, written: Written, asked: Mapping[str, Millis]) -> None:
        self._merged = True
        self._pending.drop(len(batch.spans))
        if batch.retire is not None and written.retired < BITE:
            self._retire_at = batch.kept.moment + DAY
        for name, past in written.past.items():
            if name in self._promises and self._promises[name].window == asked[name]:
                self._stale.discard(name)
            self._rewind(name, past)

    def _rewind(self, name: str, past: Iterable[Span]) -> None:
        account = self._ledger.accounts.get(name)
        if account is not None:
            account.rewind([*past, *self._pending.of(name), *account.closed])

    def _go_on(self, found: Found) -> Millis:
        """Take up the accounts of the file, what lies between as unknown time; return how far time has moved."""
        kept = found.kept
        self._id = kept.id
        shift = self._time.go_on(kept.moment, kept.wall, Timeline(list(kept.adjustments)))
        self._retire_at = self._time.began + DAY
        if self._time.lag > 0:
            log.warning(
                "the wall clock is behind the ledger's last entry: how long nobody was there is not known",
                seconds=self._time.lag / 1000,
            )
        for standing in kept.standings:
            past, terms = found.past.get(standing.name, ()), self._promises.get(standing.name)
            account = standing.restored(past, terms)
            if standing.watched:
                account.add(self._time.began, State.UNKNOWN, EXPORTER_DOWN)
            self._former[standing.name] = account
        return shift

    def _merge(self, found: Found) -> None:
        """Put what was accounted for without the file behind what the file holds."""
        now = self._time.now()
        self._ledger.close(now)
        own = [*self._ledger.accounts.values(), *self._former.values()]
        self._pending.take(own)
        written = {account.name: self._pending.of(account.name) for account in own}
        self._pending, self._former, self._ledger = Pending(), {}, Ledger()
        shift = self._go_on(found)
        for account in own:
            last = [] if account.open is None else [account.open]
            self._append(account, [*written[account.name], *last], shift)
        self._merged = True
        self._apply(self._promises, now + shift)
        log.info("the ledger can be read again: its totals and those since the start have been added up")

    def _append(self, account: Account, spans: Iterable[Span], shift: Millis) -> None:
        known = self._former.get(account.name)
        if known is None:
            known = self._former[account.name] = Account(account.name, account.terms, account.born + shift)
        known.add(account.born + shift, State.UNKNOWN, NOT_WATCHED)
        for span in spans:
            known.add(span.end + shift, span.state, span.reason)

    def _look_at_the_clock(self) -> None:
        step = self._time.look()
        if step:
            log.warning("the wall clock was set; no total changes by that", seconds=step / 1000)

    def _failed(self, why: str) -> None:
        self.write_failures += 1
        if self.trouble is None:
            log.error("the ledger cannot be written; probing goes on, and what is pending is kept", why=why)
        self.trouble = why

    def _has_a_defect(self, error: Exception) -> None:
        log.error("the ledger has a defect; the next beat tries again", exc_info=error)
        self._failed(f"the ledger has a defect ({type(error).__name__}); the log has its trace")

    def _succeeded(self) -> None:
        if self.trouble is not None:
            log.info("the ledger is written again; what was pending is in it", failed=self.write_failures)
        self.trouble = None
