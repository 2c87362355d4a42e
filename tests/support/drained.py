"""An application that drains, for a server to run: ``support.drained:app``.

It does what the test says: a request to ``/hold`` opens a connection to the Unix socket ``DRAINED_GATE`` and ends
when that ends; so does the start of the application where ``DRAINED_SLOW_START`` is set.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from uptime_exporter.reliability import Reliability, install

reliability = Reliability(
    "drained",
    shutdown_timeout=float(os.environ["DRAINED_LIMIT"]),
    shutdown_record=Path(os.environ["DRAINED_RECORD"]),
)


async def gate() -> None:
    """Wait until the test lets go."""
    reader, writer = await asyncio.open_unix_connection(os.environ["DRAINED_GATE"])
    try:
        await reader.read()
    finally:
        writer.close()


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


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


async def block(_request: Request) -> Response:
    """Stop the event loop, as code does that should have been in a thread."""
    with socket.socket(socket.AF_UNIX) as to_test:
        to_test.connect(os.environ["DRAINED_GATE"])
        to_test.recv(1)
    return PlainTextResponse("held")


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
        Route("/hold", hold),
        Route("/stream", stream),
        Route("/block", block),
        Route("/stubborn", stubborn),
        WebSocketRoute("/echo", echo),
    ],
    lifespan=lifespan,
)
install(app, reliability)
