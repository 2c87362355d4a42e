"""Many callers at once: threads that are switched everywhere, and a loop that runs what is ready in any order."""

import asyncio
import contextlib
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import Context
from itertools import pairwise
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVarTuple, Unpack

import pytest

from support.loop import FakeClock, FakeLoop
from uptime_exporter.reliability.breaker import CircuitBreaker, CircuitOpenError
from uptime_exporter.reliability.retry import Retry, RetryBudget

if TYPE_CHECKING:
    from uptime_exporter.reliability.gate import Transition

THREADS = 8
CALLS = 150


Ts = TypeVarTuple("Ts")
TraceFunction = Callable[[FrameType, str, object], Any]


class Broken(Exception):  # noqa: N818 - what broke, not an error's name
    """What a dependency in trouble raises."""


@pytest.fixture
def _switched_everywhere() -> Iterator[None]:
    """Let any line of the toolkit be the last one before another thread's turn.

    The interpreter's own switches are too rare: they miss a lock that is not there four times out of five.
    """
    chance = random.Random(0)

    def switch(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        if "uptime_exporter/reliability" not in frame.f_code.co_filename:
            return None
        if event == "line" and chance.random() < 0.1:
            time.sleep(1e-6)
        return switch

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threading.settrace(switch)
    yield
    threading.settrace(None)
    sys.setswitchinterval(usual)


def at_once(work: Callable[[int], None]) -> None:
    """Run *work* in all threads, each with its number, beginning together."""
    start = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.usefixtures("_switched_everywhere")
def test_no_call_is_lost_between_threads() -> None:
    """Each call is counted once, closed and open, on the short way and on the long one."""
    # No thread fails twice running, so at most so many failures stand in a row as there are threads: neither opens.
    short = CircuitBreaker("c", failure_threshold=THREADS + 1)
    long = CircuitBreaker("c", failure_threshold=THREADS + 1, failure_rate=1.0, minimum_calls=THREADS + 1)
    for breaker in (short, long):

        def work(number: int, breaker: CircuitBreaker = breaker) -> None:
            guarded = breaker(len)
            for n in range(CALLS):
                with contextlib.suppress(TypeError):
                    guarded(() if (n + number) % 3 else None)  # type: ignore[arg-type]

        at_once(work)
        breaker.force_open()

        def refused(_: int, breaker: CircuitBreaker = breaker) -> None:
            for _ in range(CALLS):
                with pytest.raises(CircuitOpenError):
                    breaker.call(len, ())

        at_once(refused)
        calls = breaker.calls
        assert calls["success"] + calls["failure"] == THREADS * CALLS
        assert calls["rejected"] == THREADS * CALLS


@pytest.mark.usefixtures("_switched_everywhere")
def test_the_window_stays_true_between_threads() -> None:
    """After thousands of calls at once, exactly so many failures open it as its rate says."""
    # Each thread's calls fail by turns: of any 50 calls in a row at most 25 and half a call a thread have failed.
    breaker = CircuitBreaker("c", failure_threshold=10**9, failure_rate=0.9, window=50, minimum_calls=50)

    def work(_: int) -> None:
        for n in range(CALLS):
            breaker.settle(breaker.enter(), failed=n % 2 == 0)

    at_once(work)
    for failed in [False] * 50 + [True] * 44:
        breaker.settle(breaker.enter(), failed=failed)
    before = breaker.state
    breaker.settle(breaker.enter(), failed=True)
    assert (before, breaker.state) == ("closed", "open")


@pytest.mark.usefixtures("_switched_everywhere")
def test_one_thread_tries() -> None:
    """However many arrive in the moment of recovery, again and again."""
    clock = FakeClock()
    told: list[Transition] = []
    breaker = CircuitBreaker("c", failure_threshold=1, clock=clock.monotonic, listeners=(told.append,))
    rounds = 50
    inside, most = 0, 0
    meet = threading.Barrier(THREADS, action=lambda: clock.pass_time(60))
    guard = threading.Lock()

    def trial() -> None:
        nonlocal inside, most
        with guard:
            inside += 1
            most = max(most, inside)
        sum(range(200))
        with guard:
            inside -= 1
        raise Broken

    with pytest.raises(Broken):
        breaker.call(trial)

    def work(_: int) -> None:
        for _ in range(rounds):
            meet.wait()
            with contextlib.suppress(CircuitOpenError, Broken):
                breaker.call(trial)

    at_once(work)
    assert most == 1
    assert breaker.calls == {"success": 0, "failure": 1 + rounds, "rejected": rounds * (THREADS - 1)}
    assert Counter(change.after for change in told) == {"open": 1 + rounds, "half_open": rounds}


@pytest.mark.usefixtures("_switched_everywhere")
def test_a_budget_is_not_overdrawn_by_threads() -> None:
    """The last retry that was saved is taken by one of those who reach for it, again and again."""
    rounds = 50
    budgets = [RetryBudget(share=0, reserve=1) for _ in range(rounds)]
    retries = [Retry("c", retries=1, backoff=0, budget=budget) for budget in budgets]
    meet = threading.Barrier(THREADS)

    def fail() -> None:
        raise ConnectionError

    def work(_: int) -> None:
        for retry in retries:
            meet.wait()
            with pytest.raises(ConnectionError):
                retry.call(fail)

    at_once(work)
    assert [budget.saved for budget in budgets] == [0] * rounds
    for retry in retries:
        assert retry.retries == {"success": 0, "failure": 1, "deadline": 0, "budget": THREADS - 1}


class ShuffledLoop(FakeLoop):
    """Runs what is ready in an order that only the seed knows."""

    def __init__(self, clock: FakeClock, seed: int) -> None:
        self.chance = random.Random(seed)
        super().__init__(clock)

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_later(self.chance.random() * 1e-3, callback, *args, context=context)


class Crowd:
    """Tasks that call a dependency in trouble, each as patient as chance has it."""

    def __init__(self, clock: FakeClock, seed: int) -> None:
        self.clock = clock
        self.chance = random.Random(-seed)
        self.told: list[Transition] = []
        self.seen = Counter[str]()
        self.trials: set[float] = set()
        self.breaker = CircuitBreaker(
            "c",
            failure_threshold=3,
            recovery_timeout=5,
            trial_timeout=3,
            clock=clock.monotonic,
            wall=clock.wall,
            listeners=(self.told.append,),
        )
        self.ask = self.breaker(self.depend)

    async def depend(self) -> None:
        began = self.clock.monotonic()
        if self.breaker.state == "half_open":
            others = [began - other for other in self.trials]
            assert min(others, default=3) >= self.breaker.trial_timeout, "two trials at once"
            self.trials.add(began)
        try:
            await asyncio.sleep(self.chance.choice([0, 0, 0.1, 1, 4]))
        finally:
            self.trials.discard(began)
        if self.chance.random() < 0.6:
            raise Broken

    async def outcome(self) -> str:
        was_closed = self.breaker.state == "closed"
        try:
            async with asyncio.timeout(self.chance.choice([0.5, 2, 10])):
                await self.ask()
        except Broken:
            return "failure"
        except TimeoutError:
            return "cancelled"
        except CircuitOpenError:
            return "rejected although closed" if was_closed else "rejected"
        return "success"

    async def caller(self) -> None:
        for _ in range(20):
            self.seen[await self.outcome()] += 1
            await asyncio.sleep(self.chance.choice([0, 0.5, 2]))

    async def gather(self) -> None:
        await asyncio.gather(*(self.caller() for _ in range(10)))


@pytest.mark.parametrize("seed", range(40))
def test_any_order_of_tasks_keeps_the_promises(seed: int) -> None:
    """One trial at a time, none refused while closed, and every call counted once, however tasks are mixed."""
    clock = FakeClock()
    loop = ShuffledLoop(clock, seed)
    crowd = Crowd(clock, seed)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(crowd.gather())

    assert crowd.seen.total() == 200
    assert crowd.breaker.calls == {name: crowd.seen[name] for name in ("success", "failure", "rejected")}
    assert "rejected although closed" not in crowd.seen
    assert crowd.breaker.transitions == {
        name: sum(change.after == name for change in crowd.told) for name in ("closed", "open", "half_open")
    }
    for change, following in pairwise(crowd.told):
        assert change.after == following.before
