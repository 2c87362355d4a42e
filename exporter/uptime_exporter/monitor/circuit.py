"""The breaker that a caller with the target's parameters would have, fed by outcomes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from uptime_exporter.clock import Clock
from uptime_exporter.outcome import Outcome, Verdict
from uptime_exporter.reliability.states import BreakerPolicy, Closed, Open, State, StateName

STATES: tuple[StateName, ...] = get_args(StateName)

NO_TRANSITIONS: Mapping[StateName, int] = MappingProxyType(dict.fromkeys(STATES, 0))
"""Shared by all circuits that have never changed, which are most."""

DIGITS = 3
"""Of a Unix time: what lies behind a millisecond means nothing here, and makes the page longer."""


class Circuit:
    """One target's breaker.

    It never holds back a cheap probe: it says what a caller would meet. Such a caller would still fail fast for the
    whole recovery time, although a probe succeeds meanwhile, so successes of those 60 seconds don't close it.

    Attributes:
        state: As of the latest beat.
        since: Unix time of the latest transition, or of the start.
        last_failure: Unix time of the latest failure, None before the first.
        transitions: State entered → how often.
        changes: How often anything of this has changed.
        turns: How often the state has.

    """

    __slots__ = (
        *(
            "_clock",
            "_failed",
            "_rejected",
            "_succeeded",
            "changes",
            "last_failure",
            "name",
            "policy",
            "since",
        ),
        *("state", "transitions", "turns"),
    )

    def __init__(self, name: str, policy: BreakerPolicy, clock: Clock) -> None:
        self.name = name
        self.policy = policy
        self._clock = clock
        self.state: State = Closed()
        self.since = round(clock.wall(), DIGITS)
        self.last_failure: float | None = None
        self.transitions = NO_TRANSITIONS
        self.changes = self.turns = 0
        self._succeeded = self._failed = self._rejected = 0

    @property
    def calls(self) -> Mapping[str, int]:
        """``success``, ``failure`` or ``rejected`` → how often."""
        return {"success": self._succeeded, "failure": self._failed, "rejected": self._rejected}

    @property
    def failures(self) -> int:
        """In a row; while the circuit is not closed, as many as opened it."""
        return self.state.failures if isinstance(self.state, Closed) else self.policy.threshold

    @property
    def states(self) -> Mapping[str, float]:
        """1 for the present state, 0 for the others."""
        return {state: float(self.state.name == state) for state in STATES}

    @property
    def retry_in(self) -> float | None:
        """Seconds until a trial is allowed, None unless open."""
        if not isinstance(self.state, Open):
            return None
        return max(0.0, self.state.until - self._clock.monotonic())

    def beat(self) -> bool:
        """Begin a beat; return whether a caller would be let through."""
        self._enter(self.policy.before(self.state, self._clock.monotonic()))
        return not isinstance(self.state, Open)

    def reject(self) -> None:
        """Count a probe that was held back."""
        self._rejected += 1
        self.changes += 1

    def feed(self, outcome: Outcome) -> None:
        """Take what became of a probe; an inconclusive one changes nothing."""
        if outcome.verdict is Verdict.INCONCLUSIVE:
            return
        healthy = outcome.verdict is Verdict.UP
        self.changes += 1
        if healthy:
            self._succeeded += 1
        else:
            self._failed += 1
            self.last_failure = outcome.at
        self._enter(self.policy.after(self.state, self._clock.monotonic(), healthy=healthy))

    def reset(self) -> None:
        """Close it, as an operator who knows that the target is well again."""
        self._enter(Closed())

    def _enter(self, state: State) -> None:
        if state.name != self.state.name:
            self.transitions = {**self.transitions, state.name: self.transitions[state.name] + 1}
            self.since = round(self._clock.wall(), DIGITS)
            self.changes += 1
            self.turns += 1
        self.state = state
