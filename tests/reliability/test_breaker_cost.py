"""What a breaker costs stays small; tests/bench/reliability_calls.py measures it closely."""

import gc
import itertools
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress

from uptime_exporter.reliability.breaker import CircuitBreaker, CircuitOpenError
from uptime_exporter.reliability.retry import Retry

BREAKERS = 500
CALLS = 300
ROUNDS = 60


async def answer() -> int:
    return 1


async def seconds(call: Callable[[], Awaitable[int]]) -> float:
    """Return the CPU seconds of many calls."""
    began = time.process_time()
    for _ in range(CALLS):
        await call()
    return time.process_time() - began


async def test_a_call_through_a_closed_breaker_is_at_most_six_bare_ones() -> None:
    """Compared round by round in CPU time, best against best: half of the promise is left for a noisy machine."""
    guarded = CircuitBreaker("c")(answer)
    bare, through = [], []
    for _ in range(ROUNDS):
        bare.append(await seconds(answer))
        through.append(await seconds(guarded))
    assert min(through) <= 6 * min(bare)


def test_a_breaker_is_smaller_than_500_bytes() -> None:
    """All that it holds included, after it has been through all states."""
    kept: list[CircuitBreaker] = []
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(BREAKERS):
            breaker = CircuitBreaker("c", failure_threshold=1)
            breaker.failed(breaker.enter(), ConnectionError())
            breaker.reset()
            kept.append(breaker)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before - sys.getsizeof(kept)
    finally:
        tracemalloc.stop()
    assert taken / BREAKERS < 500


async def test_calls_leave_nothing_behind() -> None:
    """Answered, failed, refused and tried again: after the first thousands, thousands more hold no memory."""
    numbers, ticks = itertools.count(), itertools.count()
    breaker = CircuitBreaker(
        "c", failure_threshold=3, recovery_timeout=20, failure_rate=0.5, clock=lambda: float(next(ticks))
    )

    async def flaky() -> None:
        if next(numbers) % 20 > 15:
            raise ConnectionError

    call = Retry("r", retries=1, backoff=0)(breaker(flaky))

    async def many() -> int:
        for _ in range(4_000):
            with suppress(ConnectionError, CircuitOpenError):
                await call()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        await many()
        held = [await many() for _ in range(3)]
    finally:
        tracemalloc.stop()
    assert all(breaker.calls.values())
    assert max(held) - min(held) < 2000
