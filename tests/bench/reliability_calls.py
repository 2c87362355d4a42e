"""What a call through the breaker and the retry costs, beside other people's."""

import asyncio
import contextlib
import gc
import itertools
import statistics
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import stamina
import tenacity

from bench.table import Table, progress
from reliability.conformance.subjects import RIVALS, SLOW, Fluxgate, Interlock, Pybreaker, Subject
from support.loop import FakeClock
from uptime_exporter.reliability.breaker import CircuitBreaker, CircuitOpenError
from uptime_exporter.reliability.retry import Retry, RetryBudget

ROUNDS = 101
CALLS = 500
TRANSIENT = (ConnectionError, TimeoutError)
BREAKERS = 2000
LONG_RUN = 10_000_000
STEP = 250_000

Function = Callable[[], Any]


class RealClock(FakeClock):
    """The machine's, at its own price."""

    monotonic = staticmethod(time.monotonic)


REAL = RealClock()


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is measured, and what it is measured against."""

    what: str
    call: Function
    bare: str
    refused: tuple[type[BaseException], ...] = ()


async def answer() -> int:
    """Answer at once: all that is measured is the way there."""
    return 1


def plain_answer() -> int:
    """Answer at once."""
    return 1


async def looped() -> int:
    """Retry by hand: the least that a retry can cost."""
    for _ in range(3):
        try:
            return await answer()
        except TRANSIENT:
            await asyncio.sleep(1)
    return await answer()


async def seconds_async(call: Callable[[], Awaitable[Any]]) -> float:
    """Return the CPU seconds of many calls: other programs' turns on a shared machine don't count."""
    began = time.process_time()
    for _ in range(CALLS):
        await call()
    return time.process_time() - began


async def seconds_refused(
    call: Callable[[], Awaitable[Any]], refused: tuple[type[BaseException], ...]
) -> float:
    """Return the CPU seconds of many calls that are all refused."""
    began = time.process_time()
    for _ in range(CALLS):
        try:  # noqa: SIM105 - `suppress` would be measured too
            await call()
        except refused:
            pass
    return time.process_time() - began


def seconds_plain(call: Function) -> float:
    """Return the CPU seconds of many calls of a plain function."""
    began = time.process_time()
    for _ in range(CALLS):
        call()
    return time.process_time() - began


def seconds_plain_refused(call: Function, refused: tuple[type[BaseException], ...]) -> float:
    """Return the CPU seconds of many calls of a plain function that are all refused."""
    began = time.process_time()
    for _ in range(CALLS):
        try:  # noqa: SIM105 - `suppress` would be measured too
            call()
        except refused:
            pass
    return time.process_time() - began


async def measured(rows: list[Row], *, plain: bool = False) -> dict[str, list[float]]:
    """Return each row's CPU seconds, round by round: all take their turn in each, so that noise hits all alike."""
    taken: dict[str, list[float]] = {row.what: [] for row in rows}
    for _ in progress("calls", range(ROUNDS)):
        for row in rows:
            match plain, bool(row.refused):
                case False, False:
                    seconds = await seconds_async(row.call)
                case False, True:
                    seconds = await seconds_refused(row.call, row.refused)
                case True, False:
                    seconds = seconds_plain(row.call)
                case _:
                    seconds = seconds_plain_refused(row.call, row.refused)
            taken[row.what].append(seconds)
    return taken


def lines(rows: list[Row], taken: dict[str, list[float]]) -> list[list[str]]:
    """Return each row as the table shows it: ratios of the same round, their median and quartiles."""
    shown = []
    for row in rows:
        ratios = [a / b for a, b in zip(taken[row.what], taken[row.bare], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        each = statistics.median(taken[row.what]) / CALLS
        shown.append([row.what, f"{each * 1e9:.0f} ns", f"{middle:.2f} ({low:.2f} to {high:.2f})"])
    return shown


async def opened(breaker: Subject) -> Function:
    """Return a call through a breaker that failures have opened."""
    failing = False

    async def depend() -> int:
        if failing:
            raise ConnectionError
        return 1

    call = breaker.decorate(depend)
    await call()
    failing = True
    for _ in range(10):
        with contextlib.suppress(ConnectionError, breaker.refusal):
            await call()
    return call


async def breaker_rows() -> list[Row]:
    """Return a closed and an open breaker of each sort."""
    rates = CircuitBreaker("rates", failure_rate=0.5, slow_call_duration=SLOW)
    forced = CircuitBreaker("open")
    forced.force_open()
    rows = [
        Row("a bare call", answer, "a bare call"),
        Row("closed: this toolkit", CircuitBreaker("c")(answer), "a bare call"),
    ]
    rivals = [rival for rival in RIVALS if rival is not Pybreaker]
    by_rate = (Fluxgate, Interlock)
    rows += [
        Row(f"closed: {rival.name}", rival(REAL).decorate(answer), "a bare call")
        for rival in rivals
        if rival not in by_rate
    ]
    rows.append(Row("closed, with both rates: this toolkit", rates(answer), "a bare call"))
    rows += [
        Row(f"closed, with both rates: {rival.name}", rival(REAL).decorate(answer), "a bare call")
        for rival in by_rate
    ]
    rows.append(Row("refused: this toolkit", forced(answer), "a bare call", (CircuitOpenError,)))
    for rival in rivals:
        breaker = rival(REAL)
        rows.append(Row(f"refused: {rival.name}", await opened(breaker), "a bare call", (breaker.refusal,)))
    return rows


def plain_rows() -> list[Row]:
    """Return the same for plain functions, where a library has them."""
    forced = CircuitBreaker("open")
    forced.force_open()
    rates = CircuitBreaker("rates", failure_rate=0.5, slow_call_duration=SLOW)
    bare = "a bare plain call"
    return [
        Row(bare, plain_answer, bare),
        Row("plain, closed: this toolkit", CircuitBreaker("c")(plain_answer), bare),
        *(
            Row(f"plain, closed: {rival.name}", rival(REAL).decorate(plain_answer), bare)
            for rival in RIVALS
            if rival.name in {"circuitbreaker", "aiobreaker", "pybreaker"}
        ),
        Row("plain, closed, with both rates: this toolkit", rates(plain_answer), bare),
        Row(
            "plain, closed, with both rates: interlock-cb",
            Interlock(REAL).decorate(plain_answer),
            bare,
        ),
        Row("plain, refused: this toolkit", forced(plain_answer), bare, (CircuitOpenError,)),
    ]


def retry_rows() -> list[Row]:
    """Return what is paid where nothing fails."""
    bare = "a bare call"
    tenacious = tenacity.retry(
        stop=tenacity.stop_after_attempt(3), retry=tenacity.retry_if_exception_type(TRANSIENT)
    )
    return [
        Row(bare, answer, bare),
        Row("a loop by hand", looped, bare),
        Row("retry: this toolkit", Retry("r")(answer), bare),
        Row("retry, with a budget: this toolkit", Retry("r", budget=RetryBudget())(answer), bare),
        Row("retry, with a deadline: this toolkit", Retry("r", deadline=10)(answer), bare),
        Row("retry around breaker: this toolkit", Retry("r")(CircuitBreaker("c")(answer)), bare),
        Row("retry: stamina", stamina.retry(on=TRANSIENT, attempts=3)(answer), bare),
        Row("retry: tenacity", tenacious(answer), bare),
    ]


def bytes_each(make: Callable[[], object]) -> float:
    """Return the bytes that one more of these takes."""
    kept: list[object] = [None] * BREAKERS
    make()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for n in range(BREAKERS):
        kept[n] = make()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return taken / BREAKERS


async def long_run() -> tuple[int, Counter[str]]:
    """Return how many blocks more the interpreter holds after ten million calls, and how these ended."""
    breaker = CircuitBreaker("c", failure_threshold=3, recovery_timeout=1e-5, failure_rate=0.5)
    numbers = itertools.count()

    async def flaky() -> None:
        if next(numbers) % 100 > 90:
            raise ConnectionError

    call = Retry("r", retries=1, backoff=0)(breaker(flaky))
    ended = Counter[str]()
    held = []
    for _ in progress("ten million calls", range(LONG_RUN // STEP)):
        for _ in range(STEP):
            ended[await _end(call)] += 1
        gc.collect()
        held.append(sys.getallocatedblocks())
    return held[-1] - held[0], ended


async def _end(call: Callable[[], Awaitable[None]]) -> str:
    try:
        await call()
    except ConnectionError:
        return "failed"
    except CircuitOpenError:
        return "refused"
    return "answered"


def measure() -> Iterator[Table]:
    """Yield the tables of breaker and retry."""
    head = ("call", "each", "x bare")
    for title, rows, plain in (
        ("The toolkit: a coroutine through a breaker", asyncio.run(breaker_rows()), False),
        ("The toolkit: a plain function through a breaker", plain_rows(), True),
        ("The toolkit: a coroutine through a retry, at its first success", retry_rows(), False),
    ):
        taken = asyncio.run(measured(rows, plain=plain))
        yield Table(
            title,
            head,
            lines(rows, taken),
            f"{CALLS} calls in each of {ROUNDS} rounds, in which all take turns; CPU time. Each: the median "
            "round's. Ratio: to the bare call of the same round, median (quartiles).",
        )
    more, ended = asyncio.run(long_run())
    yield Table(
        "The toolkit: memory",
        ("what", "figure"),
        [
            ["a breaker", f"{bytes_each(partial(CircuitBreaker, 'c')):.0f} B"],
            ["a breaker with both rates over 100 calls", f"{bytes_each(_with_rates):.0f} B"],
            ["a retry", f"{bytes_each(partial(Retry, 'r')):.0f} B"],
            [f"blocks held more after {LONG_RUN:,} calls through retry and breaker", f"{more}"],
        ],
        f"Of these calls {ended['answered']:,} were answered, {ended['failed']:,} failed and {ended['refused']:,} "
        "were refused; the first quarter million is the warm-up.",
    )


def _with_rates() -> CircuitBreaker:
    return CircuitBreaker("c", failure_rate=0.5, slow_call_duration=SLOW)
