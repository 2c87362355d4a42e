"""Threads for lookups: used again, never waited for."""

import asyncio
import subprocess
import sys
import threading

import pytest

from uptime_exporter.probes.lookup import Threads


async def test_a_call_returns_and_raises_as_if_it_were_made_here() -> None:
    """The thread does not show."""
    threads = Threads(1)

    assert await threads.run(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)


async def test_a_thread_is_used_again() -> None:
    """One after the other needs but one."""
    threads = Threads(8)

    assert len({await threads.run(threading.get_ident) for _ in range(5)}) == 1


async def test_a_call_that_hangs_holds_up_no_other() -> None:
    """Its thread is busy even when nobody waits for it any more."""
    threads = Threads(2)
    hanging = threading.Event()
    task = asyncio.create_task(asyncio.wait_for(threads.run(hanging.wait), None))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    try:
        assert await threads.run(lambda: "quick") == "quick"
    finally:
        hanging.set()


async def test_calls_beyond_the_threads_wait_and_cancelled_ones_are_skipped() -> None:
    """A queue of calls that nobody waits for is gone at once."""
    threads = Threads(1)
    hanging = threading.Event()
    made: list[int] = []
    first = asyncio.create_task(threads.run(hanging.wait))
    second = asyncio.create_task(threads.run(lambda: made.append(2)))
    third = asyncio.create_task(threads.run(lambda: made.append(3)))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    hanging.set()
    await asyncio.gather(first, third)

    assert made == [3]


def test_a_hanging_lookup_does_not_hold_up_the_exit() -> None:
    """SIGTERM must end the program while the resolver is dead."""
    program = """if True:
        import asyncio, threading
        from uptime_exporter.probes.lookup import Threads

        async def main():
            try:
                async with asyncio.timeout(0):
                    await Threads(1).run(threading.Event().wait)
            except TimeoutError:
                print("bye")

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )

    assert (done.stdout, done.stderr) == ("bye\n", "")
