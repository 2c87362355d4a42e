"""Decides which calls may begin, and learns from what became of them."""

import logging
import math
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from uptime_exporter.reliability.states import StateName
from uptime_exporter.reliability.window import Window

_log = logging.getLogger(__name__)

Ticket = tuple[int, float]
"""Which stretch of which state a call began in, and when (monotonic seconds; 0 where nobody asks)."""

Excluded = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]

# `+= 1` on a slot is one step between two switches of threads only where there is a global interpreter lock; builds
# without one have a "t" in their flags (PEP 703).
_COUNTS_ARE_ATOMIC = "t" not in getattr(sys, "abiflags", "")


class CircuitOpenError(Exception):
    """A call was refused, because what it would call is not well."""

    @property
    def circuit(self) -> str:
        """The breaker's name."""
        return str(self.args[0])

    @property
    def retry_in(self) -> float:
        """Seconds after which asking again makes sense; infinite while the circuit is forced open."""
        return float(self.args[1])

    def __str__(self) -> str:
        """Say whose circuit, and for how long."""
        if math.isinf(self.retry_in):
            return f"circuit {self.circuit!r} is forced open; reset it to close it"
        return f"circuit {self.circuit!r} is open; try again in {self.retry_in:.3g} s"


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a circuit's state."""

    circuit: str
    before: StateName
    after: StateName
    at: float
    """Unix time."""


Listener = Callable[[Transition], object]


class Gate:
    """The states of a circuit, its counters and its lock.

    `enter` gives a ticket, `settle` takes it back with the verdict. A ticket names the stretch of the state that
    the call began in: if the circuit has moved meanwhile, the call is counted, and moves nothing. A trial that has
    not ended in its time has failed. It never holds on to an exception.

    Attributes:
        name: The dependency's, as in metrics.
        state: As of the latest call: an open circuit says "open" until a call comes after the recovery time.
        since: Unix time of the latest transition, or of the start.
        failure_count: Failures in a row; while not closed, those that there were when it opened.
        last_failure: Unix time of the latest failure, None before the first.
        listeners: Are told each transition, outside the lock; what they raise is logged and goes no further.

    """

    __slots__ = (
        "_calls_failed",
        "_calls_rejected",
        "_calls_succeeded",
        "_clock",
        "_era",
        "_excluded",
        "_free",
        "_lock",
        "_news",
        "_times_closed",
        "_times_half_open",
        "_times_open",
        "_trial",
        "_until",
        "_wall",
        "_window",
        "failure_count",
        "failure_threshold",
        "last_failure",
        "listeners",
        "name",
        "recovery_timeout",
        "since",
        "state",
        "trial_timeout",
    )

    def __init__(
        self,
        name: str,
        *,
        failure_threshold: int,
        recovery_timeout: float,
        trial_timeout: float,
        exclude: Excluded,
        window: Window | None,
        listeners: tuple[Listener, ...],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.name = name
        self.failure_threshold = failure_threshold
        self.recovery_timeout = recovery_timeout
        self.trial_timeout = trial_timeout
        self.listeners = listeners
        self.state: StateName = "closed"
        self.since = wall()
        self.failure_count = 0
        self.last_failure: float | None = None
        self._excluded = exclude
        self._window = window
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._news: tuple[Transition, ...] = ()
        self._free: Ticket | None = None
        self._era = 0
        self._until = -math.inf
        self._trial = False
        self._calls_succeeded = self._calls_failed = self._calls_rejected = 0
        self._times_closed = self._times_open = self._times_half_open = 0
        self._begin_closed()

    @property
    def calls(self) -> Mapping[str, int]:
        """How many calls ended well, failed and were refused; cancelled and excluded ones are none of these."""
        return {
            "success": self._calls_succeeded,
            "failure": self._calls_failed,
            "rejected": self._calls_rejected,
        }

    @property
    def transitions(self) -> Mapping[StateName, int]:
        """State entered → how often."""
        return {
            "closed": self._times_closed,
            "open": self._times_open,
            "half_open": self._times_half_open,
        }

    @property
    def retry_in(self) -> float | None:
        """Seconds until a trial is allowed, None unless open; infinite while forced open."""
        return max(0.0, self._until - self._clock()) if self.state == "open" else None

    def reset(self) -> None:
        """Close it and forget what was; calls that are under way move nothing any more."""
        with self._lock:
            self._move("closed")
        self._tell()

    def force_open(self) -> None:
        """Refuse every call until `reset`."""
        with self._lock:
            self._open_until(math.inf)
        self._tell()

    def enter(self) -> Ticket:
        """Return the ticket of a call that may begin now.

        Raises:
            CircuitOpenError: It may not.

        """
        return self._free or self._enter()

    def settle(self, ticket: Ticket, *, failed: bool | None) -> None:
        """Take what became of a call: whether it failed, or None if that says nothing about the dependency."""
        with self._lock:
            now = self._clock()
            if self._trial and now >= self._until:
                self._give_up_on_the_trial()
            if failed:
                self._calls_failed += 1
                self.last_failure = self._wall()
            elif failed is not None:
                self._calls_succeeded += 1
            if ticket[0] == self._era:
                self._learn(ticket, now, failed=failed)
        if self._news:
            self._tell()

    def says_nothing(self, error: BaseException) -> bool:
        """Return whether *error* is neither success nor failure: a cancellation, a refusal, or excluded."""
        if not isinstance(error, Exception) or isinstance(error, CircuitOpenError):
            return True
        if isinstance(self._excluded, type | tuple):
            return isinstance(error, self._excluded)
        return self._excluded(error)

    def _enter(self) -> Ticket:
        era, now = self._era, self._clock()
        if self.state == "closed":
            return era, now
        left = self._until - now
        if left <= 0 or self.state != "open":
            return self._try(now)
        if _COUNTS_ARE_ATOMIC:
            self._calls_rejected += 1
        else:
            with self._lock:
                self._calls_rejected += 1
        raise CircuitOpenError(self.name, left)

    def _try(self, now: float) -> Ticket:
        with self._lock:
            ticket, until = self._admit(now), self._until
        if self._news:
            self._tell()
        if ticket is None:
            raise CircuitOpenError(self.name, max(0.0, until - now))
        return ticket

    def _admit(self, now: float) -> Ticket | None:
        if self._trial and now >= self._until:
            self._give_up_on_the_trial()
        if self.state == "open" and now >= self._until:
            self._move("half_open")
        if self.state == "closed":
            return self._era, now
        if self.state == "open" or self._trial:
            self._calls_rejected += 1
            return None
        self._trial = True
        self._until = now + self.trial_timeout
        return self._era, now

    def _give_up_on_the_trial(self) -> None:
        self._open_until(self._until + self.recovery_timeout)

    def _learn(self, ticket: Ticket, now: float, *, failed: bool | None) -> None:
        window = self._window
        slow = window is not None and now - ticket[1] >= window.slow_after
        if self.state == "half_open":
            self._judge_the_trial(now, failed=failed, slow=slow)
            return
        if failed is not None:
            self.failure_count = self.failure_count + 1 if failed else 0
        elif not slow:
            return
        too_bad = window is not None and window.add(failed is True, slow)
        if too_bad or self.failure_count >= self.failure_threshold:
            self._open_until(now + self.recovery_timeout)

    def _judge_the_trial(self, now: float, *, failed: bool | None, slow: bool) -> None:
        if failed or slow:
            self._open_until(now + self.recovery_timeout)
        elif failed is None:
            self._trial = False  # the next caller tries
        else:
            self._move("closed")

    def _open_until(self, until: float) -> None:
        self._until = until
        self._move("open")

    def _move(self, state: StateName) -> None:
        self._era += 1
        self._trial = False
        self._free = None
        if state != self.state:
            self._count(state)
        if state == "closed":
            self._begin_closed()

    def _begin_closed(self) -> None:
        self.failure_count = 0
        if self._window is not None:
            self._window.clear()
        is_free = self._window is None and _COUNTS_ARE_ATOMIC
        self._free = (self._era, 0.0) if is_free else None

    def _count(self, state: StateName) -> None:
        before, self.state, self.since = self.state, state, self._wall()
        if state == "open":
            self._times_open += 1
        elif state == "closed":
            self._times_closed += 1
        else:
            self._times_half_open += 1
        if self.listeners:
            self._news += (Transition(self.name, before, state, self.since),)

    def _tell(self) -> None:
        with self._lock:
            news, self._news = self._news, ()
        for transition in news:
            for listener in self.listeners:
                try:
                    listener(transition)
                except Exception:  # noqa: BLE001 - whatever it is, the call goes on
                    _log.exception("a listener of circuit %r failed", self.name)
