"""Answering over real sockets, from binding to the last byte."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from support.situations import Scene
from uptime_exporter.errors import ListenError
from uptime_exporter.reliability.drain import GracefulShutdown
from uptime_exporter.web import Server, create_app, listen
from uptime_exporter.web.server import Limits


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def taken(family: socket.AddressFamily = socket.AF_INET, host: str = "127.0.0.1") -> Iterator[int]:
    """Hold a port, and yield its number."""
    with socket.socket(family) as other:
        other.bind((host, 0))
        other.listen()
        yield other.getsockname()[1]


class Held:
    """An application that answers when it is let go, in two parts."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = False

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request."""
        self.asked.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        await send({"type": "http.response.body", "body": b"last"})


async def at_once(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def serving(
    app: ASGIApp, *, limit: float = 30.0, limits: Limits | None = None, address: str = "127.0.0.1:0"
) -> AsyncIterator[tuple[Server, GracefulShutdown, str]]:
    """Serve *app* behind a drain of its own, and end it."""
    drain = GracefulShutdown(limit)
    listener = listen(address)
    server = Server(drain.wrap(app), listener, drain, limits)
    await server.start()
    try:
        yield server, drain, listener.url
    finally:
        server.force()
        await server.drain_and_stop()


def port_of(url: str) -> int:
    return httpx.URL(url).port or 0


async def test_an_address_is_bound_and_answers() -> None:
    """Port 0 takes a free one, which the address of the page tells."""
    async with serving(at_once) as (_, _, url), httpx.AsyncClient() as http:
        assert (await http.get(url)).text == "ok"
        assert port_of(url) > 0


@pytest.mark.parametrize(
    ("address", "url", "loopback_only"),
    [
        ("127.0.0.1:0", r"http://127\.0\.0\.1:\d+/", True),
        pytest.param("[::1]:0", r"http://\[::1\]:\d+/", True, marks=ipv6),
        ("localhost:0", r"http://(127\.0\.0\.1|\[::1\]):\d+/", True),
        ("0.0.0.0:0", r"http://127\.0\.0\.1:\d+/", False),
        pytest.param("[::]:0", r"http://\[::1\]:\d+/", False, marks=ipv6),
        (":0", r"http://(127\.0\.0\.1|\[::1\]):\d+/", False),
        (" 127.0.0.1:0 ", r"http://127\.0\.0\.1:\d+/", True),
    ],
)
async def test_every_spelling_of_an_address(address: str, url: str, *, loopback_only: bool) -> None:
    """IPv4, IPv6, a name, all interfaces; whether only this machine reaches it is known from the sockets."""
    async with serving(at_once, address=address) as (_, _, found), httpx.AsyncClient() as http:
        assert re.fullmatch(url, found)
        assert (await http.get(found)).status_code == 200
    listener = listen(address)
    listener.close()
    assert listener.loopback_only is loopback_only


def test_answers_are_not_held_back_for_an_acknowledgement() -> None:
    """The event loop turns Nagle's algorithm off only for sockets that say TCP; with it an answer takes 40 ms."""
    listener = listen("127.0.0.1:0")
    listener.close()

    assert [bound.proto for bound in listener.sockets] == [socket.IPPROTO_TCP]


@ipv6
@pytest.mark.parametrize("address", ["[::]:0", ":0"])
async def test_all_interfaces_are_those_of_both_families(address: str) -> None:
    """Whoever opens the listener to all expects IPv4 and IPv6 alike."""
    async with serving(at_once, address=address) as (_, _, url), httpx.AsyncClient() as http:
        for host in ("127.0.0.1", "[::1]"):
            assert (await http.get(f"http://{host}:{port_of(url)}/")).status_code == 200


def test_a_taken_port_is_named_with_the_remedy() -> None:
    """The message says which address, why and what to set."""
    with taken() as port, pytest.raises(ListenError) as caught:
        listen(f"127.0.0.1:{port}")

    assert str(caught.value) == (
        f"127.0.0.1:{port} is taken: another program listens there (ss -ltnp shows which); "
        "set listen or UPTIME_LISTEN to another address"
    )


@pytest.mark.parametrize(
    ("family", "host"),
    [(socket.AF_INET, "127.0.0.1"), pytest.param(socket.AF_INET6, "::1", marks=ipv6)],
    ids=["IPv4", "IPv6"],
)
def test_all_is_taken_where_one_half_is(family: socket.AddressFamily, host: str) -> None:
    """Half a listener would show another program's page to half of the visitors."""
    with taken(family, host) as port, pytest.raises(ListenError, match="is taken"):
        listen(f":{port}")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "10999",
        "localhost",
        "localhost:",
        "localhost:http",
        "::1:10999",
        "127.0.0.1:65536",
        "[::1]10999",
        "a:b:1",
    ],
)
def test_what_is_no_address_is_told_how_to_write_one(address: str) -> None:
    """A typing error names the forms that would do."""
    with pytest.raises(ListenError) as caught:
        listen(address)

    assert str(caught.value).startswith(
        f"{address!r} is no listen address: write host:port, [IPv6]:port or :port;"
    )


def test_an_address_of_another_machine_is_told() -> None:
    """TEST-NET-1 (RFC 5737) is nobody's."""
    with pytest.raises(ListenError, match=r"^192\.0\.2\.1:0 is no address of this machine; set listen"):
        listen("192.0.2.1:0")


async def test_a_request_in_flight_ends_while_new_ones_are_sent_away() -> None:
    """The door stays open until the last guest has left, and only then closes."""
    app = Held()
    async with (
        serving(app) as (server, drain, url),
        httpx.AsyncClient() as first,
        httpx.AsyncClient() as second,
    ):
        in_flight = asyncio.create_task(first.get(url))
        await app.asked.wait()
        drain.begin()
        stopping = asyncio.create_task(server.drain_and_stop())

        refused = await second.get(url)
        assert (refused.status_code, refused.headers["connection"]) == (503, "close")
        assert int(refused.headers["retry-after"]) in range(1, 31)
        assert not stopping.done()

        app.go_on.set()
        assert (await in_flight).text == "first last"
        assert await stopping == "clean"
        with pytest.raises(httpx.ConnectError):
            await second.get(url)


async def test_the_drain_has_a_time_limit() -> None:
    """What is still in flight then is cut off, and the result says so."""
    app = Held()
    async with serving(app, limit=0.05) as (server, _, url), httpx.AsyncClient() as http:
        in_flight = asyncio.create_task(http.get(url))
        await app.asked.wait()

        assert await server.drain_and_stop() == "timeout"
        assert app.cancelled
        with pytest.raises(httpx.TransportError):
            await in_flight


async def test_force_ends_the_drain_at_once() -> None:
    """The second signal does not wait for the time limit."""
    app = Held()
    async with serving(app, limit=3600) as (server, _, url), httpx.AsyncClient() as http:
        in_flight = asyncio.create_task(http.get(url))
        await app.asked.wait()
        stopping = asyncio.create_task(server.drain_and_stop())
        await asyncio.sleep(0)
        server.force()

        assert await stopping == "timeout"
        assert app.cancelled
        with pytest.raises(httpx.TransportError):
            await in_flight


async def test_idle_connections_do_not_hold_the_end_up() -> None:
    """A scraper's open connection is no request in flight, and is not waited for."""
    async with (
        serving(at_once, limits=Limits(last_bytes=3600)) as (server, _, url),
        httpx.AsyncClient() as http,
    ):
        await http.get(url)

        assert await asyncio.wait_for(server.drain_and_stop(), 5) == "clean"


async def test_a_drain_cuts_requests_off_without_a_trace_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A request that is cut off on purpose is no defect."""
    app = Held()
    async with serving(app) as (server, _, url), httpx.AsyncClient() as http:
        in_flight = asyncio.create_task(http.get(url))
        await app.asked.wait()
        server.force()
        await server.drain_and_stop()
        await asyncio.gather(in_flight, return_exceptions=True)

    assert not [record for record in caplog.records if record.exc_info]


def read_all(connection: socket.socket) -> int:
    """Return how many bytes there are until the connection ends, however it does."""
    total = 0
    try:
        while part := connection.recv(1 << 20):
            total += len(part)
    except ConnectionResetError:
        pass
    return total


async def raw(url: str, sent: bytes) -> bytes:
    """Send bytes, and return everything until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
    try:
        writer.write(sent)
        return await reader.read()
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"],
    ids=["silent", "half a head", "half a body"],
)
async def test_a_client_that_keeps_its_request_to_itself_is_cut_off(sent: bytes) -> None:
    """Slow clients cannot use up the connections."""
    async with serving(at_once, limits=Limits(patience=0.05)) as (_, _, url):
        answer = await asyncio.wait_for(raw(url, sent), 5)

    assert answer in {b"", b"reset"} or answer.startswith(b"HTTP/1.1 200")


async def test_a_patient_answer_is_no_slow_request() -> None:
    """The limit is on the request alone, however long its answer takes."""
    app = Held()
    async with (
        serving(app, limits=Limits(patience=0.05, keep_alive=0.05)) as (_, _, url),
        httpx.AsyncClient() as http,
    ):
        in_flight = asyncio.create_task(http.get(url))
        await app.asked.wait()
        await asyncio.sleep(0.1)
        app.go_on.set()

        assert (await in_flight).text == "first last"


LARGE = 32 * 1024 * 1024


async def large(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer more than fits into the sockets' buffers."""
    head = [(b"content-length", str(LARGE).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": bytes(LARGE)})


@pytest.mark.parametrize(("last_bytes", "whole"), [(0.05, False), (30, True)])
async def test_the_end_waits_for_a_reader_but_not_for_ever(last_bytes: float, *, whole: bool) -> None:
    """What was answered before the end still arrives, where the client takes it."""
    async with serving(large, limits=Limits(last_bytes=last_bytes)) as (server, _, url):
        with socket.create_connection(("127.0.0.1", port_of(url))) as slow:
            slow.sendall(GET)
            await asyncio.to_thread(slow.recv, 1)
            reading = asyncio.create_task(asyncio.to_thread(read_all, slow)) if whole else None
            assert await server.drain_and_stop() == "clean"
            received = await reading if reading else await asyncio.to_thread(read_all, slow)

    assert (received >= LARGE) is whole


async def test_a_request_that_waits_behind_another_is_not_idle() -> None:
    """The time to ask again does not run while there is an answer to be given."""
    app = Held()
    async with serving(app, limits=Limits(keep_alive=0.05)) as (_, _, url):
        both = asyncio.create_task(raw(url, GET + GET))
        await app.asked.wait()
        app.asked.clear()
        app.go_on.set()
        app.go_on.clear()
        await app.asked.wait()
        await asyncio.sleep(0.15)
        app.go_on.set()

        assert (await both).count(b"last") == 2


async def test_a_client_that_does_not_take_its_answer_is_cut_off() -> None:
    """An answer that nobody reads does not stay in memory; whether the connection was to be kept or not."""
    for connection in (b"keep-alive", b"close"):
        answered = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send, answered: asyncio.Event = answered) -> None:
            await large(scope, receive, send)
            answered.set()

        async with serving(app, limits=Limits(keep_alive=0.05)) as (_, _, url):
            with socket.create_connection(("127.0.0.1", port_of(url))) as lazy:
                lazy.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: " + connection + b"\r\n\r\n")
                await answered.wait()
                await asyncio.sleep(0.1)
                taken_late = await asyncio.to_thread(read_all, lazy)

        assert 0 < taken_late < LARGE


async def test_an_idle_connection_ends() -> None:
    """A client that asks no more gives its connection back."""
    async with serving(at_once, limits=Limits(keep_alive=0.05)) as (_, _, url):
        answer = await asyncio.wait_for(raw(url, GET + GET), 5)

    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_connections_are_bounded() -> None:
    """File descriptors are left for the probes; whoever has a connection keeps it."""
    async with serving(at_once, limits=Limits(connections=3)) as (_, _, url):
        streams = [await asyncio.open_connection("127.0.0.1", port_of(url)) for _ in range(3)]
        try:
            assert await raw(url, GET) in {b"", b"reset"}
            reader, writer = streams[0]
            writer.write(GET)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        finally:
            for _, writer in streams:
                writer.close()


async def test_garbage_is_answered_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A port scan is no event."""
    async with serving(at_once) as (_, _, url):
        answer = await raw(url, b"\x16\x03\x01\x02\x00garbage\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400")
    assert not caplog.records


async def test_no_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A scrape every few seconds is no event, even while debugging."""
    caplog.set_level(logging.DEBUG)
    async with serving(at_once) as (_, _, url):
        await asyncio.wait_for(raw(url, GET.replace(b"1.1", b"1.0")), 5)

    assert not [record for record in caplog.records if record.name.startswith(("uvicorn", "uptime"))]


async def test_a_forwarded_address_is_not_believed() -> None:
    """Anybody on this machine could otherwise claim to be anybody."""
    peers: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        peers.append(scope["client"][0])
        await at_once(scope, receive, send)

    async with serving(app) as (_, _, url), httpx.AsyncClient() as http:
        await http.get(url, headers={"X-Forwarded-For": "203.0.113.9"})

    assert peers == ["127.0.0.1"]


async def test_a_defect_is_logged_with_its_trace_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    """The visitor gets 500 and nothing of the inside."""

    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise LookupError("inside")

    async with serving(broken) as (_, _, url), httpx.AsyncClient() as http:
        answer = await http.get(url)

    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert any(record.exc_info and isinstance(record.exc_info[1], LookupError) for record in caplog.records)


async def test_the_routes_over_a_real_socket() -> None:
    """HEAD has no body, no server is advertised, the date is there once, keep-alive holds."""
    scene = Scene()
    scene.everybody(3)
    listener = listen("127.0.0.1:0")
    server = Server(create_app(scene.backend(loopback_only=listener.loopback_only)), listener, scene.drain)
    await server.start()
    async with httpx.AsyncClient(base_url=listener.url) as http:
        head = await http.head("/")
        page = await http.get("/")
        reset = await http.post("/reliability/circuit-breaker/mysql/reset")
        assert await server.drain_and_stop() == "clean"

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == page.headers["content-length"]
    assert "All 3 targets are up" in page.text
    assert "server" not in page.headers
    assert len(page.headers.get_list("date")) == 1
    assert "connection" not in page.headers
    assert reset.status_code == 200


async def test_nothing_is_left_behind() -> None:
    """Every file descriptor is given back, in whatever state its connection was."""
    before = open_files()
    app = Held()
    async with serving(app) as (server, _, url), httpx.AsyncClient() as http:
        in_flight = asyncio.create_task(http.get(url))
        await app.asked.wait()
        _, idle = await asyncio.open_connection("127.0.0.1", port_of(url))
        server.force()
        await server.drain_and_stop()
        await asyncio.gather(in_flight, return_exceptions=True)
        idle.close()
    await asyncio.sleep(0)

    assert open_files() <= before
