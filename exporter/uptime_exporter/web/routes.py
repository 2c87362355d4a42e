"""Which path answers what, to whom, and with which headers."""

import json
from collections.abc import Sequence
from email.utils import formatdate

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uptime_exporter.clock import Clock
from uptime_exporter.errors import SettingsError
from uptime_exporter.reliability.answer import takes_gzip, zipped
from uptime_exporter.reliability.shapes import Json
from uptime_exporter.settings import DRILL, LONGEST
from uptime_exporter.web import answers
from uptime_exporter.web.admin import refusal
from uptime_exporter.web.backend import Backend
from uptime_exporter.web.page import CONTENT_SECURITY_POLICY, render_page

RESET = "/reliability/circuit-breaker/{name}/reset"

GUIDE = f"""There is no such page here. There are:

GET  /                 what is up and what is down, for people
GET  /metrics          for Prometheus
GET  /health           JSON: the exporter's own health by its status code, its targets' in its body
GET  /reliability      JSON: circuits and checks
POST {RESET}
GET  /-/healthy        200 while the exporter does its work
GET  /-/ready          200 while it takes requests
POST /-/reload         read the settings again
POST /-/drill          watch a target that is down, until DELETE /-/drill or ?seconds=900 have passed
"""


def create_app(backend: Backend) -> ASGIApp:
    """Return the routes, counted by the drain; while it drains `/` and `/health` say so, as 503."""
    routes = _Headers(_Routes(backend).starlette(), backend.clock)
    farewell = _Headers(_Routes(backend).starlette(farewell=True), backend.clock)
    return backend.drain.wrap(routes, refusal=farewell)


class _Routes:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def starlette(self, *, farewell: bool = False) -> Starlette:
        always = [Route("/", self.page), Route("/health", self.health)]
        working = [
            Route("/metrics", self.metrics),
            Route("/reliability", self.reliability),
            Route(RESET, self.reset, methods=["POST"]),
            Route("/-/healthy", self.healthy),
            Route("/-/ready", self.ready),
            Route("/-/reload", self.reload, methods=["POST", "PUT"]),
            Route("/-/drill", self.drill, methods=["POST", "DELETE"]),
        ]
        app = Starlette(
            routes=always if farewell else always + working,
            exception_handlers={
                404: _goodbye if farewell else _no_such_page,
                405: _goodbye if farewell else _wrong_method,
            },
        )
        app.router.redirect_slashes = False  # the redirect would repeat whatever Host says
        return app

    async def page(self, request: Request) -> Response:
        html = (await render_page(self._backend)).encode()
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return await _compressed(request, html, "text/html; charset=utf-8", headers)

    async def metrics(self, request: Request) -> Response:
        gzip = takes_gzip(request.headers.getlist("accept-encoding"))
        parts, content_type = await self._backend.render(_listed(request, "accept"), gzip=gzip)
        headers = {"Vary": "Accept, Accept-Encoding", "Content-Type": content_type}
        return _InParts(parts, headers | ({"Content-Encoding": "gzip"} if gzip else {}))

    async def health(self, _request: Request) -> Response:
        status, body = answers.health(self._backend)
        return _json(body, status)

    async def reliability(self, _request: Request) -> Response:
        return _json(answers.reliability(self._backend))

    async def reset(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        name = request.path_params["name"]
        try:
            watch = self._backend.monitor.reset(name)
        except KeyError:
            known = list(self._backend.monitor.watches)
            message = f"There is no circuit {name}; there are: {', '.join(known)}"
            return _json({"success": False, "message": message, "known": known}, 404)
        return _json(answers.after_reset(watch))

    async def reload(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        try:
            await self._backend.reload()
        except SettingsError as error:
            mistakes = "\n".join(error.mistakes)
            return PlainTextResponse(f"The settings cannot be used; nothing was changed.\n{mistakes}\n", 500)
        return PlainTextResponse("The settings were read again.\n")

    async def drill(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        begins = request.method == "POST"
        seconds = _seconds(request.query_params.get("seconds", "900")) if begins else 0
        if seconds is None:
            return _json({"success": False, "message": "seconds must be a number above 0"}, 400)
        try:
            await self._backend.drill(seconds)
        except SettingsError as error:
            return _json({"success": False, "message": str(error)}, 409)
        message = f"The target {DRILL} is down for {seconds:g} s at most." if begins else "The drill is over."
        return _json({"success": True, "message": message})

    async def healthy(self, _request: Request) -> Response:
        return self._works("healthy")

    async def ready(self, _request: Request) -> Response:
        return self._works("ready")

    def _works(self, word: str) -> Response:
        trouble = answers.ailment(self._backend)
        if trouble is None:
            return PlainTextResponse(f"uptime-exporter is {word}.\n")
        return PlainTextResponse(f"uptime-exporter is not {word}: {trouble[1]}.\n", 503)

    def _refused(self, request: Request) -> Response | None:
        refused = refusal(
            self._backend.admin_token(),
            request.headers,
            peer=request.client.host if request.client else None,
            loopback_only=self._backend.loopback_only,
        )
        if refused is None:
            return None
        return _json({"success": False, "message": refused.message}, refused.status, refused.headers)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return min(seconds, LONGEST) if seconds > 0 else None


async def _no_such_page(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse(GUIDE, 404)


async def _wrong_method(request: Request, error: Exception) -> Response:
    given = (error.headers or {}) if isinstance(error, HTTPException) else {}
    allowed = ", ".join(sorted(given.get("Allow", "").split(", ")))
    message = f"{request.url.path} does not answer {request.method}, only {allowed}\n"
    return PlainTextResponse(message, 405, {"Allow": allowed})


async def _goodbye(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("The exporter is shutting down; try again later.\n", 503)


def _json(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer in ASCII, which can say every string, and in JSON proper, which has no NaN."""
    text = json.dumps(body, indent=2, allow_nan=False) + "\n"
    return Response(text, status, headers, "application/json")


async def _compressed(request: Request, body: bytes, content_type: str, headers: dict[str, str]) -> Response:
    """Answer with gzip at its fastest where the client takes it: a tenth of the time of its best."""
    headers = {"Vary": "Accept-Encoding", **headers, "Content-Type": content_type}
    if takes_gzip(request.headers.getlist("accept-encoding")):
        headers["Content-Encoding"] = "gzip"
        body = await zipped(body)
    return Response(body, headers=headers)


def _listed(request: Request, header: str) -> str:
    """Return a header's values, wherever they were put, as one list."""
    return ", ".join(request.headers.getlist(header))


class _InParts(Response):
    """A body that is sent part by part, each when the client has taken most of the one before."""

    def __init__(self, parts: Sequence[bytes], headers: dict[str, str]) -> None:
        self._parts = parts
        super().__init__(headers={**headers, "Content-Length": str(sum(map(len, parts)))})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - by ASGI
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Headers:
    """Adds to every answer what keeps a browser from doing harm with it, and the date."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_to(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, with_headers)

    def _add_to(self, headers: MutableHeaders) -> None:
        headers["Date"] = formatdate(self._clock.wall(), usegmt=True)
        headers["Cache-Control"] = "no-store"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
