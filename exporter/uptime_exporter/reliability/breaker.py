"""Stops calling what fails, and finds out with one call at a time whether it is well again."""

import functools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from uptime_exporter.reliability.callables import STREAMS, is_async_stream, is_stream, kind
from uptime_exporter.reliability.gate import (
    CircuitOpenError,
    Excluded,
    Gate,
    Listener,
    Ticket,
    Transition,
)
from uptime_exporter.reliability.window import Window

__all__ = ["Block", "CircuitBreaker", "CircuitOpenError", "Transition"]

P = ParamSpec("P")
R = TypeVar("R")

NEVER = float("inf")


class CircuitBreaker(Gate):
    """Fails fast while a dependency fails.

    ::

        model_server = CircuitBreaker("model_server")

        @model_server
        async def ask(question): ...

    The decorator takes functions, coroutine functions, methods, partials, lambdas, objects that can be called, and
    generators of both sorts, whose call lasts until they end. `call` does the same once, `guard` for a block of
    code. May be used from any thread and event loop. Guard a call once: within a trial, another call through the
    same breaker is refused.

    A failure is an exception that is not excluded. Cancellation, `KeyboardInterrupt` and the like say nothing about
    the dependency, nor does a refusal by another breaker, nor a stream that its reader leaves.

    Args:
        name: The dependency's; the metrics' label ``circuit``.
        failure_threshold: Failures in a row that open the circuit.
        recovery_timeout: Seconds for which it stays open before one call is let through as a trial.
        trial_timeout: Seconds after which a trial that has not ended has failed; unsaid, the recovery time.
        exclude: Exceptions that say nothing about the dependency, as types or as a predicate.
        failure_rate: Share (0-1) of failures among the latest calls that opens it too; None: any share may fail.
        slow_call_duration: Seconds from which a call is slow, even a cancelled one, but no stream; None: none is.
        slow_call_rate: Share (0-1) of slow calls among the latest that opens it. A slow trial has failed.
        window: How many of the latest calls the rates are about.
        minimum_calls: How many there must be.
        listeners: Are told each `Transition`.
        clock: Monotonic seconds.
        wall: Unix seconds.

    Raises:
        ValueError: A figure makes no sense.

    """

    __slots__ = ("__weakref__",)

    def __init__(
        self,
        name: str,
        *,
        failure_threshold: int = 5,
        recovery_timeout: float = 60.0,
        trial_timeout: float | None = None,
        exclude: Excluded = (),
        failure_rate: float | None = None,
        slow_call_duration: float | None = None,
        slow_call_rate: float = 0.5,
        window: int = 100,
        minimum_calls: int = 10,
        listeners: tuple[Listener, ...] = (),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        trial_timeout = recovery_timeout if trial_timeout is None else trial_timeout
        _require(
            name, failure_threshold >= 1, f"failure_threshold must be at least 1, not {failure_threshold}"
        )
        _require(
            name, recovery_timeout > 0, f"recovery_timeout must be more than 0 s, not {recovery_timeout}"
        )
        _require(name, trial_timeout > 0, f"trial_timeout must be more than 0 s, not {trial_timeout}")
        rates = _rates(
            name,
            failure_rate=failure_rate,
            slow_call_duration=slow_call_duration,
            slow_call_rate=slow_call_rate,
            window=window,
            minimum_calls=minimum_calls,
        )
        super().__init__(
            name,
            failure_threshold=failure_threshold,
            recovery_timeout=recovery_timeout,
            trial_timeout=trial_timeout,
            exclude=exclude,
            window=rates,
            listeners=listeners,
            clock=clock,
            wall=wall,
        )

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name!r}: {self.state}>"

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return *function*, guarded; it is of the same kind.

        Raises:
            TypeError: *function* can't be called.

        """
        return functools.wraps(function)(self._guarded(function))

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function* once, guarded; what is awaitable or a stream comes back as such.

        Raises:
            CircuitOpenError: It was not called; what is deferred raises it when it begins.

        """
        return self._guarded(function)(*args, **kwargs)

    def _guarded(self, function: Callable[P, R]) -> Callable[P, R]:
        match kind(function):
            case "coroutine":
                guarded: Any = self._coroutine(cast("Any", function))
            case "generator":
                guarded = self._generator(cast("Any", function))
            case "async_generator":
                guarded = self._async_generator(cast("Any", function))
            case _:
                guarded = self._plain(function)
        return cast("Callable[P, R]", guarded)

    def guard(self) -> "Block":
        """Return a guard for one block of code, for ``with`` and ``async with``."""
        return Block(self)

    def __enter__(self) -> None:
        """Begin a block that ends in the same task or thread; `guard` has no such limit."""
        block = Block(self)
        block.__enter__()
        _blocks.set((*_blocks.get(), block))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        blocks = _blocks.get()
        mine = next((block for block in reversed(blocks) if block.breaker is self), None)
        if mine is None:
            raise RuntimeError(
                f"circuit {self.name!r}: block left in another context; use `with breaker.guard():`"
            )
        _blocks.set(tuple(block for block in blocks if block is not mine))
        mine.__exit__(kind, error, trace)

    async def __aenter__(self) -> None:
        """Begin a block that ends in the same task; `guard` has no such limit."""
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def failed(self, ticket: Ticket, error: BaseException) -> None:
        """Take back the ticket of a call that ended with *error*."""
        self.settle(ticket, failed=None if self.says_nothing(error) else True)

    def succeeded(self, ticket: Ticket) -> None:
        """Take back the ticket of a call that ended well."""
        if ticket is self._free and not self.failure_count:
            self._calls_succeeded += 1
        else:
            self.settle(ticket, failed=False)

    def _coroutine(self, function: Callable[..., Awaitable[R]]) -> Callable[..., Awaitable[R]]:
        async def guarded(*args: Any, **kwargs: Any) -> R:
            ticket = self._free or self._enter()
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                self.failed(ticket, error)
                raise
            # What `succeeded` does, without the price of a call.
            if ticket is self._free and not self.failure_count:
                self._calls_succeeded += 1
            else:
                self.settle(ticket, failed=False)
            return result

        return guarded

    def _plain(self, function: Callable[..., R]) -> Callable[..., R]:
        def guarded(*args: Any, **kwargs: Any) -> R:
            ticket = self._free or self._enter()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self.failed(ticket, error)
                raise
            if isinstance(result, STREAMS) or hasattr(result, "__await__"):
                return cast("R", self._deferred(ticket, result))
            if ticket is self._free and not self.failure_count:
                self._calls_succeeded += 1
            else:
                self.settle(ticket, failed=False)
            return result

        return guarded

    def _generator(
        self, function: Callable[..., Generator[Any, Any, R]], ticket: Ticket | None = None
    ) -> Callable[..., Generator[Any, Any, R]]:
        def guarded(*args: Any, **kwargs: Any) -> Generator[Any, Any, R]:
            mine = ticket or self._of_a_stream(self.enter())
            try:
                result = yield from function(*args, **kwargs)
            except BaseException as error:
                self.failed(mine, error)
                raise
            self.settle(mine, failed=False)
            return result

        return guarded

    def _async_generator(
        self, function: Callable[..., AsyncGenerator[Any, Any]], ticket: Ticket | None = None
    ) -> Callable[..., AsyncGenerator[Any, Any]]:
        async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            mine = ticket or self._of_a_stream(self.enter())
            try:
                items = function(*args, **kwargs)
                step = items.asend(None)
                while True:
                    item = await step
                    # There is no `yield from` for these: what the reader sends and throws is handed on by hand.
                    try:
                        step = items.asend((yield item))
                    except GeneratorExit:
                        await items.aclose()
                        raise
                    except BaseException as error:  # noqa: BLE001 - it is the other generator's to judge
                        step = items.athrow(error)
            except StopAsyncIteration:
                self.settle(mine, failed=False)
            except BaseException as error:
                self.failed(mine, error)
                raise

        return guarded

    def _deferred(self, ticket: Ticket, result: Any) -> Any:
        if is_async_stream(result):
            return self._async_generator(lambda: result, self._of_a_stream(ticket))()
        if is_stream(result):
            return self._generator(lambda: result, self._of_a_stream(ticket))()
        return self._awaited(ticket, result)

    async def _awaited(self, ticket: Ticket, work: Awaitable[R]) -> R:
        try:
            result = await work
        except BaseException as error:
            self.failed(ticket, error)
            raise
        self.succeeded(ticket)
        return result

    @staticmethod
    def _of_a_stream(ticket: Ticket) -> Ticket:
        """Return the ticket of a call that is never slow: how long a stream lasts is its reader's doing too."""
        return (ticket[0], NEVER)


class Block:
    """One guarded block of code."""

    __slots__ = ("_ticket", "breaker")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self._ticket: Ticket | None = None

    def __enter__(self) -> None:
        """Begin.

        Raises:
            CircuitOpenError: The block does not run.

        """
        self._ticket = self.breaker.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is None:
            return
        if error is None:
            self.breaker.succeeded(ticket)
        else:
            self.breaker.failed(ticket, error)

    async def __aenter__(self) -> None:
        """Begin.

        Raises:
            CircuitOpenError: The block does not run.

        """
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


_blocks: ContextVar[tuple[Block, ...]] = ContextVar("guarded blocks", default=())
"""Those of ``with breaker:``, which gives no place to keep a ticket."""


def _require(name: str, is_so: object, otherwise: str) -> None:
    if not is_so:
        raise ValueError(f"circuit {name!r}: {otherwise}")


def _rates(
    name: str,
    *,
    failure_rate: float | None,
    slow_call_duration: float | None,
    slow_call_rate: float,
    window: int,
    minimum_calls: int,
) -> Window | None:
    if failure_rate is None and slow_call_duration is None:
        return None
    _require(
        name,
        failure_rate is None or 0 < failure_rate <= 1,
        f"failure_rate must be in (0, 1], not {failure_rate}",
    )
    _require(name, 0 < slow_call_rate <= 1, f"slow_call_rate must be in (0, 1], not {slow_call_rate}")
    _require(
        name,
        1 <= minimum_calls <= window,
        f"minimum_calls must be from 1 to window={window}, not {minimum_calls}",
    )
    if slow_call_duration is None:
        return Window(window, minimum_calls, failure_rate, None, NEVER)
    _require(
        name, slow_call_duration > 0, f"slow_call_duration must be more than 0 s, not {slow_call_duration}"
    )
    return Window(window, minimum_calls, failure_rate, slow_call_rate, slow_call_duration)
