"""Servers on loopback that do one thing, well or badly."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HEALTHY = b'{"status": "healthy", "models_loaded": {"a": true}, "message": "all is well"}'


@dataclass
class Server:
    """What a test wants to know of a running server."""

    host: str
    port: int
    requests: list[bytes] = field(default_factory=list)
    """The heads of the requests that came in."""
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once somebody has connected."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a connection has ended."""

    def url(self, path: str = "/health", scheme: str = "http") -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def serving(
    behave: Behaviour, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Let *behave* have every connection to a free port of *host*."""
    handlers: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.current_task()
        assert task
        handlers.add(task)
        server.connections += 1
        server.asked.set()
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError
        ):
            await behave(_Noting(reader, server), writer)  # type: ignore[arg-type]
        writer.transport.abort()
        server.left.set()

    listener = await asyncio.start_server(handle, host, 0, ssl=tls)
    server = Server(host, listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listener.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()


class _Noting:
    """A reader that notes the heads of requests."""

    def __init__(self, reader: asyncio.StreamReader, server: Server) -> None:
        self._reader = reader
        self._server = server

    async def readuntil(self, separator: bytes) -> bytes:
        head = await self._reader.readuntil(separator)
        self._server.requests.append(head)
        return head

    async def read(self, n: int = -1) -> bytes:
        return await self._reader.read(n)

    def at_eof(self) -> bool:
        return self._reader.at_eof()

    async def readexactly(self, n: int) -> bytes:
        return await self._reader.readexactly(n)


def response(body: bytes = HEALTHY, status: str = "200 OK", **headers: str) -> bytes:
    """Return a well-formed response."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + body


def redirect_to(url: str, status: int = 302) -> bytes:
    """Return a response that leads to *url*."""
    return response(b"", f"{status} x", Location=url)


def saying(*answers: bytes) -> Behaviour:
    """Answer the first request with the first of *answers*, and so on; the last one is repeated."""
    left = list(answers)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return behave


def by_path(answers: dict[str, bytes]) -> Behaviour:
    """Answer each path with its own bytes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(answers[head.split(b" ")[1].decode()])
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return behave


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept, read, and never say a word."""
    while await reader.read(1 << 16):
        pass


def stuck_after(start: bytes) -> Behaviour:
    """Begin a response, and leave it at that."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        await silent(reader, writer)

    return behave


def endless(start: bytes, again: bytes) -> Behaviour:
    """Begin a response, and go on for as long as anybody listens."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while True:
            writer.write(again)
            await writer.drain()

    return behave


def resetting(start: bytes = b"", *, read_first: bool = True) -> Behaviour:
    """Say *start*, then reset the connection as a crashed machine or a load balancer does."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if read_first:
            await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        await writer.drain()
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return behave


def refusing_handshakes(context: ssl.SSLContext) -> Behaviour:
    """Shake hands until *context* has had enough, and say why; asyncio's own servers hang up without a word."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        connection = context.wrap_bio(incoming, outgoing, server_side=True)
        while not reader.at_eof():
            incoming.write(await reader.read(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                try:
                    connection.do_handshake()
                finally:
                    writer.write(outgoing.read())
                    await writer.drain()

    return behave


def closed_port(host: str = "127.0.0.1") -> int:
    """Return a port at which nobody listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


def infos(
    *addresses: tuple[str, int],
) -> Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]]:
    """Return what a lookup that finds *addresses* would."""
    return [
        (socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
        for host, port in addresses
    ]
