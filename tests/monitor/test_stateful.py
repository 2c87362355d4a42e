"""The monitor, driven through outages, reloads, suspends and clock steps in any order."""

import asyncio
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from support.loop import FakeClock, FakeLoop
from support.scripted import (
    Behaviour,
    Probes,
    ScriptedProbe,
    answer,
    break_down,
    lose_descriptors,
    refuse,
    target,
)
from uptime_exporter.monitor import Monitor
from uptime_exporter.outcome import Outcome, Verdict

NAMES = ("ada", "bob", "cyd")
BEHAVIOURS = (answer, refuse, lose_descriptors, break_down)
BEAT = 30.0
THRESHOLD = 3


class Watched(RuleBasedStateMachine):
    """Whatever happens, the counts are those of the outcomes, and the beat is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.runner = asyncio.Runner(loop_factory=lambda: FakeLoop(self.clock))
        self.probes = Probes(**{name: ScriptedProbe() for name in NAMES})
        self.outcomes: list[Outcome] = []
        self.since_start: dict[str, int] = {}
        self.disturbed = self.clock.monotonic()
        self.runner.run(self._make())

    async def _make(self) -> None:
        self.monitor = Monitor(self.clock, self.probes.build, self.outcomes.append)

    @rule(names=st.sets(st.sampled_from(NAMES)), interval=st.sampled_from([30, 45]))
    def reload(self, names: set[str], interval: float) -> None:
        """Name other targets, or the same at another interval."""
        for name in NAMES:
            if name not in names:
                self.since_start.pop(name, None)
            elif name not in self.since_start:
                self.since_start[name] = len(self.outcomes)
        wanted = {n: target(host=n, interval=interval, failure_threshold=THRESHOLD) for n in sorted(names)}
        self.runner.run(self.monitor.apply(wanted))
        self.disturbed = self.clock.monotonic()

    @rule(
        name=st.sampled_from(NAMES), behaviour=st.sampled_from(BEHAVIOURS), lasts=st.sampled_from([0, 1, 9])
    )
    def change(self, name: str, behaviour: Behaviour, lasts: float) -> None:
        """Make a server behave otherwise."""
        self.probes.of[name].behaviour = behaviour
        self.probes.of[name].lasts = lasts

    @rule(beats=st.floats(0.1, 12))
    def wait(self, beats: float) -> None:
        """Let time go by."""
        self.runner.run(asyncio.sleep(beats * BEAT))

    @rule(seconds=st.floats(1, 20_000))
    def suspend(self, seconds: float) -> None:
        """Close the lid."""
        self.clock.suspend(seconds)
        self.disturbed = self.clock.monotonic()

    @rule(seconds=st.floats(-7200, 7200))
    def step(self, seconds: float) -> None:
        """Set the wall clock."""
        self.clock.step_wall(seconds)

    @invariant()
    def the_counts_are_those_of_the_outcomes(self) -> None:
        assert set(self.monitor.watches) == set(self.since_start)
        for name, watch in self.monitor.watches.items():
            mine = [o for o in self.outcomes[self.since_start[name] :] if o.target == name]
            verdicts = Counter(o.verdict for o in mine)
            assert watch.probes == verdicts[Verdict.UP] + verdicts[Verdict.DOWN]
            assert sum(watch.failures.values()) == verdicts[Verdict.DOWN]
            assert sum(watch.inconclusive.values()) == verdicts[Verdict.INCONCLUSIVE]
            assert list(watch.history) == [o.look for o in mine[-100:]]
            assert watch.circuit.calls == {
                "success": verdicts[Verdict.UP],
                "failure": verdicts[Verdict.DOWN],
                "rejected": 0,
            }

    @invariant()
    def the_latest_verdict_stands_for_two_and_a_half_beats(self) -> None:
        for name, watch in self.monitor.watches.items():
            mine = [o for o in self.outcomes[self.since_start[name] :] if o.target == name]
            told = [o for o in mine if o.verdict is not Verdict.INCONCLUSIVE]
            fresh = told and self.clock.monotonic() - told[-1].monotonic <= 2.5 * told[-1].interval
            assert watch.up is ((told[-1].verdict is Verdict.UP) if fresh else None)

    @invariant()
    def every_target_is_asked_on_time(self) -> None:
        """Since the last disturbance no target has gone two beats without a probe under way or done."""
        calm = self.clock.monotonic() - self.disturbed
        for name, watch in self.monitor.watches.items():
            if calm > 3 * watch.settings.interval:
                mine = (o for o in self.outcomes[self.since_start[name] :] if o.target == name)
                runs = [o.monotonic for o in mine if o.monotonic > self.disturbed]
                gaps = [b - a for a, b in zip(runs, [*runs[1:], self.clock.monotonic()], strict=True)]
                assert runs, name
                assert max(gaps) <= 2.1 * watch.settings.interval
        assert self.monitor.stalled() == [] or calm < 3 * BEAT

    @invariant()
    def at_most_one_attempt_is_under_way(self) -> None:
        assert all(probe.most_running <= 1 for probe in self.probes.of.values())

    def teardown(self) -> None:
        self.runner.run(self.monitor.stop())
        assert all(probe.running == 0 for probe in self.probes.of.values())
        self.runner.close()


TestWatched = Watched.TestCase
TestWatched.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
