"""A TCP server, on loopback unless told otherwise; it can go and come back, and leaves neither task nor socket."""

import asyncio
import errno
import os
import socket
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

    def __init__(self, serve: Serve, port: int, host: str = LOOPBACK) -> None:
        self.port = port
        self._host = host
        self._serve = serve
        self._socket: socket.socket | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self._host}:{self.port}"

    async def open(self) -> None:
        """Listen; nothing happens if it does already.

        Raises:
            ListenError: The port cannot be had.

        """
        if self._socket is not None:
            return
        try:
            self._socket = socket.create_server((self._host, self.port))
        except OSError as exc:
            why = os.strerror(exc.errno) if exc.errno else str(exc)
            raise ListenError(f"cannot listen on {self.address}: {why}; see who does: ss -ltnp") from exc
        self._socket.settimeout(0)
        self.port = self._socket.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)

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
        listening, self._socket = self._socket, None
        if listening is None:
            return
        asyncio.get_running_loop().remove_reader(listening)
        listening.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        # asyncio's own server loses what it accepts in the very turn of the loop in which it is closed.
        try:
            connection, _ = listening.accept()
        except OSError:
            return  # the client has changed its mind
        conversation = asyncio.create_task(self._converse(connection))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)
        # Also where the task is cancelled before its first step.
        conversation.add_done_callback(lambda _: connection.close())

    async def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            await self._serve(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, EOFError, asyncio.LimitOverrunError):
            pass  # the client has gone, or talks nonsense: either way there is nobody to answer
        finally:
            writer.transport.abort()
