"""The stand-ins answer as the watched servers do, and each fault is what its name says."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from demo.asking import ask, dial
from support.loop import FakeClock
from uptime_exporter.demo.standins import MEANINGS, Condition, Pace, StandIn, asr_ocr_server, model_server
from uptime_exporter.errors import ListenError

NEVER = Pace(late=86_400, drip=86_400)


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    """A model server that is up, on a port of its own, and slower than any test."""
    stand_in = model_server(port=0, pace=NEVER)
    await stand_in.switch("up")
    yield stand_in
    await stand_in.switch("down")


async def test_the_model_server_is_well() -> None:
    """Its health has the shape that its clients read."""
    server = model_server(port=0)
    await server.switch("up")

    answer = await ask(server.listener.port)
    await server.switch("down")

    assert answer.raw.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
    assert answer.json == {
        "status": "healthy",
        "models_loaded": {"summariser": True, "fir_summariser": True, "bns_check": True},
        "message": "All models loaded",
    }


async def test_the_asr_ocr_server_calls_its_models_otherwise() -> None:
    """The two servers differ in one key."""
    server = asr_ocr_server(port=0)
    await server.switch("half")

    answer = await ask(server.listener.port)
    await server.switch("down")

    assert answer.json == {
        "status": "degraded",
        "models": {"whisper": True, "dots_ocr": False},
        "message": "1 of 2 models loaded, missing: dots_ocr",
    }


@pytest.mark.parametrize(
    ("word", "status", "loaded", "message"),
    [
        ("unhealthy", "unhealthy", [], "No models loaded"),
        (
            "degraded",
            "degraded",
            ["summariser", "fir_summariser", "bns_check"],
            "All models loaded, but answering slowly",
        ),
        ("half", "degraded", ["summariser", "fir_summariser"], "2 of 3 models loaded, missing: bns_check"),
    ],
)
async def test_bad_news_comes_with_200(
    server: StandIn, word: str, status: str, loaded: list[str], message: str
) -> None:
    """What a check of the status code would call up."""
    await server.switch(word)

    answer = await ask(server.listener.port)

    assert answer.status == 200
    assert answer.json["status"] == status
    assert [model for model, there in answer.json["models_loaded"].items() if there] == loaded
    assert answer.json["message"] == message


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/health", 405)])
async def test_other_requests_are_answered_as_the_framework_does(
    server: StandIn, method: str, path: str, status: int
) -> None:
    """A wrong path in the settings is seen as such."""
    assert (await ask(server.listener.port, method, path)).status == status


async def test_a_query_is_no_other_path(server: StandIn) -> None:
    """Cache busters are ignored."""
    assert (await ask(server.listener.port, path="/health?now=1")).status == 200


async def test_error_is_500(server: StandIn) -> None:
    """An internal error has no JSON."""
    await server.switch("error")

    answer = await ask(server.listener.port)

    assert (answer.status, answer.body) == (500, "Internal Server Error")


async def test_down_refuses_and_up_takes_the_same_port_again(server: StandIn) -> None:
    """A port that has just been used can be had again at once."""
    port = server.listener.port
    await ask(port)

    await server.switch("down")
    with pytest.raises(ConnectionRefusedError):
        await ask(port)
    await server.switch("up")

    assert (await ask(port)).status == 200
    assert server.listener.port == port


async def test_down_frees_the_port(server: StandIn) -> None:
    """While it is down another program may have the port; then it cannot come up, and says why."""
    await server.switch("down")
    other = await asyncio.start_server(
        lambda _reader, writer: writer.close(), "127.0.0.1", server.listener.port
    )

    with pytest.raises(
        ListenError, match=rf"^cannot listen on {server.address}: Address already in use; see who"
    ):
        await server.switch("up")
    other.close()
    await other.wait_closed()

    assert server.present == Condition.DOWN


async def test_down_breaks_off_what_is_under_way(server: StandIn) -> None:
    """A request in flight ends with its server, without an answer."""
    await server.switch("slow")
    async with dial(server.listener.port) as line:
        line.say()
        await _taken_up()

        await server.switch("down")

        assert await _rest(line.reader) == b""


async def test_a_request_keeps_the_condition_that_it_met(server: StandIn) -> None:
    """Mending a server does not answer those who are waiting already, but everybody who comes now."""
    await server.switch("silent")
    async with dial(server.listener.port) as early:
        early.say()
        await _taken_up()

        await server.switch("up")

        assert (await ask(server.listener.port)).status == 200
        early.writer.write_eof()
        assert await early.reader.read() == b""


@pytest.mark.parametrize("word", ["silent", "slow"])
async def test_nothing_comes_but_the_connection_holds(server: StandIn, word: str) -> None:
    """A client without a time limit waits for ever."""
    await server.switch(word)
    async with dial(server.listener.port) as line:
        line.say()
        waiting = asyncio.ensure_future(line.reader.read(1))
        await _taken_up()

        assert not waiting.done()
        waiting.cancel()


async def test_dripping_begins_at_once(server: StandIn) -> None:
    """The first byte is there, the second is not: a limit between two bytes never strikes."""
    await server.switch("dripping")
    async with dial(server.listener.port) as line:
        line.say()

        assert await line.reader.read(100) == b"H"


async def test_reset_breaks_off_instead_of_answering(server: StandIn) -> None:
    """The client learns of it by an error, not by an end of the stream."""
    await server.switch("reset")

    with pytest.raises(ConnectionResetError):
        await ask(server.listener.port)


async def test_a_half_sent_request_waits(server: StandIn) -> None:
    """A connection alone, as a TCP probe makes it, gets no answer and does no harm."""
    async with dial(server.listener.port) as line:
        line.writer.write_eof()

        assert await line.reader.read() == b""


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01 a TLS hello\r\n\r\n", b"GET /health\r\n\r\n", b"x" * 100_000]
)
async def test_nonsense_ends_the_connection(server: StandIn, nonsense: bytes) -> None:
    """Neither another protocol nor an endless head takes the server down."""
    async with dial(server.listener.port) as line:
        line.writer.write(nonsense)

        assert await _rest(line.reader) == b""
    assert (await ask(server.listener.port)).status == 200


@pytest.mark.parametrize("word", list(MEANINGS))
async def test_the_end_leaves_nothing(server: StandIn, word: str) -> None:
    """Whatever is under way when it goes down, no task and no socket is left."""
    before = asyncio.all_tasks()
    await server.switch("up")
    async with dial(server.listener.port) as line:
        await server.switch(word)
        line.say()
        await _taken_up()

        await server.switch("down")

        assert asyncio.all_tasks() == before
    gc.collect()  # an open socket would warn, and a warning is an error


@pytest.mark.parametrize("turns", range(8))
async def test_a_connection_that_comes_while_it_goes_down_is_not_lost(server: StandIn, turns: int) -> None:
    """At whichever turn of the loop the end falls, the connection is broken off, not left to the garbage."""
    with socket.create_connection(("127.0.0.1", server.listener.port)) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.switch("down")
        await _taken_up()

        client.settimeout(0)
        assert _end_of(client) in (b"", "reset")
    gc.collect()  # an open socket would warn, and a warning is an error


async def test_each_condition_says_what_it_does(server: StandIn) -> None:
    """No switch is without words for people."""
    assert list(server.switches) == list(Condition)


def test_slow_answers_in_the_end(run: Callable[[Coroutine[Any, Any, None]], None], clock: FakeClock) -> None:
    """Ten seconds: twice a probe's time limit."""

    async def story() -> None:
        server = model_server(port=0)
        await server.switch("slow")
        began = clock.monotonic()
        answer = await ask(server.listener.port)
        await server.switch("down")
        assert answer.status == 200
        assert clock.monotonic() - began == pytest.approx(10, abs=0.1)

    run(story())


def test_dripping_takes_a_second_a_byte(
    run: Callable[[Coroutine[Any, Any, None]], None], clock: FakeClock
) -> None:
    """The whole answer comes, long after everybody should have gone."""

    async def story() -> None:
        server = model_server(port=0)
        await server.switch("dripping")
        began = clock.monotonic()
        answer = await ask(server.listener.port)
        await server.switch("down")
        assert answer.json["status"] == "healthy"
        assert clock.monotonic() - began == pytest.approx(len(answer.raw), abs=0.1)

    run(story())


async def _taken_up() -> None:
    """Give the server the turns of the loop that it needs to take a request up."""
    for _ in range(20):
        await asyncio.sleep(0)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """Return what still comes, whether the end is an orderly one or not."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


def _end_of(client: socket.socket) -> bytes | str:
    try:
        return client.recv(1)
    except ConnectionResetError:
        return "reset"
