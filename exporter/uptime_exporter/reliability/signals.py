"""Holds back the signals that end a process, and lets them through when it is time.

Servers hear of signals in two ways: uvicorn by Python's own handlers, Hypercorn by its event loop, which reads each
signal's number from a file descriptor. Both are held back, and both are served when a signal is let through.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGINT)

NOBODY = -1
"""In place of a file descriptor that is told of signals."""


class Signals:
    """The signals that end this process, between their sender and the server.

    Args:
        told: Called on the event loop with each signal's number.
        noted: Called at once, in the signal handler, also where the event loop is blocked.

    """

    def __init__(self, told: Callable[[int], None], noted: Callable[[], None]) -> None:
        self._told = told
        self._noted = noted
        self._held: list[int] = []
        self._handlers: dict[int, Any] = {}
        self._numbers: _Numbers | None = None

    def hold(self) -> None:
        """Hold them back from now on; ignored ones stay ignored. Does nothing outside the main thread."""
        if self._handlers or threading.current_thread() is not threading.main_thread():
            return
        self._loop = asyncio.get_running_loop()
        self._numbers = _Numbers(self._loop)
        for number in ENDING:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._handlers[number] = signal.signal(number, self._hear)

    def release(self) -> None:
        """Hold nothing back any longer; what was held back is forgotten."""
        if self._numbers is not None:
            self._numbers.give_back()
            self._numbers = None
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._hear:  # nobody has taken it over since
                signal.signal(number, handler)
        self._handlers.clear()

    def let_through(self) -> None:
        """Hold nothing back any longer, and do to the server what was held back, in the same order."""
        held, self._held = self._held, []
        handlers = dict(self._handlers)
        loop_hears = self._numbers.tell if self._numbers is not None else None
        self.release()
        for number in held:
            if callable(handler := handlers.get(number)):
                handler(number, None)
                if loop_hears is not None:
                    loop_hears(number)
            else:
                signal.raise_signal(number)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._held.append(number)
        self._noted()
        self._loop.call_soon_threadsafe(self._told, number)


class _Numbers:
    """Stands between the signals and the file descriptor from which the event loop reads their numbers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._out, self._in = socket.socketpair()
        for end in (self._out, self._in):
            end.setblocking(False)  # noqa: FBT003 - its only argument
        self._loops = signal.set_wakeup_fd(self._in.fileno(), warn_on_full_buffer=False)
        loop.add_reader(self._out, self._pass_on)

    def tell(self, number: int) -> None:
        """Let the event loop read *number*."""
        if self._loops != NOBODY:
            with suppress(OSError):  # the loop is closed, or it has more to read than it can
                os.write(self._loops, bytes([number]))

    def give_back(self) -> None:
        """Let the event loop be told again by the signals themselves."""
        found = signal.set_wakeup_fd(self._loops)
        if found != self._in.fileno():  # somebody has taken it over since
            signal.set_wakeup_fd(found)
        self._loop.remove_reader(self._out)
        self._pass_on()
        self._out.close()
        self._in.close()

    def _pass_on(self) -> None:
        with suppress(BlockingIOError):
            for number in self._out.recv(4096):
                if number not in ENDING:
                    self.tell(number)
