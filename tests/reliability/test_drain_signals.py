"""Signals held back from a server, whichever way it hears of them, and let through when it is time."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
import uvloop

from uptime_exporter.reliability.signals import Signals

SERVER = (signal.SIGTERM, signal.SIGINT)


class Server:
    """Hears of signals as uvicorn does ("python") or as Hypercorn does ("loop")."""

    def __init__(self, way: str) -> None:
        self.heard: list[int] = []
        self.before = {number: signal.getsignal(number) for number in SERVER}
        for number in SERVER:
            if way == "python":
                signal.signal(number, self._hear)
            else:
                asyncio.get_running_loop().add_signal_handler(number, self.heard.append, number)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.heard.append(number)

    def close(self) -> None:
        for number, handler in self.before.items():
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, handler)


class Told:
    """Who is told of the signals instead."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.noted = 0
        self.news = asyncio.Event()
        self.signals = Signals(self._tell, self._note)

    def _tell(self, number: int) -> None:
        self.numbers.append(number)
        self.news.set()

    def _note(self) -> None:
        self.noted += 1

    async def hears(self) -> None:
        """Wait for the next one."""
        async with asyncio.timeout(10):
            await self.news.wait()
        self.news.clear()


@pytest.fixture(params=["asyncio", "uvloop"])
def runs(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """Run a story on each kind of event loop."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner.run


async def settled() -> None:
    """Let the loop take in what has been written to it."""
    for _ in range(5):
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("way", ["python", "loop"])
@pytest.mark.parametrize("number", SERVER)
def test_the_server_hears_of_it_when_it_is_let_through(
    number: signal.Signals, way: str, runs: Callable[..., None]
) -> None:
    """Not before, and as often as it was sent."""

    async def story() -> None:
        server, told = Server(way), Told()
        told.signals.hold()
        os.kill(os.getpid(), number)
        await told.hears()
        os.kill(os.getpid(), number)
        await told.hears()
        await settled()
        assert (told.numbers, told.noted, server.heard) == ([number, number], 2, [])
        told.signals.let_through()
        await settled()
        assert server.heard == [number, number]
        server.close()

    runs(story())


@pytest.mark.parametrize("way", ["python", "loop"])
def test_afterwards_the_server_hears_at_once(way: str, runs: Callable[..., None]) -> None:
    """What was let through once is not held back again."""

    async def story() -> None:
        server, told = Server(way), Told()
        told.signals.hold()
        told.signals.let_through()
        os.kill(os.getpid(), signal.SIGTERM)
        await settled()
        assert (told.numbers, server.heard) == ([], [signal.SIGTERM])
        server.close()

    runs(story())


def test_other_signals_of_the_loop_pass(runs: Callable[..., None]) -> None:
    """A program that reloads on SIGHUP goes on doing so."""

    async def story() -> None:
        reloaded = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloaded.set)
        told = Told()
        told.signals.hold()
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            await reloaded.wait()
        told.signals.release()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)

    runs(story())


def test_everything_is_as_it_was_afterwards(runs: Callable[..., None]) -> None:
    """Handlers and the file descriptor of the loop are given back, also when asked twice."""

    async def story() -> None:
        before = [signal.getsignal(number) for number in SERVER]
        told = Told()
        told.signals.hold()
        told.signals.hold()
        assert [signal.getsignal(number) for number in SERVER] != before
        told.signals.release()
        told.signals.release()
        assert [signal.getsignal(number) for number in SERVER] == before

    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    runs(story())
    assert signal.set_wakeup_fd(descriptor) == descriptor


def test_who_takes_a_signal_over_keeps_it(runs: Callable[..., None]) -> None:
    """An application may have its own mind about SIGTERM."""

    async def story() -> None:
        server = Server("python")
        told = Told()
        told.signals.hold()
        mine = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        told.signals.release()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert mine is not signal.SIG_IGN
        server.close()

    runs(story())


def test_an_ignored_signal_stays_ignored(runs: Callable[..., None]) -> None:
    """A worker whose master ignores Ctrl+C for it must not end by it."""

    async def story() -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            told = Told()
            told.signals.hold()
            os.kill(os.getpid(), signal.SIGINT)
            await settled()
            assert told.numbers == []
            told.signals.release()
        finally:
            signal.signal(signal.SIGINT, before)

    runs(story())


def test_outside_the_main_thread_nothing_is_held() -> None:
    """Only the main thread may; a server in another one tells of its end by the lifespan."""
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    async def story() -> None:
        told = Told()
        told.signals.hold()
        seen.append(signal.getsignal(signal.SIGTERM))
        told.signals.let_through()

    thread = threading.Thread(target=lambda: asyncio.run(story()))
    thread.start()
    thread.join()

    assert seen == [before]


DEFAULT = """
import asyncio, os, signal
from uptime_exporter.reliability.signals import Signals

async def main():
    told = asyncio.Event()
    signals = Signals(lambda number: told.set(), lambda: None)
    signals.hold()
    os.kill(os.getpid(), signal.SIGTERM)
    await told.wait()
    print("alive", flush=True)
    signals.let_through()
    print("never", flush=True)

asyncio.run(main())
"""


async def test_where_nobody_listens_it_does_what_it_always_did() -> None:
    """SIGTERM without a handler ends the process by SIGTERM, but only when it is let through."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DEFAULT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()

    assert (said, process.returncode) == (b"alive\n", -signal.SIGTERM)
