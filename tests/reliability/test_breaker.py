"""The breaker as an application uses it."""

import asyncio
import gc
import logging
import math
import pickle
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any

import pytest

from support.loop import FakeClock
from uptime_exporter.reliability.breaker import CircuitBreaker, CircuitOpenError, Transition

Run = Callable[[Any], None]


class Broken(Exception):  # noqa: N818 - what broke, not an error's name
    """What a dependency in trouble raises."""


class Mistake(Exception):  # noqa: N818
    """What a dependency that is well raises when it is asked nonsense."""


@pytest.fixture
def make(clock: FakeClock) -> Callable[..., CircuitBreaker]:
    """Make breakers that go by the test's clock."""
    return partial(CircuitBreaker, "model_server", clock=clock.monotonic, wall=clock.wall)


def state(breaker: CircuitBreaker) -> str:
    return breaker.state


def fail() -> None:
    raise Broken


def work() -> str:
    return "done"


def trip(breaker: CircuitBreaker) -> None:
    for _ in range(breaker.failure_threshold):
        with pytest.raises(Broken):
            breaker.call(fail)


def test_five_failures_in_a_row_open_it_for_a_minute(
    make: Callable[..., CircuitBreaker], clock: FakeClock
) -> None:
    """The seed's story, with what a collector reads at its end."""
    breaker = make()
    breaker.call(work)
    trip(breaker)
    opened = clock.wall()
    assert (state(breaker), breaker.failure_count, breaker.last_failure) == ("open", 5, opened)
    clock.pass_time(59)
    assert breaker.retry_in == pytest.approx(1)
    with pytest.raises(CircuitOpenError) as refused:
        breaker.call(work)
    assert refused.value.circuit == "model_server"
    assert refused.value.retry_in == pytest.approx(1)
    clock.pass_time(1)
    assert breaker.call(work) == "done"
    assert (state(breaker), breaker.since, breaker.retry_in) == ("closed", clock.wall(), None)
    assert breaker.calls == {"success": 2, "failure": 5, "rejected": 1}
    assert breaker.transitions == {"closed": 1, "open": 1, "half_open": 1}


@pytest.mark.parametrize("way", ["plain", "coroutine", "block"])
async def test_a_success_ends_the_row(make: Callable[..., CircuitBreaker], way: str) -> None:
    """Failures that are not in a row don't add up, whichever way the calls go."""
    breaker = make(failure_threshold=2)

    async def call(answer: str) -> None:
        if way == "plain":
            breaker.call(fail if answer == "broken" else work)
        elif way == "coroutine":
            await breaker.call(ask, answer)
        else:
            with breaker.guard():
                await ask(answer)

    for answer in ("broken", "done") * 5:
        with suppress(Broken):
            await call(answer)
    assert state(breaker) == "closed"


async def test_a_trial_may_go_any_way(make: Callable[..., CircuitBreaker], clock: FakeClock) -> None:
    """After a trip by rate, with no failure in a row, each sort of call closes it, and counts in the window."""

    async def stream() -> AsyncGenerator[int, None]:
        yield 1

    async def in_a_block(breaker: CircuitBreaker) -> None:
        async with breaker:
            pass

    async def of_a_stream(breaker: CircuitBreaker) -> None:
        assert [item async for item in breaker.call(lambda: aiter(stream()))] == [1]

    async def of_a_coroutine(breaker: CircuitBreaker) -> None:
        await breaker.call(lambda: ask("done"))

    for way in (in_a_block, of_a_stream, of_a_coroutine):
        breaker = make(failure_rate=0.5, window=4, minimum_calls=4)
        for function in (work, fail, fail, work):
            with suppress(Broken):
                breaker.call(function)
        assert (state(breaker), breaker.failure_count) == ("open", 0)
        clock.pass_time(60)
        await way(breaker)
        assert state(breaker) == "closed"
        for _ in range(4):
            await way(breaker)
        with pytest.raises(Broken):
            breaker.call(fail)
        assert state(breaker) == "closed"


def test_the_first_failed_trial_opens_it_again(make: Callable[..., CircuitBreaker], clock: FakeClock) -> None:
    """For a whole recovery time, from the failure on."""
    breaker = make()
    trip(breaker)
    clock.pass_time(60)
    with pytest.raises(Broken):
        breaker.call(fail)
    assert (state(breaker), breaker.retry_in) == ("open", 60)


def test_a_refusal_says_whose_and_for_how_long(make: Callable[..., CircuitBreaker]) -> None:
    """And it survives a process pool."""
    breaker = make()
    trip(breaker)
    with pytest.raises(
        CircuitOpenError, match=r"circuit 'model_server' is open; try again in 60 s"
    ) as refused:
        breaker.call(work)
    again = pickle.loads(pickle.dumps(refused.value))
    assert (again.circuit, again.retry_in) == ("model_server", 60)


def test_forced_open_stays_open_until_reset(make: Callable[..., CircuitBreaker], clock: FakeClock) -> None:
    """An operator's word counts more than time."""
    breaker = make()
    breaker.force_open()
    clock.pass_time(1e9)
    assert breaker.retry_in == math.inf
    with pytest.raises(CircuitOpenError, match="forced open; reset it"):
        breaker.call(work)
    breaker.reset()
    assert breaker.call(work) == "done"


def test_a_reset_forgets_the_row(make: Callable[..., CircuitBreaker]) -> None:
    """Four failures before it count no more."""
    breaker = make()
    for _ in range(4):
        with pytest.raises(Broken):
            breaker.call(fail)
    breaker.reset()
    with pytest.raises(Broken):
        breaker.call(fail)
    assert (state(breaker), breaker.failure_count) == ("closed", 1)


def test_a_call_from_before_a_reset_moves_nothing(make: Callable[..., CircuitBreaker]) -> None:
    """Its answer is about a time that the operator has declared over; it is counted all the same."""
    breaker = make(failure_threshold=1)
    before = breaker.enter()
    breaker.reset()
    breaker.failed(before, Broken())
    assert state(breaker) == "closed"
    assert breaker.calls["failure"] == 1


@pytest.mark.parametrize("exclude", [Mistake, (Mistake, KeyError), lambda error: isinstance(error, Mistake)])
def test_excluded_exceptions_say_nothing(make: Callable[..., CircuitBreaker], exclude: Any) -> None:
    """Neither failure nor success: the row goes on."""
    breaker = make(exclude=exclude)

    @breaker
    def ask(error: Exception) -> None:
        raise error

    for error in [Broken()] * 4 + [Mistake()] * 9:
        with pytest.raises(type(error)):
            ask(error)
    assert (state(breaker), breaker.failure_count) == ("closed", 4)
    assert breaker.calls == {"success": 0, "failure": 4, "rejected": 0}
    with pytest.raises(Broken):
        ask(Broken())
    assert state(breaker) == "open"


def test_another_breakers_refusal_says_nothing(make: Callable[..., CircuitBreaker]) -> None:
    """Nobody was asked."""
    outer, inner = make(failure_threshold=1), make()
    inner.force_open()
    with pytest.raises(CircuitOpenError):
        outer.call(inner(work))
    assert (state(outer), outer.calls["failure"]) == ("closed", 0)


def test_a_hung_trial_has_failed_when_its_time_is_over(
    make: Callable[..., CircuitBreaker], clock: FakeClock
) -> None:
    """The circuit opens again from the trial's deadline on, and what the trial says later moves nothing."""
    breaker = make(trial_timeout=10)
    trip(breaker)
    clock.pass_time(60)
    hung = breaker.enter()
    clock.pass_time(11)
    with pytest.raises(CircuitOpenError) as refused:
        breaker.call(work)
    assert refused.value.retry_in == 59
    clock.pass_time(59)
    trial = breaker.enter()
    breaker.succeeded(hung)
    assert state(breaker) == "half_open"
    breaker.succeeded(trial)
    assert state(breaker) == "closed"


def test_a_trial_that_answers_too_late_has_failed(
    make: Callable[..., CircuitBreaker], clock: FakeClock
) -> None:
    """Also when nobody else has asked meanwhile."""
    breaker = make(trial_timeout=10)
    trip(breaker)
    clock.pass_time(60)
    late = breaker.enter()
    clock.pass_time(10)
    breaker.succeeded(late)
    assert (state(breaker), breaker.retry_in) == ("open", 60)


def test_a_failure_rate_opens_it(make: Callable[..., CircuitBreaker]) -> None:
    """Half of the latest calls, once there are enough."""
    breaker = make(failure_rate=0.5, window=10, minimum_calls=10)
    for n in range(9):
        with suppress(Broken):
            breaker.call(work if n % 2 else fail)
    assert state(breaker) == "closed"
    breaker.call(work)
    assert state(breaker) == "open"


def test_only_the_latest_calls_count(make: Callable[..., CircuitBreaker]) -> None:
    """Old failures leave the window one by one."""
    breaker = make(failure_rate=0.3, window=10, minimum_calls=10)
    for _ in range(8):
        breaker.call(work)
    for function in [fail, fail, *[work] * 8, fail, fail, *[work] * 8]:
        with suppress(Broken):
            breaker.call(function)
    assert state(breaker) == "closed"
    for _ in range(3):
        with pytest.raises(Broken):
            breaker.call(fail)
    assert state(breaker) == "open"


def test_a_closed_circuit_begins_with_an_empty_window(
    make: Callable[..., CircuitBreaker], clock: FakeClock
) -> None:
    """What opened it is not held against it twice."""
    breaker = make(failure_rate=0.5, window=4, minimum_calls=2)
    breaker.call(work)
    with pytest.raises(Broken):
        breaker.call(fail)
    clock.pass_time(60)
    for _ in range(3):
        breaker.call(work)
    with pytest.raises(Broken):
        breaker.call(fail)
    assert state(breaker) == "closed"


async def slowly(clock: FakeClock, seconds: float) -> None:
    clock.pass_time(seconds)


async def test_slow_calls_open_it(make: Callable[..., CircuitBreaker], clock: FakeClock) -> None:
    """Although each of them succeeds; a call just below the limit is not slow."""
    breaker = make(slow_call_duration=2, slow_call_rate=0.5, window=10, minimum_calls=4)
    ask = breaker(slowly)
    for seconds in (1.9, 1.9, 2):
        await ask(clock, seconds)
    assert state(breaker) == "closed"
    await ask(clock, 2)
    assert state(breaker) == "open"


async def test_a_slow_trial_has_failed(make: Callable[..., CircuitBreaker], clock: FakeClock) -> None:
    """What is watched for slowness is not well while it is slow."""
    breaker = make(slow_call_duration=2, failure_threshold=1)
    trip(breaker)
    clock.pass_time(60)
    await breaker(slowly)(clock, 3)
    assert state(breaker) == "open"


def test_a_call_cancelled_after_the_slow_limit_counts_as_slow(
    make: Callable[..., CircuitBreaker], run: Run
) -> None:
    """Callers that give up are how a hanging dependency shows; one that gives up early says nothing."""
    breaker = make(slow_call_duration=2, minimum_calls=3)
    hang = breaker(asyncio.sleep)

    async def story() -> None:
        for patience in (1, 1, 1, 1, 2, 2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(patience):
                    await hang(60)
        assert state(breaker) == "closed"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await hang(60)
        assert state(breaker) == "open"
        assert breaker.calls == {"success": 0, "failure": 0, "rejected": 0}

    run(story())


def test_no_stream_is_slow(make: Callable[..., CircuitBreaker], clock: FakeClock) -> None:
    """How long it takes is its reader's doing."""
    breaker = make(slow_call_duration=2, minimum_calls=1)

    @breaker
    def items() -> Generator[int, None, None]:
        yield 1

    for _ in items():
        clock.pass_time(60)
    assert (state(breaker), breaker.calls["success"]) == ("closed", 1)


# What can be guarded.


async def ask(answer: str = "done") -> str:
    if answer == "broken":
        raise Broken
    return answer


class Client:
    """Something with methods, that can itself be called."""

    async def __call__(self, answer: str = "done") -> str:
        return await ask(answer)

    async def method(self, answer: str = "done") -> str:
        return await ask(answer)

    @staticmethod
    async def alone(answer: str = "done") -> str:
        return await ask(answer)


@pytest.mark.parametrize(
    "function",
    [
        ask,
        partial(ask),
        partial(partial(ask)),
        Client(),
        Client().method,
        Client.alone,
        partial(Client()),
    ],
)
async def test_a_coroutine_function_is_seen_through_its_disguise(
    make: Callable[..., CircuitBreaker], function: Callable[..., Any]
) -> None:
    """It is judged when it ends, not when it begins; nothing happens before it is awaited."""
    breaker = make()
    guarded = breaker(function)
    assert iscoroutinefunction(guarded)
    assert await guarded() == "done"
    guarded().close()
    assert breaker.calls == {"success": 1, "failure": 0, "rejected": 0}
    for _ in range(5):
        with pytest.raises(Broken):
            await guarded("broken")
    with pytest.raises(CircuitOpenError):
        await guarded()


async def test_what_a_lambda_hides_is_judged_when_it_ends(make: Callable[..., CircuitBreaker]) -> None:
    """A plain function may hand back a coroutine, a task, or a stream."""
    breaker = make()

    async def stream() -> AsyncGenerator[int, None]:
        yield 1
        raise Broken

    with pytest.raises(Broken):
        await breaker(lambda: ask("broken"))()
    with pytest.raises(Broken):
        await breaker(lambda: asyncio.ensure_future(ask("broken")))()
    with pytest.raises(Broken):
        [item async for item in breaker(lambda: aiter(stream()))()]
    assert breaker.failure_count == 3
    assert await breaker(lambda: ask("done"))() == "done"
    assert breaker.failure_count == 0


def test_a_generator_is_judged_when_it_ends(make: Callable[..., CircuitBreaker]) -> None:
    """It stays a generator: what is sent reaches it, and what it returns comes out."""
    breaker = make()

    @breaker
    def echo() -> Generator[Any, Any, str]:
        said = yield "ready"
        while said != "end":
            said = yield said
        return "over"

    assert isgeneratorfunction(echo)
    talk = echo()
    assert next(talk) == "ready"
    assert talk.send("hello") == "hello"
    assert breaker.calls["success"] == 0
    with pytest.raises(StopIteration, match="over"):
        talk.send("end")
    assert breaker.calls["success"] == 1
    unread = echo()
    next(unread)
    unread.close()
    assert breaker.calls == {"success": 1, "failure": 0, "rejected": 0}


async def test_an_async_generator_is_judged_when_it_ends(make: Callable[..., CircuitBreaker]) -> None:
    """What is sent and thrown reaches it; a reader that leaves says nothing about it, and closes it."""
    breaker = make()
    ends = []

    @breaker
    async def echo() -> AsyncGenerator[Any, Any]:
        said = None
        try:
            while said != "end":
                try:
                    said = yield said
                except KeyError:
                    said = "caught"
        finally:
            ends.append(said)

    assert isasyncgenfunction(echo)
    talk = echo()
    assert await anext(talk) is None
    assert await talk.asend("hello") == "hello"
    assert await talk.athrow(KeyError()) == "caught"
    with pytest.raises(StopAsyncIteration):
        await talk.asend("end")
    assert breaker.calls == {"success": 1, "failure": 0, "rejected": 0}
    left = echo()
    await anext(left)
    await left.aclose()
    assert ends == ["end", None]
    assert breaker.calls == {"success": 1, "failure": 0, "rejected": 0}


async def test_an_async_context_manager_may_be_made_of_it(make: Callable[..., CircuitBreaker]) -> None:
    """The block's exception reaches the generator, and fails the call."""
    breaker = make()
    seen = []

    @asynccontextmanager
    @breaker
    async def session() -> AsyncGenerator[str, None]:
        try:
            yield "open"
        except Broken:
            seen.append("rolled back")
            raise

    with pytest.raises(Broken):
        async with session():
            raise Broken
    assert seen == ["rolled back"]
    assert breaker.calls["failure"] == 1


def test_what_is_no_function_is_refused(make: Callable[..., CircuitBreaker]) -> None:
    """With the remedy for the decorators that make such things."""
    with pytest.raises(TypeError, match="put the decorator below @classmethod"):
        make()(classmethod(work))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="put the decorator below @classmethod"):
        make()(staticmethod(work))


def test_a_guarded_method_is_a_method(make: Callable[..., CircuitBreaker]) -> None:
    """With its name and its words."""
    breaker = make()

    class Server:
        @breaker
        def name(self) -> str:
            """Say it."""
            return type(self).__name__

    assert Server().name() == "Server"
    assert Server.name.__doc__ == "Say it."


async def test_a_block_is_guarded_too(make: Callable[..., CircuitBreaker]) -> None:
    """In four ways: the breaker itself or a guard of its own, with and without async."""
    breaker = make(failure_threshold=4)
    for block in (breaker, breaker.guard()):
        with block:
            pass
        async with block:
            pass
        with pytest.raises(Broken), block:
            raise Broken
        with pytest.raises(Broken):
            async with block:
                raise Broken
    assert breaker.calls == {"success": 4, "failure": 4, "rejected": 0}
    assert breaker.failure_count == 2
    breaker.force_open()
    with pytest.raises(CircuitOpenError):
        async with breaker:
            pytest.fail("let in")


def test_blocks_may_stand_in_each_other(make: Callable[..., CircuitBreaker]) -> None:
    """Each ends its own, of the same breaker too, and one that fails within one that catches it."""
    outer, inner = make(), make()
    with outer, outer:
        with inner, suppress(KeyError):
            raise KeyError
        with suppress(Broken), inner:
            raise Broken
    assert outer.calls == {"success": 2, "failure": 0, "rejected": 0}
    assert inner.calls == {"success": 1, "failure": 1, "rejected": 0}


def test_a_block_that_ends_before_what_began_in_it_ends_its_own(make: Callable[..., CircuitBreaker]) -> None:
    """Generators in one context may end in any order."""
    first, second = make(), make()

    def block(breaker: CircuitBreaker) -> Generator[None, None, None]:
        with breaker:
            yield

    one, two = block(first), block(second)
    next(one)
    next(two)
    with pytest.raises(Broken):
        one.throw(Broken())
    next(two, None)
    assert first.calls == {"success": 0, "failure": 1, "rejected": 0}
    assert second.calls == {"success": 1, "failure": 0, "rejected": 0}


def test_blocks_of_concurrent_tasks_keep_their_own_tickets(
    make: Callable[..., CircuitBreaker], run: Run, clock: FakeClock
) -> None:
    """A block that began before the trip says nothing about the trial that runs beside it."""
    breaker = make()

    async def block(seconds: float) -> None:
        async with breaker:
            await asyncio.sleep(seconds)

    async def story() -> None:
        old = asyncio.create_task(block(65))
        await asyncio.sleep(0)
        trip(breaker)
        clock.pass_time(60)
        trial = asyncio.create_task(block(10))
        await old
        assert state(breaker) == "half_open"
        await trial
        assert state(breaker) == "closed"

    run(story())


def test_a_block_that_ends_elsewhere_is_an_error_with_a_remedy(
    make: Callable[..., CircuitBreaker],
) -> None:
    """A framework may run both halves of a generator in contexts of their own; a guard doesn't mind."""
    breaker = make()

    def entered_elsewhere(block: Any) -> None:
        Context().run(block.__enter__)
        Context().run(block.__exit__, None, None, None)

    entered_elsewhere(breaker.guard())
    assert breaker.calls["success"] == 1
    with pytest.raises(RuntimeError, match=r"use `with breaker.guard\(\):`"):
        entered_elsewhere(breaker)


# Who is told.


def test_listeners_are_told_each_transition(
    make: Callable[..., CircuitBreaker], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Once each, in order; one that fails keeps neither the others nor the call from going on."""
    told: list[Transition] = []

    def clumsy(_: Transition) -> None:
        raise Broken

    breaker = make(listeners=(clumsy, told.append))
    start = clock.wall()
    with caplog.at_level(logging.CRITICAL):
        trip(breaker)
        clock.pass_time(60)
        breaker.call(work)
    assert told == [
        Transition("model_server", "closed", "open", start),
        Transition("model_server", "open", "half_open", start + 60),
        Transition("model_server", "half_open", "closed", start + 60),
    ]


def test_a_listener_may_use_the_breaker(make: Callable[..., CircuitBreaker]) -> None:
    """It is told outside the lock: a reset from within it is no deadlock."""
    breaker = make(failure_threshold=1)

    def heal(change: Transition) -> None:
        if change.after == "open":
            breaker.reset()

    breaker.listeners = (heal,)
    trip(breaker)
    assert state(breaker) == "closed"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"failure_threshold": 0}, "failure_threshold must be at least 1, not 0"),
        ({"recovery_timeout": 0}, "recovery_timeout must be more than 0 s, not 0"),
        ({"trial_timeout": -1}, "trial_timeout must be more than 0 s, not -1"),
        ({"failure_rate": 0}, r"failure_rate must be in \(0, 1\], not 0"),
        ({"failure_rate": 50}, r"failure_rate must be in \(0, 1\], not 50"),
        ({"slow_call_duration": 0}, "slow_call_duration must be more than 0 s, not 0"),
        ({"slow_call_duration": 1, "slow_call_rate": 2}, r"slow_call_rate must be in \(0, 1\], not 2"),
        ({"failure_rate": 0.5, "window": 5}, "minimum_calls must be from 1 to window=5, not 10"),
    ],
)
def test_a_figure_that_makes_no_sense_is_refused(
    make: Callable[..., CircuitBreaker], wrong: dict[str, Any], says: str
) -> None:
    """With the circuit's name, and what it should be."""
    with pytest.raises(ValueError, match=f"circuit 'model_server': {says}"):
        make(**wrong)


def test_nothing_of_a_failed_call_is_kept(make: Callable[..., CircuitBreaker]) -> None:
    """Neither the exception nor what its frames hold, without waiting for the collector of cycles."""

    class Large:
        pass

    breaker = make()
    seen = []

    @breaker
    def ask() -> None:
        body = Large()
        seen.append(weakref.ref(body))
        raise Broken

    gc.disable()
    try:
        for _ in range(3):
            with suppress(Broken):
                ask()
        assert [body() for body in seen] == [None, None, None]
    finally:
        gc.enable()
