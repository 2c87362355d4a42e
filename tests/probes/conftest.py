"""What all tests of probes stand on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every probe on both loops that `run` may choose."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def open_sockets() -> int:
    """Return how many sockets this process has open; which, says nothing: uvloop changes its own pair."""
    targets = (str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return sum(target.startswith("socket:") for target in targets)


@pytest.fixture
async def leaves_nothing() -> AsyncIterator[None]:
    """Fail a test after which a socket is open or a task runs that was not there before."""
    sockets, tasks = open_sockets(), asyncio.all_tasks()
    yield
    for _ in range(5):  # what was closed is gone a turn of the loop later
        await asyncio.sleep(0)
    assert open_sockets() <= sockets
    assert asyncio.all_tasks() <= tasks | {asyncio.current_task()}
