"""Stops an application without a failed request: what is in flight ends, what comes new is sent away."""

import asyncio
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

Drained = Literal["clean", "timeout"]

SERVICE_RESTART = 1012
"""WebSocket close code (IANA registry)."""


class GracefulShutdown:
    """Counts the requests in flight, and waits for them once the end has begun.

    Belongs to one event loop and takes its time from it. A request is in flight until the application returns
    from it: streams and background tasks count to their end. A WebSocket, which may never end, doesn't count.

    Attributes:
        shutdown_timeout: Seconds from `begin` that requests in flight get.
        active_requests: How many there are.

    """

    def __init__(self, timeout: float = 30.0) -> None:
        self.shutdown_timeout = timeout
        self.active_requests = 0
        self._deadline: float | None = None
        self._over = asyncio.Event()

    @property
    def is_shutting_down(self) -> bool:
        """Whether new requests are sent away."""
        return self._deadline is not None

    @property
    def seconds_left(self) -> int:
        """Whole seconds until the time limit, at least 1; the whole limit before `begin`."""
        if self._deadline is None:
            return max(1, math.ceil(self.shutdown_timeout))
        return max(1, math.ceil(self._deadline - asyncio.get_running_loop().time()))

    def wrap(self, app: AsgiApp, *, refusal: AsgiApp | None = None) -> "DrainMiddleware":
        """Return *app* with its requests counted, and refused once the end has begun.

        Args:
            app: Any ASGI application.
            refusal: Answers instead of it then; its answer goes out with status 503.

        """
        return DrainMiddleware(app, drain=self, refusal=refusal)

    def begin(self) -> None:
        """Send new requests away from now on; a second call changes nothing. To be called on the loop."""
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self.shutdown_timeout
            self._notice()

    async def wait(self) -> Drained:
        """Begin, and return when nothing is in flight ("clean") or the time is over ("timeout")."""
        self.begin()
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._over.wait()
        except TimeoutError:
            return "timeout"
        return "timeout" if self.active_requests else "clean"

    def give_up(self) -> None:
        """Wait no longer: `wait` returns at once, with "timeout" if something is still in flight."""
        self._over.set()

    def enter(self) -> None:
        """Count one request in."""
        self.active_requests += 1

    def leave(self) -> None:
        """Count one request out."""
        self.active_requests -= 1
        self._notice()

    def _notice(self) -> None:
        if self.is_shutting_down and not self.active_requests:
            self._over.set()


class DrainMiddleware:
    """Counts an ASGI application's requests in and out, and refuses new ones while it drains."""

    def __init__(self, app: AsgiApp, *, drain: GracefulShutdown, refusal: AsgiApp | None = None) -> None:
        self._app = app
        self._drain = drain
        self._refusal = refusal or _say_goodbye

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is none."""
        match scope["type"]:
            case "http" if self._drain.is_shutting_down:
                await self._refusal(scope, receive, self._as_refusal(scope, send))
            case "http":
                await self._counted(scope, receive, send)
            case "websocket" if self._drain.is_shutting_down:
                await receive()
                await send({"type": "websocket.close", "code": SERVICE_RESTART})
            case _:
                await self._app(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def last_on_its_connection(message: Message) -> None:
            if self._drain.is_shutting_down and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_closing(scope)]}
            await send(message)

        self._drain.enter()
        try:
            await self._app(scope, receive, last_on_its_connection)
        finally:
            self._drain.leave()

    def _as_refusal(self, scope: Scope, send: Send) -> Send:
        async def refuse(message: Message) -> None:
            if message["type"] == "http.response.start":
                retry = (b"retry-after", str(self._drain.seconds_left).encode())
                headers = [*message.get("headers", ()), retry, *_closing(scope)]
                message = {**message, "status": 503, "headers": headers}
            await send(message)

        return refuse


def _closing(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the header that ends the connection; HTTP/2 and later forbid it (RFC 9113, 8.2.2)."""
    return [(b"connection", b"close")] if scope.get("http_version", "1.1").startswith("1") else []


async def _say_goodbye(_scope: Scope, _receive: Receive, send: Send) -> None:
    body = b"shutting down; try again later\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
