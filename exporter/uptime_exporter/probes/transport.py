"""HTTP/1.1 over a connection of its own for every request; the only module that knows the wire."""

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

import httpx
from typing_extensions import override

from uptime_exporter.errors import ProbeFailure, SettingsError
from uptime_exporter.outcome import UNSEEN, Reason, Seen
from uptime_exporter.probes.dial import Dialler, from_os_error, shown
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.response import ResponseParser
from uptime_exporter.probes.stream import PlainStream, Stream
from uptime_exporter.probes.tls import TlsClient, earliest_expiry, handshake_words, refused

LOOK_SECONDS = 1.0
"""What the second look at a refused certificate may take."""

_PORTS = {"http": 80, "https": 443}


class FreshConnection(httpx.AsyncBaseTransport):
    """A new connection for each request, as a new user would make it, and nothing left of it afterwards.

    No pool, no proxy, no redirect, no retry. What happens is timed in the `Phases` that the request carries
    as its extension ``phases``; the response carries what the connection told as its extension ``seen``.
    """

    def __init__(self, tls: TlsClient, *, max_body_bytes: int, dialler: Dialler) -> None:
        """Get ready.

        Args:
            tls: For ``https``. A server must carry the name that the request's extension ``sni_hostname``
                says (httpx's own word for it), else that of its host.
            max_body_bytes: A longer body is a failure, before or after decompression.
            dialler: Makes the connections.

        """
        self._tls = tls
        self._max_body_bytes = max_body_bytes
        self._dialler = dialler

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and return the response as soon as its head is there.

        The caller closes the response, whether or not its body was read.

        Raises:
            ProbeFailure: dns, connect, tls, protocol; body, while the body is read.
            Inconclusive: The fault is on our side.

        """
        phases: Phases = request.extensions["phases"]
        exchange = await self._connect(request, phases)
        try:
            await exchange.send(request)
        except BaseException:
            exchange.close()
            raise
        return exchange.response()

    async def _connect(self, request: httpx.Request, phases: Phases) -> "_Exchange":
        host, port = request.url.raw_host.decode("ascii"), request.url.port or _PORTS[request.url.scheme]
        sock = await self._dialler.dial(host, port, phases)
        try:
            stream, seen = await self._secure(sock, request, host, port)
        except BaseException:
            sock.close()
            raise
        parser = ResponseParser(without_body=request.method == "HEAD", max_body=self._max_body_bytes)
        return _Exchange(stream, parser, phases, shown(host, port), seen)

    async def _secure(
        self, sock: socket.socket, request: httpx.Request, host: str, port: int
    ) -> tuple[Stream, Seen]:
        """Put TLS on *sock* where the request asks for it, and return what that showed too."""
        if request.url.scheme == "http":
            return PlainStream(sock), UNSEEN
        phases: Phases = request.extensions["phases"]
        client = self._client(request.extensions.get("sni_hostname", host))
        with phases.phase("tls"):
            try:
                stream = await client.handshake(sock)
            except OSError as error:
                chain = await self._refused_chain(error, client, host, port)
                raise refused(error, shown(host, port), client.name, chain) from error
        return stream, Seen(certificate_expires=earliest_expiry(stream.chain))

    def _client(self, name: str) -> TlsClient:
        try:
            return self._tls if name == self._tls.name else self._tls.named(name)
        except SettingsError as error:
            raise ProbeFailure(Reason.TLS, f"no certificate can carry the name {name!r}") from error

    async def _refused_chain(
        self, error: OSError, client: TlsClient, host: str, port: int
    ) -> Sequence[bytes]:
        if isinstance(error, ssl.SSLCertVerificationError):
            return await client.look(self._dialler, host, port, LOOK_SECONDS)
        return ()


class _Exchange:
    """One request and its response on one connection."""

    def __init__(
        self, stream: Stream, parser: ResponseParser, phases: Phases, address: str, seen: Seen
    ) -> None:
        self._stream = stream
        self._parser = parser
        self._phases = phases
        self._address = address
        self._seen = seen

    async def send(self, request: httpx.Request) -> None:
        """Send *request* and wait for the response's head."""
        message = _head(request) + request.content
        with self._phases.phase("processing"), self._failures():
            # A server may answer without having read everything; its answer says more than the broken pipe.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await self._stream.send(message)
            while not self._parser.has_head:
                self._parser.feed(await self._stream.receive())

    async def receive_rest(self) -> bytes:
        """Return the body."""
        with self._phases.phase("transfer"), self._failures():
            while not self._parser.done:
                self._parser.feed(await self._stream.receive())
        return self._parser.body

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Say what an error means, and let what was seen travel with it."""
        try:
            yield
        except ssl.SSLError as error:
            raise ProbeFailure(Reason.TLS, handshake_words(error, self._address), self._seen) from error
        except OSError as error:
            raise from_os_error(error, self._address, Reason.PROTOCOL, self._seen) from error
        except ProbeFailure as failure:
            raise ProbeFailure(failure.reason, f"{self._address}: {failure.detail}", self._seen) from failure

    def response(self) -> httpx.Response:
        """Return the response, whose body is still to come."""
        return httpx.Response(
            self._parser.status,
            headers=self._parser.headers,
            stream=_Body(self),
            extensions={"seen": self._seen},
        )

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self._parser.close()


class _Body(httpx.AsyncByteStream):
    """What is still to come, in one piece."""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield await self._exchange.receive_rest()

    @override
    async def aclose(self) -> None:
        self._exchange.close()


def _head(request: httpx.Request) -> bytes:
    lines = [
        b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path),
        *(b"%b: %b" % header for header in request.headers.raw),
        b"Connection: close",
    ]
    return lines_only(lines)


def lines_only(lines: Sequence[bytes]) -> bytes:
    """Join *lines*, none of which may turn out to be two: nobody injects a header.

    Raises:
        ValueError: One is; the message does not quote it, for it may hold a secret.

    """
    if any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines):
        raise ValueError("a line break within a line of the request's head")
    return b"\r\n".join((*lines, b"", b""))
