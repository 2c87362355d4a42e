"""HTTP/1.1 over a connection of its own for every request; the only module that knows the wire."""

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import httpx
from typing_extensions import override

from uptime_exporter.errors import Inconclusive, ProbeFailure, SettingsError
from uptime_exporter.outcome import UNSEEN, Reason, Seen
from uptime_exporter.probes.dial import Dialler, from_os_error, shown
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.response import ResponseParser
from uptime_exporter.probes.stream import PlainStream, Stream
from uptime_exporter.probes.tls import TlsClient, earliest_expiry, handshake_words, refused

LOOK_SECONDS = 1.0
"""What the second look at a refused certificate may take."""

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it goes over the wire, ready to be sent again and again.

    Attributes:
        server_name: What the certificate of an ``https`` server must carry.
        ours: Whether it carries what the settings add for our own server: the request's extension ``ours``.
        wire: Head and body.

    """

    method: str
    url: httpx.URL = field(repr=False)
    content: bytes = field(repr=False)
    host: str
    port: int
    address: str
    server_name: str
    ours: bool
    wire: bytes = field(repr=False)

    @classmethod
    def of(cls, request: httpx.Request) -> "Message":
        """Make *request* ready.

        Raises:
            ValueError: A line of its head has a line break in it.

        """
        url = request.url
        host, port = url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]
        return cls(
            method=request.method,
            url=url,
            content=request.content,
            host=host,
            port=port,
            address=shown(host, port),
            server_name=request.extensions.get("sni_hostname", host),
            ours=request.extensions.get("ours", False),
            wire=_head(request) + request.content,
        )


class FreshConnection(httpx.AsyncBaseTransport):
    """A new connection for each request, as a new user would make it, and nothing left of it afterwards.

    No pool, no proxy, no redirect, no retry. The response carries what the connection told as its extension
    ``seen``.
    """

    def __init__(self, tls: TlsClient | None, *, max_body_bytes: int, dialler: Dialler) -> None:
        """Get ready.

        Args:
            tls: For ``https``; None where no request can ask for it.
            max_body_bytes: A longer body is a failure, before or after decompression.
            dialler: Makes the connections.

        """
        self._tls = tls
        self._max_body_bytes = max_body_bytes
        self._dialler = dialler

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and return the response as soon as its head is there, as `send` does.

        A server must carry the name that the request's extension ``sni_hostname`` says (httpx's own word for
        it), else that of its host.
        """
        return await self.send(Message.of(request), Phases())

    async def send(self, message: Message, phases: Phases) -> httpx.Response:
        """Send *message* and return the response as soon as its head is there.

        The caller closes the response, whether or not its body was read.

        Args:
            message: What is sent, and to whom.
            phases: Filled in as it goes on, until the body is there.

        Raises:
            ProbeFailure: dns, connect, tls, protocol; body, while the body is read.
            Inconclusive: The fault is on our side.

        """
        exchange = await self._connect(message, phases)
        try:
            await exchange.send(message.wire)
        except BaseException:
            exchange.close()
            raise
        return exchange.response()

    async def _connect(self, message: Message, phases: Phases) -> "_Exchange":
        sock = await self._dialler.dial(message.host, message.port, phases)
        try:
            stream, seen = await self._secure(sock, message, phases)
        except BaseException:
            sock.close()
            raise
        parser = ResponseParser(without_body=message.method == "HEAD", max_body=self._max_body_bytes)
        return _Exchange(stream, parser, phases, message.address, seen)

    async def _secure(self, sock: socket.socket, message: Message, phases: Phases) -> tuple[Stream, Seen]:
        """Put TLS on *sock* where the URL asks for it, and return what that showed too."""
        if message.url.scheme == "http":
            return PlainStream(sock), UNSEEN
        client = self._client(message.server_name)
        with phases.phase("tls"):
            try:
                stream = await client.handshake(sock)
            except OSError as error:
                chain = await self._refused_chain(error, client, message)
                raise refused(error, message.address, client.name, chain) from error
        return stream, Seen(certificate_expires=earliest_expiry(stream.chain))

    def _client(self, name: str) -> TlsClient:
        if self._tls is None:
            raise RuntimeError("a request over https, and no TLS to make it with")
        try:
            return self._tls if name == self._tls.name else self._tls.named(name)
        except SettingsError as error:
            raise ProbeFailure(Reason.TLS, f"no certificate can carry the name {name!r}") from error

    async def _refused_chain(self, error: OSError, client: TlsClient, message: Message) -> Sequence[bytes]:
        if isinstance(error, ssl.SSLCertVerificationError):
            return await client.look(self._dialler, message.host, message.port, LOOK_SECONDS)
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

    async def send(self, wire: bytes) -> None:
        """Send *wire* and wait for the response's head."""
        with self._phases.phase("processing"):
            try:
                # A server may answer without having read everything; its answer says more than the broken pipe.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    await self._stream.send(wire)
                while not self._parser.has_head:
                    self._parser.feed(await self._stream.receive())
            except (OSError, ProbeFailure) as error:
                raise self._meaning(error) from error

    async def receive_rest(self) -> bytes:
        """Return the body."""
        with self._phases.phase("transfer"):
            try:
                while not self._parser.done:
                    self._parser.feed(await self._stream.receive())
            except (OSError, ProbeFailure) as error:
                raise self._meaning(error) from error
        return self._parser.body

    def _meaning(self, error: OSError | ProbeFailure) -> ProbeFailure | Inconclusive:
        """Say what an error means, and let what was seen travel with it."""
        match error:
            case ProbeFailure():
                return ProbeFailure(error.reason, f"{self._address}: {error.detail}", self._seen)
            case ssl.SSLError():
                return ProbeFailure(Reason.TLS, handshake_words(error, self._address), self._seen)
            case _:
                return from_os_error(error, self._address, Reason.PROTOCOL, self._seen)

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
