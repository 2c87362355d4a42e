"""An application's own checks: each asked by the beat, whatever becomes of it, and never twice at a time."""

import asyncio
import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Literal, cast

from uptime_exporter.reliability.callables import kind
from uptime_exporter.reliability.schedule import Schedule

log = logging.getLogger(__name__)

Answer = bool | None
Question = Callable[[], Answer | Awaitable[Answer]]
"""Returns True or nothing if all is well, False if not, or raises."""
CheckState = Literal["up", "down", "unknown"]


class Check:
    """One question to the application, and what became of it.

    Attributes:
        state: By the latest answer; "unknown" before the first.
        since: Unix time since which it has been in that state.
        last_check: Unix time at which it was asked last, None before the first time.
        reason: Why it is down, without what an exception says: that may hold a secret. Empty while it is not.
        results: What became of it → how often.

    """

    def __init__(
        self, name: str, question: Question, *, history: int, timeout: float, wall: Callable[[], float]
    ) -> None:
        self.name = name
        self.state: CheckState = "unknown"
        self.since = wall()
        self.last_check: float | None = None
        self.reason = ""
        self.results: dict[str, int] = {"success": 0, "failure": 0}
        self._question = question
        self._timeout = timeout
        self._wall = wall
        self._history: deque[bool] = deque(maxlen=history)
        self._asked: asyncio.Task[object] | None = None
        self._thread: Future[object] | None = None

    @property
    def healthy(self) -> bool:
        """Whether it is known to be well."""
        return self.state == "up"

    @property
    def success_ratio(self) -> float | None:
        """Part of the history that was well, 0 to 1; None before the first answer."""
        return sum(self._history) / len(self._history) if self._history else None

    @property
    def uptime_percentage(self) -> float:
        """The same in percent; 0 before the first answer."""
        return round((self.success_ratio or 0.0) * 100, 3)

    @property
    def history_size(self) -> int:
        """How many answers the history holds."""
        return len(self._history)

    async def ask(self) -> None:
        """Ask once, and take the answer in; whatever goes wrong means that the check is down."""
        self.last_check = self._wall()
        self._take(await self._complaint())

    async def _complaint(self) -> str:
        """Return what is wrong, empty if nothing is."""
        if self._still_runs():
            return "the check before it still runs"
        self._asked = asked = asyncio.create_task(self._answer())
        asked.add_done_callback(_take_note)
        try:
            await asyncio.wait({asked}, timeout=self._timeout)
        finally:
            asked.cancel()
        return _objection(asked) if asked.done() else f"no answer within {self._timeout:g} s"

    async def _answer(self) -> object:
        if kind(self._question) == "coroutine":
            return await cast("Awaitable[object]", self._question())
        self._thread = _in_thread(self._question)
        answer = await asyncio.wrap_future(self._thread)
        return await answer if inspect.isawaitable(answer) else answer

    def _still_runs(self) -> bool:
        """Return whether a thread, or a coroutine that does not listen to its cancellation, is still at it."""
        if self._thread is not None and not self._thread.done():
            return True
        asked = self._asked
        return asked is not None and not asked.done() and asked.get_loop() is asyncio.get_running_loop()

    def _take(self, complaint: str) -> None:
        self._history.append(not complaint)
        self.results["failure" if complaint else "success"] += 1
        state: CheckState = "down" if complaint else "up"
        if state != self.state:
            self.since = self._wall()
            log.log(logging.WARNING if complaint else logging.INFO, "check %s is %s", self.name, state)
        if complaint and complaint != self.reason:
            log.warning("check %s: %s", self.name, complaint)
        self.state, self.reason = state, complaint


class HealthMonitor:
    """Asks an application's checks in the background, each by its own beat.

    Belongs to one event loop while it runs; it may be started again, on another one too.

    Attributes:
        checks: Name → check, in the order in which they were given.

    """

    def __init__(
        self,
        checks: Mapping[str, Question],
        *,
        interval: float = 30.0,
        history: int = 100,
        timeout: float = 5.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Take the questions.

        Args:
            checks: Name → what is asked; a function that is not async is called in a thread of its own.
            interval: Seconds from one beat to the next.
            history: How many answers are kept.
            timeout: Seconds that one check may take.
            wall: Where Unix time comes from.

        Raises:
            ValueError: A check could outlast its beat, or nothing could be kept.

        """
        if not 0 < timeout < interval:
            raise ValueError(
                f"timeout ({timeout:g}s) must be shorter than interval ({interval:g}s), and above 0"
            )
        if history < 1:
            raise ValueError(f"history ({history}) must be at least 1")
        self.checks: Mapping[str, Check] = {
            name: Check(name, question, history=history, timeout=timeout, wall=wall)
            for name, question in checks.items()
        }
        self._interval = interval
        self._beats: list[asyncio.Task[None]] = []

    @property
    def overall_healthy(self) -> bool:
        """Whether every check is known to be well."""
        return all(check.healthy for check in self.checks.values())

    async def start(self) -> None:
        """Ask from now on; the first time at once. A second start changes nothing."""
        if self._beats:
            return
        of = len(self.checks)
        for place, check in enumerate(self.checks.values()):
            beat = self._beat(check, place=place, of=of)
            self._beats.append(asyncio.create_task(beat, name=f"check {check.name}"))

    async def stop(self) -> None:
        """Ask no more; what was found out stays."""
        beats, self._beats = self._beats, []
        for beat in beats:
            beat.cancel()
        await asyncio.gather(*beats, return_exceptions=True)

    async def _beat(self, check: Check, *, place: int, of: int) -> None:
        schedule, time_ = Schedule(check.name, self._interval), asyncio.get_running_loop().time
        due = schedule.first(time_(), place=place, of=of)
        while True:
            await asyncio.sleep(due - time_())
            began = time_()
            await check.ask()
            due = schedule.after(began, time_())


def _in_thread(question: Question) -> Future[object]:
    """Call *question* in a thread that does not hold up the end of the process."""
    call = Future[object]()
    call.set_running_or_notify_cancel()  # nobody can cancel it: it is done when the thread is

    def answer() -> None:
        try:
            call.set_result(question())
        except Exception as error:  # noqa: BLE001 - whatever it is, the check says so
            call.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - must not end the loop
            call.set_exception(RuntimeError(type(error).__name__))

    threading.Thread(target=answer, name="check", daemon=True).start()
    return call


def _objection(asked: asyncio.Task[object]) -> str:
    if asked.cancelled():
        return "cancelled"
    if error := asked.exception():
        log.debug("a check failed", exc_info=error)
        return type(error).__name__
    match asked.result():
        case None | True:
            return ""
        case False:
            return "the check says no"
        case other:
            return f"answered with {type(other).__name__}, neither True nor False"


def _take_note(asked: asyncio.Task[object]) -> None:
    """Keep asyncio from logging what an abandoned check died of."""
    if not asked.cancelled():
        asked.exception()
