"""Keeps the beat of every target, which nothing that a probe does can stop."""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType

from uptime_exporter import logs
from uptime_exporter.clock import Clock
from uptime_exporter.errors import SettingsError
from uptime_exporter.monitor.agenda import Agenda
from uptime_exporter.monitor.application import lost
from uptime_exporter.monitor.attempt import Asker
from uptime_exporter.monitor.slots import Slots
from uptime_exporter.monitor.watch import Watch
from uptime_exporter.outcome import HOLDS, Outcome, Reason, Verdict
from uptime_exporter.probes.protocol import Probe
from uptime_exporter.reliability.histogram import Histogram
from uptime_exporter.reliability.schedule import Schedule
from uptime_exporter.settings import Target

log = logs.get("monitor")

AHEAD, AHEAD_PART = 0.1, 1 / 200
"""Seconds before its time at which a probe may begin, and the part of its interval, whichever is less."""

LATENESS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)

Sink = Callable[[Outcome], None]


class _Beat:
    """What one target's probes go by.

    Attributes:
        due: Monotonic time at which the next one is, or the one that is under way was.
        task: The probe that is under way.

    """

    __slots__ = ("asker", "due", "schedule", "task", "watch")

    def __init__(self, watch: Watch, asker: Asker, due: float) -> None:
        self.watch = watch
        self.asker = asker
        self.due = due
        self.schedule = Schedule(watch.name, watch.settings.interval)
        self.task: asyncio.Task[None] | None = None

    @property
    def ahead(self) -> float:
        """Seconds by which a probe may begin too soon."""
        return min(AHEAD, AHEAD_PART * self.schedule.interval)


class Monitor:
    """Asks every target once a beat and remembers what became of it.

    Attributes:
        lateness: Seconds from when a probe was due to when it began.

    """

    def __init__(
        self, clock: Clock, build_probe: Callable[[Target], Probe], sink: Sink, slots: Slots | None = None
    ) -> None:
        self._clock = clock
        self._build_probe = build_probe
        self._sink = sink
        self._slots = slots or Slots()
        self._beats: dict[str, _Beat] = {}
        self._agenda = Agenda(clock, self._begin)
        self._watches: dict[str, Watch] = {}
        self._all_down = False
        self._witness = ""
        self.lateness = Histogram(LATENESS)

    @property
    def watches(self) -> Mapping[str, Watch]:
        """Target → what is known of it, in the order of the settings."""
        return MappingProxyType(self._watches)

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way, silent servers' apart."""
        return self._slots.held > 0

    @property
    def everything_down(self) -> bool:
        """Whether all targets, at least two, are down at once: more likely this machine's fault than theirs."""
        witness = self._watches.get(
            self._witness
        )  # asked first: an outage of thousands costs no search a probe
        if witness is None or witness.up is False:
            self._witness = next((name for name, w in self._watches.items() if w.up is not False), "")
        return len(self._watches) > 1 and not self._witness

    def stalled(self) -> list[str]:
        """Return the targets whose beat has stopped: overdue by more than 2.5 intervals."""
        now = self._clock.monotonic()
        return [name for name, beat in self._beats.items() if now - beat.due > HOLDS * beat.schedule.interval]

    async def apply(self, targets: Mapping[str, Target]) -> None:
        """Watch these targets from now on; those that go on keep what is known of them.

        Raises:
            SettingsError: A probe cannot be built; nothing was changed.

        """
        probes = {n: await self._build(n, t) for n, t in targets.items() if not self._unchanged(n, t)}
        await self._stop([name for name in self._beats if name in probes or name not in targets])
        old = self._watches
        self._watches = {name: old.get(name) or Watch(name, t, self._clock) for name, t in targets.items()}
        now = self._clock.monotonic()
        for place, (name, probe) in enumerate(probes.items()):
            watch, settings = self._watches[name], targets[name]
            if name in old:
                watch.adopt(settings)
            first = Schedule(name, settings.interval).first(now, place=place, of=len(probes))
            beat = _Beat(watch, Asker(name, settings, probe, self._clock, self._slots.slot), first)
            self._beats[name] = beat
            self._agenda.put(beat, beat.due, beat.ahead)

    async def stop(self) -> None:
        """Cancel every probe and wait until none is left."""
        await self._stop(list(self._beats))

    def reset(self, circuit: str) -> Watch:
        """Close the circuit of that name.

        Raises:
            KeyError: There is none.

        """
        watch = self._watches[circuit]
        watch.circuit.reset()
        log.info("circuit reset by hand", circuit=circuit)
        return watch

    async def _build(self, name: str, target: Target) -> Probe:
        await asyncio.sleep(0)  # thousands of them would hold up those that are watched already
        try:
            return self._build_probe(target)
        except SettingsError as error:
            raise SettingsError([f"targets.{name}.{mistake}" for mistake in error.mistakes]) from error

    def _unchanged(self, name: str, target: Target) -> bool:
        return name in self._beats and self._watches[name].settings == target

    async def _stop(self, names: list[str]) -> None:
        stopped = {self._beats.pop(name) for name in names}
        self._agenda.keep(lambda beat: beat not in stopped)
        tasks = [beat.task for beat in stopped if beat.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, beat: _Beat) -> None:
        beat.task = asyncio.create_task(self._ask(beat), name=f"beat of {beat.watch.name}")

    async def _ask(self, beat: _Beat) -> None:
        began = self._clock.monotonic()
        try:
            self._take(beat.watch, await self._outcome(beat))
        except Exception:
            log.exception("a beat has a defect; the next one follows all the same", target=beat.watch.name)
        beat.task = None
        beat.due = beat.schedule.after(began, self._clock.monotonic())
        self._agenda.put(beat, beat.due, beat.ahead)
        self._agenda.pass_on()

    async def _outcome(self, beat: _Beat) -> Outcome:
        watch = beat.watch
        let_through = watch.circuit.beat()
        if watch.settings.expensive and not let_through:
            return self._held_back(watch)
        return await beat.asker.ask(lambda: self._observe(beat))

    def _observe(self, beat: _Beat) -> None:
        self.lateness.observe(max(0.0, self._clock.monotonic() - beat.due))

    def _held_back(self, watch: Watch) -> Outcome:
        return Outcome(
            target=watch.name,
            at=self._clock.wall(),
            monotonic=self._clock.monotonic(),
            interval=watch.settings.interval,
            seconds=0.0,
            reason=Reason.CIRCUIT_OPEN,
            detail=f"held back for another {watch.circuit.retry_in or 0:.0f} s: the circuit is open",
            attempts=0,
        )

    def _take(self, watch: Watch, outcome: Outcome) -> None:
        before, state = watch.known, watch.circuit.state
        previous, since = watch.latest, watch.since
        watch.record(outcome)
        if outcome.reason is Reason.CIRCUIT_OPEN:
            watch.circuit.reject()
        elif watch.settings.serves:
            watch.circuit.feed(outcome)
        _tell(before, previous, outcome, lasted=outcome.at - since)
        _tell_lost(before, outcome)
        if watch.circuit.state.name != state.name:
            log.info("circuit changed", circuit=watch.name, was=state.name, state=watch.circuit.state.name)
        self._tell_of_all(before, outcome)
        self._sink(outcome)

    def _tell_of_all(self, before: Outcome | None, outcome: Outcome) -> None:
        if outcome.verdict is not Verdict.DOWN:
            self._all_down = self._all_down and outcome.verdict is not Verdict.UP
            return
        if self._all_down and before is not None:
            return  # one more verdict of what was said already
        is_down = self.everything_down
        if is_down and not self._all_down:
            log.error(
                "every target is down at once: look at this machine's network first",
                targets=len(self._watches),
            )
        self._all_down = is_down


def _tell(before: Outcome | None, previous: Outcome | None, outcome: Outcome, *, lasted: float) -> None:
    """Log a change of state with its reason, and nothing else."""
    why: dict[str, object] = {"target": outcome.target}
    if outcome.reason is not None:
        why |= {"reason": outcome.reason, "detail": outcome.detail, "attempts": outcome.attempts}
    if outcome.verdict is Verdict.INCONCLUSIVE:
        if previous is None or previous.reason is not outcome.reason:
            log.warning("nothing is known of the target: the fault is on our side", **why)
    elif outcome.verdict is Verdict.DOWN:
        if before is None or before.verdict is not Verdict.DOWN:
            log.warning("target is down", **why)
        elif before.reason is not outcome.reason:
            log.warning("target is down for another reason", **why)
    else:
        _tell_up(before, outcome, lasted=lasted)


def _tell_lost(before: Outcome | None, outcome: Outcome) -> None:
    """Log what of an application's answer is left out, once."""
    if (now := lost(outcome)) and now != lost(before):
        log.warning("not all of the answer is understood", target=outcome.target, left_out="; ".join(now))


def _tell_up(before: Outcome | None, outcome: Outcome, *, lasted: float) -> None:
    what = {"target": outcome.target, "said": outcome.seen.message or None}
    if before is None:
        log.info("target is up", **what, degraded=outcome.seen.degraded or None)
    elif before.verdict is Verdict.DOWN:
        log.info("target is up again", **what, down_seconds=round(lasted, 1))
    elif not before.seen.degraded and outcome.seen.degraded:
        log.warning("target is degraded", **what)
    elif before.seen.degraded and not outcome.seen.degraded:
        log.info("target is no longer degraded", **what)
