"""An application as a server would run it, without a socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx


def client_of(app: Any, peer: str = "127.0.0.1", **options: Any) -> httpx.AsyncClient:
    """Return a client whose requests go to *app* as they are."""
    transport = httpx.ASGITransport(app, client=(peer, 50000), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, **{"base_url": "http://localhost:8000", **options})


@contextlib.asynccontextmanager
async def running(app: Any) -> AsyncIterator[None]:
    """Start *app* and end it, by the lifespan protocol of ASGI.

    Raises:
        RuntimeError: It says that it cannot.

    """
    heard: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    lifespan = asyncio.create_task(app(scope, heard.get, said.put))
    try:
        await _tell(heard, said, "lifespan.startup")
        yield
        await _tell(heard, said, "lifespan.shutdown")
    except BaseException:
        lifespan.cancel()
        raise
    finally:
        await asyncio.gather(lifespan, return_exceptions=True)


async def _tell(heard: Any, said: Any, what: str) -> None:
    await heard.put({"type": what})
    answer = await said.get()
    if answer["type"] != f"{what}.complete":
        raise RuntimeError(answer.get("message", ""))
