"""What all tests of probes stand on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest


def open_sockets() -> set[str]:
    """Return the sockets that this process has open."""
    targets = (str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return {target for target in targets if target.startswith("socket:")}


@pytest.fixture
async def leaves_nothing() -> AsyncIterator[None]:
    """Fail a test after which a socket is open or a task runs that was not there before."""
    sockets, tasks = open_sockets(), asyncio.all_tasks()
    yield
    for _ in range(5):  # what was closed is gone a turn of the loop later
        await asyncio.sleep(0)
    assert open_sockets() <= sockets
    assert asyncio.all_tasks() <= tasks | {asyncio.current_task()}
