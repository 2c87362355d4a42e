"""Takes what Alertmanager sends to a webhook."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from uptime_exporter.drill.servers import concerns
from uptime_exporter.errors import DrillError

_LENGTH = re.compile(rb"^content-length: *(\d+)\r$", flags=re.IGNORECASE | re.MULTILINE)
_LARGEST = 8 << 20
_SECONDS = 30.0
_THANKS = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Inbox:
    """What has come in so far."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def heard(self, status: str, sla: str) -> bool:
        """Return whether a message said ``firing`` or ``resolved`` of the drill's alert."""
        return (status, sla) in self._seen

    def read(self, message: Mapping[str, Any]) -> None:
        """Take note of one message (Alertmanager's webhook, version 4)."""
        for alert in message.get("alerts", ()):
            sla = str(alert["labels"].get("sla"))
            if concerns(alert["labels"], sla):
                self._seen.add((str(alert["status"]), sla))

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; what is no message of Alertmanager is thanked for and forgotten."""
        with contextlib.closing(writer), contextlib.suppress(OSError, EOFError, ValueError, TimeoutError):
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                size = min(int(match[1]) if (match := _LENGTH.search(head)) else 0, _LARGEST)
                body = await reader.readexactly(size)
                writer.write(_THANKS)
                await writer.drain()
            with contextlib.suppress(KeyError, TypeError, AttributeError):
                self.read(json.loads(body))


@contextlib.asynccontextmanager
async def inbox(place: tuple[str, int]) -> AsyncIterator[Inbox]:
    """Take messages at host and port until the end of the block.

    Raises:
        DrillError: They cannot be had.

    """
    box = Inbox()
    try:
        server = await asyncio.start_server(box.take, place[0] or None, place[1])
    except OSError as error:
        raise DrillError(f"--inbox: cannot listen at {place[0]}:{place[1]} ({error.strerror})") from error
    async with server:
        yield box
