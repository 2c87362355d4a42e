"""The response's parser: whatever comes over the wire, it is a response or a failure with a reason."""

import gzip
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from uptime_exporter.errors import ProbeFailure
from uptime_exporter.outcome import Reason
from uptime_exporter.probes.response import HEAD_BYTES, ResponseParser

OK = b"HTTP/1.1 200 OK\r\n"


def gzipped(data: bytes) -> bytes:
    """Return *data* packed, the same at any time of day: it is part of a test's name."""
    return gzip.compress(data, mtime=0)


def parse(*pieces: bytes, without_body: bool = False, max_body: int = 1000) -> ResponseParser:
    """Feed *pieces* and the end of the connection, for as long as the parser wants more."""
    parser = ResponseParser(without_body=without_body, max_body=max_body)
    for piece in (*pieces, b""):
        if not parser.done:
            parser.feed(piece)
    return parser


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
        (OK + b"Content-Length: 2\r\nConnection: close\r\n\r\nhi and more", b"hi"),
        (OK + b"\r\nuntil the end", b"until the end"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\nTrailer: t\r\n\r\n", b"hi"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", b"hi"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\n\r\n", b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK + b"\r\nhi", b"hi"),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\x00\x01", b""),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + gzipped(b"hi"), b"hi"),
        (OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hi"), b"hi"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", b""),
        (OK + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n\x01\x02", b"\x01\x02"),
    ],
)
def test_a_response_is_the_same_however_it_is_cut(wire: bytes, body: bytes) -> None:
    """Packets fall as they like."""
    whole = parse(wire)
    in_bytes = parse(*(wire[n : n + 1] for n in range(len(wire))))

    assert (whole.body, whole.status, whole.headers) == (body, in_bytes.status, in_bytes.headers)
    assert in_bytes.body == body


def test_a_response_to_head_has_no_body() -> None:
    """Its headers tell of the body that GET would have brought."""
    assert parse(OK + b"Content-Length: 99\r\n\r\n", without_body=True).body == b""


def test_headers_of_interim_responses_and_trailers_are_not_the_responses() -> None:
    """Neither belongs to the final head."""
    wire = (
        b"HTTP/1.1 103 Early\r\nA: 1\r\n\r\n"
        + OK
        + b"B: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nC: 3\r\n\r\n"
    )

    assert [name for name, _ in parse(wire).headers] == [b"b", b"transfer-encoding"]


def test_a_body_that_was_unpacked_says_no_longer_that_it_is_packed() -> None:
    """Whoever reads the response must not unpack it twice."""
    packed = gzipped(b"hi")
    parser = parse(
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\nA: 1\r\n\r\n" % len(packed) + packed
    )

    assert parser.headers == [(b"a", b"1")]


@pytest.mark.parametrize(
    ("wire", "reason", "words"),
    [
        (b"", Reason.PROTOCOL, "closed without an answer"),
        (b"HTTP/1.1 200", Reason.PROTOCOL, "in the middle of the answer's head"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.PROTOCOL, "is no HTTP/1.1"),
        (b"<html>hello</html>", Reason.PROTOCOL, "is no HTTP/1.1"),
        (b"\x00" * 100, Reason.PROTOCOL, "is no HTTP/1.1"),
        (OK + b"Content-Length: 9\r\n\r\nhi", Reason.PROTOCOL, "closed after 2 bytes of an unfinished body"),
        (
            OK + b"Content-Length: 9\r\nContent-Encoding: gzip\r\n\r\n",
            Reason.PROTOCOL,
            "closed after 0 bytes",
        ),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nhi", Reason.PROTOCOL, "is no HTTP/1.1"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", Reason.PROTOCOL, "closed after 2 bytes"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", Reason.PROTOCOL, "is no HTTP/1.1"),
        (OK + b"X: " + b"a" * HEAD_BYTES, Reason.PROTOCOL, "the head of the answer is longer than"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, Reason.PROTOCOL, "the head of the answer is longer than"),
        (OK + b"\r\n" + b"a" * 1001, Reason.BODY, "longer than 1000 bytes"),
        (
            OK + b"Content-Encoding: gzip\r\n\r\n" + gzipped(b"0" * 9_000_000),
            Reason.BODY,
            "longer than 1000",
        ),
        (OK + b"Content-Encoding: gzip\r\n\r\nno gzip", Reason.PROTOCOL, "corrupt"),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + gzipped(b"hi")[:-3], Reason.PROTOCOL, "breaks off"),
    ],
)
def test_what_is_no_response_has_a_reason(wire: bytes, reason: Reason, words: str) -> None:
    """Each way of failing is told apart, however the packets fall."""
    for pieces in ([wire], [wire[n : n + 1000] for n in range(0, len(wire), 1000)]):
        with pytest.raises(ProbeFailure) as caught:
            parse(*pieces)
        assert caught.value.reason is reason
        assert words in caught.value.detail


def test_framing_without_a_body_ends_too() -> None:
    """An endless trailer is no body, and still must not fill the memory."""
    parser = ResponseParser(without_body=False, max_body=1000)
    parser.feed(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ")

    for _ in range(70):
        parser.feed(b"a" * 1000)

    with pytest.raises(ProbeFailure, match="all framing and no body"):
        parser.feed(b"a" * 5000)


def test_chunks_of_one_byte_are_a_body_all_the_same() -> None:
    """The cap on framing leaves room for the worst that is honest."""
    chunks = b"1\r\na\r\n" * 1000 + b"0\r\n\r\n"

    assert len(parse(OK + b"Transfer-Encoding: chunked\r\n\r\n", chunks).body) == 1000


def test_small_explosions_add_up() -> None:
    """The cap is on the whole, not on a piece."""
    packer = zlib.compressobj()
    pieces = [packer.compress(bytes(600)) + packer.flush(zlib.Z_SYNC_FLUSH) for _ in range(2)]

    with pytest.raises(ProbeFailure, match="longer than 1000 bytes"):
        parse(OK + b"Content-Encoding: deflate\r\n\r\n", *pieces)


def test_a_packed_body_may_not_be_longer_either() -> None:
    """The cap holds on the wire as well."""
    with pytest.raises(ProbeFailure, match="longer than 5 bytes"):
        parse(OK + b"Content-Encoding: gzip\r\n\r\n" + gzipped(b"hi"), max_body=5)


def test_switching_protocols_is_an_answer_after_which_nobody_waits() -> None:
    """Nobody asked for it, and what follows is not HTTP."""
    parser = ResponseParser(without_body=False, max_body=0)
    assert (parser.status, parser.has_head, parser.done) == (0, False, False)

    parser.feed(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")

    assert (parser.status, parser.has_head, parser.done) == (101, True, True)


def test_no_body_at_all_may_be_the_limit() -> None:
    """A limit of 0 allows an empty body and nothing else."""
    assert parse(OK + b"Content-Length: 0\r\n\r\n", max_body=0).body == b""
    with pytest.raises(ProbeFailure, match="longer than 0 bytes"):
        parse(OK + b"Content-Length: 1\r\n\r\nx", max_body=0)


TOKENS = st.sampled_from(
    [
        OK,
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Content-Encoding: deflate\r\n",
        b"Connection: close\r\n",
        b"\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        gzipped(b"hello"),
    ]
)


@given(st.lists(TOKENS | st.binary(max_size=40), max_size=12))
@example([b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", OK])
def test_nothing_but_a_failure_with_a_reason_comes_of_any_bytes(pieces: list[bytes]) -> None:
    """A hostile or broken server finds no way to a trace in the log."""
    match parsed(*(piece for piece in pieces if piece)):
        case ProbeFailure(reason=reason):
            assert reason in (Reason.PROTOCOL, Reason.BODY)
        case parser:
            assert parser.done
            assert 101 <= parser.status <= 999
            assert len(parser.body) <= 20


def parsed(*pieces: bytes) -> ResponseParser | ProbeFailure:
    try:
        return parse(*pieces, max_body=20)
    except ProbeFailure as failure:
        return failure
