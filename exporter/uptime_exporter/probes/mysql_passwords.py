"""How MySQL and MariaDB have a password shown without sending it."""

from hashlib import sha1, sha256
from typing import TYPE_CHECKING

from uptime_exporter.errors import ProbeFailure
from uptime_exporter.later import Later
from uptime_exporter.outcome import Reason
from uptime_exporter.probes.mysql_packets import raw

if TYPE_CHECKING:
    from cryptography import exceptions
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
else:
    exceptions = Later("cryptography.exceptions")
    hashes = Later("cryptography.hazmat.primitives.hashes")
    serialization = Later("cryptography.hazmat.primitives.serialization")
    padding = Later("cryptography.hazmat.primitives.asymmetric.padding")
    rsa = Later("cryptography.hazmat.primitives.asymmetric.rsa")

NATIVE = "mysql_native_password"
CACHING_SHA2 = "caching_sha2_password"
FAST_LOGIN, FULL_LOGIN, PUBLIC_KEY_REQUEST = b"\x03", b"\x04", b"\x02"
"""caching_sha2_password: the server knows the scrambled password; it does not; and what to ask it then."""
_OAEP_OVERHEAD = 42
"""Bytes of an RSA block that the padding takes (RFC 8017, 7.1.1: twice SHA-1's 20, and 2)."""


def first_choice(plugin: str) -> str:
    """Return the plugin to begin with where the server prefers *plugin*; it asks for the user's own later."""
    return plugin if plugin in (NATIVE, CACHING_SHA2) else NATIVE


def answer(plugin: str, password: str, nonce: bytes) -> bytes:
    """Return what shows the server that the password is known; empty for an empty one.

    Raises:
        ProbeFailure: auth; the plugin is none of the two that are spoken here.

    """
    secret = raw(password)
    if plugin == NATIVE:
        return _native(secret, nonce) if secret else b""
    if plugin == CACHING_SHA2:
        return _caching_sha2(secret, nonce) if secret else b""
    wanted = plugin or "a password of MySQL 4.0"
    raise ProbeFailure(
        Reason.AUTH, f"the server wants {wanted} of this user; give it {CACHING_SHA2} or {NATIVE}"
    )


def _native(secret: bytes, nonce: bytes) -> bytes:
    once = sha1(secret).digest()  # noqa: S324  # the protocol's choice
    return _xor(once, sha1(nonce + sha1(once).digest()).digest())  # noqa: S324


def _caching_sha2(secret: bytes, nonce: bytes) -> bytes:
    once = sha256(secret).digest()
    return _xor(once, sha256(sha256(once).digest() + nonce).digest())


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def in_clear(password: str) -> bytes:
    """Return the password as `caching_sha2_password` wants it inside TLS."""
    return raw(password) + b"\0"


def sealed(password: str, nonce: bytes, public_key: bytes) -> bytes:
    """Return the password as `caching_sha2_password` wants it without TLS: only the key's owner can read it.

    Whoever sits on the line can give a key of their own and read it too; only TLS helps against that.

    Raises:
        ProbeFailure: protocol, if the PEM *public_key* is none; auth, if the password is too long for it.

    """
    try:
        key = serialization.load_pem_public_key(public_key)
    except (ValueError, exceptions.UnsupportedAlgorithm) as error:
        raise ProbeFailure(Reason.PROTOCOL, "the server's public key cannot be read") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise ProbeFailure(Reason.PROTOCOL, "the server's public key is not one of RSA")
    clear = in_clear(password)
    if len(clear) > key.key_size // 8 - _OAEP_OVERHEAD:
        raise ProbeFailure(Reason.AUTH, "the password is too long to be sent without TLS; set tls")
    pad = (nonce * (len(clear) // len(nonce) + 1))[: len(clear)] if nonce else bytes(len(clear))
    sha = hashes.SHA1()  # the protocol's choice
    return key.encrypt(_xor(clear, pad), padding.OAEP(padding.MGF1(sha), sha, None))
