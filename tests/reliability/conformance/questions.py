"""What a circuit breaker has to answer: each question puts one into a situation and tells what it did wrong."""

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from reliability.conformance.subjects import RECOVERY, THRESHOLD, Excluded, LacksError, Subject
from support.loop import FakeClock, FakeLoop

HERD = 50
AGES = 100_000.0

Finding = str | None
"""What it did wrong, in two or three words; None if it was right."""


class Broken(Exception):  # noqa: N818 - what broke, not an error's name
    """What the dependency in trouble raises."""


class Situation:
    """A breaker, and what happens to it."""

    def __init__(self, subject: Subject, clock: FakeClock) -> None:
        self.subject = subject
        self.clock = clock

    async def call(self, seconds: float = 0.0, error: Exception | None = None) -> str:
        """Call a dependency that takes its time; return "answered", "failed", "refused" or "cancelled"."""
        reached = []
        if isinstance(error, Excluded) and not self.subject.excludes:
            raise LacksError("exclusion")

        async def depend() -> None:
            reached.append(True)
            if seconds:
                await asyncio.sleep(seconds)
            if error is not None:
                raise error

        try:
            await self.subject.call(depend)
        except self.subject.refusal:
            return "failed" if reached else "refused"  # some say so to the caller whose failure opened it
        except (Broken, Excluded):
            return "failed"
        except asyncio.CancelledError:
            return "cancelled"
        return "answered"

    async def begun(self, seconds: float, error: Exception | None = None) -> "asyncio.Task[str]":
        """Begin such a call, and leave it under way."""
        task = asyncio.create_task(self.call(seconds, error))
        await asyncio.sleep(0.01)
        if task.done():
            await task
        return task

    async def fail(self, times: int = THRESHOLD) -> None:
        """Let calls fail in a row."""
        for _ in range(times):
            await self.call(error=Broken())

    async def recovering(self) -> None:
        """Open it, and wait until a trial is due."""
        await self.fail()
        self.clock.pass_time(RECOVERY + 1)

    async def lets_through(self) -> bool:
        """Return whether a call reaches the dependency now; one that has to queue does not."""
        async with asyncio.timeout(0.2):
            return await self.call() == "answered"


Question = Callable[[Situation], Awaitable[Finding]]


async def half_open_herd(it: Situation) -> Finding:
    """50 callers at recovery: one goes through, 49 are refused at once."""
    await it.recovering()
    ages = it.clock.monotonic()
    waited: list[float] = []

    async def come() -> str:
        said = await it.call(seconds=5)
        waited.append(it.clock.monotonic() - ages if said == "refused" else 0.0)
        return said

    said = await asyncio.gather(*(come() for _ in range(HERD)))
    through = HERD - said.count("refused")
    if through != 1:
        return (
            f"{through} go through" if max(waited) < 1 and it.clock.monotonic() - ages < 6 else "they queue"
        )
    return "the others wait" if max(waited) > 1 else None


async def failed_trial(it: Situation) -> Finding:
    """One failed trial opens it again."""
    await it.recovering()
    await it.call(error=Broken())
    return "goes on calling" if await it.lets_through() else None


async def late_success_while_open(it: Situation) -> Finding:
    """A success that began before the trip doesn't close it."""
    late = await it.begun(seconds=10)
    await it.fail()
    await late
    return "closes it" if await it.lets_through() else None


async def late_failure_while_open(it: Situation) -> Finding:
    """A failure that began before the trip doesn't stretch the time it is open."""
    late = await it.begun(seconds=50, error=Broken())
    await it.fail()
    await late
    it.clock.pass_time(11)
    return None if await it.lets_through() else "stretches it"


async def late_success_during_the_trial(it: Situation) -> Finding:
    """A success that began before the trip doesn't end the trial."""
    late = await it.begun(seconds=RECOVERY + 1.3)
    await it.recovering()
    trial = await it.begun(seconds=0.9)
    await late
    through = await it.lets_through()
    await trial
    return "closes it" if through else None


async def late_failure_during_the_trial(it: Situation) -> Finding:
    """A failure that began before the trip doesn't fail the trial."""
    late = await it.begun(seconds=RECOVERY + 1.3, error=Broken())
    await it.recovering()
    trial = await it.begun(seconds=0.9)
    await late
    await trial
    return None if await it.lets_through() else "opens it"


async def late_failures_after_recovery(it: Situation) -> Finding:
    """Failures that began before the trip don't open it once it has closed."""
    late = [await it.begun(seconds=65, error=Broken()) for _ in range(THRESHOLD)]
    await it.recovering()
    await it.call()
    await asyncio.gather(*late)
    return None if await it.lets_through() else "opens it"


async def cancelled(it: Situation, seconds: float = 0.5) -> None:
    """Begin a call, and cancel it before it answers."""
    task = await it.begun(seconds=AGES)
    await asyncio.sleep(seconds)
    task.cancel()
    await task


async def cancelled_is_no_failure(it: Situation) -> Finding:
    """Calls that their callers cancel don't open it."""
    for _ in range(2 * THRESHOLD):
        await cancelled(it)
    return None if await it.lets_through() else "opens it"


async def cancelled_is_no_success(it: Situation) -> Finding:
    """A cancelled call doesn't end a row of failures."""
    await it.fail(THRESHOLD - 1)
    await cancelled(it)
    await it.fail(1)
    return "ends the row" if await it.lets_through() else None


async def cancelled_trial(it: Situation) -> Finding:
    """A trial that is cancelled decides nothing: the next caller tries."""
    await it.recovering()
    await cancelled(it)
    return await _tries(it)


async def _tries(it: Situation) -> Finding:
    """Find out whether the next call is a trial: its failure alone opens the circuit."""
    if await it.call(error=Broken()) == "refused":
        return "opens it"
    return "closes it" if await it.lets_through() else None


async def outer_timeouts(it: Situation) -> Finding:
    """A dependency that hangs opens it, although every caller gives up by a timeout of its own."""
    for _ in range(20):
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                if await it.call(seconds=AGES) == "refused":
                    return None
                raise TimeoutError
    return "never opens"


async def hung_trial(it: Situation) -> Finding:
    """A trial that never ends doesn't keep all others out for ever."""
    await it.recovering()
    trial = await it.begun(seconds=AGES)
    through = False
    for _ in range(10):
        it.clock.pass_time(2 * RECOVERY)
        through = through or await it.lets_through()
    trial.cancel()
    return None if through else "stays open"


async def clock_set_back(it: Situation) -> Finding:
    """The wall clock goes back an hour: the recovery time stays what it is."""
    await it.fail()
    it.clock.step_wall(-3600)
    it.clock.pass_time(RECOVERY + 1)
    return None if await it.lets_through() else "an hour longer"


async def clock_set_forward(it: Situation) -> Finding:
    """The wall clock goes forward an hour: the recovery time isn't over."""
    await it.fail()
    it.clock.step_wall(3600)
    return "calls at once" if await it.lets_through() else None


async def fresh_refusals(it: Situation) -> Finding:
    """Each refused caller gets an exception of its own."""
    await it.fail()
    refusals: list[Exception] = []
    for _ in range(2):
        try:
            await it.subject.call(_ask)
        except it.subject.refusal as refusal:
            refusals.append(refusal)
    return "one for all" if refusals[0] is refusals[1] else None


async def nothing_kept(it: Situation) -> Finding:
    """It doesn't keep a failed call's exception alive, nor what its frames hold."""
    body: Any = None

    class Large:
        pass

    async def fail() -> None:
        nonlocal body
        local = Large()
        body = weakref.ref(local)
        raise Broken

    for _ in range(2):
        with suppress(Broken, it.subject.refusal):
            await it.subject.call(fail)
    gc.collect()
    return None if body() is None else "keeps its frames"


async def excluded_in_the_row(it: Situation) -> Finding:
    """An excluded exception doesn't end a row of failures."""
    await it.fail(THRESHOLD - 1)
    await it.call(error=Excluded())
    await it.fail(1)
    return "ends the row" if await it.lets_through() else None


async def excluded_opens_nothing(it: Situation) -> Finding:
    """Excluded exceptions don't open it."""
    for _ in range(2 * THRESHOLD):
        await it.call(error=Excluded())
    return None if await it.lets_through() else "opens it"


async def excluded_trial(it: Situation) -> Finding:
    """A trial that ends with an excluded exception decides nothing: the next caller tries."""
    await it.recovering()
    await it.call(error=Excluded())
    return await _tries(it)


async def _ask() -> None:
    await asyncio.sleep(0)


async def _fail() -> None:
    await asyncio.sleep(0)
    raise Broken


async def _stream() -> AsyncGenerator[int, None]:
    yield 1
    raise Broken


class _Callable:
    async def __call__(self) -> None:
        await _fail()


async def _sees(it: Situation, function: Callable[[], Any]) -> Finding:
    """Find out whether failures of *function* open the breaker that it is decorated with."""
    try:
        guarded = it.subject.decorate(function)
    except (TypeError, AttributeError) as error:
        return type(error).__name__
    for _ in range(THRESHOLD + 1):
        reached = await _outcome(it, guarded)
        if reached != "failed":
            return None if reached == "refused" else reached
    return "sees no failure"


async def _outcome(it: Situation, guarded: Callable[[], Any]) -> str:
    try:
        result = guarded()
        if hasattr(result, "__aiter__"):
            [_ async for _ in result]
        else:
            await result
    except it.subject.refusal as refusal:
        return "failed" if isinstance(refusal.__context__, Broken) else "refused"
    except Broken:
        return "failed"
    except TypeError:
        return "TypeError"
    return "failure lost"


async def sees_a_coroutine_function(it: Situation) -> Finding:
    """`async def` is judged by what awaiting it gives."""
    return await _sees(it, _fail)


async def sees_a_partial(it: Situation) -> Finding:
    """So is a `functools.partial` of one."""
    return await _sees(it, partial(_fail))


async def sees_an_object(it: Situation) -> Finding:
    """So is an object whose `__call__` is one."""
    return await _sees(it, _Callable())


async def sees_a_lambda(it: Situation) -> Finding:
    """So is a lambda that calls one."""
    return await _sees(it, lambda: _fail())  # noqa: PLW0108 - it is the point


async def sees_a_task(it: Situation) -> Finding:
    """So is a plain function that returns a task."""
    return await _sees(it, lambda: asyncio.ensure_future(_fail()))


async def sees_an_async_generator(it: Situation) -> Finding:
    """An async generator is judged when it ends."""
    return await _sees(it, _stream)


QUESTIONS: tuple[Question, ...] = (
    half_open_herd,
    failed_trial,
    hung_trial,
    late_success_while_open,
    late_failure_while_open,
    late_success_during_the_trial,
    late_failure_during_the_trial,
    late_failures_after_recovery,
    cancelled_is_no_failure,
    cancelled_is_no_success,
    cancelled_trial,
    outer_timeouts,
    clock_set_back,
    clock_set_forward,
    fresh_refusals,
    nothing_kept,
    excluded_opens_nothing,
    excluded_in_the_row,
    excluded_trial,
    sees_a_coroutine_function,
    sees_a_partial,
    sees_an_object,
    sees_a_lambda,
    sees_a_task,
    sees_an_async_generator,
)


def put(question: Question, kind: type[Subject]) -> Finding:
    """Put the question to a new breaker of this kind, in a time of its own.

    Raises:
        LacksError: It has no such feature.

    """
    clock = FakeClock()
    with kind.clocked(clock), asyncio.Runner(loop_factory=lambda: FakeLoop(clock)) as runner:
        return runner.run(_in_time(question, kind, clock))


async def _in_time(question: Question, kind: type[Subject], clock: FakeClock) -> Finding:
    try:
        async with asyncio.timeout(10 * AGES):
            return await question(Situation(kind(clock), clock))
    except TimeoutError:
        return "never ends"
