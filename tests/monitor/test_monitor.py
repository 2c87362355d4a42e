"""The beat: what it promises whatever the targets do."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from support.loop import FakeClock
from support.scripted import (
    Hanging,
    Probes,
    ScriptedProbe,
    answer,
    break_down,
    lose_descriptors,
    refuse,
    target,
)
from uptime_exporter.monitor import Monitor, Watch
from uptime_exporter.outcome import Outcome, OwnFault, Reason, Seen, Verdict
from uptime_exporter.settings import Target

Run = Callable[[Coroutine[Any, Any, None]], None]

BEAT = 30.0
CONFIRMATION = 3.0
"""The two pauses before the retries, at most."""


class Watching:
    """A monitor with scripted probes, and all that it handed on."""

    def __init__(self, clock: FakeClock, **probes: ScriptedProbe) -> None:
        self.clock = clock
        self.probes = Probes(**probes)
        self.outcomes: list[Outcome] = []
        self.monitor = Monitor(clock, self.probes.build, self.outcomes.append)

    def of(self, name: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.target == name]

    async def apply(self, **targets: Target) -> None:
        await self.monitor.apply(targets)


def state_of(watch: Watch) -> str:
    return watch.circuit.state.name


@asynccontextmanager
async def watching(clock: FakeClock, **probes: ScriptedProbe) -> AsyncIterator[Watching]:
    """Watch one target for each probe, with the seed's figures."""
    watch = Watching(clock, **probes)
    await watch.apply(**{name: target(host=name) for name in probes})
    try:
        yield watch
    finally:
        await watch.monitor.stop()


def test_each_target_is_asked_once_a_beat_at_its_own_phase(run: Run, clock: FakeClock) -> None:
    """The distance between probes is the interval, and two targets are not asked in the same instant."""

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe(), two=ScriptedProbe(lasts=0.5)) as seen:
            await asyncio.sleep(10 * BEAT)
        for name in ("one", "two"):
            starts = [outcome.monotonic for outcome in seen.of(name)][1:]
            assert len(starts) >= 9
            assert {round(b - a, 6) for a, b in pairwise(starts)} == {BEAT}
        phases = {outcome.target: outcome.monotonic % BEAT for outcome in seen.outcomes[2:]}
        assert abs(phases["one"] - phases["two"]) > 1

    run(story())


def test_the_first_probe_comes_at_once(run: Run, clock: FakeClock) -> None:
    """After a start nobody waits half a minute to learn anything."""

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe(), two=ScriptedProbe()) as seen:
            await asyncio.sleep(0.1)
            assert {o.target: o.verdict for o in seen.outcomes} == {"one": Verdict.UP, "two": Verdict.UP}

    run(story())


def test_a_lost_connection_that_a_retry_heals_is_no_outage(run: Run, clock: FakeClock) -> None:
    """One verdict, up, with the attempts counted apart."""

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe(next=[refuse])) as seen:
            await asyncio.sleep(5)
        assert [(o.verdict, o.attempts) for o in seen.outcomes] == [(Verdict.UP, 2)]
        assert seen.monitor.watches["one"].failures[Reason.CONNECT] == 0

    run(story())


def test_a_server_that_is_killed_and_comes_back_is_told_as_it_was(run: Run, clock: FakeClock) -> None:
    """Down within a beat and its confirmation; open after five beats; up at the next beat; closed 60 s later."""

    async def story() -> None:
        server = ScriptedProbe()
        async with watching(clock, model_server=server) as seen:
            watch = seen.monitor.watches["model_server"]
            await asyncio.sleep(100)
            killed, server.behaviour = clock.wall(), refuse
            await asyncio.sleep(BEAT + CONFIRMATION)
            assert watch.up is False
            assert killed <= watch.since <= killed + BEAT

            await asyncio.sleep(3 * BEAT)
            assert state_of(watch) == "closed"
            await asyncio.sleep(BEAT)
            assert state_of(watch) == "open"
            assert [o.verdict for o in seen.outcomes].count(Verdict.DOWN) == 5
            opened = watch.circuit.since

            server.behaviour = answer
            await asyncio.sleep(BEAT)
            assert watch.up is True
            assert state_of(watch) == "open"
            await asyncio.sleep(60)
            assert state_of(watch) == "closed"
            assert 60 <= watch.circuit.since - opened <= 60 + BEAT
            assert watch.circuit.transitions == {"open": 1, "half_open": 1, "closed": 1}

    run(story())


def test_an_open_circuit_does_not_blind_the_monitor(run: Run, clock: FakeClock) -> None:
    """A cheap probe goes on at every beat, so an outage is counted in full."""

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe(refuse)) as seen:
            await asyncio.sleep(45 * 60)
        downs = [o.monotonic for o in seen.outcomes if o.verdict is Verdict.DOWN]
        assert downs[-1] - downs[0] == pytest.approx(45 * 60, abs=BEAT)
        assert max(b - a for a, b in pairwise(downs)) <= 1.5 * BEAT

    run(story())


def test_an_expensive_probe_is_held_back_and_counts_as_down(run: Run, clock: FakeClock) -> None:
    """An inference is not sent into an open circuit; one trial follows after the recovery time."""

    async def story() -> None:
        probe = ScriptedProbe(refuse)
        seen = Watching(clock, one=probe)
        await seen.apply(one=target(host="one", expensive=True, retries=0, failure_threshold=2))
        await asyncio.sleep(4.2 * BEAT)
        await seen.monitor.stop()
        assert [o.reason for o in seen.outcomes] == [
            Reason.CONNECT,
            Reason.CONNECT,
            Reason.CIRCUIT_OPEN,
            Reason.CONNECT,
            Reason.CIRCUIT_OPEN,
        ]
        assert probe.asked == 3
        assert seen.monitor.watches["one"].circuit.calls == {"success": 0, "failure": 3, "rejected": 2}

    run(story())


@pytest.mark.parametrize(
    ("phase", "reason"), [("processing", Reason.TIMEOUT), ("resolve", OwnFault.RESOLVER)]
)
def test_a_probe_that_never_returns_is_ended_by_the_deadline(
    run: Run, clock: FakeClock, phase: str, reason: Reason | OwnFault
) -> None:
    """The deadline, not the target, decides how long an attempt takes; a silent resolver is not the target's."""

    async def story() -> None:
        async with watching(clock, one=Hanging(phase)) as seen:
            await asyncio.sleep(3 * 5 + CONFIRMATION + 0.1)
        (outcome,) = seen.outcomes
        assert (outcome.reason, outcome.attempts) == (reason, 3)
        assert 3 * 5 + CONFIRMATION / 2 <= outcome.seconds <= 3 * 5 + CONFIRMATION
        assert "5 s" in outcome.detail

    run(story())


def test_hanging_targets_delay_no_other(run: Run, clock: FakeClock) -> None:
    """Three hundred silent servers, more than there are slots, and the one that is well is asked on time."""

    async def story() -> None:
        silent = {f"silent_{n}": Hanging() for n in range(300)}
        async with watching(clock, well=ScriptedProbe(lasts=0.001), **silent) as seen:
            await asyncio.sleep(20 * BEAT)
        starts = [o.monotonic for o in seen.of("well")][1:]
        late = [abs(start - starts[0]) % BEAT for start in starts]
        assert all(min(seconds, BEAT - seconds) < 0.3 for seconds in late)
        assert {o.reason for o in seen.outcomes if o.target != "well"} == {Reason.TIMEOUT}
        assert len(starts) >= 18

    run(story())


def test_it_is_busy_while_a_probe_is_and_not_while_one_waits(run: Run, clock: FakeClock) -> None:
    """A page gives way to whoever would measure it; a silent server would make it wait for nothing."""

    async def story() -> None:
        async with watching(clock, quick=ScriptedProbe(lasts=0.1)) as seen:
            await asyncio.sleep(0.05)
            assert seen.monitor.busy
            await asyncio.sleep(0.1)
            assert not seen.monitor.busy
        async with watching(clock, silent=Hanging()) as seen:
            await asyncio.sleep(0.1)
            assert seen.monitor.busy
            await asyncio.sleep(0.3)
            assert not seen.monitor.busy
        assert not seen.monitor.busy

    run(story())


def test_no_target_is_asked_twice_at_once(run: Run, clock: FakeClock) -> None:
    """Attempts that take all the time there is still follow one another."""

    async def story() -> None:
        slow = ScriptedProbe(refuse, lasts=4.9)
        async with watching(clock, one=slow) as seen:
            await asyncio.sleep(20 * BEAT)
        assert slow.most_running == 1
        assert len(seen.outcomes) >= 19

    run(story())


def test_a_fault_of_our_own_is_nobodys_outage(run: Run, clock: FakeClock) -> None:
    """Without descriptors nothing is known: no failure, no success, and the breaker stays as it was."""

    async def story() -> None:
        probe = ScriptedProbe()
        async with watching(clock, one=probe) as seen:
            watch = seen.monitor.watches["one"]
            await asyncio.sleep(BEAT + 1)
            probe.behaviour = lose_descriptors
            await asyncio.sleep(BEAT)
            assert watch.up is True
            await asyncio.sleep(3 * BEAT)
            assert watch.up is None
            assert watch.probes + sum(watch.inconclusive.values()) == len(seen.outcomes)
            assert sum(watch.failures.values()) == 0
            assert watch.inconclusive[OwnFault.RESOURCES] >= 3
            assert watch.success_ratio == 1.0
            assert watch.circuit.calls["failure"] == 0
            assert watch.since == pytest.approx(seen.outcomes[watch.probes - 1].at + 2.5 * BEAT)

    run(story())


def test_a_failure_is_believed_only_if_every_attempt_found_it(run: Run, clock: FakeClock) -> None:
    """One attempt that failed by our own fault leaves room for doubt."""

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe(refuse, next=[refuse, lose_descriptors])) as seen:
            await asyncio.sleep(5)
        assert [o.reason for o in seen.outcomes] == [OwnFault.RESOURCES]

    run(story())


def test_a_defect_in_a_probe_is_logged_and_does_not_stop_the_beat(
    run: Run, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts as unknown, with its trace in the log, and the next beat comes."""

    async def story() -> None:
        probe = ScriptedProbe(break_down)
        async with watching(clock, one=probe) as seen:
            await asyncio.sleep(BEAT)
            probe.behaviour = answer
            await asyncio.sleep(BEAT)
        assert seen.outcomes[0].reason is OwnFault.INTERNAL
        assert seen.outcomes[-1].verdict is Verdict.UP

    run(story())
    assert any(r.exc_info and r.exc_info[0] is ZeroDivisionError for r in caplog.records)


def test_a_probe_that_raises_a_timeout_of_its_own_has_a_defect(run: Run, clock: FakeClock) -> None:
    """Only the deadline speaks of the deadline."""

    def give_up() -> None:
        raise TimeoutError

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe(give_up)) as seen:
            await asyncio.sleep(5)
        assert [o.reason for o in seen.outcomes] == [OwnFault.INTERNAL]

    run(story())


def test_a_sink_that_fails_loses_no_beat(
    run: Run, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The history has the outcome although nobody took it, and the log says so."""

    async def story() -> None:
        def full(_: Outcome) -> None:
            raise OSError("disk full")

        monitor = Monitor(clock, Probes(one=ScriptedProbe()).build, full)
        await monitor.apply({"one": target(host="one")})
        await asyncio.sleep(3 * BEAT)
        await monitor.stop()
        assert len(monitor.watches["one"].history) >= 3

    run(story())
    assert "disk full" in caplog.text


def test_the_last_hundred_outcomes_are_kept(run: Run, clock: FakeClock) -> None:
    """The success ratio is of these, and forgets an outage when it has gone by."""

    async def story() -> None:
        probe = ScriptedProbe(next=[refuse] * 3 * 10)
        async with watching(clock, one=probe) as seen:
            watch = seen.monitor.watches["one"]
            await asyncio.sleep(101 * BEAT)
            assert len(watch.history) == 100
            assert watch.success_ratio == pytest.approx(0.9, abs=0.02)
            await asyncio.sleep(20 * BEAT)
            assert watch.success_ratio == 1.0

    run(story())


def test_after_a_suspend_it_goes_on_from_now(run: Run, clock: FakeClock) -> None:
    """Missed beats are not made up for, nothing is known meanwhile, and the delay is measured."""

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe()) as seen:
            watch = seen.monitor.watches["one"]
            await asyncio.sleep(BEAT + 1)
            before = len(seen.outcomes)
            clock.suspend(3600)
            assert watch.up is None
            await asyncio.sleep(2 * BEAT)
            assert len(seen.outcomes) - before == 2
            assert watch.up is True
            assert seen.monitor.lateness.sum == pytest.approx(3600, abs=BEAT)

    run(story())


def test_an_attempt_that_spans_a_suspend_says_nothing(run: Run, clock: FakeClock) -> None:
    """A deadline that strikes an hour late measures the lid of the notebook, not the server."""

    async def story() -> None:
        probe = ScriptedProbe(lasts=10.0)
        async with watching(clock, one=probe) as seen:
            await asyncio.sleep(1)
            clock.suspend(3600)
            probe.lasts = 0
            await asyncio.sleep(10)
            probe.behaviour = refuse
            await asyncio.sleep(BEAT)
        assert [o.reason for o in seen.outcomes][:1] == [None]
        assert seen.outcomes[0].attempts == 2

    run(story())


def test_a_suspend_that_breaks_every_attempt_is_inconclusive(run: Run, clock: FakeClock) -> None:
    """Starved of time, the exporter blames itself."""

    async def story() -> None:
        seen = Watching(clock, one=ScriptedProbe(lasts=10.0))
        await seen.apply(one=target(host="one", retries=0))
        await asyncio.sleep(1)
        clock.suspend(3600)
        await asyncio.sleep(6)
        await seen.monitor.stop()
        assert [o.reason for o in seen.outcomes] == [OwnFault.STARVED]

    run(story())


@pytest.mark.parametrize("step", [3600, -3600])
def test_a_step_of_the_wall_clock_moves_no_beat(run: Run, clock: FakeClock, step: float) -> None:
    """Beats go by the monotonic clock."""

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe()) as seen:
            await asyncio.sleep(2 * BEAT)
            clock.step_wall(step)
            await asyncio.sleep(8 * BEAT)
        starts = [o.monotonic for o in seen.outcomes][1:]
        assert {round(b - a, 6) for a, b in pairwise(starts)} == {BEAT}

    run(story())


def test_a_reload_keeps_what_is_known_of_targets_that_stay(run: Run, clock: FakeClock) -> None:
    """One goes on untouched, one under new settings, one is gone, one is new."""

    async def story() -> None:
        names = ("stays", "changes", "goes", "comes")
        seen = Watching(clock, **{name: ScriptedProbe(refuse) for name in names})
        await seen.apply(**{name: target(host=name) for name in names[:3]})
        await asyncio.sleep(3 * BEAT)
        old = dict(seen.monitor.watches)
        counts = {name: watch.probes for name, watch in old.items()}
        await seen.apply(
            comes=target(host="comes"),
            stays=target(host="stays"),
            changes=target(host="changes", interval=60, failure_threshold=3),
        )
        assert list(seen.monitor.watches) == ["comes", "stays", "changes"]
        assert seen.monitor.watches["stays"] is old["stays"]
        assert seen.monitor.watches["changes"].probes == counts["changes"]
        await asyncio.sleep(0.1 * BEAT)
        assert seen.monitor.watches["comes"].probes in (0, 1)
        await asyncio.sleep(6 * BEAT)
        assert len(seen.of("goes")) == counts["goes"]
        assert seen.monitor.watches["changes"].circuit.transitions["open"] >= 1
        starts = [o.monotonic for o in seen.of("changes")][-3:]
        assert [b - a for a, b in pairwise(starts)] == pytest.approx([60, 60])
        await seen.monitor.stop()

    run(story())


def test_settings_that_build_no_probe_change_nothing(run: Run, clock: FakeClock) -> None:
    """What was watched before a failed reload is watched after it."""

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe()) as seen:
            with pytest.raises(KeyError):
                await seen.apply(two=target(host="unheard-of"))
            await asyncio.sleep(2 * BEAT)
            assert list(seen.monitor.watches) == ["one"]
            assert len(seen.outcomes) >= 2

    run(story())


def test_stopping_cancels_every_probe(run: Run, clock: FakeClock) -> None:
    """No task and no attempt is left, and no verdict comes of what was cut short."""

    async def story() -> None:
        hanging = Hanging()
        async with watching(clock, one=hanging) as seen:
            await asyncio.sleep(1)
            assert hanging.running == 1
        assert hanging.running == 0
        assert seen.outcomes == []
        assert len(asyncio.all_tasks()) == 1

    run(story())


def test_a_beat_that_has_stopped_is_noticed(run: Run, clock: FakeClock) -> None:
    """A probe that defies its deadline and its cancellation stalls its own target, and that is said."""

    class Defiant(ScriptedProbe):
        async def check(self, phases: object) -> Seen:  # noqa: ARG002 - never gets that far
            while clock.monotonic() < 5000:
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    continue
            return Seen()

    async def story() -> None:
        async with watching(clock, good=ScriptedProbe(), stuck=Defiant()) as seen:
            await asyncio.sleep(2 * BEAT)
            assert seen.monitor.stalled() == []
            await asyncio.sleep(BEAT)
            assert seen.monitor.stalled() == ["stuck"]
            await asyncio.sleep(5000)
            assert seen.monitor.stalled() == []

    run(story())


def test_all_targets_down_at_once_is_said_once(
    run: Run, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """When every target fails together, the log points at this machine's network."""

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe(refuse), two=ScriptedProbe(refuse)) as seen:
            await asyncio.sleep(5 * BEAT)
            assert seen.monitor.everything_down

    run(story())
    assert caplog.text.count("every target is down at once") == 1


def test_it_is_said_again_when_it_happens_again(
    run: Run, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One target that comes back, or a time in which nobody knew, ends what was said."""

    async def story() -> None:
        one = ScriptedProbe(refuse)
        async with watching(clock, one=one, two=ScriptedProbe(refuse)) as seen:
            await asyncio.sleep(5 * BEAT)
            one.next.append(answer)
            await asyncio.sleep(BEAT)
            assert not seen.monitor.everything_down
            await asyncio.sleep(3 * BEAT)
            assert caplog.text.count("every target is down at once") == 2
            clock.suspend(3600)
            assert not seen.monitor.everything_down
            await asyncio.sleep(3 * BEAT)
            assert seen.monitor.everything_down

    run(story())
    assert caplog.text.count("every target is down at once") == 3


def test_the_log_has_a_line_per_change_and_none_per_success(
    run: Run, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage of ten minutes is told in a few lines, whatever the number of beats."""
    caplog.set_level(logging.INFO)

    async def story() -> None:
        server = ScriptedProbe()
        async with watching(clock, one=server):
            await asyncio.sleep(100 * BEAT)
            server.behaviour = refuse
            await asyncio.sleep(20 * BEAT)
            server.behaviour = answer
            await asyncio.sleep(2 * BEAT)
            server.seen = Seen(degraded=True, message="half the models")
            await asyncio.sleep(20 * BEAT)

    run(story())
    events = [record.getMessage() for record in caplog.records]
    assert [e for e in events if "circuit" not in e] == [
        "target is up",
        "target is down",
        "target is up again",
        "target is degraded",
    ]


def test_resetting_a_circuit_closes_it(run: Run, clock: FakeClock) -> None:
    """An operator who knows better is believed, until the next five failures."""

    async def story() -> None:
        async with watching(clock, one=ScriptedProbe(refuse)) as seen:
            await asyncio.sleep(6 * BEAT)
            assert state_of(seen.monitor.watches["one"]) == "open"
            seen.monitor.reset("one")
            assert state_of(seen.monitor.watches["one"]) == "closed"
            with pytest.raises(KeyError):
                seen.monitor.reset("two")

    run(story())
