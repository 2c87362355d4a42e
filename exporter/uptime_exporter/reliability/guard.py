"""Who may change something over HTTP: whoever shows the token, or without one somebody at this very machine."""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

FORWARDING = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
)
"""What proxies add, and a client on this machine does not."""

RawHeaders = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the request may not change anything."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


class Headers:
    """A request's headers, as ASGI has them: names in lower case, each as often as it was sent."""

    def __init__(self, raw: RawHeaders) -> None:
        self._raw = tuple(raw)

    def all(self, name: str) -> Sequence[str]:
        """Return every value that was sent under *name*."""
        wanted = name.encode("latin-1")
        return [value.decode("latin-1") for key, value in self._raw if key == wanted]

    def first(self, name: str, default: str = "") -> str:
        """Return the first value that was sent under *name*."""
        return next(iter(self.all(name)), default)


@dataclass(frozen=True, slots=True)
class Guard:
    """Judges requests that would change something.

    With a token, whoever shows it is allowed. Without one, only somebody at this very machine is: not through
    a proxy, not through a name that somebody else made point here (DNS rebinding), not from a foreign page.
    """

    realm: str
    """Names the program to a client that has to identify itself (RFC 9110, 11.5)."""
    remedy: str
    """What an operator does to be let in; ends each refusal for want of a token."""

    def refusal(
        self, token: str | None, headers: Headers, *, peer: str | None, loopback_only: bool
    ) -> Refusal | None:
        """Return why the request is refused, None if it is allowed.

        Args:
            token: The one that is set, None without.
            headers: The request's.
            peer: The other end's IP address, where known.
            loopback_only: Whether nobody but this machine can reach the listener.

        """
        if token is not None:
            return self._by_token(token, headers)
        obstacle = _obstacle(headers, peer=peer, loopback_only=loopback_only)
        return None if obstacle is None else Refusal(403, f"refused: {obstacle}; {self.remedy}")

    def _by_token(self, token: str, headers: Headers) -> Refusal | None:
        scheme, _, shown = headers.first("authorization").partition(" ")
        if scheme.lower() != "bearer" or not shown.strip():
            challenge = {"WWW-Authenticate": f'Bearer realm="{self.realm}"'}
            return Refusal(401, "refused: send Authorization: Bearer <admin token>", challenge)
        if not _same(shown.strip(), token):
            return Refusal(403, "refused: that is not the admin token")
        return None


def _same(shown: str, token: str) -> bool:
    """Compare in a time that tells nothing; clients write what is not ASCII as Latin-1 or as UTF-8."""
    as_utf_8 = token.encode("utf-8", "surrogatepass").decode("latin-1")
    return any(hmac.compare_digest(_digest(shown), _digest(one)) for one in (token, as_utf_8))


def _digest(secret: str) -> bytes:
    """Return a value of fixed length, so that comparing tells nothing of the secret's length."""
    return hmac.digest(b"uptime-exporter", secret.encode("utf-8", "surrogatepass"), "sha256")


def _obstacle(headers: Headers, *, peer: str | None, loopback_only: bool) -> str | None:
    if not loopback_only:
        return "no admin token is set and the listener is not loopback"
    if peer is None or not is_loopback(peer):
        return "no admin token is set and the request does not come from this machine"
    if any(headers.all(name) for name in FORWARDING):
        return "no admin token is set and the request came through a proxy"
    if not _all_local(headers.all("host")):
        return "no admin token is set and Host does not name this machine as localhost or 127.0.0.1"
    if not _same_site(headers):
        return "no admin token is set and the request comes from another site's page"
    return None


def _all_local(hosts: Iterable[str]) -> bool:
    names = [_host_name(host) for host in hosts]
    return bool(names) and all(name == "localhost" or is_loopback(name) for name in names)


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _same_site(headers: Headers) -> bool:
    if headers.first("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return False
    return all(origin == f"http://{headers.first('host')}" for origin in headers.all("origin"))


def is_loopback(address: str) -> bool:
    """Return whether *address* is an IP address of this machine alone; a name is none."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback
