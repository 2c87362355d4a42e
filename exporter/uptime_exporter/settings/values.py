"""Durations and addresses, as the settings write them."""

import ipaddress
import re

DAY = 86_400.0
UNITS = {"w": 7 * DAY, "d": DAY, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

HOST_NAME = re.compile(r"[\w-]([\w.-]*[\w-])?\.?")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhdw]))+")
_DURATION_PART = re.compile(r"([0-9.]+)(ms|[smhdw])")


def seconds_in(text: str) -> float | None:
    """Return the seconds of ``30``, ``1.5h``, ``30d`` or ``1h30m``, or None where *text* is no duration."""
    text = text.replace(" ", "")
    if _DURATION.fullmatch(text):
        return sum(float(number) * UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    try:
        return float(text)
    except ValueError:
        return None


def duration(seconds: float) -> str:
    """Return *seconds* in the largest unit that leaves no fraction: ``30s``, ``90m``, ``30d``."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % UNITS[unit] == 0:
            return f"{seconds / UNITS[unit]:.15g}{unit}"
    return f"{seconds:.15g}s" if seconds >= 1 or not seconds else f"{1000 * seconds:.15g}ms"


def is_address(host: str) -> bool:
    """Return whether *host* is an IP address, of either version."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def host_and_port(text: str) -> tuple[str, int]:
    """Return the parts of ``host:port``, ``[::1]:port`` or ``:port``; the host is empty for all interfaces.

    Raises:
        ValueError: It is none of them.

    """
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    bracketed = host == f"[{bare}]"
    known = bracketed == (":" in bare) and (
        is_address(bare) if bracketed else not bare or HOST_NAME.fullmatch(bare)
    )
    if not (colon and known and re.fullmatch("[0-9]{1,5}", port) and int(port) < 1 << 16):
        raise ValueError(
            'must be host:port, such as 127.0.0.1:10999 or "[::1]:10999", or :10999 for all interfaces; '
            "the port is from 0 to 65535"
        )
    return bare, int(port)
