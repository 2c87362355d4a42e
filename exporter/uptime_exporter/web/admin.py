"""Who may change something: reset a circuit, reload the settings."""

from starlette.datastructures import Headers

from uptime_exporter.reliability import guard
from uptime_exporter.reliability.guard import Refusal, is_loopback
from uptime_exporter.settings import Secret

__all__ = ["Refusal", "is_loopback", "refusal"]

_GUARD = guard.Guard(
    realm="uptime-exporter",
    remedy="set admin_token_file (or UPTIME_ADMIN_TOKEN_FILE) and send the token as"
    " Authorization: Bearer <token>",
)


def refusal(
    token: Secret | None, headers: Headers, *, peer: str | None, loopback_only: bool
) -> Refusal | None:
    """Return why the request is refused, None if it is allowed.

    Args:
        token: The one that is set, None without.
        headers: The request's.
        peer: The other end's IP address, where known.
        loopback_only: Whether nobody but this machine can reach the listener.

    """
    secret = None if token is None else token.get_secret_value()
    return _GUARD.refusal(secret, guard.Headers(headers.raw), peer=peer, loopback_only=loopback_only)
