"""Answers of an ASGI application, without a framework."""

import asyncio
import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from uptime_exporter.reliability.asgi import Scope, Send
from uptime_exporter.reliability.guard import Headers

LARGE = 128 * 1024
"""Bytes from which compressing takes long enough to delay others, and is done beside the event loop."""

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, whole."""

    body: bytes
    content_type: str
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()

    async def send(self, send: Send) -> None:
        """Send it."""
        headers = [
            ("content-type", self.content_type),
            ("content-length", str(len(self.body))),
            ("cache-control", "no-store"),
            *self.headers,
        ]
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": self.body})


async def compressed(scope: Scope, body: bytes, content_type: str, vary: str) -> Answer:
    """Return *body* with gzip at its fastest where the client takes it: a tenth of the time of its best.

    Args:
        scope: The request.
        body: What is to be said.
        content_type: What it is.
        vary: The request's headers on which it depends, beside the one that this depends on.

    """
    headers = [("vary", f"{vary}, Accept-Encoding")]
    if takes_gzip(Headers(scope["headers"]).all("accept-encoding")):
        headers.append(("content-encoding", "gzip"))
        body = await zipped(body)
    return Answer(body, content_type, headers=headers)


async def zipped(body: bytes) -> bytes:
    """Return *body* with gzip at its fastest, beside the event loop where that takes long enough to be felt."""
    if len(body) < LARGE:
        return gzip.compress(body, 1, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, 1, mtime=0)


def takes_gzip(accept_encoding: Iterable[str]) -> bool:
    """Return whether ``Accept-Encoding`` names gzip and does not weigh it at zero (RFC 9110, 12.5.3)."""
    for choice in ",".join(accept_encoding).lower().split(","):
        coding, _, weight = choice.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "").removeprefix("q=").strip("0.") != "" or not weight.strip()
    return False
