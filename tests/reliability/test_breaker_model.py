"""The breaker against its table of transitions, whatever may happen to its calls."""

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.loop import FakeClock
from uptime_exporter.reliability.breaker import CircuitBreaker, CircuitOpenError
from uptime_exporter.reliability.states import BreakerPolicy, Closed, HalfOpen, Open, State
from uptime_exporter.reliability.window import Window

if TYPE_CHECKING:
    from uptime_exporter.reliability.gate import Ticket, Transition

RECOVERY = 60
TRIAL = 25


class Stretch:
    """A time in which nothing changed what calls mean; each begins anew after a transition or a reset."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.trial_until: float | None = None


class Calls(RuleBasedStateMachine):
    """Calls begin, end in any order and in any way, and operators step in."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.told: list[Transition] = []
        self.running: list[tuple[Ticket, Stretch]] = []
        self.ended = {"success": 0, "failure": 0, "rejected": 0}

    @initialize(threshold=st.integers(1, 4))
    def begin(self, threshold: int) -> None:
        """Make the breaker, and the table that it is held against."""
        self.policy = BreakerPolicy(threshold, RECOVERY)
        self.breaker = CircuitBreaker(
            "c",
            failure_threshold=threshold,
            recovery_timeout=RECOVERY,
            trial_timeout=TRIAL,
            listeners=(self.told.append,),
            clock=self.clock.monotonic,
            wall=self.clock.wall,
        )
        self.now = Stretch(Closed())

    def becomes(self, state: State) -> None:
        """A new stretch begins, unless only the row of failures grew."""
        if type(state) is type(self.now.state):
            self.now.state = state
        else:
            self.now = Stretch(state)

    def give_up(self) -> None:
        """A trial whose time is over has failed at that moment."""
        until = self.now.trial_until
        if until is not None and self.clock.monotonic() >= until:
            self.becomes(self.policy.after(self.now.state, until, healthy=False))

    @rule(seconds=st.sampled_from([1, 24, 25, 35, 60, 200]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.pass_time(seconds)

    @rule()
    def call(self) -> None:
        """Begin a call, which may be refused."""
        self.give_up()
        self.becomes(self.policy.before(self.now.state, self.clock.monotonic()))
        refused = isinstance(self.now.state, Open) or self.now.trial_until is not None
        if refused:
            self.ended["rejected"] += 1
            with pytest.raises(CircuitOpenError):
                self.breaker.enter()
            return
        if isinstance(self.now.state, HalfOpen):
            self.now = Stretch(HalfOpen())
            self.now.trial_until = self.clock.monotonic() + TRIAL
        self.running.append((self.breaker.enter(), self.now))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), healthy=st.sampled_from([True, False, None]))
    def end(self, data: st.DataObject, healthy: bool | None) -> None:  # noqa: FBT001 - hypothesis hands it over
        """Let any of the calls end, well, badly, or without saying anything."""
        ticket, stretch = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.give_up()
        self.breaker.settle(ticket, failed=None if healthy is None else not healthy)
        if healthy is not None:
            self.ended["success" if healthy else "failure"] += 1
        if stretch is not self.now:
            return
        stretch.trial_until = None
        if healthy is not None:
            self.becomes(self.policy.after(stretch.state, self.clock.monotonic(), healthy=healthy))

    @rule()
    def reset(self) -> None:
        """An operator closes it."""
        self.breaker.reset()
        self.now = Stretch(Closed())

    @rule()
    def force_open(self) -> None:
        """An operator opens it for good."""
        self.breaker.force_open()
        self.now = Stretch(Open(until=float("inf")))

    @invariant()
    def the_breaker_says_what_the_table_says(self) -> None:
        """State, row, counters and what listeners were told."""
        if not hasattr(self, "breaker"):
            return
        overdue = self.now.trial_until is not None and self.clock.monotonic() >= self.now.trial_until
        if not overdue:  # it notices at the next call
            assert self.breaker.state == self.now.state.name
        if isinstance(self.now.state, Closed):
            assert self.breaker.failure_count == self.now.state.failures
        if isinstance(self.now.state, Open):
            assert self.breaker.retry_in == max(0.0, self.now.state.until - self.clock.monotonic())
        assert self.breaker.calls == self.ended
        assert sum(self.breaker.transitions.values()) == len(self.told)
        for before, after in pairwise(self.told):
            assert before.after == after.before != after.after


TestCalls = Calls.TestCase


@given(
    size=st.integers(1, 12),
    minimum=st.integers(1, 12),
    rates=st.tuples(*[st.one_of(st.none(), st.sampled_from([0.1, 0.3, 0.5, 1.0]))] * 2),
    calls=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60),
)
def test_the_window_agrees_with_one_that_counts_anew(
    size: int,
    minimum: int,
    rates: tuple[float | None, float | None],
    calls: list[tuple[bool, bool]],
) -> None:
    """Its running counts are those of the latest calls."""
    window = Window(size, minimum, *rates, slow_after=1.0)
    latest: deque[tuple[bool, bool]] = deque(maxlen=size)
    for call in calls:
        latest.append(call)
        shares = [sum(kind) / len(latest) for kind in zip(*latest, strict=True)]
        too_many = any(
            limit is not None and share >= limit for share, limit in zip(shares, rates, strict=True)
        )
        assert window.add(*call) == (too_many and len(latest) >= minimum)
