"""What counting a request costs on FastAPI, against nothing and against a BaseHTTPMiddleware doing the same."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping

from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response

from bench.table import Table, progress, spread
from uptime_exporter.reliability.asgi import AsgiApp, Message, Scope
from uptime_exporter.reliability.drain import DrainMiddleware, GracefulShutdown
from uptime_exporter.reliability.requests import RequestAccounting, RequestMiddleware

ROUNDS = 300
REQUESTS = 50
"""In each round, of each kind."""


class Same(BaseHTTPMiddleware):
    """Counts what ours counts, the usual way."""

    def __init__(self, app: AsgiApp) -> None:
        super().__init__(app)
        self.accounting = RequestAccounting()

    async def dispatch(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        self.accounting.in_flight += 1
        began = time.perf_counter()
        code = 500
        try:
            response = await call_next(request)
            code = response.status_code
            return response
        finally:
            self.accounting.in_flight -= 1
            self.accounting.count_one(
                request.method, request.scope["route"].path, code, time.perf_counter() - began
            )


def bare() -> FastAPI:
    """Return an application with one route and no parts but FastAPI's own."""
    app = FastAPI(openapi_url=None)

    @app.get("/items/{item}")
    async def item(item: int) -> Response:
        return Response(b"ok" if item else b"")

    return app


def counted() -> FastAPI:
    app = bare()
    app.add_middleware(RequestMiddleware, accounting=RequestAccounting())
    return app


def drained() -> FastAPI:
    app = bare()
    app.add_middleware(DrainMiddleware, drain=GracefulShutdown())
    return app


def both() -> FastAPI:
    app = counted()
    app.add_middleware(DrainMiddleware, drain=GracefulShutdown())
    return app


def usual() -> FastAPI:
    app = bare()
    app.add_middleware(Same)
    return app


KINDS: Mapping[str, Callable[[], FastAPI]] = {
    "bare FastAPI": bare,
    "and requests counted": counted,
    "and drained": drained,
    "and both": both,
    "and BaseHTTPMiddleware that counts the same": usual,
}


def scope() -> Scope:
    """Return a request, as a server puts it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/items/7",
        "raw_path": b"/items/7",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }


async def ask(app: AsgiApp) -> None:
    """Ask once; the server's own part costs nothing."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None:
        return

    await app(scope(), receive, send)


async def rounds(apps: Mapping[str, AsgiApp], number: int, requests: int) -> Iterator[Mapping[str, float]]:
    """Return the CPU seconds of one request of each kind, round by round, each kind in each round."""
    found = []
    for app in apps.values():
        await ask(app)
    for turn in progress("requests counted", range(number)):
        names = [*apps]
        taken = {}
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            await ask(apps[name])
            began = time.process_time()
            for _ in range(requests):
                await ask(apps[name])
            taken[name] = (time.process_time() - began) / requests
        found.append(taken)
    return iter(found)


def measure(number: int = ROUNDS, requests: int = REQUESTS) -> Iterator[Table]:
    """Yield the table of what a request costs, and what each middleware adds to it."""
    apps = {name: make() for name, make in KINDS.items()}
    taken = list(asyncio.run(rounds(apps, number, requests)))
    first, *_, last = KINDS
    least = {name: min(each[name] for each in taken) for name in KINDS}
    added = {name: [each[name] - each[first] for each in taken] for name in KINDS}
    usually = statistics.median(added[last])
    yield Table(
        "The toolkit: a request counted",
        ("application", "a request, CPU", "added", "added, undisturbed", "of BaseHTTPMiddleware's"),
        [
            [
                name,
                spread([each[name] for each in taken], "µs", 1e6),
                "" if name == first else spread(added[name], "µs", 1e6),
                "" if name == first else f"{(least[name] - least[first]) * 1e6:.3g} µs",
                "" if name == first else f"1/{usually / statistics.median(added[name]):.1f}",
            ]
            for name in KINDS
        ],
        "One route with a parameter, asked without a server, all kinds by turns in one process. Median "
        "(quartiles); what is added is the difference within a round; undisturbed, that of the fastest rounds.",
    )
