"""How often to try again, how long to wait before it, and when to let it be."""

import asyncio
import functools
import math
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, cast, get_args

from uptime_exporter.reliability.callables import kind
from uptime_exporter.reliability.gate import CircuitOpenError

P = ParamSpec("P")
R = TypeVar("R")

Transient = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]

Retried = Literal["success", "failure", "deadline", "budget"]
"""
What became of a retry, done or not.

"success": it answered. "failure": it failed too. "deadline": it was not begun, or not ended, because the time was
over. "budget": it was not begun, because too many others were.
"""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter.

    The pause before retry *n* (from 1) is drawn evenly between half and the whole of ``backoff * 2**(n-1)``
    seconds: callers that failed together come back apart, and the longest case is known beforehand.
    """

    retries: int = 2
    """Attempts after the first."""
    backoff: float = 1.0
    """Seconds before the first retry, at most."""

    def pauses(self, uniform: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
        """Yield the pause in seconds before each retry."""
        for n in range(self.retries):
            whole = self.backoff * 2**n
            yield uniform(whole / 2, whole)

    def longest(self, timeout: float) -> float:
        """Return the seconds that all attempts of at most *timeout* seconds and the pauses can take."""
        return (self.retries + 1) * timeout + self.backoff * float(2**self.retries - 1)


class RetryBudget:
    """Keeps retries a small share of the calls, so that they don't add to what made them necessary.

    A call that answers at once pays in *share* of a retry, a retry takes out one; at most *reserve* are kept, and
    that many there are at the start. May be shared by everything that calls the same dependency.

    Args:
        share: Retries per answered call, in the long run.
        reserve: Retries that may be made in a row without any answer.

    """

    __slots__ = ("_lock", "_saved", "reserve", "share")

    def __init__(self, share: float = 0.1, reserve: float = 10.0) -> None:
        if not 0 <= share <= 1 or reserve < 1:
            raise ValueError(
                f"retry budget: share must be in 0-1 and reserve at least 1, not {share}, {reserve}"
            )
        self.share = share
        self.reserve = reserve
        self._saved = float(reserve)
        self._lock = threading.Lock()

    @property
    def saved(self) -> float:
        """How many retries may be made now."""
        return self._saved

    def pay_in(self) -> None:
        """Take note of a call that was answered at once."""
        if self._saved < self.reserve:
            with self._lock:
                self._saved = min(self.reserve, self._saved + self.share)

    def take(self) -> bool:
        """Take out one retry; return False if there is none."""
        with self._lock:
            if self._saved < 1:
                return False
            self._saved -= 1
            return True


class Retry:
    """Calls again what failed for a moment.

    ::

        patient = Retry("model_server", retry_on=(ConnectionError, TimeoutError))

        @patient          # the retry around the breaker: each attempt is a call that it sees
        @model_server
        async def ask(question): ...

    A call that the breaker refused is not tried again, nor one that was cancelled. The caller gets the last error.
    A stream can't be retried: its reader has seen a part of it.

    Args:
        name: The metrics' label ``policy``.
        retries: Attempts after the first.
        backoff: Seconds before the first retry, at most; doubles from one to the next (`RetryPolicy`).
        retry_on: What is transient, as types or as a predicate.
        deadline: Seconds that all attempts and pauses may take. A pause that would end later is not begun; a
            coroutine is stopped then, with TimeoutError. None: no limit.
        budget: Says whether there may be one retry more; None: always.
        clock: Monotonic seconds.
        sleep: Pauses a plain function's thread. A coroutine pauses with `asyncio.sleep`.
        uniform: Draws the jitter.

    Attributes:
        retries: `Retried` → how often. A call that needs no retry is not counted.

    Raises:
        ValueError: A figure makes no sense.

    """

    __slots__ = ("budget", "clock", "deadline", "name", "policy", "retries", "retry_on", "sleep", "uniform")

    def __init__(
        self,
        name: str,
        *,
        retries: int = 2,
        backoff: float = 1.0,
        retry_on: Transient = (ConnectionError, TimeoutError),
        deadline: float | None = None,
        budget: RetryBudget | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        if retries < 0 or backoff < 0 or (deadline is not None and deadline <= 0):
            raise ValueError(
                f"retry {name!r}: retries and backoff must be 0 or more, and a deadline more than 0 s; "
                f"not {retries}, {backoff}, {deadline}"
            )
        self.name = name
        self.policy = RetryPolicy(retries, backoff)
        self.retries: dict[Retried, int] = dict.fromkeys(get_args(Retried), 0)
        self.retry_on = retry_on
        self.deadline = deadline
        self.budget = budget
        self.clock = clock
        self.sleep = sleep
        self.uniform = uniform

    def __repr__(self) -> str:
        return f"<Retry {self.name!r}: {self.policy.retries} times>"

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return *function*, tried again where that may help; it is of the same kind.

        Raises:
            TypeError: *function* is a generator, or can't be called.

        """
        return functools.wraps(function)(self._patient(function))

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function*, again where that may help; what is awaitable comes back as such."""
        return self._patient(function)(*args, **kwargs)

    def is_transient(self, error: Exception) -> bool:
        """Return whether asking again may help; a refusal by a breaker is never transient."""
        if isinstance(error, CircuitOpenError):
            return False
        if isinstance(self.retry_on, type | tuple):
            return isinstance(error, self.retry_on)
        return self.retry_on(error)

    def _patient(self, function: Callable[P, R]) -> Callable[P, R]:
        match kind(function):
            case "coroutine":
                patient: Any = self._coroutine(cast("Any", function))
            case "plain":
                patient = self._plain(function)
            case stream:
                raise TypeError(
                    f"retry {self.name!r}: {function!r} is a stream ({stream}), whose reader has seen its start; "
                    "retry what it calls before its first item"
                )
        return cast("Callable[P, R]", patient)

    def _coroutine(self, function: Callable[..., Awaitable[R]]) -> Callable[..., Awaitable[R]]:
        async def patient(*args: Any, **kwargs: Any) -> R:
            course = None if self.deadline is None else _Course(self)
            while True:
                try:
                    result = await function(*args, **kwargs)
                except Exception as error:
                    course = course or _Course(self)
                    pause = course.pause_after(error)
                    if pause is None:
                        raise
                else:
                    if course is not None or self.budget is not None:
                        self._answered(course)
                    return result
                await asyncio.sleep(pause)

        return patient if self.deadline is None else self._limited(patient)

    def _limited(self, patient: Callable[..., Awaitable[R]]) -> Callable[..., Awaitable[R]]:
        async def limited(*args: Any, **kwargs: Any) -> R:
            limit = asyncio.timeout(self.deadline)
            try:
                async with limit:
                    return await patient(*args, **kwargs)
            finally:
                if limit.expired():
                    self.retries["deadline"] += 1

        return limited

    def _plain(self, function: Callable[..., R]) -> Callable[..., R]:
        def patient(*args: Any, **kwargs: Any) -> R:
            course = None if self.deadline is None else _Course(self)
            while True:
                try:
                    result = function(*args, **kwargs)
                except Exception as error:
                    course = course or _Course(self)
                    pause = course.pause_after(error)
                    if pause is None:
                        raise
                else:
                    if hasattr(result, "__await__"):
                        return cast("R", self._awaited(result, function, args, kwargs))
                    if course is not None or self.budget is not None:
                        self._answered(course)
                    return result
                self.sleep(pause)

        return patient

    def _awaited(
        self, first: Awaitable[R], function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Awaitable[R]:
        begun = [first]

        async def attempt() -> R:
            return cast("R", await (begun.pop() if begun else function(*args, **kwargs)))

        return self._coroutine(attempt)()

    def _answered(self, course: "_Course | None") -> None:
        if course is not None and course.tried:
            self.retries["success"] += 1
        elif self.budget is not None:
            self.budget.pay_in()


class _Course:
    """One call's way through its retries."""

    __slots__ = ("_ends", "_pauses", "_retry", "tried")

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._pauses = retry.policy.pauses(retry.uniform)
        self._ends = math.inf if retry.deadline is None else retry.clock() + retry.deadline
        self.tried = False

    def pause_after(self, error: Exception) -> float | None:
        """Return the seconds before the next attempt, None if there is to be none."""
        if self.tried:
            self._retry.retries["failure"] += 1
        pause = next(self._pauses, None) if self._retry.is_transient(error) else None
        if pause is None:
            return None
        refusal = self._refusal(pause)
        if refusal is not None:
            self._retry.retries[refusal] += 1
            return None
        self.tried = True
        return pause

    def _refusal(self, pause: float) -> Retried | None:
        if self._retry.clock() + pause >= self._ends:
            return "deadline"
        budget = self._retry.budget
        return None if budget is None or budget.take() else "budget"
