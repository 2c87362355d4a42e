"""The breakers that answer the questions: ours, and the rivals that pip can install, each behind the same face."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import timedelta
from importlib import metadata
from typing import Any, ClassVar

import aiobreaker  # type: ignore[import-untyped] # it has no types
import aiobreaker.state  # type: ignore[import-untyped] # it has no types
import circuitbreaker  # type: ignore[import-untyped] # it has no types
import fluxgate
import fluxgate.circuitbreaker
import fluxgate.permits
import fluxgate.retries
import fluxgate.trackers
import fluxgate.trippers
import hyx.circuitbreaker
import hyx.circuitbreaker.exceptions
import hyx.circuitbreaker.states
import interlock
import purgatory
import purgatory.domain.model
import pybreaker

from reliability.conformance.clocks import datetime_class, replaced, time_module
from support.loop import FakeClock
from uptime_exporter.reliability.breaker import CircuitBreaker, CircuitOpenError

THRESHOLD = 5
RECOVERY = 60.0
SLOW = 1.0

Work = Callable[[], Awaitable[Any]]


class Excluded(Exception):  # noqa: N818 - what it is for
    """What the dependency raises when the caller is wrong."""


class LacksError(Exception):
    """The breaker has no such feature."""


class Subject(ABC):
    """One library's breaker: five failures in a row open it for a minute, `Excluded` is excluded.

    It has a limit of a second for slow calls where the library knows one, and one trial at a time where that can be
    set.
    """

    name: ClassVar[str]
    distribution: ClassVar[str]
    refusal: ClassVar[type[Exception]]
    excludes: ClassVar[bool] = True

    @classmethod
    def clocked(cls, clock: FakeClock) -> AbstractContextManager[object]:  # noqa: ARG003 - for those that need it
        """Return a context in which the library goes by *clock*."""
        return nullcontext()

    @abstractmethod
    def __init__(self, clock: FakeClock) -> None:
        """Make the breaker."""

    @abstractmethod
    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as the library's decorator leaves it."""

    async def call(self, work: Work) -> Any:
        """Call a coroutine function through the breaker."""
        return await self.decorate(work)()


class Ours(Subject):
    """The toolkit's."""

    name = "this toolkit"
    distribution = "uptime-exporter"
    refusal = CircuitOpenError

    def __init__(self, clock: FakeClock) -> None:
        self.breaker = CircuitBreaker(
            "c",
            failure_threshold=THRESHOLD,
            recovery_timeout=RECOVERY,
            slow_call_duration=SLOW,
            exclude=Excluded,
            clock=clock.monotonic,
            wall=clock.wall,
        )

    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.breaker(function)


class Plain(Ours):
    """The toolkit's, with nothing set but the clock: the short way through it."""

    name = "this toolkit, plain"

    def __init__(self, clock: FakeClock) -> None:
        self.breaker = CircuitBreaker("c", exclude=Excluded, clock=clock.monotonic, wall=clock.wall)


class Circuitbreaker(Subject):
    """circuitbreaker."""

    name = distribution = "circuitbreaker"
    refusal = circuitbreaker.CircuitBreakerError

    @classmethod
    def clocked(cls, clock: FakeClock) -> AbstractContextManager[object]:
        return replaced(circuitbreaker, monotonic=clock.monotonic)

    def __init__(self, clock: FakeClock) -> None:
        del clock
        self.breaker = circuitbreaker.CircuitBreaker(
            failure_threshold=THRESHOLD,
            recovery_timeout=RECOVERY,
            name="c",
            expected_exception=lambda thrown, _: issubclass(thrown, Exception) and thrown is not Excluded,
        )

    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.breaker.decorate(function)  # type: ignore[no-any-return] # it has none


class Aiobreaker(Subject):
    """aiobreaker."""

    name = distribution = "aiobreaker"
    refusal = aiobreaker.CircuitBreakerError

    @classmethod
    def clocked(cls, clock: FakeClock) -> AbstractContextManager[object]:
        stack = ExitStack()
        for module in (aiobreaker.state, aiobreaker.circuitbreaker):
            stack.enter_context(replaced(module, datetime=datetime_class(clock)))
        return stack

    def __init__(self, clock: FakeClock) -> None:
        del clock
        self.breaker = aiobreaker.CircuitBreaker(THRESHOLD, timedelta(seconds=RECOVERY), exclude=[Excluded])

    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.breaker(function)  # type: ignore[no-any-return] # it has none


class Purgatory(Subject):
    """purgatory."""

    name = distribution = "purgatory"
    refusal = purgatory.domain.model.OpenedState

    @classmethod
    def clocked(cls, clock: FakeClock) -> AbstractContextManager[object]:
        return replaced(purgatory.domain.model, time=time_module(clock))

    def __init__(self, clock: FakeClock) -> None:
        del clock
        self.factory = purgatory.AsyncCircuitBreakerFactory(THRESHOLD, RECOVERY, exclude=[Excluded])

    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.factory("c")(function)  # type: ignore[no-any-return] # it says Any


class Pybreaker(Subject):
    """pybreaker; of asyncio it knows nothing, so a call may not wait for anything."""

    name = distribution = "pybreaker"
    refusal = pybreaker.CircuitBreakerError

    @classmethod
    def clocked(cls, clock: FakeClock) -> AbstractContextManager[object]:
        return replaced(pybreaker, datetime=datetime_class(clock))

    def __init__(self, clock: FakeClock) -> None:
        del clock
        self.breaker = pybreaker.CircuitBreaker(THRESHOLD, RECOVERY, exclude=[Excluded])

    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.breaker(function)

    async def call(self, work: Work) -> Any:
        waits = []

        def at_once() -> Any:
            coroutine: Any = work()
            try:
                coroutine.send(None)
            except StopIteration as end:
                return end.value
            waits.append(coroutine.close())
            return None

        try:
            return self.breaker.call(at_once)
        finally:
            if waits:
                raise LacksError("asyncio")


class Fluxgate(Subject):
    """fluxgate."""

    name = distribution = "fluxgate"
    refusal = fluxgate.CallNotPermittedError

    @classmethod
    def clocked(cls, clock: FakeClock) -> AbstractContextManager[object]:
        stack = ExitStack()
        for module in (fluxgate.circuitbreaker, fluxgate.retries, fluxgate.permits):
            stack.enter_context(replaced(module, time=time_module(clock)))
        return stack

    def __init__(self, clock: FakeClock) -> None:
        del clock
        trippers = fluxgate.trippers
        slow = trippers.MinRequests(10) & trippers.SlowRate(0.5, threshold=SLOW)
        self.breaker = fluxgate.AsyncCircuitBreaker(
            tripper=trippers.FailureStreak(THRESHOLD)
            | (trippers.HalfOpened() & trippers.FailureStreak(1))
            | slow,
            retry=fluxgate.retries.Cooldown(RECOVERY),
            permit=fluxgate.permits.All(),
            tracker=fluxgate.trackers.All() & ~fluxgate.trackers.TypeOf(Excluded),
            max_half_open_calls=1,
        )

    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.breaker(function)


class _OnlyFailures:
    """Says which outcomes interlock is to call failures."""

    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        del result
        return exception is not None and not isinstance(exception, Excluded)


class Interlock(Subject):
    """interlock-cb: it counts rates, so five failures of five calls."""

    name = distribution = "interlock-cb"
    refusal = interlock.CircuitOpenError

    def __init__(self, clock: FakeClock) -> None:
        config = interlock.Config(
            failure_rate_threshold=1.0,
            minimum_number_of_calls=THRESHOLD,
            window_size=THRESHOLD,
            slow_call_duration_threshold=SLOW,
            slow_call_rate_threshold=0.5,
            wait_duration_in_open=RECOVERY,
            permitted_calls_in_half_open=1,
        )
        self.breaker = interlock.CircuitBreaker(
            name="c", config=config, clock=clock, classifier=_OnlyFailures()
        )

    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.breaker(function)


class Hyx(Subject):
    """hyx."""

    name = distribution = "hyx"
    refusal = hyx.circuitbreaker.exceptions.BreakerFailing
    excludes = False

    @classmethod
    def clocked(cls, clock: FakeClock) -> AbstractContextManager[object]:
        return replaced(hyx.circuitbreaker.states, datetime=datetime_class(clock))

    def __init__(self, clock: FakeClock) -> None:
        del clock
        self.breaker = hyx.circuitbreaker.consecutive_breaker(
            failure_threshold=THRESHOLD, recovery_time_secs=RECOVERY, recovery_threshold=1
        )

    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.breaker(function)


RIVALS: tuple[type[Subject], ...] = (
    Circuitbreaker,
    Aiobreaker,
    Purgatory,
    Pybreaker,
    Fluxgate,
    Interlock,
    Hyx,
)


@functools.cache
def version(subject: type[Subject]) -> str:
    """Return which version of the library is installed."""
    return metadata.version(subject.distribution)
