"""Who may change something: reset a circuit, reload the settings."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers

REALM = 'Bearer realm="uptime-exporter"'
REMEDY = (
    "set admin_token_file (or UPTIME_ADMIN_TOKEN_FILE) and send the token as Authorization: Bearer <token>"
)
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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the request may not change anything."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


def refusal(
    token: SecretStr | None, headers: Headers, *, peer: str | None, loopback_only: bool
) -> Refusal | None:
    """Return why the request is refused, None if it is allowed.

    With a token, whoever shows it is allowed. Without one, only somebody at this very machine is: not through
    a proxy, not through a name that somebody else made point here (DNS rebinding), not from a foreign page.

    Args:
        token: The one that is set, None without.
        headers: The request's.
        peer: The other end's IP address, where known.
        loopback_only: Whether nobody but this machine can reach the listener.

    """
    if token is not None:
        return _by_token(token.get_secret_value(), headers)
    obstacle = _obstacle(headers, peer=peer, loopback_only=loopback_only)
    return None if obstacle is None else Refusal(403, f"refused: {obstacle}; {REMEDY}")


def _by_token(token: str, headers: Headers) -> Refusal | None:
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not shown.strip():
        return Refusal(401, "refused: send Authorization: Bearer <admin token>", {"WWW-Authenticate": REALM})
    if not hmac.compare_digest(_digest(shown.strip()), _digest(token)):
        return Refusal(403, "refused: that is not the admin token")
    return None


def _digest(secret: str) -> bytes:
    """Return a value of fixed length, so that comparing tells nothing of the secret's length."""
    return hmac.digest(b"uptime-exporter", secret.encode("utf-8", "surrogatepass"), "sha256")


def _obstacle(headers: Headers, *, peer: str | None, loopback_only: bool) -> str | None:
    if not loopback_only:
        return "no admin token is set and the listener is not loopback"
    if peer is None or not is_loopback(peer):
        return "no admin token is set and the request does not come from this machine"
    if any(name in headers for name in FORWARDING):
        return "no admin token is set and the request came through a proxy"
    if not _all_local(headers.getlist("host")):
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
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return False
    return all(origin == f"http://{headers.get('host')}" for origin in headers.getlist("origin"))


def is_loopback(address: str) -> bool:
    """Return whether *address* is an IP address of this machine alone; a name is none."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback
