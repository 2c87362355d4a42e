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
    """A socket as it is.

    Its own system calls, and the loop only to wait: half of what asyncio's ``sock_…`` methods cost, and a third of
    uvloop's.
    """

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def send(self, data: bytes) -> None:
        """Send all of *data*."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                await writable(self._sock)

    async def receive(self) -> bytes:
        """Return what has come in, waiting for it if need be; nothing at the end."""
        while True:
            await readable(self._sock)
            try:
                return self._sock.recv(CHUNK)
            except BlockingIOError:
                continue

    def close(self) -> None:
        """Close the socket at once."""
        self._sock.close()


async def readable(sock: socket.socket) -> None:
    """Wait until something has come in, or nothing will any more."""
    loop = asyncio.get_running_loop()
    descriptor, waiter = sock.fileno(), loop.create_future()
    loop.add_reader(descriptor, _wake, waiter)
    try:
        await waiter
    finally:
        loop.remove_reader(descriptor)


async def writable(sock: socket.socket) -> None:
    """Wait until something can be sent, or the connection is there or failed."""
    loop = asyncio.get_running_loop()
    descriptor, waiter = sock.fileno(), loop.create_future()
    loop.add_writer(descriptor, _wake, waiter)
    try:
        await waiter
    finally:
        loop.remove_writer(descriptor)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
