"""The TLS handshake, what the certificates say, and why one was refused."""

import asyncio
import contextlib
import socket
import ssl
import warnings
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from uptime_exporter.errors import Inconclusive, ProbeFailure, SettingsError
from uptime_exporter.later import Later
from uptime_exporter.outcome import UNSEEN, Reason, Seen
from uptime_exporter.probes.dial import Dialler, from_os_error
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.stream import CHUNK, PlainStream
from uptime_exporter.probes.text import one_line
from uptime_exporter.settings import Tls

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = Later("cryptography.x509")  # 15 MB, which only certificates are worth

_T = TypeVar("_T")

_NO_TLS = "{} does not speak TLS"
_NO_VERSION = "{} and the exporter have no TLS version in common"
_NO_AGREEMENT = (
    "{} refused the handshake: no cipher in common, or it wants a client certificate (tls.cert_file)"
)
_CERTIFICATE_WANTED = "{} wants a client certificate (tls.cert_file, tls.key_file)"
_BROKEN_OFF = "{} closed the connection during the TLS handshake"
_HANDSHAKE_WORDS = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _NO_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_VERSION,
    "NO_SHARED_CIPHER": _NO_AGREEMENT,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _NO_AGREEMENT,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _CERTIFICATE_WANTED,
    "UNEXPECTED_EOF_WHILE_READING": _BROKEN_OFF,
}
"""OpenSSL's name of an error → what to tell people."""

# X509_V_ERR_… of openssl/x509_vfy.h
_EXPIRED = 10
_WRONG_NAME = (62, 64)
_VERIFY_WORDS = {
    9: "is not valid yet",
    18: "is self-signed and not among the trusted ones (tls.ca_file)",
    19: "is signed by an authority that is not trusted (tls.ca_file)",
    20: "is signed by an authority that is not trusted (tls.ca_file)",
    21: "is signed by an authority that is not trusted (tls.ca_file), or comes without its intermediate",
}

_NAMED = 3
"""How many names of a certificate an error message tells of."""


class TlsClient:
    """Shakes hands as one target's settings say.

    Attributes:
        context: For libraries that shake hands themselves; targets that set no files share it.
        name: What the certificate must carry, and what is asked for by SNI.

    """

    def __init__(self, tls: Tls, host: str, alpn: Sequence[str] = ()) -> None:
        """Read the files that *tls* names.

        Raises:
            SettingsError: One of them cannot be used; each mistake begins with the setting's name.

        """
        self.name = (tls.server_name or host).rstrip(".")
        self.context = build_context(tls, alpn)
        self._trusting = build_context(replace(tls, insecure_skip_verify=True), alpn)
        _require_usable_name(self.context, self.name)

    def named(self, name: str) -> "TlsClient":
        """Return the same for another host, which a redirect led to.

        Raises:
            SettingsError: No certificate can carry that name.

        """
        other = copy(self)
        other.name = name.rstrip(".")
        _require_usable_name(self.context, other.name)
        return other

    async def handshake(self, sock: socket.socket) -> "TlsStream":
        """Return *sock* with TLS on it; closing it stays with the caller where this raises.

        Raises:
            OSError: `ssl.SSLError` included; `refused` says what it means.

        """
        stream = TlsStream(sock, self.context, self.name)
        await stream.handshake()
        return stream

    async def look(self, dialler: Dialler, host: str, port: int, seconds: float) -> Sequence[bytes]:
        """Return the chain (DER) that a server serves whose certificate was refused, or nothing.

        A refused handshake keeps the certificate to itself, so hands are shaken once more without
        verification, on a connection of its own, and within *seconds*: the reason is known already, and must
        not become a timeout.
        """
        with contextlib.suppress(TimeoutError, OSError, ProbeFailure, Inconclusive):
            async with asyncio.timeout(seconds):
                return await self._look(dialler, host, port)
        return ()

    async def _look(self, dialler: Dialler, host: str, port: int) -> Sequence[bytes]:
        sock = await dialler.dial(host, port, Phases())
        try:
            stream = TlsStream(sock, self._trusting, self.name)
            await stream.handshake()
            return stream.chain
        finally:
            sock.close()


class TlsStream:
    """A socket with TLS on it."""

    __slots__ = ("_below", "_incoming", "_outgoing", "_sock", "_tls")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, server_name: str) -> None:
        self._sock = sock
        self._below = PlainStream(sock)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    @property
    def chain(self) -> Sequence[bytes]:
        """The certificates that the server sent (DER), its own first."""
        return served_chain(self._tls)

    async def handshake(self) -> None:
        """Shake hands.

        Raises:
            OSError: `ssl.SSLError` included.

        """
        await self._drive(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send all of *data*."""
        await self._drive(partial(self._tls.write, data))

    async def receive(self) -> bytes:
        """Return what has come in, waiting for it if need be; nothing at the end.

        An end without TLS's own goodbye is an end too: most servers leave it out.
        """
        try:
            return await self._drive(partial(self._tls.read, CHUNK))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def close(self) -> None:
        """Close the socket at once."""
        self._sock.close()

    async def _drive(self, step: Callable[[], _T]) -> _T:
        """Take *step* again and again, carrying bytes to and fro, until it is done."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError:
                self._send_alert()
                raise
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._below.send(self._outgoing.read())

    async def _fill(self) -> None:
        data = await self._below.receive()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _send_alert(self) -> None:
        """Tell the server why, if that can be done without waiting."""
        with contextlib.suppress(OSError):
            self._sock.send(self._outgoing.read())


def build_context(tls: Tls, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """Return a client's context for *tls*; the one without files of its own is built once for all.

    Reading the system's authorities takes 20 ms.

    Raises:
        SettingsError: A file cannot be used; each mistake begins with the setting's name.

    """
    if tls.ca_file is None and tls.cert_file is None:
        return _shared_context(not tls.insecure_skip_verify, tuple(alpn))
    context = _new_context(alpn)
    if tls.insecure_skip_verify:
        _trust_anybody(context)
    _load_authorities(context, tls)
    _load_own_certificate(context, tls)
    return context


@lru_cache
def _shared_context(verify: bool, alpn: tuple[str, ...]) -> ssl.SSLContext:  # noqa: FBT001  # a cache key
    context = _new_context(alpn)
    if verify:
        context.load_default_certs()
    else:
        _trust_anybody(context)
    return context


def _new_context(alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _trust_anybody(context: ssl.SSLContext) -> None:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE


def _load_authorities(context: ssl.SSLContext, tls: Tls) -> None:
    if tls.ca_file is None:
        context.load_default_certs()
        return
    _require_readable("ca_file", tls.ca_file)
    try:
        context.load_verify_locations(tls.ca_file)
    except ssl.SSLError as error:
        raise SettingsError([f"tls.ca_file: {tls.ca_file} holds no PEM certificate"]) from error


def _load_own_certificate(context: ssl.SSLContext, tls: Tls) -> None:
    if tls.cert_file is None or tls.key_file is None:
        return
    _require_readable("cert_file", tls.cert_file)
    _require_readable("key_file", tls.key_file)
    try:
        # Without a password of its own, OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except ssl.SSLError as error:
        raise SettingsError([_why_not_a_pair(tls, error)]) from error


def _why_not_a_pair(tls: Tls, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"tls.key_file: {tls.key_file} is not the key of {tls.cert_file}"
    pair = f"{tls.cert_file} and {tls.key_file}"
    return f"tls.cert_file, tls.key_file: {pair} must hold a PEM certificate and its unencrypted key"


def _require_readable(setting: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise SettingsError([f"tls.{setting}: {path}: {(error.strerror or str(error)).lower()}"]) from error


def _require_usable_name(context: ssl.SSLContext, name: str) -> None:
    try:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    except ValueError as error:
        raise SettingsError([f"tls.server_name: {name!r} cannot be the name in a certificate"]) from error


def served_chain(connection: ssl.SSLObject | ssl.SSLSocket) -> Sequence[bytes]:
    """Return the certificates that the server sent (DER), its own first.

    Python offers more than the first in public from 3.13 on; before, only on the inner object of CPython.
    """
    own = connection.getpeercert(binary_form=True)
    inner: Any = (
        connection if hasattr(connection, "get_unverified_chain") else getattr(connection, "_sslobj", None)
    )
    whole: Sequence[Any] = getattr(inner, "get_unverified_chain", tuple)() or ()
    return tuple(map(_der, whole)) or ((own,) if own else ())


def _der(certificate: Any) -> bytes:
    """Return what either of the two ways calls a certificate as DER; the inner object's speaks PEM."""
    return (
        certificate
        if isinstance(certificate, bytes)
        else ssl.PEM_cert_to_DER_cert(certificate.public_bytes())
    )


def earliest_expiry(chain: Sequence[bytes]) -> float | None:
    """Return the Unix time at which the first certificate of *chain* (DER) runs out, if there is any."""
    return min((at for at in map(_expiry, chain) if at is not None), default=None)


def _load(der: bytes) -> "x509.Certificate":
    with warnings.catch_warnings():  # about what its issuer did wrong; that is not for the exporter's log
        warnings.simplefilter("ignore")
        return x509.load_der_x509_certificate(der)


@lru_cache(maxsize=4096)
def _expiry(der: bytes) -> float | None:
    try:
        return _load(der).not_valid_after_utc.timestamp()
    except _unreadable():
        return None


def _unreadable() -> tuple[type[Exception], ...]:
    """Return what cryptography says to certificates that OpenSSL let pass."""
    return (
        ValueError,
        x509.InvalidVersion,
        x509.ExtensionNotFound,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    )


def refused(
    error: OSError, address: str, name: str, chain: Sequence[bytes] = ()
) -> ProbeFailure | Inconclusive:
    """Say what a failed handshake means.

    Args:
        error: `ssl.SSLError`, or what the socket said.
        address: Host and port, for the message.
        name: What the certificate should have carried.
        chain: The certificates (DER) as far as they are known; their expiry travels on.

    """
    expires = earliest_expiry(chain)
    seen = UNSEEN if expires is None else Seen(certificate_expires=expires)
    match error:
        case ssl.SSLCertVerificationError():
            words = f"the certificate of {address} {_why_refused(error, name, chain, expires)}"
            return ProbeFailure(Reason.TLS, words, seen)
        case ssl.SSLError():
            return ProbeFailure(Reason.TLS, handshake_words(error, address), seen)
        case ConnectionError():
            return ProbeFailure(Reason.TLS, _BROKEN_OFF.format(address), seen)
        case _:
            return from_os_error(error, address, Reason.TLS, seen)


def handshake_words(error: ssl.SSLError, address: str) -> str:
    """Say what OpenSSL's *error* means; that a client certificate is wanted shows after the handshake."""
    reason = error.reason or "UNEXPECTED_EOF_WHILE_READING"
    known = _HANDSHAKE_WORDS.get(reason)
    return known.format(address) if known else f"{address}: TLS failed: {reason.lower().replace('_', ' ')}"


def _why_refused(
    error: ssl.SSLCertVerificationError, name: str, chain: Sequence[bytes], expires: float | None
) -> str:
    if error.verify_code == _EXPIRED:
        return "has expired" + (
            f" ({datetime.fromtimestamp(expires, UTC):%Y-%m-%d %H:%M:%S} UTC)" if expires else ""
        )
    if error.verify_code in _WRONG_NAME:
        names = ", ".join(_names(chain))
        return f"is not for {name}" + (f"; it names {one_line(names)}" if names else "")
    return _VERIFY_WORDS.get(error.verify_code, f"was refused: {error.verify_message}")


def _names(chain: Sequence[bytes]) -> Sequence[str]:
    if not chain:
        return ()
    try:
        alternatives = _load(chain[0]).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except _unreadable():
        return ()
    return [str(entry.value) for entry in alternatives.value][:_NAMED]
