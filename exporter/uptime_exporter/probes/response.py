"""What came over the wire, as an HTTP/1.1 response: its head, its body, and the caps on both."""

import zlib
from enum import Enum, auto
from typing import Protocol

import httptools

from uptime_exporter.errors import ProbeFailure
from uptime_exporter.outcome import Reason

HEAD_BYTES = 1 << 16
"""Everything up to the end of the final head, interim (1xx) responses included."""
WIRE_FACTOR = 8
"""Bytes on the wire for one byte of body, at most: chunks of a single byte take six."""

_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200
_SPOILT_BY_DECODING = (b"content-encoding", b"content-length")
_CODINGS = {b"gzip": zlib.MAX_WBITS | 16, b"x-gzip": zlib.MAX_WBITS | 16, b"deflate": zlib.MAX_WBITS}


class _Coding(Protocol):
    """How a body was packed."""

    @property
    def whole(self) -> bool:
        """Whether nothing is missing at the end."""

    def decode(self, data: bytes, at_most: int) -> bytes:
        """Return what *data* unpacks to, but no more than *at_most* bytes of it."""


class _Identity:
    """Not at all."""

    whole = True

    def decode(self, data: bytes, _at_most: int) -> bytes:
        """Return *data*."""
        return data


class _Zlib:
    """As gzip or deflate do it; unpacked piece by piece, so that a bomb never goes off."""

    def __init__(self, window_bits: int) -> None:
        self._inflate = zlib.decompressobj(window_bits)
        self._begun = False

    @property
    def whole(self) -> bool:
        """Whether nothing is missing at the end; an empty body is whole."""
        return self._inflate.eof or not self._begun

    def decode(self, data: bytes, at_most: int) -> bytes:
        """Return what *data* unpacks to, but no more than *at_most* bytes of it."""
        self._begun = True
        try:
            return self._inflate.decompress(data, at_most)
        except zlib.error as error:
            raise ProbeFailure(Reason.PROTOCOL, "the compressed body is corrupt") from error


class _Part(Enum):
    HEAD = auto()
    BODY = auto()
    DONE = auto()


class ResponseParser:
    """Takes bytes as they come; says when the head is there, and when all of it is.

    Attributes:
        status: Of the final response; 0 before its head is complete.
        headers: Names in lower case and values, in order; without the content coding once it is undone.

    """

    def __init__(self, *, without_body: bool, max_body: int) -> None:
        """Get ready for one response.

        Args:
            without_body: It answers HEAD, so what its headers say of a body does not follow.
            max_body: Bytes, before and after decompression.

        """
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._without_body = without_body
        self._max_body = max_body
        self._parser = httptools.HttpResponseParser(self)
        # What every browser reads; old devices end their lines with LF alone.
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._part = _Part.HEAD
        self._received = 0
        self._end_is_marked = False
        self._body_received = 0
        self._body: list[bytes] = []
        self._body_length = 0
        self._coding: _Coding = _Identity()
        self._failure: ProbeFailure | None = None

    @property
    def has_head(self) -> bool:
        """Whether status and headers are final."""
        return self._part is not _Part.HEAD

    @property
    def done(self) -> bool:
        """Whether nothing more is to come."""
        return self._part is _Part.DONE

    @property
    def body(self) -> bytes:
        """What has arrived of it, decompressed."""
        return b"".join(self._body)

    def feed(self, data: bytes) -> None:
        """Take in what the server sent; nothing means that it sent its last.

        Raises:
            ProbeFailure: protocol (no HTTP, broken off) or body (too long).

        """
        if data:
            self._parse(data)
            self._cap()
        elif self._part is _Part.HEAD:
            raise ProbeFailure(Reason.PROTOCOL, self._why_no_head())
        elif self._part is _Part.BODY:
            self._end_by_closing()
        if self.done:
            self._require_whole()

    def close(self) -> None:
        """Take in nothing more: parser and callbacks let go of each other, so that nobody has to collect them."""
        del self._parser

    def _parse(self, data: bytes) -> None:
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._part = _Part.DONE
        except httptools.HttpParserError as error:
            if self._failure:
                raise self._failure from None
            if not self.done:  # whatever follows a complete response is of no interest
                raise ProbeFailure(Reason.PROTOCOL, f"the answer is no HTTP/1.1: {error}") from error

    def _cap(self) -> None:
        if self._part is _Part.HEAD and self._received > HEAD_BYTES:
            raise ProbeFailure(Reason.PROTOCOL, f"the head of the answer is longer than {HEAD_BYTES} bytes")
        if self._part is _Part.BODY and self._received > HEAD_BYTES + WIRE_FACTOR * self._max_body:
            raise ProbeFailure(Reason.PROTOCOL, "the answer is all framing and no body")

    def _why_no_head(self) -> str:
        if self._received:
            return "the connection was closed in the middle of the answer's head"
        return "the connection was closed without an answer"

    def _end_by_closing(self) -> None:
        """Take the connection's end for the body's, where nothing else marks that (RFC 9112, 6.3)."""
        if self._end_is_marked:
            raise ProbeFailure(
                Reason.PROTOCOL,
                f"the connection was closed after {self._body_received} bytes of an unfinished body",
            )
        self._part = _Part.DONE

    def _require_whole(self) -> None:
        if not self._coding.whole:
            raise ProbeFailure(Reason.PROTOCOL, "the compressed body breaks off")

    def _value(self, name: bytes) -> bytes:
        return next((value.strip().lower() for key, value in self.headers if key == name), b"")

    def on_message_begin(self) -> None:
        """Forget the interim response before this one."""
        if self._part is _Part.HEAD:
            self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer is none."""
        if self._part is _Part.HEAD:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Pass from the head to the body, if this is the final response."""
        status = self._parser.get_status_code()
        if self._part is not _Part.HEAD or (status < _FIRST_FINAL and status != _SWITCHING_PROTOCOLS):
            return
        self.status = status
        self._part = _Part.DONE if self._without_body else _Part.BODY
        self._end_is_marked = self._value(b"transfer-encoding").endswith(b"chunked") or bool(
            self._value(b"content-length")
        )
        if not self._without_body:
            self._undo_coding()

    def _undo_coding(self) -> None:
        bits = _CODINGS.get(self._value(b"content-encoding"))
        if bits is not None:
            self.headers = [(name, value) for name, value in self.headers if name not in _SPOILT_BY_DECODING]
            self._coding = _Zlib(bits)

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        if self._part is not _Part.BODY:
            return
        try:
            self._keep(data)
        except ProbeFailure as failure:  # the parser in between shows its own error instead
            self._failure = failure
            raise

    def _keep(self, data: bytes) -> None:
        self._body_received += len(data)
        room = self._max_body - self._body_length
        decoded = self._coding.decode(data, room + 1)
        if self._body_received > self._max_body or len(decoded) > room:
            raise ProbeFailure(Reason.BODY, f"the body is longer than {self._max_body} bytes")
        self._body_length += len(decoded)
        self._body.append(decoded)

    def on_message_complete(self) -> None:
        """Stop after the final response."""
        if self._part is _Part.BODY:
            self._part = _Part.DONE
