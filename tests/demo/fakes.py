"""A database server that only remembers what was done to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from uptime_exporter.errors import UptimeError

FREE_PORT = 43306


class FakeDatabase:
    """Obeys, unless it is not to come back."""

    def __init__(self, *, port: int = 3306, comes_back: bool = True) -> None:
        self.port = port
        self.done: list[str] = []
        self._comes_back = comes_back

    async def start(self) -> None:
        await self._do("start")
        if not self._comes_back:
            raise UptimeError("it does not come back")

    async def kill(self) -> None:
        await self._do("kill")

    async def pause(self) -> None:
        await self._do("pause")

    async def resume(self) -> None:
        await self._do("resume")

    async def set_read_only(self, *, on: bool) -> None:
        await self._do(f"read_only={on}")

    async def _do(self, what: str) -> None:
        await asyncio.sleep(0)
        self.done.append(what)


class FakeServerProgram:
    """Opens fake databases, and keeps what it was asked for."""

    def __init__(self, *, installed: bool = True) -> None:
        self.password = ""
        self.running = False
        self._installed = installed

    @asynccontextmanager
    async def __call__(self, *, port: int, password: str) -> AsyncIterator[FakeDatabase]:
        if not self._installed:
            raise UptimeError("no server is installed")
        self.password, self.running = password, True
        try:
            yield FakeDatabase(port=port or FREE_PORT)
        finally:
            self.running = False
