"""Backoff and jitter, and what is tried again."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.loop import FakeClock
from uptime_exporter.reliability.breaker import CircuitBreaker, CircuitOpenError
from uptime_exporter.reliability.retry import Retry, RetryBudget, RetryPolicy

Run = Callable[[Any], None]


def test_the_pauses_double() -> None:
    """Without luck, the seed's two retries wait 1 s and 2 s."""
    assert list(RetryPolicy(retries=2, backoff=1).pauses(lambda _, whole: whole)) == [1, 2]


@given(retries=st.integers(0, 8), backoff=st.floats(0, 100), timeout=st.floats(0.01, 100))
def test_no_draw_takes_longer_than_the_longest_case(retries: int, backoff: float, timeout: float) -> None:
    """What settings check against the interval is a bound, and jitter never halves a pause more than once."""
    policy = RetryPolicy(retries, backoff)
    pauses = list(policy.pauses())
    assert len(pauses) == retries
    assert sum(pauses) + timeout * (retries + 1) <= policy.longest(timeout) + 1e-6
    assert all(pause >= backoff * 2**n / 2 for n, pause in enumerate(pauses))


class Flaky:
    """Fails a number of times, then answers; each attempt may take its time."""

    def __init__(self, clock: FakeClock, failures: int, error: BaseException, seconds: float = 0.0) -> None:
        self.clock = clock
        self.left = failures
        self.error = error
        self.seconds = seconds
        self.asked_at: list[float] = []

    def __call__(self) -> str:
        self.asked_at.append(self.clock.awake())
        self.clock.pass_time(self.seconds)
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return "done"

    async def wait(self) -> str:
        self.asked_at.append(self.clock.awake())
        await asyncio.sleep(self.seconds)
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return "done"


@pytest.fixture
def make(clock: FakeClock) -> Callable[..., Retry]:
    """Make retries that go by the test's clock, and always wait the whole pause."""
    return partial(
        Retry,
        "model_server",
        clock=clock.monotonic,
        sleep=clock.pass_time,
        uniform=lambda _, whole: whole,
    )


def counted(retry: Retry) -> dict[str, int]:
    """Return the outcomes that there were."""
    return {outcome: n for outcome, n in retry.retries.items() if n}


def test_a_passing_failure_is_not_seen(make: Callable[..., Retry], clock: FakeClock) -> None:
    """Two retries, a second and two seconds later."""
    retry, ask = make(), Flaky(clock, 2, ConnectionError())
    assert retry.call(ask) == "done"
    assert ask.asked_at == [0, 1, 3]
    assert counted(retry) == {"failure": 1, "success": 1}


def test_a_coroutine_is_tried_again_alike(make: Callable[..., Retry], clock: FakeClock, run: Run) -> None:
    """It waits without holding up the loop, and stays a coroutine function."""
    retry, ask = make(), Flaky(clock, 2, TimeoutError())
    patient = retry(ask.wait)
    assert iscoroutinefunction(patient)

    async def story() -> None:
        assert await patient() == "done"

    run(story())
    assert ask.asked_at == [0, 1, 3]
    assert counted(retry) == {"failure": 1, "success": 1}


def test_the_caller_gets_the_last_error(make: Callable[..., Retry], clock: FakeClock) -> None:
    """As it was raised, after the last retry."""
    error = ConnectionError("gone")
    retry, ask = make(), Flaky(clock, 99, error)
    with pytest.raises(ConnectionError) as raised:
        retry.call(ask)
    assert raised.value is error
    assert len(ask.asked_at) == 3
    assert counted(retry) == {"failure": 2}


@pytest.mark.parametrize(
    "retry_on", [ConnectionError, (ConnectionError,), lambda e: isinstance(e, ConnectionError)]
)
def test_only_what_is_said_to_be_transient_is_tried_again(
    make: Callable[..., Retry], clock: FakeClock, retry_on: Any
) -> None:
    """A mistake stays a mistake."""
    retry = make(retry_on=retry_on)
    mistaken, unlucky = Flaky(clock, 99, ValueError()), Flaky(clock, 1, ConnectionResetError())
    with pytest.raises(ValueError):  # noqa: PT011 - its type is the point
        retry.call(mistaken)
    assert len(mistaken.asked_at) == 1
    assert retry.call(unlucky) == "done"


def test_a_refused_call_is_not_tried_again(make: Callable[..., Retry], clock: FakeClock) -> None:
    """Not even where everything is said to be transient: the breaker has said when to come back."""
    breaker = CircuitBreaker("model_server", failure_threshold=2, clock=clock.monotonic)
    retry, ask = make(retries=9, retry_on=Exception), Flaky(clock, 99, ConnectionError())
    with pytest.raises(CircuitOpenError):
        retry(breaker(ask))()
    assert len(ask.asked_at) == 2
    assert breaker.calls == {"success": 0, "failure": 2, "rejected": 1}


def test_a_cancelled_call_is_not_tried_again(make: Callable[..., Retry], clock: FakeClock, run: Run) -> None:
    """Neither in an attempt nor in a pause."""
    retry, ask = make(retry_on=Exception), Flaky(clock, 99, ConnectionError(), seconds=10)

    async def story() -> None:
        for patience in (5, 10.5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(patience):
                    await retry(ask.wait)()

    run(story())
    assert len(ask.asked_at) == 2
    assert counted(retry) == {}


def test_no_pause_is_begun_that_ends_after_the_deadline(make: Callable[..., Retry], clock: FakeClock) -> None:
    """A caller that will not be there any more needs no answer."""
    retry, ask = make(deadline=3), Flaky(clock, 99, ConnectionError(), seconds=0.5)
    with pytest.raises(ConnectionError):
        retry.call(ask)
    assert ask.asked_at == [0, 1.5]
    assert clock.awake() == 2
    assert counted(retry) == {"failure": 1, "deadline": 1}


def test_a_coroutine_is_stopped_at_the_deadline(
    make: Callable[..., Retry], clock: FakeClock, run: Run
) -> None:
    """Everything included, whatever the attempt is waiting for."""
    retry, ask = make(deadline=5), Flaky(clock, 1, ConnectionError(), seconds=3)

    async def story() -> None:
        with pytest.raises(TimeoutError):
            await retry(ask.wait)()
        assert clock.awake() == 5

    run(story())
    assert counted(retry) == {"deadline": 1}


def test_within_its_deadline_nothing_is_different(
    make: Callable[..., Retry], clock: FakeClock, run: Run
) -> None:
    """A success after a retry is one."""
    retry, ask = make(deadline=50), Flaky(clock, 1, ConnectionError(), seconds=3)

    async def story() -> None:
        assert await retry(ask.wait)() == "done"

    run(story())
    assert counted(retry) == {"success": 1}


def test_the_budget_stops_a_storm(make: Callable[..., Retry], clock: FakeClock) -> None:
    """In a total outage there are as many retries as the reserve holds, and answers save up for new ones."""
    budget = RetryBudget(share=0.1, reserve=10)
    retry = make(budget=budget)
    asked = 0
    for _ in range(100):
        ask = Flaky(clock, 99, ConnectionError())
        with pytest.raises(ConnectionError):
            retry.call(ask)
        asked += len(ask.asked_at)
    assert asked == 110
    assert counted(retry) == {"failure": 10, "budget": 95}
    for _ in range(25):
        retry.call(Flaky(clock, 0, ConnectionError()))
    assert budget.saved == pytest.approx(2.5)
    assert retry.call(Flaky(clock, 2, ConnectionError())) == "done"
    with pytest.raises(ConnectionError):
        retry.call(Flaky(clock, 1, ConnectionError()))


def test_the_reserve_is_not_exceeded(make: Callable[..., Retry], clock: FakeClock) -> None:
    """A good week buys no storm."""
    budget = RetryBudget(share=0.7, reserve=3)
    retry = make(budget=budget)
    retry.call(Flaky(clock, 1, ConnectionError()))
    for _ in range(100):
        retry.call(Flaky(clock, 0, ConnectionError()))
    assert budget.saved == 3


async def test_what_a_lambda_hides_is_tried_again(make: Callable[..., Retry], clock: FakeClock) -> None:
    """From the call on, not from the coroutine, which can be awaited only once."""
    retry, ask = make(backoff=0), Flaky(clock, 2, ConnectionError())
    assert await retry(lambda: asyncio.ensure_future(ask.wait()))() == "done"
    assert len(ask.asked_at) == 3


def test_a_stream_is_refused(make: Callable[..., Retry]) -> None:
    """Its reader has seen a part of it: an error at decoration, with the remedy."""

    async def items() -> AsyncGenerator[int, None]:
        yield 1

    with pytest.raises(
        TypeError, match=r"retry 'model_server': .*items.*retry what it calls before its first item"
    ):
        make()(items)


@pytest.mark.parametrize("wrong", [{"retries": -1}, {"backoff": -1}, {"deadline": 0}])
def test_a_figure_that_makes_no_sense_is_refused(make: Callable[..., Retry], wrong: dict[str, Any]) -> None:
    """With the policy's name."""
    with pytest.raises(ValueError, match="retry 'model_server'"):
        make(**wrong)


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"reserve": 0}])
def test_a_budget_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """With what it should be."""
    with pytest.raises(ValueError, match="share must be in 0-1 and reserve at least 1"):
        RetryBudget(**wrong)
