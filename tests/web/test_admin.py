"""Who may change something."""

import pytest
from starlette.datastructures import Headers

from uptime_exporter.settings import Secret
from uptime_exporter.web.admin import Refusal, is_loopback, refusal

TOKEN = Secret("s3cret-ü")
LOCAL = {"host": "localhost:10999"}


def judge(
    headers: dict[str, str],
    *,
    token: Secret | None = None,
    peer: str | None = "127.0.0.1",
    loopback_only: bool = True,
) -> Refusal | None:
    raw = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
    return refusal(token, Headers(raw=raw), peer=peer, loopback_only=loopback_only)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer tok", None),
        ("bearer tok", None),
        ("Bearer  tok ", None),
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic dG9rOnRvaw==", 401),
        ("tok", 401),
        ("Bearer to", 403),
        ("Bearer tokk", 403),
        ("Bearer TOK", 403),
        ("Bearer \xff\x80", 403),
    ],
)
def test_the_token_decides_where_one_is_set(authorization: str, status: int | None) -> None:
    """Without a token shown it is 401, with the wrong one 403; from where doesn't matter."""
    refused = judge(
        {"authorization": authorization, "host": "uptime.example.org", "x-forwarded-for": "10.0.0.7"},
        token=Secret("tok"),
        peer="203.0.113.9",
        loopback_only=False,
    )

    assert (refused.status if refused else None) == status


def test_a_missing_token_is_asked_for() -> None:
    """A client learns how to identify itself (RFC 9110, 11.6.1)."""
    refused = judge(LOCAL, token=TOKEN)

    assert refused is not None
    assert refused.headers == {"WWW-Authenticate": 'Bearer realm="uptime-exporter"'}


def test_an_empty_token_opens_nothing() -> None:
    """A token file that was emptied by mistake locks the door instead of opening it."""
    refused = judge({"authorization": "Bearer x", **LOCAL}, token=Secret(""))

    assert refused is not None
    assert refused.status == 403


def test_no_refusal_tells_the_token() -> None:
    """What is answered to a stranger has nothing of the secret."""
    refused = judge({"authorization": "Bearer guess"}, token=TOKEN)

    assert "s3cret" not in repr(refused)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost"},
        {"host": "localhost:10999"},
        {"host": "LOCALHOST:10999"},
        {"host": "127.0.0.1:10999"},
        {"host": "127.8.0.1"},
        {"host": "[::1]:10999"},
        {"host": "localhost:10999", "sec-fetch-site": "none"},
        {"host": "localhost:10999", "sec-fetch-site": "same-origin", "origin": "http://localhost:10999"},
    ],
)
def test_without_a_token_this_machine_may(headers: dict[str, str]) -> None:
    """Somebody who sits at the machine needs no secret."""
    assert judge(headers) is None


@pytest.mark.parametrize(
    ("headers", "because"),
    [
        ({}, "Host does not name this machine"),
        ({"host": ""}, "Host does not name this machine"),
        ({"host": "rebound.example.org:10999"}, "Host does not name this machine"),
        ({"host": "localhost.example.org"}, "Host does not name this machine"),
        ({"host": "127.0.0.1.nip.io"}, "Host does not name this machine"),
        ({"host": "192.168.1.5:10999"}, "Host does not name this machine"),
        ({"host": "[::1"}, "Host does not name this machine"),
        ({"host": "0.0.0.0:10999"}, "Host does not name this machine"),
        ({**LOCAL, "x-forwarded-for": "10.0.0.7"}, "through a proxy"),
        ({**LOCAL, "forwarded": "for=10.0.0.7"}, "through a proxy"),
        ({**LOCAL, "via": "1.1 squid"}, "through a proxy"),
        ({**LOCAL, "x-real-ip": "10.0.0.7"}, "through a proxy"),
        ({**LOCAL, "x-forwarded-host": "a"}, "through a proxy"),
        ({**LOCAL, "x-forwarded-proto": "https"}, "through a proxy"),
        ({**LOCAL, "sec-fetch-site": "cross-site"}, "another site"),
        ({**LOCAL, "sec-fetch-site": "same-site"}, "another site"),
        ({**LOCAL, "origin": "https://evil.example.org"}, "another site"),
        ({**LOCAL, "origin": "http://localhost:3000"}, "another site"),
        ({**LOCAL, "origin": "null"}, "another site"),
    ],
)
def test_without_a_token_nobody_comes_in_by_a_detour(headers: dict[str, str], because: str) -> None:
    """A proxy, a rebound name and another site's page all arrive from 127.0.0.1; none is the operator."""
    refused = judge(headers)

    assert refused is not None
    assert refused.status == 403
    assert because in refused.message
    assert "set admin_token_file (or UPTIME_ADMIN_TOKEN_FILE)" in refused.message


def test_a_second_host_header_hides_nothing() -> None:
    """Every Host header has to name this machine, not just the first."""
    headers = Headers(raw=[(b"host", b"localhost"), (b"host", b"evil.example.org")])

    assert refusal(None, headers, peer="127.0.0.1", loopback_only=True) is not None


@pytest.mark.parametrize("peer", [None, "203.0.113.9", "::2", "localhost", ""])
def test_without_a_token_a_foreign_peer_is_refused(peer: str | None) -> None:
    """Host can be forged, the other end's address cannot."""
    refused = judge(LOCAL, peer=peer)

    assert refused is not None
    assert "does not come from this machine" in refused.message


def test_without_a_token_an_open_listener_is_refused_altogether() -> None:
    """On such a listener even this machine's own requests may be somebody else's, forwarded."""
    refused = judge(LOCAL, loopback_only=False)

    assert refused is not None
    assert "the listener is not loopback" in refused.message


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.255.0.3", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("localhost", False),
    ],
)
def test_loopback_is_an_address_not_a_name(address: str, *, local: bool) -> None:
    """A name may mean anything; IPv4 within IPv6 means what it says."""
    assert is_loopback(address) is local
