"""What a drill says while it goes on."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import TextIO

WIDTH = 24
_CLEAR = "\r\x1b[K"


class Progress:
    """Lines with the time of each step; on a terminal, a bar beneath them while one is waited for."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._began = clock()

    def done(self, what: str, seconds: float) -> None:
        """Tell that a step was taken, which took *seconds*."""
        self._line(f"{self._elapsed():7.1f} s  ok      {what} ({seconds:.1f} s)")

    def failed(self, what: str) -> None:
        """Tell why the drill ends."""
        self._line(f"{self._elapsed():7.1f} s  FAILED  {what}")

    def say(self, what: str) -> None:
        """Tell something that is neither."""
        self._line(f"{self._elapsed():7.1f} s          {what}")

    @contextlib.asynccontextmanager
    async def waiting(self, what: str, patience: float) -> AsyncIterator[None]:
        """Show how much of *patience* seconds has gone."""
        if not self._out.isatty():
            yield
            return
        drawing = asyncio.create_task(self._draw(what, patience))
        try:
            yield
        finally:
            drawing.cancel()
            self._write(_CLEAR)

    async def _draw(self, what: str, patience: float) -> None:
        began = self._clock()
        while True:
            self._write(_CLEAR + bar(what, self._clock() - began, patience))
            await asyncio.sleep(0.2)

    def _elapsed(self) -> float:
        return self._clock() - self._began

    def _line(self, text: str) -> None:
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def bar(what: str, seconds: float, patience: float) -> str:
    """Return the bar, as far as it has come."""
    full = min(WIDTH, int(WIDTH * seconds / patience))
    return f"[{'#' * full}{'.' * (WIDTH - full)}] {seconds:4.0f} s of {patience:.0f} s  {what}"
