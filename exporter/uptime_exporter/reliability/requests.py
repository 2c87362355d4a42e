"""Counts an application's requests by route, as plain integers; somebody else makes metrics of them."""

import time
from collections.abc import Callable, Mapping, Sequence

from uptime_exporter.reliability.asgi import AsgiApp, Message, Receive, Scope, Send
from uptime_exporter.reliability.histogram import Histogram
from uptime_exporter.reliability.routes import Routes

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
"""Those of RFC 9110 and RFC 5789; what a client makes up is no label value."""

OTHER = "OTHER"

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds. The longest is what a drain waits for."""

SERVER_ERROR = 500

CUT_OFF = 503
"""What a request counts as that was cancelled before it was answered."""

CLIENT_GONE = 499
"""What a request counts as whose client did not wait for the answer; nginx says so too."""


class RequestAccounting:
    """What became of an application's requests.

    A request is counted when the application returns from it; its duration ends with the last byte of its answer.
    WebSockets are no requests.

    Attributes:
        failures: Answers with 5xx, and exceptions that the application did not handle, also after the answer had
            begun. Not: requests whose client went away.
        in_flight: Requests that the application has not returned from.

    """

    def __init__(
        self, *, clock: Callable[[], float] = time.perf_counter, bounds: Sequence[float] = BOUNDS
    ) -> None:
        self.clock = clock
        self.failures = 0
        self.in_flight = 0
        self._bounds = tuple(bounds)
        self._routes = Routes()
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations: dict[str, Histogram] = {}

    def wrap(self, app: AsgiApp) -> "RequestMiddleware":
        """Return *app* with its requests counted."""
        return RequestMiddleware(app, accounting=self)

    @property
    def requests(self) -> Mapping[tuple[str, str, str], int]:
        """Requests by method, route template and status code."""
        return {(method, route, str(code)): n for (method, route, code), n in list(self._requests.items())}

    @property
    def durations(self) -> Mapping[str, Histogram]:
        """Seconds by route template."""
        return dict(self._durations)

    def count(self, scope: Scope, request: "_Request", began: float) -> None:
        """Count a request from which the application has returned."""
        method, route = scope["method"], self._routes.template(scope)
        code = request.code or request.unanswered()
        if code >= SERVER_ERROR or (request.error is not None and not request.gone):
            self.failures += 1
        self.count_one(method, route, code, (request.done or self.clock()) - began)

    def count_one(self, method: str, route: str, code: int, seconds: float) -> None:
        """Count a request of which all is known already."""
        key = (method if method in METHODS else OTHER, route, code)
        self._requests[key] = self._requests.get(key, 0) + 1
        durations = self._durations.get(route)
        if durations is None:
            durations = self._durations[route] = Histogram(self._bounds)
        durations.observe(seconds)


class RequestMiddleware:
    """Counts an ASGI application's requests."""

    def __init__(self, app: AsgiApp, *, accounting: RequestAccounting) -> None:
        self._app = app
        self._accounting = accounting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and count it, or pass on what is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        accounting = self._accounting
        accounting.in_flight += 1
        request = _Request(receive, send, accounting.clock)
        began = accounting.clock()
        try:
            await self._app(scope, request.hear, request.say)
        except BaseException as error:
            request.error = error
            raise
        finally:
            accounting.in_flight -= 1
            accounting.count(scope, request, began)


class _Request:
    """One request, as the application sees it."""

    code = 0
    done = 0.0
    gone = False
    error: BaseException | None = None

    def __init__(self, receive: Receive, send: Send, clock: Callable[[], float]) -> None:
        self.receive = receive
        self.send = send
        self.clock = clock

    async def hear(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.disconnect" and not self.done:
            self.gone = True
        return message

    async def say(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self.code = message["status"]
        try:
            await self.send(message)
        except OSError:
            self.gone = True
            raise
        if kind == "http.response.body" and not message.get("more_body"):
            self.done = self.clock()

    def unanswered(self) -> int:
        """Return the status code of a request that has got no answer."""
        if self.gone:
            return CLIENT_GONE
        is_cancelled = self.error is not None and not isinstance(self.error, Exception)
        return CUT_OFF if is_cancelled else SERVER_ERROR
