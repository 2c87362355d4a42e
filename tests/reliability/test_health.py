"""An application's own checks."""

import asyncio
import functools
import gc
import itertools
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from support.loop import FakeClock
from uptime_exporter.reliability.health import Check, HealthMonitor, Question
from uptime_exporter.reliability.schedule import Schedule

Run = Callable[[Coroutine[Any, Any, None]], None]


def watching(clock: FakeClock, question: Question, *, history: int = 100) -> tuple[HealthMonitor, Check]:
    monitor = HealthMonitor({"database": question}, history=history, wall=clock.wall)
    return monitor, monitor.checks["database"]


async def well() -> bool:
    return True


def refused() -> bool:
    raise ConnectionRefusedError("user:hunter2@db")


async def test_nothing_is_known_before_the_first_answer(clock: FakeClock) -> None:
    """What nobody knows is not healthy, and is told apart from down."""
    monitor, check = watching(clock, well)

    assert (check.state, check.healthy, check.last_check) == ("unknown", False, None)
    assert (check.uptime_percentage, check.history_size, check.success_ratio) == (0.0, 0, None)
    assert not monitor.overall_healthy


def test_checks_go_by_a_beat_of_their_own(clock: FakeClock, run: Run) -> None:
    """The first answer comes at once; then each check is asked at its own phase, however long it took."""
    asked: dict[str, list[float]] = {"database": [], "model_server": []}

    async def slow(name: str) -> None:
        asked[name].append(clock.awake())
        await asyncio.sleep(2.5)

    async def story() -> None:
        monitor = HealthMonitor({n: functools.partial(slow, n) for n in asked}, wall=clock.wall)
        await monitor.start()
        await monitor.start()
        await asyncio.sleep(100)
        await monitor.stop()
        assert [check.results["failure"] for check in monitor.checks.values()] == [0, 0]

    run(story())

    for name, times in asked.items():
        assert times[0] <= 0.01
        assert {round(t % 30, 6) for t in times[1:]} == {round(Schedule(name, 30.0).phase, 6)}
        assert {round(b - a, 6) for a, b in itertools.pairwise(times[1:])} == {30.0}


class Knock:
    async def __call__(self) -> None:
        await asyncio.sleep(0)


async def no() -> bool:
    return False


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (well, ""),
        (lambda: None, ""),
        (lambda: True, ""),
        (lambda: asyncio.sleep(0, result=True), ""),
        (functools.partial(well), ""),
        (Knock(), ""),
        (no, "the check says no"),
        (lambda: False, "the check says no"),
        (lambda: asyncio.sleep(0, result=False), "the check says no"),
        (refused, "ConnectionRefusedError"),
        (lambda: {"status": "unhealthy"}, "answered with dict, neither True nor False"),
        (lambda: 1, "answered with int, neither True nor False"),
        (exit, "RuntimeError"),
    ],
)
async def test_what_a_check_may_be_and_say(clock: FakeClock, question: Question, reason: str) -> None:
    """Async or not, partial, lambda or object; True or nothing is well, everything else is not."""
    _, check = watching(clock, question)

    await check.ask()

    assert (check.state, check.reason) == ("down" if reason else "up", reason)
    assert check.last_check == clock.wall()
    assert check.results == {"success": int(not reason), "failure": int(bool(reason))}


async def test_what_an_exception_says_is_told_to_nobody(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hold a password; its type goes to the log, the rest only where debugging is asked for."""
    caplog.set_level(logging.INFO, "uptime_exporter")
    _, check = watching(clock, refused)

    await check.ask()
    await check.ask()

    assert "hunter2" not in check.reason + caplog.text
    assert [r.getMessage() for r in caplog.records] == [
        "check database is down",
        "check database: ConnectionRefusedError",
    ]


def test_a_check_that_never_answers_is_down_in_time(clock: FakeClock, run: Run) -> None:
    """The time limit, not the check, decides how long it may take."""

    async def story() -> None:
        _, check = watching(clock, functools.partial(asyncio.sleep, 3600))
        await check.ask()
        assert (check.state, check.reason, clock.awake()) == ("down", "no answer within 5 s", 5.0)

    run(story())


def test_a_check_that_does_not_listen_is_not_asked_twice_at_a_time(clock: FakeClock, run: Run) -> None:
    """It counts as down meanwhile, and as up again once it answers."""
    asked = 0

    async def deaf() -> None:
        nonlocal asked
        asked += 1
        end = clock.awake() + 8
        while clock.awake() < end:
            try:
                await asyncio.sleep(end - clock.awake())
            except asyncio.CancelledError:
                if asked > 1:
                    raise

    async def story() -> None:
        monitor, check = watching(clock, deaf)
        await check.ask()
        await check.ask()
        assert (asked, check.reason) == (1, "the check before it still runs")
        await asyncio.sleep(8)
        await check.ask()
        assert asked == 2
        await monitor.stop()

    run(story())


async def test_a_thread_that_hangs_is_not_joined_by_another(clock: FakeClock) -> None:
    """A driver without a time limit costs one thread, not one for every beat."""
    release, threads = threading.Event(), threading.active_count()
    monitor = HealthMonitor({"disk": lambda: release.wait(30)}, timeout=0.01, wall=clock.wall)
    check = monitor.checks["disk"]

    for _ in range(2):
        await check.ask()
        await asyncio.sleep(0.01)  # the coroutine that waited for the thread is gone, the thread is not

    assert threading.active_count() == threads + 1
    assert check.results == {"success": 0, "failure": 2}
    release.set()
    while threading.active_count() > threads:  # noqa: ASYNC110  # a thread tells nobody that it has ended
        await asyncio.sleep(0)
    await check.ask()
    assert check.state == "up"


def test_what_an_abandoned_check_died_of_is_told_to_nobody(
    clock: FakeClock, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Asyncio would log the exception that nobody asked for, with all that it says."""

    async def late() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            refused()

    async def story() -> None:
        monitor, check = watching(clock, late)
        await check.ask()
        await asyncio.sleep(1)
        del monitor, check
        gc.collect()

    run(story())

    assert "hunter2" not in caplog.text


async def test_a_check_that_cancels_itself_is_down(clock: FakeClock) -> None:
    """Its cancellation is not ours: the beat goes on."""

    async def cancelled() -> None:
        raise asyncio.CancelledError

    _, check = watching(clock, cancelled)

    await check.ask()

    assert (check.state, check.reason) == ("down", "cancelled")


async def test_the_history_holds_the_latest(clock: FakeClock) -> None:
    """The percentage is of the last so many answers."""
    answers = iter([False, False, True, True, True])
    _, check = watching(clock, lambda: next(answers), history=4)

    for _ in range(5):
        clock.pass_time(30)
        await check.ask()

    assert (check.uptime_percentage, check.history_size, check.success_ratio) == (75.0, 4, 0.75)
    assert check.since == clock.wall() - 60


def test_stopping_ends_what_is_asked_and_starting_goes_on(clock: FakeClock, run: Run) -> None:
    """No task stays behind; what was found out stays."""

    async def story() -> None:
        monitor, check = watching(clock, functools.partial(asyncio.sleep, 4, True))  # noqa: FBT003
        await monitor.start()
        await asyncio.sleep(1)
        await monitor.stop()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert check.results == {"success": 0, "failure": 0}
        await monitor.start()
        await asyncio.sleep(5)
        assert check.results == {"success": 1, "failure": 0}
        await monitor.stop()
        assert monitor.overall_healthy

    run(story())


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"timeout": 30.0}, r"timeout \(30s\) must be shorter than interval \(30s\)"),
        ({"timeout": 0.0}, "and above 0"),
        ({"history": 0}, r"history \(0\) must be at least 1"),
    ],
)
def test_figures_that_cannot_work_are_refused(options: dict[str, Any], mistake: str) -> None:
    """Answer before the next question."""
    with pytest.raises(ValueError, match=mistake):
        HealthMonitor({}, **options)
