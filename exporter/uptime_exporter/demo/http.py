"""As much HTTP/1.1 as stand-ins need: one request and one response per connection."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request; a body is left unread."""

    method: str
    path: str
    """Without the query."""
    headers: Mapping[str, str]
    """By lower-case name."""


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Return the next request.

    Raises:
        EOFError: The client left before it had asked.
        ConnectionError: It does not speak HTTP, or the connection broke.
        asyncio.LimitOverrunError: The head is longer than the reader's limit (64 KiB).

    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    if not version.startswith("HTTP/1."):
        raise ConnectionAbortedError("no HTTP/1 request")
    fields = (line.partition(":") for line in lines)
    return Request(
        method, target.partition("?")[0], {name.strip().lower(): value.strip() for name, _, value in fields}
    )


def response(status: int, body: str, media_type: str, headers: Mapping[str, str] = NO_HEADERS) -> bytes:
    """Return a whole response that ends the connection."""
    content = body.encode()
    fields = {
        "content-type": media_type,
        "content-length": str(len(content)),
        **headers,
        "connection": "close",
    }
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + content
