"""An application that drains, for a server to run: ``support.drained:app``.

It does what the test says: a request to ``/hold`` opens a connection to the Unix socket ``DRAINED_GATE`` and ends
when that ends; so does the start of the application where ``DRAINED_SLOW_START`` is set.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from uptime_exporter.reliability.drain import DrainMiddleware, GracefulShutdown

drain = GracefulShutdown(float(os.environ["DRAINED_LIMIT"]), record=Path(os.environ["DRAINED_RECORD"]))


class Shutdowns(Collector):
    """What `UptimeShutdownTimeout` reads."""

    def collect(self) -> list[CounterMetricFamily]:
        family = CounterMetricFamily(
            "uptime_shutdowns", "Drains by how they ended.", labels=["app", "result"]
        )
        for result, number in drain.shutdowns.items():
            family.add_metric(["drained", result], number)
        return [family]


registry = CollectorRegistry()
registry.register(Shutdowns())
ProcessCollector(registry=registry)


async def gate() -> None:
    """Wait until the test lets go."""
    reader, writer = await asyncio.open_unix_connection(os.environ["DRAINED_GATE"])
    try:
        await reader.read()
    finally:
        writer.close()


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


async def metrics(_request: Request) -> Response:
    return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")


async def hold(_request: Request) -> Response:
    await gate()
    return PlainTextResponse("held")


async def stream(_request: Request) -> Response:
    async def chunks() -> AsyncIterator[str]:
        yield "begun, "
        await gate()
        yield "ended"

    return StreamingResponse(chunks())


async def stubborn(_request: Request) -> Response:
    while True:
        try:
            await gate()
        except asyncio.CancelledError:
            continue


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        if text == "hold":
            await gate()
        await websocket.send_text(text)


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    if "DRAINED_SLOW_START" in os.environ:
        await gate()
    yield


app = Starlette(
    routes=[
        Route("/", hello),
        Route("/metrics", metrics),
        Route("/hold", hold),
        Route("/stream", stream),
        Route("/stubborn", stubborn),
        WebSocketRoute("/echo", echo),
    ],
    middleware=[Middleware(DrainMiddleware, drain=drain)],
    lifespan=lifespan,
)
