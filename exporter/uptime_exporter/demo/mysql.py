"""The private database server as a part that can be made to fail."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from uptime_exporter.demo.listener import LOOPBACK

MEANINGS: Mapping[str, str] = {
    "up": "well again",
    "down": "killed: connection refused",
    "paused": "stopped (SIGSTOP): accepts, then says nothing",
    "read_only": "answers, but takes no writes",
}


class Database(Protocol):
    """A database server on loopback that can be hurt.

    Attributes:
        port: Where it listens, also after a restart.

    """

    port: int

    async def start(self) -> None:
        """Run again after `kill`."""

    async def kill(self) -> None:
        """End it without warning."""

    async def pause(self) -> None:
        """Let it get no processor time."""

    async def resume(self) -> None:
        """Undo `pause`."""

    async def set_read_only(self, *, on: bool) -> None:
        """Refuse writes, or take them again."""


class DatabasePart:
    """Switches a database server from one condition to the next; each begins from a server that is well.

    Attributes:
        present: How it is now; one of `switches`.
        port: Where it listens.

    """

    name = "mysql"
    switches = MEANINGS

    def __init__(self, database: Database) -> None:
        self.present = "up"
        self.port = database.port
        self._database = database
        self._switching = asyncio.Lock()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{LOOPBACK}:{self.port}"

    async def switch(self, word: str) -> None:
        """Be as *word*, one of `switches`, says.

        Raises:
            UptimeError: The server does not come back.

        """
        async with self._switching:
            if word != self.present:
                await self._mend()
                await self._hurt(word)

    async def _mend(self) -> None:
        match self.present:
            case "down":
                await self._database.start()
            case "paused":
                await self._database.resume()
            case "read_only":
                await self._database.set_read_only(on=False)
        self.present = "up"

    async def _hurt(self, word: str) -> None:
        match word:
            case "down":
                await self._database.kill()
            case "paused":
                await self._database.pause()
            case "read_only":
                await self._database.set_read_only(on=True)
        self.present = word
