"""Connections that the whole application shares: to its database, and over HTTP to other servers."""

import asyncio
import contextlib
import inspect
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import httpx

from uptime_exporter.reliability.checkout import CheckoutTimeoutError, Use

__all__ = ["CheckoutTimeoutError", "DatabasePool", "Pool", "SharedClient"]

CLOSING = 5.0
"""Seconds that connections in use get when a pool is closed."""


class Pool(Protocol):
    """What is needed of a driver's pool; asyncmy's and aiomysql's have it."""

    @property
    def freesize(self) -> int:
        """How many connections are idle."""

    def acquire(self) -> Awaitable[Any]:
        """Return a connection, when there is one."""

    def release(self, conn: Any) -> Awaitable[Any] | None:
        """Take it back."""

    def close(self) -> None:
        """Lend nothing more."""

    def terminate(self) -> None:
        """Close what is in use, too."""

    async def wait_closed(self) -> None:
        """Wait until all is closed."""


class DatabasePool:
    """A pool of database connections that nobody waits for without end.

    It is opened by the first checkout: an application whose database is down starts all the same. It belongs
    to the event loop of that checkout until it is closed.

    Attributes:
        use: What is used of it.

    """

    def __init__(
        self,
        name: str,
        open_pool: Callable[[int], Awaitable[Pool]],
        *,
        limit: int = 15,
        checkout_timeout: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what opens the driver's pool.

        Args:
            name: A label.
            open_pool: Number of connections → the driver's pool of that size, such as
                ``lambda size: asyncmy.create_pool(minsize=0, maxsize=size, host=…)``.
            limit: How many connections there are at most.
            checkout_timeout: Seconds to wait for one, connecting included.
            clock: Seconds since some start.

        """
        self.use = Use(name, limit, checkout_timeout, clock)
        self._open_pool = open_pool
        self._opening = asyncio.Lock()
        self._pool: Pool | None = None

    @property
    def idle(self) -> int:
        """How many connections wait to be used."""
        return self._pool.freesize if self._pool is not None else 0

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Lend a connection for the length of an ``async with``.

        Raises:
            CheckoutTimeoutError: None was to be had in time.

        """
        pool, lent = await self.use.take(self._acquire)
        try:
            yield lent
        finally:
            await self._release(pool, lent)

    async def disconnect(self) -> None:
        """Close all connections, those in use after 5 s; the next checkout opens the pool again."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await _close(pool)
        self._opening = asyncio.Lock()
        self.use.renew()

    async def _acquire(self) -> tuple[Pool, Any]:
        pool = self._pool or await self._opened()
        return pool, await pool.acquire()

    async def _opened(self) -> Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await self._open_pool(self.use.limit)
            return self._pool

    async def _release(self, pool: Pool, lent: Any) -> None:
        try:
            released = pool.release(lent)
            if inspect.isawaitable(released):
                await released
        finally:
            self.use.give_back()


class SharedClient(httpx.AsyncClient):
    """The one HTTP client of an application: connections are kept, counted, and never waited for without end.

    It takes no proxy from the environment, and follows no redirect unless asked to.

    Attributes:
        use: What is used of its connections.

    """

    def __init__(
        self,
        name: str = "http",
        *,
        limit: int = 100,
        checkout_timeout: float = 5.0,
        timeout: float | httpx.Timeout = 30.0,
        verify: ssl.SSLContext | str | bool = True,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        """Take the limits.

        Args:
            name: A label.
            limit: How many requests may be under way at a time; so many connections are kept.
            checkout_timeout: Seconds to wait for a place among them; then `httpx.PoolTimeout` is raised.
            timeout: Seconds to connect, and between any two pieces of an answer.
            verify: Whom to trust, as httpx takes it.
            clock: Seconds since some start.
            options: For `httpx.AsyncClient`.

        """
        self.use = Use(name, limit, checkout_timeout, clock)
        self._connections = _Connections(self.use, verify=verify)
        super().__init__(timeout=timeout, transport=self._connections, **options)

    @property
    def idle(self) -> int:
        """How many connections wait to be used."""
        return self._connections.idle

    async def disconnect(self) -> None:
        """Close all connections; the next request opens a new one."""
        await self._connections.aclose()
        self.use.renew()


class _Connections(httpx.AsyncHTTPTransport):
    """Lets so many requests through at a time; each holds its place until its answer is read or closed."""

    def __init__(self, use: Use, *, verify: ssl.SSLContext | str | bool) -> None:
        # The queue stands before httpx's own: a wait that is cancelled in there can lose a place for ever.
        kept = httpx.Limits(max_connections=None, max_keepalive_connections=use.limit)
        super().__init__(verify=verify, limits=kept)
        self._use = use

    @property
    def idle(self) -> int:
        return sum(connection.is_idle() for connection in self._pool.connections)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            await self._use.take(_nothing)
        except CheckoutTimeoutError as error:
            raise httpx.PoolTimeout(str(error), request=request) from error
        try:
            response = await super().handle_async_request(request)
        except BaseException:
            self._use.give_back()
            raise
        response.stream = _Held(response.stream, self._use.give_back)
        return response


class _Held(httpx.AsyncByteStream):
    """The body of an answer, with the place that it holds."""

    def __init__(self, body: Any, give_back: Callable[[], None]) -> None:
        self._body = body
        self._give_back: Callable[[], None] | None = give_back

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            yield part

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            give_back, self._give_back = self._give_back, None
            if give_back is not None:
                give_back()


async def _nothing() -> None:
    return None


async def _close(pool: Pool) -> None:
    pool.close()
    try:
        async with asyncio.timeout(CLOSING):
            await pool.wait_closed()
    except TimeoutError:
        pool.terminate()
