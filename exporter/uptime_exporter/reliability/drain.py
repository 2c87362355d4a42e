"""Stops an application without a failed request: what is in flight ends, what comes new is sent away."""

import asyncio
import logging
import math
import os
import signal
from collections.abc import Awaitable, Mapping
from pathlib import Path

from uptime_exporter.reliability.asgi import AsgiApp, Message, Receive, Scope, Send
from uptime_exporter.reliability.record import Drained, Record
from uptime_exporter.reliability.signals import Signals
from uptime_exporter.reliability.websocket import SERVICE_RESTART, WebSocket

__all__ = [
    "AsgiApp",
    "DrainMiddleware",
    "Drained",
    "GracefulShutdown",
    "Message",
    "Receive",
    "Scope",
    "Send",
]

log = logging.getLogger(__name__)

LAST_RESORT = 2.0
"""Seconds past the time limit after which the process ends whatever still holds it."""

AT_ONCE = 1.0
"""Seconds between a server's cancelling what is in flight and its ending the application, at most."""


class GracefulShutdown:
    """Counts what is in flight, and waits for it once the end has begun.

    Belongs to one event loop and takes its time from it. A request is in flight until the application returns
    from it: streams and background tasks count to their end. A WebSocket is closed with 1012 as soon as its
    application waits for a message, at half of the time limit whatever it does.

    Under a server, the middleware takes SIGTERM and SIGINT once the application has started: the server hears of
    them when the drain is over, so its listener answers until then. What is still in flight at the time limit is
    cancelled. A second SIGINT ends the wait, as it does with uvicorn; a second SIGTERM does not, because a service
    manager sends one to each process of a group, and the server's own master another one.

    Hypercorn must run in one process (``--workers 0``): its workers hear of no signal, and their listener is gone
    before the application hears of the end. What they cut off then counts as "timeout".

    Args:
        timeout: Seconds that what is in flight gets.
        record: A file in which the results last; its directory must exist. Several processes may share it.

    Attributes:
        shutdown_timeout: Seconds from `begin` that requests in flight get.
        active_requests: How many there are.
        is_shutting_down: Whether new requests are sent away.

    """

    def __init__(self, timeout: float = 30.0, *, record: Path | None = None) -> None:
        self.shutdown_timeout = timeout
        self.active_requests = 0
        self.is_shutting_down = False
        self._record = Record(record)
        self._signals = Signals(self._told, lambda: self._record.begin(timeout))
        self._websockets: set[WebSocket] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._deadline: float | None = None
        self._result: Drained | None = None
        self._begun = asyncio.Event()
        self._over = asyncio.Event()
        self._cut_off = False
        self._cancelled_at = -math.inf
        self._cut_by_server = False
        self._ending: asyncio.Task[None] | None = None
        self._last_resort: asyncio.TimerHandle | None = None
        self._errands: set[asyncio.Task[None]] = set()

    @property
    def active_websockets(self) -> int:
        """How many WebSockets are open."""
        return len(self._websockets)

    @property
    def seconds_left(self) -> int:
        """Whole seconds until the time limit, at least 1; the whole limit before `begin`."""
        if self._deadline is None:
            return max(1, math.ceil(self.shutdown_timeout))
        return max(1, math.ceil(self._deadline - asyncio.get_running_loop().time()))

    @property
    def shutdowns(self) -> Mapping[Drained, int]:
        """How many drains so far ended in which way: all that the record knows, otherwise this process's."""
        tally = self._record.read()
        return {"clean": tally.clean, "timeout": tally.timeout}

    @property
    def last_seconds(self) -> float | None:
        """Seconds that the latest drain took, or None; its time limit if it was killed or the server cut it off."""
        return self._record.read().last_seconds

    def wrap(self, app: AsgiApp, *, refusal: AsgiApp | None = None) -> "DrainMiddleware":
        """Return *app* with its requests counted, and refused once the end has begun.

        Args:
            app: Any ASGI application.
            refusal: Answers instead of it then; its answer goes out with status 503.

        """
        return DrainMiddleware(app, drain=self, refusal=refusal)

    def begin(self) -> None:
        """Send new requests away from now on; a second call changes nothing. To be called on the loop."""
        if self.is_shutting_down:
            return
        loop = asyncio.get_running_loop()
        self.is_shutting_down = True
        self._deadline = loop.time() + self.shutdown_timeout
        self._record.begin(self.shutdown_timeout)
        self._begun.set()
        for each in self._websockets:
            each.end()
        loop.call_at(self._deadline - self.shutdown_timeout / 2, self._close_websockets)
        self._notice()

    async def begun(self) -> None:
        """Return once the end has begun: a stream without an end of its own can end then."""
        await self._begun.wait()

    async def wait(self) -> Drained:
        """Begin, and return when nothing is in flight ("clean") or the time is over ("timeout").

        The result is recorded before it is returned.
        """
        self.begin()
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._over.wait()
        except TimeoutError:
            return self._ended("timeout")
        return self._ended("timeout" if self._in_flight else "clean")

    def give_up(self) -> None:
        """Wait no longer: `wait` returns at once, with "timeout" if something is still in flight."""
        self._over.set()

    def enter(self, task: asyncio.Task[object] | None = None) -> None:
        """Count one request in, which runs in *task*."""
        self.active_requests += 1
        if task is not None:
            self._tasks.add(task)

    def leave(self, task: asyncio.Task[object] | None = None) -> None:
        """Count one request out."""
        self.active_requests -= 1
        if task is not None:
            self._tasks.discard(task)
        if self.is_shutting_down:
            self._notice()

    def enter_websocket(self, websocket: WebSocket, task: asyncio.Task[object] | None = None) -> None:
        """Count one WebSocket in, which is to be closed in time."""
        self._websockets.add(websocket)
        if task is not None:
            self._tasks.add(task)

    def leave_websocket(self, websocket: WebSocket, task: asyncio.Task[object] | None = None) -> None:
        """Count one WebSocket out."""
        self._websockets.discard(websocket)
        if task is not None:
            self._tasks.discard(task)
        self._notice()

    def cut_off(self) -> None:
        """Cancel what is in flight."""
        self._cut_off = True
        for task in list(self._tasks):
            task.cancel("cut off at the time limit of the shutdown")

    def forgives(self, task: asyncio.Task[object] | None) -> bool:
        """Take back the cancellation of *task* if it came from `cut_off`, so that it can say goodbye."""
        if not self._cut_off or task is None or task not in self._tasks:
            return False
        self._tasks.discard(task)
        return not task.uncancel()

    def note_cancelled(self) -> None:
        """Remember that a request was cancelled by somebody else."""
        self._cancelled_at = asyncio.get_running_loop().time()

    def hold_signals(self) -> None:
        """Drain at SIGTERM and SIGINT before the server hears of them; the middleware does it by itself."""
        self._signals.hold()

    async def finish(self) -> None:
        """Drain if no signal has led to it: the server stops for a reason of its own, and is nearly done."""
        if self._last_resort is not None:
            self._last_resort.cancel()
        if self._result is None:
            # Hypercorn tells its workers to stop without a signal, and cancels what is in flight when it likes.
            self._cut_by_server = asyncio.get_running_loop().time() - self._cancelled_at < AT_ONCE
            await self.wait()

    def renew(self) -> None:
        """Take requests again where the application had ended: a test client starts it many times."""
        if self._result is None:
            return
        self.is_shutting_down = self._cut_off = self._cut_by_server = False
        self._deadline = self._result = self._ending = self._last_resort = None
        self._begun, self._over = asyncio.Event(), asyncio.Event()
        self._cancelled_at = -math.inf

    def release_signals(self) -> None:
        """Leave the signals to the server again."""
        self._signals.release()

    @property
    def _in_flight(self) -> int:
        return self.active_requests + len(self._websockets)

    def _notice(self) -> None:
        if self.is_shutting_down and not self._in_flight:
            self._over.set()

    def _ended(self, result: Drained) -> Drained:
        if self._result is None and self._deadline is not None:
            self._result = "timeout" if self._cut_by_server else result
            began = self._deadline - self.shutdown_timeout
            took = asyncio.get_running_loop().time() - began
            self._record.end(self._result, self.shutdown_timeout if self._cut_by_server else took)
        return result

    def _told(self, number: int) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(), name=f"drain after signal {number}")
        elif number == signal.SIGINT:
            self.give_up()

    async def _end(self) -> None:
        result = await self.wait()
        loop = asyncio.get_running_loop()
        if result == "timeout":
            log.warning(
                "shutting down: cut off %d requests, %d WebSockets",
                self.active_requests,
                self.active_websockets,
            )
            self.cut_off()
            self._last_resort = loop.call_later(LAST_RESORT, self._exit)
        elif self._deadline is not None:
            self._last_resort = loop.call_at(self._deadline + LAST_RESORT, self._exit)
        self._signals.let_through()

    def _exit(self) -> None:
        log.error("shutting down: the server does not end; %d requests cannot be cancelled", len(self._tasks))
        logging.shutdown()
        os._exit(1)

    def _close_websockets(self) -> None:
        for each in list(self._websockets):
            task = asyncio.ensure_future(each.close())
            self._errands.add(task)
            task.add_done_callback(self._errands.discard)


class DrainMiddleware:
    """Counts an ASGI application's requests in and out, and refuses new ones while it drains."""

    def __init__(self, app: AsgiApp, *, drain: GracefulShutdown, refusal: AsgiApp | None = None) -> None:
        self._app = app
        self._drain = drain
        self._refusal = refusal or _say_goodbye

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is none."""
        kind = scope["type"]
        if kind == "http" and not self._drain.is_shutting_down:
            await self._counted(scope, receive, send)
        elif kind == "http":
            await self._refusal(scope, receive, self._as_refusal(scope, send))
        elif kind == "websocket" and self._drain.is_shutting_down:
            await receive()
            await send({"type": "websocket.close", "code": SERVICE_RESTART})
        elif kind == "websocket":
            await self._ended_in_time(scope, receive, send)
        elif kind == "lifespan":
            await self._between_signals(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        drain, task, started = self._drain, asyncio.current_task(), False

        def last_on_its_connection(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            if drain.is_shutting_down and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_closing(scope)]}
            return send(message)

        drain.enter(task)
        try:
            await self._app(scope, receive, last_on_its_connection)
        except asyncio.CancelledError:
            if started or not drain.forgives(task):
                drain.note_cancelled()
                raise
            await self._refusal(scope, receive, self._as_refusal(scope, send))
        finally:
            drain.leave(task)

    async def _ended_in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket, task = WebSocket(receive, send), asyncio.current_task()
        self._drain.enter_websocket(websocket, task)
        try:
            await self._app(scope, websocket.receive, websocket.send)
        except asyncio.CancelledError:
            if not self._drain.forgives(task):
                self._drain.note_cancelled()
                raise
            await websocket.close()
        finally:
            self._drain.leave_websocket(websocket, task)

    async def _between_signals(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def started(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._drain.hold_signals()
            await send(message)

        async def ending() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._drain.finish()
            return message

        self._drain.renew()
        try:
            await self._app(scope, ending, started)
        finally:
            self._drain.release_signals()

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
