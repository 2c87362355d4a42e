"""How many probes may be busy at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

BUSY = 0.25
"""Seconds after which an attempt counts as waiting rather than busy, and needs its slot no more."""


class Slots:
    """Bounds how many attempts are busy at the same moment, not how many wait for an answer.

    A hundred attempts that start in one instant measure each other instead of their targets; a hundred that wait
    for silent servers disturb nobody, and must not keep the others from being asked.

    Attributes:
        held: How many attempts are busy now.

    """

    def __init__(self, number: int = 50) -> None:
        self._free = asyncio.Semaphore(number)
        self.held = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot while inside, but no longer than `BUSY` seconds."""
        await self._free.acquire()
        held = True
        self.held += 1

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self.held -= 1
                self._free.release()

        busy = asyncio.get_running_loop().call_later(BUSY, give_back)
        try:
            yield
        finally:
            busy.cancel()
            give_back()
