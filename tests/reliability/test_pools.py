"""Shared connections: to real databases, and over real sockets."""

import asyncio
import contextlib
import gc
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncmy
import httpx
import pytest
import pytest_asyncio

from support.databases import FakeServer, RealServer, eventually, fake_server, greeting, real_server
from support.loop import FakeClock
from uptime_exporter.reliability.checkout import Use
from uptime_exporter.reliability.pools import CheckoutTimeoutError, DatabasePool, Pool, SharedClient

PASSWORD = 'hunter2"%s'


def open_sockets() -> int:
    targets = (str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink())
    return sum(target.startswith("socket:") for target in targets)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["mariadb", "mysql"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RealServer]:
    """A server of each make, once for all tests here; each leaves it running."""
    async with real_server(request.param, tmp_path_factory.mktemp(request.param)) as real:
        await add_user(real)
        yield real


async def add_user(server: RealServer) -> None:
    await server.database.execute(f"CREATE USER IF NOT EXISTS backend@'%' IDENTIFIED BY '{PASSWORD}'")


def opening(port: int) -> Callable[[int], Awaitable[Pool]]:
    return lambda size: asyncmy.create_pool(
        minsize=0, maxsize=size, host="127.0.0.1", port=port, user="backend", password=PASSWORD
    )


@contextlib.asynccontextmanager
async def pool_of(port: int, **options: Any) -> AsyncIterator[DatabasePool]:
    pool = DatabasePool("mysql", opening(port), **options)
    try:
        yield pool
    finally:
        await pool.disconnect()
        assert (pool.use.in_use, pool.idle) == (0, 0)


async def ask(pool: DatabasePool, statement: str = "SELECT CONNECTION_ID()") -> Any:
    async with pool.connection() as lent, lent.cursor() as cursor:
        await cursor.execute(statement)
        return (await cursor.fetchone())[0]


async def test_a_connection_is_lent_and_kept(server: RealServer) -> None:
    """The second who comes gets what the first gave back."""
    async with pool_of(server.database.port) as pool:
        assert (pool.use.limit, pool.use.in_use, pool.idle) == (15, 0, 0)
        async with pool.connection():
            assert (pool.use.in_use, pool.idle) == (1, 0)
        assert (pool.use.in_use, pool.idle) == (0, 1)
        assert await ask(pool) == await ask(pool)
        await pool.disconnect()
        assert pool.idle == 0
        assert await ask(pool, "SELECT 4") == 4


async def test_an_exhausted_pool_says_so_in_time(server: RealServer) -> None:
    """Fifteen in use, the sixteenth waits for so long and no longer; one who gives back helps one who waits."""
    async with pool_of(server.database.port) as pool, contextlib.AsyncExitStack() as held:
        first, *_ = [await held.enter_async_context(pool.connection()) for _ in range(15)]
        assert first is not None
        assert pool.use.in_use == 15
        patience, pool.use.checkout_timeout = pool.use.checkout_timeout, 0.05

        with pytest.raises(
            CheckoutTimeoutError,
            match=r"pool mysql: no connection within 0\.05 s; all 15 are in use: hold them for less time",
        ):
            await ask(pool)

        assert (pool.use.timeouts, pool.use.in_use) == (1, 15)
        pool.use.checkout_timeout = patience
        waiting = asyncio.create_task(ask(pool, "SELECT 7"))
        await asyncio.sleep(0)
        await held.aclose()
        assert await waiting == 7
        assert [n for le, n in pool.use.checkouts.cumulative()][-1] == 17


async def test_a_cancelled_checkout_loses_no_place(server: RealServer) -> None:
    """Whether it waited in line or was connecting, everybody after it is served, and no socket stays open."""
    async with pool_of(server.database.port, limit=2) as pool:
        before = open_sockets()
        for steps in range(12):
            hurried = asyncio.create_task(ask(pool))
            for _ in range(steps):
                await asyncio.sleep(0)
            hurried.cancel()
            await asyncio.gather(hurried, return_exceptions=True)
        async with pool.connection(), pool.connection():
            waiting = asyncio.create_task(ask(pool))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert pool.use.in_use == 0
        assert await asyncio.gather(*(ask(pool, f"SELECT {n}") for n in range(8))) == list(range(8))
        await pool.disconnect()
        await asyncio.sleep(0)
        gc.collect()
        assert open_sockets() <= before


async def test_a_query_that_is_cancelled_leaves_its_answer_to_nobody(server: RealServer) -> None:
    """The next one on the connection must not read what the one before it had asked for."""
    async with pool_of(server.database.port, limit=1) as pool:
        assert await ask(pool, "SELECT 1") == 1
        slow = asyncio.create_task(ask(pool, "SELECT 2 + SLEEP(5)"))
        await eventually(lambda: _asked(server))
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert await ask(pool, "SELECT 3") == 3


async def _asked(server: RealServer) -> bool:
    rows = await server.database.execute("SHOW PROCESSLIST")
    return any("SLEEP(5)" in str(row) for row in rows)


async def test_an_open_transaction_is_not_passed_on(server: RealServer) -> None:
    """Who forgets to commit leaves nothing behind for the next."""
    async with pool_of(server.database.port, limit=1) as pool:
        one = await ask(pool)
        async with pool.connection() as lent:
            await lent.begin()
        assert await ask(pool) != one


async def test_a_server_that_died_is_met_by_an_error_and_then_forgotten(server: RealServer) -> None:
    """Dead connections are not lent again: with the server back, the first checkout works."""
    async with pool_of(server.database.port, limit=3) as pool:
        async with pool.connection(), pool.connection(), pool.connection():
            await server.database.kill()
        try:
            for _ in range(4):
                with pytest.raises(asyncmy.errors.OperationalError):
                    await ask(pool)
            assert pool.use.in_use == 0
            assert pool.use.timeouts == 0
        finally:
            await server.database.start()
            await add_user(server)  # a server killed so soon after may have lost it
        assert await asyncio.gather(*(ask(pool, "SELECT 5") for _ in range(6))) == [5] * 6


async def test_an_application_starts_without_its_database() -> None:
    """A pool that cannot be opened is tried again by the next checkout."""
    async with pool_of(1) as pool:
        for _ in range(2):
            with pytest.raises(asyncmy.errors.OperationalError):
                await ask(pool)
        assert pool.use.in_use == 0


async def test_a_server_that_never_greets_is_waited_for_in_time() -> None:
    """A connect that hangs counts as a checkout that ran out of time, and says that it is the server."""
    before = open_sockets()
    async with fake_server("stay") as mute, pool_of(mute.port, checkout_timeout=0.05) as pool:
        with pytest.raises(CheckoutTimeoutError, match=r"the server does not answer \(0 of 15 are in use\)"):
            await ask(pool)
        assert (pool.use.timeouts, pool.use.in_use) == (1, 0)
        await asyncio.wait_for(mute.deserted.wait(), 5)
    gc.collect()
    assert open_sockets() <= before


async def test_no_error_of_a_pool_tells_the_password() -> None:
    """Neither a message nor a representation has it."""
    async with fake_server(greeting(), "leave") as server, pool_of(server.port, checkout_timeout=1) as pool:
        with pytest.raises(asyncmy.errors.OperationalError) as caught:
            await ask(pool)
        assert PASSWORD not in f"{caught.value!r} {pool!r} {vars(pool)!r}"


class Driver:
    """A driver whose release has to be awaited, as aiomysql's."""

    def __init__(self) -> None:
        self.free = 0
        self.closed: list[str] = []

    @property
    def freesize(self) -> int:
        return self.free

    async def acquire(self) -> str:
        return "connection"

    async def release(self, conn: str) -> None:
        await asyncio.sleep(0)
        self.free += conn == "connection"

    def close(self) -> None:
        self.closed.append("close")

    def terminate(self) -> None:
        self.closed.append("terminate")

    async def wait_closed(self) -> None:
        await asyncio.Event().wait()


def test_any_driver_will_do_and_closing_takes_its_time_only(clock: FakeClock, run: Any) -> None:
    """A release that has to be awaited is; who still holds a connection after 5 s loses it."""
    driver = Driver()

    async def open_pool(size: int) -> Driver:
        assert size == 15
        return driver

    async def story() -> None:
        pool = DatabasePool("mysql", open_pool)
        async with pool.connection() as lent:
            assert lent == "connection"
        assert pool.idle == 1
        await pool.disconnect()

    run(story())

    assert driver.closed == ["close", "terminate"]
    assert clock.awake() == 5.0


@pytest.mark.parametrize("figures", [(0, 5.0), (15, 0.0)])
def test_a_pool_of_nothing_is_refused(figures: tuple[int, float]) -> None:
    """No place, or no time, is a mistake."""
    with pytest.raises(ValueError, match=re.escape("pool mysql: limit (")):
        Use("mysql", *figures)


def test_a_timeout_within_the_connect_is_not_the_pools(run: Any) -> None:
    """A driver's own limit is passed on as what it is."""
    use = Use("mysql", 1, 5.0)

    async def impatient() -> None:
        raise TimeoutError("connect")

    async def story() -> None:
        with pytest.raises(TimeoutError, match="connect"):
            await use.take(impatient)

    run(story())

    assert (use.in_use, use.timeouts) == (0, 0)


ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Web:
    """Answers each request when it is told to, on connections that it keeps."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(ANSWER)
                await self.go.wait()
                writer.write(b"ok")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    served = Web()
    async with await asyncio.start_server(served.serve, "127.0.0.1", 0) as server:
        served.port = server.sockets[0].getsockname()[1]
        yield served


async def test_one_client_keeps_its_connections(web: Web) -> None:
    """Ten requests one after the other go over one connection."""
    async with SharedClient("model_server") as client:
        for _ in range(10):
            assert (await client.get(web.url)).text == "ok"
        assert (client.use.name, client.use.in_use, client.idle, web.connections) == ("model_server", 0, 1, 1)
        assert [n for _, n in client.use.checkouts.cumulative()][-1] == 10
        await client.disconnect()
        assert client.idle == 0
        assert (await client.get(web.url)).text == "ok"
        assert web.connections == 2


async def test_only_so_many_requests_are_under_way(web: Web) -> None:
    """The others wait for so long and no longer, also while the body of the first is still to be read."""
    web.go.clear()
    async with SharedClient(limit=2, checkout_timeout=0.05) as client, contextlib.AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(client.stream("GET", web.url))
        assert client.use.in_use == 2

        with pytest.raises(httpx.PoolTimeout, match="pool http: no connection within") as caught:
            await client.get(web.url)

        assert caught.value.request.url == web.url
        assert client.use.timeouts == 1
        web.go.set()
        await held.aclose()
        assert client.use.in_use == 0
        assert (await client.get(web.url)).text == "ok"


async def test_requests_that_are_cancelled_lose_no_place(web: Web) -> None:
    """At whatever moment: in line, while connecting, before the head, within the body."""
    async with SharedClient(limit=2) as client:
        for steps in range(40):
            web.go.clear()
            hurried = [asyncio.create_task(client.get(web.url)) for _ in range(5)]
            for _ in range(steps):
                await asyncio.sleep(0)
            for one in hurried:
                one.cancel()
            await asyncio.gather(*hurried, return_exceptions=True)
            assert client.use.in_use == 0
            web.go.set()
        done = await asyncio.gather(*(client.get(web.url) for _ in range(10)))
        assert [d.text for d in done] == ["ok"] * 10
        assert client.idle <= 2


async def test_a_server_that_died_gives_its_place_back(web: Web) -> None:
    """Refused, or cut off within the body."""
    async with (
        fake_server(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "leave") as rude,
        SharedClient() as client,
    ):
        for url in ("http://127.0.0.1:1/", _url(rude)):
            with pytest.raises(httpx.TransportError):
                await client.get(url)
        assert client.use.in_use == 0
        assert (await client.get(web.url)).text == "ok"


def _url(server: FakeServer) -> str:
    return f"http://127.0.0.1:{server.port}/"


async def test_no_proxy_of_the_environment_gets_in_between(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable meant for another program must not carry an application's calls away."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with SharedClient() as client:
        assert (await client.get(web.url)).text == "ok"


def test_one_client_serves_one_loop_after_the_other() -> None:
    """An application under test is started many times; what was disconnected starts anew."""
    client = SharedClient(limit=1)

    async def story() -> None:
        served = Web()
        async with await asyncio.start_server(served.serve, "127.0.0.1", 0) as server:
            served.port = server.sockets[0].getsockname()[1]
            done = await asyncio.gather(*(client.get(served.url) for _ in range(3)))
            assert [d.text for d in done] == ["ok"] * 3
            await client.disconnect()

    asyncio.run(story())
    asyncio.run(story())
