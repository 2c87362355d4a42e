"""Who may reset a circuit, of whichever program."""

import pytest

from uptime_exporter.reliability.guard import Guard, Headers, Refusal

GUARD = Guard(realm="main-backend", remedy="give install() an admin_token")
LOCAL = ((b"host", b"localhost:8000"),)


def judge(
    *headers: tuple[bytes, bytes],
    token: str | None = None,
    peer: str | None = "127.0.0.1",
    local: bool = True,
) -> Refusal | None:
    return GUARD.refusal(token, Headers(headers), peer=peer, loopback_only=local)


@pytest.mark.parametrize("shown", ["hunter2-ü".encode(), "hunter2-ü".encode("latin-1")])
def test_a_token_may_hold_any_letter(shown: bytes) -> None:
    """Curl sends UTF-8, a browser Latin-1; both mean the same token."""
    assert judge((b"authorization", b"Bearer " + shown), token="hunter2-ü") is None


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (b"Bearer hunter2", None),
        (b"bearer hunter2", None),
        (b"Bearer hunter", 403),
        (b"Bearer hunter22", 403),
        (b"Bearer \xff", 403),
        (b"Bearer", 401),
        (b"Basic aHVudGVyMg==", 401),
        (b"", 401),
    ],
)
def test_the_token_decides_where_one_is_set(shown: bytes, status: int | None) -> None:
    """From wherever, through whatever; and no refusal tells it."""
    refused = judge((b"authorization", shown), (b"via", b"squid"), token="hunter2", peer=None, local=False)

    assert (refused.status if refused else None) == status
    assert "hunter2" not in repr(refused)


def test_only_the_first_authorization_counts() -> None:
    """A second header cannot try another token in the same breath."""
    both = (b"authorization", b"Bearer x"), (b"authorization", b"Bearer hunter2")

    assert judge(*both, token="hunter2") is not None


def test_an_empty_token_opens_nothing() -> None:
    """A variable that is set to nothing locks the door."""
    assert judge((b"authorization", b"Bearer x"), token="") is not None
    assert judge(*LOCAL, token="") is not None


@pytest.mark.parametrize(
    ("extra", "because"),
    [
        ((b"x-forwarded-for", b""), "through a proxy"),
        ((b"host", b"evil.example.org"), "Host does not name this machine"),
        ((b"sec-fetch-site", b"cross-site"), "another site's page"),
        ((b"origin", b"http://localhost:3000"), "another site's page"),
    ],
)
def test_without_a_token_nobody_comes_in_by_a_detour(extra: tuple[bytes, bytes], because: str) -> None:
    """What arrives from 127.0.0.1 need not be the operator; the refusal ends with what to do."""
    refused = judge(*LOCAL, extra)

    assert judge(*LOCAL) is None
    assert refused is not None
    assert because in refused.message
    assert refused.message.endswith("; give install() an admin_token")


def test_without_a_token_an_open_listener_is_refused_altogether() -> None:
    """Its own machine's requests may be somebody else's."""
    refused = judge(*LOCAL, local=False)

    assert refused is not None
    assert (refused.status, "the listener is not loopback" in refused.message) == (403, True)
