"""Bytes to and from a connected socket, with nothing running in the background."""

import asyncio
import socket
from typing import Protocol

CHUNK = 1 << 16
"""Bytes that are read at once, at most."""


class Stream(Protocol):
    """A connection; errors are the system's own (`OSError`), TLS included.

    There is no task and no callback behind it: whoever is cancelled while waiting closes it, and it is gone.
    """

    async def send(self, data: bytes) -> None:
        """Send all of *data*."""

    async def receive(self) -> bytes:
        """Return what has come in, waiting for it if need be; nothing at the end."""

    def close(self) -> None:
        """Close the socket at once."""


class PlainStream:
    """A socket as it is."""

    __slots__ = ("_loop", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send all of *data*."""
        await self._loop.sock_sendall(self._sock, data)

    async def receive(self) -> bytes:
        """Return what has come in, waiting for it if need be; nothing at the end."""
        return await self._loop.sock_recv(self._sock, CHUNK)

    def close(self) -> None:
        """Close the socket at once."""
        self._sock.close()
