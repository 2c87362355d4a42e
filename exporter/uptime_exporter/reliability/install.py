"""The toolkit in a Starlette or FastAPI application: routes, middleware, lifespan; neither is imported."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from uptime_exporter.reliability import shapes
from uptime_exporter.reliability.answer import JSON, Answer, compressed
from uptime_exporter.reliability.asgi import AsgiApp, Receive, Scope, Send
from uptime_exporter.reliability.core import Reliability
from uptime_exporter.reliability.guard import Guard, Headers
from uptime_exporter.reliability.shapes import Json

log = logging.getLogger(__name__)

Token = str | Callable[[], str | None] | None

_NEEDED = ("add_middleware", "add_route", "router")


class InstallError(Exception):
    """The toolkit does not fit into the application; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the toolkit answers; None: not at all."""

    health: str | None = "/health"
    reliability: str | None = "/reliability"
    """The reset is below it."""
    metrics: str | None = "/metrics"


def install(
    app: Any,
    reliability: Reliability | None = None,
    *,
    name: str = "",
    admin_token: Token = None,
    loopback_only: bool = False,
    registry: CollectorRegistry | None = None,
    paths: Paths | None = None,
) -> Reliability:
    """Give *app* the toolkit's routes, middleware and lifespan, before it starts; return the toolkit.

    The drain and the count of requests go around every middleware that *app* has by now. The background checks run
    between the application's own start and its own end; pools are disconnected after it.

    Args:
        app: A Starlette or FastAPI application.
        reliability: The toolkit; None: a new one, of *name*.
        name: The application's, where there is no *reliability*.
        admin_token: Who shows it may reset circuits; a function is asked at every request. None: see below.
        loopback_only: Whether nobody but this machine can reach the listener. Without a token, only then may a
            circuit be reset, and only from this machine.
        registry: What `/metrics` shows, with the toolkit in it from now on, such as `prometheus_client.REGISTRY`;
            None: the toolkit and the process.
        paths: Where it answers.

    Raises:
        InstallError: It is no such application, or it answers on one of the paths itself: then `paths` must lead
            elsewhere. A route that is added later is found at the start.

    """
    if not all(hasattr(app, needed) for needed in _NEEDED):
        raise InstallError(f"{type(app).__name__} is neither a Starlette nor a FastAPI application")
    toolkit = reliability or Reliability(name)
    shown = _registry() if registry is None else registry
    routes = _Routes(toolkit, shown, admin_token, paths or Paths(), loopback_only=loopback_only)
    taken = [endpoint.path for _, endpoint in routes.all()]
    _refuse(app.router.routes, taken)
    shown.register(toolkit.collector)
    app.add_middleware(routes.around)
    ours = [_add(app, *route) for route in routes.all()]
    app.router.lifespan_context = _chained(app.router, toolkit, taken, ours)
    return toolkit


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def _add(app: Any, method: str, endpoint: "_Endpoint") -> Any:
    """Put a route before all others: one that takes every path must not swallow it."""
    path = endpoint.path
    app.add_route(path, endpoint, methods=[method], name=f"uptime {path}")
    ours = app.router.routes.pop()
    app.router.routes.insert(0, ours)
    return ours


def _refuse(routes: Iterable[Any], taken: Iterable[str]) -> None:
    own = {path for route in routes for path in _paths(route)}
    for path in taken:
        if path in own:
            raise InstallError(
                f"the application has a route {path} of its own: give install(…, paths=Paths(…)) another path,"
                " or None to keep the application's"
            )


def _paths(route: Any) -> Iterator[str]:
    """Yield the paths of *route*, or of the routes that FastAPI has included by it."""
    if isinstance(path := getattr(route, "path", None), str):
        yield path
    elif callable(included := getattr(route, "effective_candidates", None)):
        for each in included():
            yield from _paths(each)


def _chained(
    router: Any, toolkit: Reliability, taken: list[str], ours: list[Any]
) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    own = router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        _refuse((route for route in router.routes if route not in ours), taken)
        try:
            async with own(app) as state, _running(toolkit):
                yield state
        finally:
            await toolkit.disconnect()

    return lifespan


@asynccontextmanager
async def _running(toolkit: Reliability) -> AsyncIterator[None]:
    await toolkit.start()
    try:
        yield
    finally:
        await toolkit.stop()


class _Routes:
    def __init__(
        self,
        toolkit: Reliability,
        registry: CollectorRegistry,
        token: Token,
        paths: Paths,
        *,
        loopback_only: bool,
    ) -> None:
        self._toolkit = toolkit
        self._registry = registry
        self._token = token
        self._paths = paths
        self._loopback_only = loopback_only
        self._guard = Guard(
            realm=toolkit.app.translate(_NOT_IN_A_REALM),
            remedy="give install() an admin_token and send it as Authorization: Bearer <token>",
        )

    def all(self) -> Iterator[tuple[str, "_Endpoint"]]:
        """Yield method and endpoint of each."""
        paths = self._paths
        if paths.health is not None:
            yield "GET", _Endpoint(paths.health, self.health)
        if paths.reliability is not None:
            yield "GET", _Endpoint(paths.reliability, self.reliability)
            yield "POST", _Endpoint(f"{paths.reliability}/circuit-breaker/{{name}}/reset", self.reset)
        if paths.metrics is not None:
            yield "GET", _Endpoint(paths.metrics, self.metrics)

    def around(self, app: AsgiApp) -> AsgiApp:
        """Return *app* with its requests counted and drained; what watches it can look on until the end."""
        toolkit = self._toolkit
        drained = toolkit.drain.wrap(toolkit.requests.wrap(app), refusal=self.farewell)

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and toolkit.drain.is_shutting_down and scope["method"] == "GET":
                path = _path(scope)
                if path == self._paths.metrics:
                    return await (await self.metrics(scope)).send(send)
                if path == self._paths.reliability:
                    return await (await self.reliability(scope)).send(send)
            return await drained(scope, receive, send)

        return watched

    async def farewell(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer while draining; it goes out as 503."""
        if _path(scope) == self._paths.health:
            await (await self.health(scope)).send(send)
        else:
            await Answer(b"shutting down; try again later\n", "text/plain; charset=utf-8").send(send)

    async def health(self, _scope: Scope) -> Answer:
        return _told(self._toolkit.health, {"status": "unhealthy"})

    async def reliability(self, _scope: Scope) -> Answer:
        return _told(self._toolkit.report, {})

    async def metrics(self, scope: Scope) -> Answer:
        encode, content_type = choose_encoder(", ".join(Headers(scope["headers"]).all("accept")))
        return await compressed(scope, encode(self._registry), content_type, vary="Accept")

    async def reset(self, scope: Scope) -> Answer:
        token = self._token() if callable(self._token) else self._token
        client = scope.get("client")
        refused = self._guard.refusal(
            token,
            Headers(scope["headers"]),
            peer=client[0] if client else None,
            loopback_only=self._loopback_only,
        )
        if refused is not None:
            body = shapes.encode(shapes.refused(refused.message))
            return Answer(body, JSON, refused.status, tuple(refused.headers.items()))
        name = scope["path_params"]["name"]
        if name not in self._toolkit.breakers:
            return Answer(shapes.encode(shapes.unknown_circuit(name, self._toolkit.breakers)), JSON, 404)
        return Answer(shapes.encode(self._toolkit.reset(name)), JSON)


class _Endpoint:
    """An ASGI application, as frameworks recognise one: an object, not a function."""

    def __init__(self, path: str, answer: Callable[[Scope], Awaitable[Answer]]) -> None:
        self.path = path
        self._answer = answer

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        scope.setdefault("route", self)  # not every version of Starlette says which route it was
        await (await self._answer(scope)).send(send)


_NOT_IN_A_REALM = str.maketrans({'"': "'", "\\": "/"})


def _told(tell: Callable[[], Json], instead: Json) -> Answer:
    """Answer with 200 whatever happens, as old clients expect; an exception's text may hold a secret."""
    try:
        return Answer(shapes.encode(tell()), JSON)
    except Exception as error:
        log.exception("the state of the application cannot be told")
        return Answer(shapes.encode({**instead, "error": f"{type(error).__name__}; the log has more"}), JSON)


def _path(scope: Scope) -> str:
    """Return the path within the application, as its routes know it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
