"""Takes the listen address and answers on it, in the program's own loop, until it is told to stop."""

import asyncio
import errno
import logging
import math
import re
import socket
from asyncio import CancelledError
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from uptime_exporter.errors import ListenError
from uptime_exporter.reliability.drain import Drained, GracefulShutdown
from uptime_exporter.web.admin import is_loopback

REMEDY = "set listen or UPTIME_LISTEN to another address"

HIGHEST_PORT = 65535

_ADDRESS = re.compile(r"(\[(?P<ip6>[^\[\]]+)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")

_Place = tuple[socket.AddressFamily, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost."""

    connections: int = 256
    """All clients' together, so that they cannot use up the file descriptors that probes need."""
    patience: float = 10.0
    """Seconds in which a request must be complete, from its first byte or the beginning of the connection."""
    keep_alive: float = 75.0
    """Seconds to take the answer and ask again: longer than the usual scrape intervals."""
    last_bytes: float = 30.0
    """Seconds to take what was answered, once the drain is over; never past the time limit of the drain."""


class Listener:
    """The sockets that are bound to one listen address.

    Attributes:
        url: Where a browser on this machine finds it.
        loopback_only: Whether nobody but this machine can reach it.

    """

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self.sockets = tuple(sockets)
        hosts = [s.getsockname()[0] for s in self.sockets]
        self.loopback_only = all(is_loopback(host) for host in hosts)
        self.url = f"http://{_browsable(hosts[0])}:{self.port}/"

    @property
    def port(self) -> int:
        """The port, also where the system chose it."""
        port: int = self.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Give the address back."""
        for each in self.sockets:
            each.close()


def listen(address: str) -> Listener:
    """Bind *address*: ``host:port``, ``[IPv6]:port`` or ``:port`` for all interfaces; port 0 is a free one.

    A name with several addresses, such as ``localhost``, is bound to all that this machine has.

    Raises:
        ListenError: It cannot be had; the message says why and what to do.

    """
    host, port = _split(address)
    sockets, refusals = _bind_all(_places(address, host, port), port)
    taken = [error for error in refusals if error.errno == errno.EADDRINUSE]
    if taken or not sockets:
        for each in sockets:
            each.close()
        decisive = [*taken, *refusals][0]
        raise ListenError(_explain(address, decisive)) from decisive
    return Listener(sockets)


def _split(address: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address.strip())
    if match is None or int(match["port"]) > HIGHEST_PORT:
        raise ListenError(
            f"{address!r} is no listen address: write host:port, [IPv6]:port or :port; {REMEDY}"
        )
    return match["ip6"] or match["host"] or "", int(match["port"])


def _places(address: str, host: str, port: int) -> list[_Place]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"{address}: {host} is no address of this machine ({error}); {REMEDY}") from error
    return list(dict.fromkeys((family, str(sockaddr[0])) for family, *_, sockaddr in found))


def _bind_all(places: Sequence[_Place], port: int) -> tuple[list[socket.socket], list[OSError]]:
    """Return what could be bound, all with the same port, and why the rest could not."""
    sockets: list[socket.socket] = []
    refusals: list[OSError] = []
    alone = len({family for family, _ in places}) == 1
    for family, host in places:
        chosen = sockets[0].getsockname()[1] if sockets else port
        try:
            sockets.append(_bind(family, (host, chosen), alone=alone))
        except OSError as error:
            refusals.append(error)
    return sockets, refusals


def _bind(family: socket.AddressFamily, place: tuple[str, int], *, alone: bool) -> socket.socket:
    # asyncio sets TCP_NODELAY only on sockets that say TCP; without it every answer takes 40 ms more.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if alone else 1)
        bound.setblocking(False)  # noqa: FBT003 - its only argument
        bound.bind(place)
        bound.listen(128)
    except OSError:
        bound.close()
        raise
    return bound


def _explain(address: str, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"{address} is taken: another program listens there (ss -ltnp shows which); {REMEDY}"
        case errno.EACCES | errno.EPERM:
            return f"{address}: this user may not listen on so low a port; {REMEDY}"
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return f"{address} is no address of this machine; {REMEDY}"
        case _:
            return f"{address} cannot be had: {error.strerror}; {REMEDY}"


def _browsable(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


class Server:
    """Answers HTTP on a listener.

    It is uvicorn's protocol without uvicorn's main loop, which takes the signals for itself and wakes up ten
    times a second. Signals are the caller's business: the first is `drain_and_stop`, the second `force`.
    """

    def __init__(
        self, app: ASGIApp, listener: Listener, drain: GracefulShutdown, limits: Limits | None = None
    ) -> None:
        self._listener = listener
        self._drain = drain
        self._limits = limits or Limits()
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            proxy_headers=False,  # or anyone on this machine could say where a request came from
        )

    async def start(self) -> None:
        """Answer from now on."""
        self._config.load()
        loop = asyncio.get_running_loop()
        for bound in self._listener.sockets:
            self._servers.append(await loop.create_server(self._connection, sock=bound))

    async def drain_and_stop(self) -> Drained:
        """Send new requests away, wait for those in flight, close; return "timeout" if some were cut off.

        The listener stays open until then, so that new requests get their 503 instead of a closed door.
        """
        result = await self._drain.wait()
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if result == "timeout":
            self._cut_off()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=1)
        await self._flush()
        return result

    def force(self) -> None:
        """Cut off what is in flight; `drain_and_stop` returns at once."""
        self._drain.give_up()

    def _connection(self) -> "_Connection":
        return _Connection(self._config, self._state, self._limits)

    def _cut_off(self) -> None:
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()

    async def _flush(self) -> None:
        """Let transports that are closing send what they hold, a slow reader's only for so long."""
        open_ = [c.lost for c in self._state.connections if isinstance(c, _Connection)]
        if open_:
            await asyncio.wait(open_, timeout=min(self._limits.last_bytes, self._drain.seconds_left))
        for connection in list(self._state.connections):
            connection.transport.abort()


class _Connection(HttpToolsProtocol):
    """One client's connection, which ends when the client keeps us waiting for too long."""

    def __init__(self, config: uvicorn.Config, state: ServerState, limits: Limits) -> None:
        super().__init__(config, state, {})
        self.logger = _DEFECTS_ONLY
        self.access_log = False
        self.timeout_keep_alive = (
            math.ceil(limits.keep_alive) + 1
        )  # uvicorn's own, which waits for slow readers
        self.lost = self.loop.create_future()
        self._limits = limits
        self._giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Take the client in, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.abort()
        else:
            self._wait(self._limits.patience)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._wait_no_more()
        super().connection_lost(exc)
        if not self.lost.done():
            self.lost.set_result(None)

    def on_message_begin(self) -> None:
        """Take in the first byte of a request."""
        self._wait(self._limits.patience)
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Take in the last byte of a request."""
        self._wait_no_more()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Leave it to the client to take the answer and to ask again, unless it has asked already."""
        has_asked = bool(self.pipeline) or self._giving_up is not None
        super().on_response_complete()
        if not has_asked:
            self._wait(self._limits.keep_alive)

    def _wait(self, seconds: float) -> None:
        self._wait_no_more()
        self._giving_up = self.loop.call_later(seconds, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None


_DEFECTS_ONLY = logging.getLogger("uptime_exporter.web.connection")
"""In place of uvicorn's, which writes a line for every port scan."""
_DEFECTS_ONLY.setLevel(logging.ERROR)
_DEFECTS_ONLY.addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], CancelledError))
)
