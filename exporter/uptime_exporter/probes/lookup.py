"""Blocking calls in threads that nobody waits for."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

_T = TypeVar("_T")


class Threads:
    """Runs blocking calls; one that hangs holds up neither the loop nor the end of the program.

    The pools of `concurrent.futures` wait for their threads at exit, for as long as a dead resolver takes.
    """

    def __init__(self, most: int) -> None:
        """Get ready.

        Args:
            most: Threads, which are started as they are needed; further calls wait for one of them.

        """
        self._most = most
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._unfinished = 0

    async def run(self, call: Callable[[], _T]) -> _T:
        """Return what *call* returns; cancelled, leave it alone.

        Raises:
            RuntimeError: No thread can be started.

        """
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._require_thread()
        self._calls.put(_Call(call, future))
        return await future

    def _require_thread(self) -> None:
        with self._lock:
            if self._unfinished >= self._threads and self._threads < self._most:
                threading.Thread(target=self._work, name="lookup", daemon=True).start()
                self._threads += 1
            self._unfinished += 1

    def _work(self) -> None:
        while True:
            self._calls.get().make(self._finished)

    def _finished(self) -> None:
        with self._lock:
            self._unfinished -= 1


class _Call:
    """One call and who waits for it."""

    def __init__(self, call: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        self._call = call
        self._future = future
        self._loop = future.get_loop()

    def make(self, finished: Callable[[], None]) -> None:
        """Make the call in this thread, unless nobody waits any more, and hand the result to the loop."""
        result, error = None, None
        if not self._future.cancelled():
            try:
                result = self._call()
            except Exception as caught:  # noqa: BLE001  # it is raised where the result is awaited
                error = caught
        finished()
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._settle, result, error)

    def _settle(self, result: Any, error: Exception | None) -> None:
        if self._future.done():
            return
        if error is None:
            self._future.set_result(result)
        else:
            self._future.set_exception(error)
