"""A client that shows what really came over the wire."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What came until the server closed."""

    raw: bytes

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ")[1])

    @property
    def body(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[2].decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Line:
    """One open connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, method: str = "GET", path: str = "/health", **headers: str) -> None:
        """Send the head of a request; ``sec_fetch_site="none"`` is the header Sec-Fetch-Site."""
        fields = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in fields.items() if value),
        ]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())


@asynccontextmanager
async def dial(port: int) -> AsyncIterator[Line]:
    """Connect to a port of this machine; hang up at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def ask(port: int, method: str = "GET", path: str = "/health", **headers: str) -> Answer:
    """Ask once, and read to the end."""
    async with dial(port) as line:
        line.say(method, path, **headers)
        return Answer(await line.reader.read())
