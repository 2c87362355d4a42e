"""A TCP server on loopback that can go and come back, and leaves neither a task nor a socket."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable

from uptime_exporter.errors import ListenError

LOOPBACK = "127.0.0.1"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Holds one conversation; its end, or an exception of the connection, ends the connection."""


class Listener:
    """Accepts connections and hands each to *serve*.

    Attributes:
        port: Where it listens, or is to listen; 0 until the system has chosen one.

    """

    def __init__(self, serve: Serve, port: int) -> None:
        self.port = port
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{LOOPBACK}:{self.port}"

    async def open(self) -> None:
        """Listen; nothing happens if it does already.

        Raises:
            ListenError: The port cannot be had.

        """
        if self._server is not None:
            return
        try:
            self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)
        except OSError as exc:
            why = os.strerror(exc.errno) if exc.errno else str(exc)
            raise ListenError(f"cannot listen on {self.address}: {why}; see who does: ss -ltnp") from exc
        self.port = self._server.sockets[0].getsockname()[1]

    async def open_here_or_elsewhere(self) -> bool:
        """Listen, if need be on another port than the wanted one; return whether the wanted one was free.

        Raises:
            ListenError: No port can be had at all.

        """
        try:
            await self.open()
        except ListenError as exc:
            if getattr(exc.__cause__, "errno", None) not in (errno.EADDRINUSE, errno.EACCES):
                raise
            self.port = 0
            await self.open()
            return False
        return True

    async def close(self) -> None:
        """Free the port and break off every conversation, as a process that is killed does."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted by the system before it was closed
            writer.transport.abort()
            return
        conversation = asyncio.create_task(self._converse(reader, writer))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, EOFError, asyncio.LimitOverrunError):
            pass  # the client has gone, or talks nonsense: either way there is nobody to answer
        finally:
            writer.transport.abort()
