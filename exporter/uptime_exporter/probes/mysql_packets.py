"""MySQL's client/server protocol as values: bytes in, bytes out, nothing waits.

Source: dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html. Only what a login and a short text query
need is here, and nothing that the other side sends can ask for more than `MOST_BYTES`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag

from uptime_exporter.errors import ProbeFailure
from uptime_exporter.outcome import Reason
from uptime_exporter.probes.text import one_line

MOST_BYTES = 1 << 16
"""All that one connection may receive; an honest server sends a few hundred bytes."""
OK, MORE_DATA, LOCAL_INFILE, END, ERROR = b"\x00", b"\x01", b"\xfb", b"\xfe", b"\xff"
"""First bytes that tell the server's packets apart."""
QUIT, QUERY = b"\x01", b"\x03"
"""First bytes of commands."""

_HEADER = 4
_PROTOCOL_VERSION = 10
_UTF8MB4 = 45
_NONCE_BYTES = 20
_LONGEST_END = 8
_NULL, _TWO_BYTES, _EIGHT_BYTES = 0xFB, 0xFC, 0xFE
_WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}
_LONGEST_MESSAGE = 200


class Capability(IntFlag):
    """What both sides must agree on before they use it."""

    LONG_PASSWORD = 1 << 0
    LONG_FLAG = 1 << 2
    PROTOCOL_41 = 1 << 9
    TLS = 1 << 11
    TRANSACTIONS = 1 << 13
    SECURE_CONNECTION = 1 << 15
    PLUGIN_AUTH = 1 << 19
    CONNECT_ATTRIBUTES = 1 << 20


_REQUIRED = Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION
_WANTED = (
    Capability.LONG_PASSWORD
    | Capability.LONG_FLAG
    | Capability.TRANSACTIONS
    | Capability.PLUGIN_AUTH
    | Capability.CONNECT_ATTRIBUTES
)


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first thing that a server says."""

    version: str
    capabilities: int
    plugin: str
    """The authentication plugin that the server would like."""
    nonce: bytes
    """What a password is scrambled with; 20 bytes."""

    @property
    def is_mariadb(self) -> bool:
        """Whether the server is MariaDB, whose dialect differs."""
        return "mariadb" in self.version.lower()

    @property
    def offers_tls(self) -> bool:
        """Whether the connection can go on encrypted."""
        return bool(self.capabilities & Capability.TLS)


NO_GREETING = Greeting("", 0, "", b"")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error packet."""

    code: int
    message: str
    """One line."""


def malformed(what: str) -> ProbeFailure:
    """Return the failure of a server that does not speak the protocol."""
    return ProbeFailure(Reason.PROTOCOL, f"{what}; is this a MySQL or MariaDB server?")


class Inbox:
    """Cuts what arrives into packets.

    Attributes:
        sequence: Number of the packet that was taken last.

    """

    __slots__ = ("_buffer", "_received", "sequence")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._received = 0
        self.sequence = -1

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what has arrived.

        Raises:
            ProbeFailure: protocol; it is more than an honest server sends.

        """
        self._received += len(data)
        if self._received > MOST_BYTES:
            raise malformed(f"more than {MOST_BYTES} bytes were sent")
        self._buffer += data

    def take(self) -> bytes | None:
        """Return the payload of the next packet, or None where it has not arrived in full.

        Raises:
            ProbeFailure: protocol; it announces more than an honest server sends.

        """
        buffer = self._buffer
        if len(buffer) < _HEADER:
            return None
        end = _HEADER + int.from_bytes(buffer[:3], "little")
        if end > MOST_BYTES:
            raise malformed(f"a packet of {end - _HEADER} bytes was announced")
        if len(buffer) < end:
            return None
        self.sequence = buffer[3]
        payload = bytes(buffer[_HEADER:end])
        del buffer[:end]
        return payload


def packet(sequence: int, payload: bytes) -> bytes:
    """Return *payload* with its header; it must be shorter than 16 MiB."""
    return len(payload).to_bytes(3, "little") + bytes((sequence & 0xFF,)) + payload


class _Cursor:
    """Reads one payload from left to right."""

    __slots__ = ("_at", "_payload")

    def __init__(self, payload: bytes, at: int = 0) -> None:
        self._payload = payload
        self._at = at

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._payload):
            raise malformed("a packet ends too soon")
        piece, self._at = self._payload[self._at : end], end
        return piece

    def integer(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def word(self) -> bytes:
        """Read up to a NUL, or to the end where none is left."""
        end = self._payload.find(b"\0", self._at)
        end = len(self._payload) if end < 0 else end
        piece, self._at = self._payload[self._at : end], end + 1
        return piece

    def length(self) -> int | None:
        """Read a length-encoded integer; None is SQL's NULL."""
        first = self.integer(1)
        if first == _NULL:
            return None
        return self.integer(_WIDTHS[first]) if _TWO_BYTES <= first <= _EIGHT_BYTES else first

    def rest(self) -> bytes:
        piece, self._at = self._payload[self._at :], len(self._payload)
        return piece


def read_greeting(payload: bytes) -> Greeting | Refusal:
    """Read the first packet of a connection.

    Raises:
        ProbeFailure: protocol.

    """
    if payload[:1] == ERROR:
        return read_refusal(payload)
    cursor = _Cursor(payload)
    if (protocol := cursor.integer(1)) != _PROTOCOL_VERSION:
        raise malformed(f"the greeting is of protocol version {protocol}")
    version = cursor.word().decode(errors="replace")
    cursor.take(4)  # connection id
    nonce = cursor.take(8)
    cursor.take(1)
    low = cursor.integer(2)
    cursor.take(3)  # character set, status
    capabilities = low | cursor.integer(2) << 16
    cursor.take(11)  # length of the nonce, reserved
    nonce += cursor.take(_NONCE_BYTES - len(nonce))
    cursor.take(1)
    if capabilities & _REQUIRED != _REQUIRED:
        raise malformed(f"version {one_line(version)} does not speak the protocol of MySQL 4.1 and later")
    return Greeting(
        version, capabilities, cursor.word().decode(errors="replace") or "mysql_native_password", nonce
    )


def read_refusal(payload: bytes) -> Refusal:
    """Read an error packet.

    Raises:
        ProbeFailure: protocol.

    """
    cursor = _Cursor(payload, 1)
    code = cursor.integer(2)
    message = cursor.rest()
    return Refusal(code, _text(message[6:] if message[:1] == b"#" else message))  # "#" and five of SQLSTATE


def _text(raw: bytes) -> str:
    return one_line(raw.decode(errors="replace"), _LONGEST_MESSAGE)


def raw(text: str) -> bytes:
    """Return a name or a password as bytes; those of an environment that is not UTF-8 come out as they went in."""
    return text.encode(errors="surrogateescape")


def _login_head(greeting: Greeting, extra: int) -> bytes:
    flags = (_REQUIRED | _WANTED & greeting.capabilities | extra).to_bytes(4, "little")
    return flags + MOST_BYTES.to_bytes(4, "little") + bytes((_UTF8MB4,)) + bytes(23)


def tls_request(greeting: Greeting) -> bytes:
    """Return the payload after which both sides begin the TLS handshake."""
    return _login_head(greeting, Capability.TLS)


def login(
    greeting: Greeting,
    *,
    user: str,
    plugin: str,
    answer: bytes,
    attributes: Mapping[str, str],
    tls: bool = False,
) -> bytes:
    """Return the payload that introduces *user*.

    Args:
        greeting: What the server said; only what it is capable of is used.
        user: Its name.
        plugin: The one that made *answer*.
        answer: The scrambled password, at most 250 bytes.
        attributes: What the server shows its administrators about the connection; short.
        tls: Whether the connection is encrypted by now.

    """
    head = _login_head(greeting, Capability.TLS if tls else 0)
    parts = [head, raw(user), b"\0", _short(answer)]
    if greeting.capabilities & Capability.PLUGIN_AUTH:
        parts += plugin.encode(), b"\0"
    if greeting.capabilities & Capability.CONNECT_ATTRIBUTES:
        parts.append(_short(b"".join(_short(word.encode()) for pair in attributes.items() for word in pair)))
    return b"".join(parts)


def _short(piece: bytes) -> bytes:
    return bytes((len(piece),)) + piece


def read_switch(payload: bytes) -> tuple[str, bytes]:
    """Return the authentication plugin and the nonce that the server asks for instead."""
    cursor = _Cursor(payload, 1)
    return _text(cursor.word()), cursor.rest()[:_NONCE_BYTES]


def read_column_count(payload: bytes) -> int:
    """Return how many columns the rows to come have; 0 where no rows come.

    Raises:
        ProbeFailure: protocol; the server asks for a file of ours, too.

    """
    if payload[:1] == LOCAL_INFILE:
        raise malformed("the server asks for a local file in answer to a query")
    return _Cursor(payload).length() or 0


def is_end(payload: bytes) -> bool:
    """Tell whether *payload* ends the column definitions or the rows."""
    return payload[:1] == END and len(payload) <= _LONGEST_END


def read_row(payload: bytes, columns: int) -> Sequence[str | None]:
    """Return the values of a row as text; None is SQL's NULL.

    Raises:
        ProbeFailure: protocol.

    """
    cursor = _Cursor(payload)
    lengths = (cursor.length() for _ in range(columns))
    return [None if length is None else cursor.take(length).decode(errors="replace") for length in lengths]
