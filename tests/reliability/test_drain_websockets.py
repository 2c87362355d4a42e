"""WebSockets of an application that drains: closed in time, and between two messages."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

import pytest

from support.loop import FakeClock, FakeLoop
from uptime_exporter.reliability.drain import (
    AsgiApp,
    Drained,
    GracefulShutdown,
    Message,
    Receive,
    Scope,
    Send,
)

T = TypeVar("T")

CLOSED = {"type": "websocket.close", "code": 1012}


class Client:
    """The other end of a WebSocket, as a server shows it."""

    def __init__(self, app: AsgiApp, *messages: Message) -> None:
        self.got: list[Message] = []
        self._app = app
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        for message in ({"type": "websocket.connect"}, *messages):
            self.say(message)

    def say(self, message: Message) -> None:
        self._messages.put_nowait(message)

    async def _send(self, message: Message) -> None:
        self.got.append(message)

    def connect(self) -> "asyncio.Task[None]":
        async def connected() -> None:
            await self._app({"type": "websocket"}, self._messages.get, self._send)

        return asyncio.create_task(connected())


def text(what: str) -> Message:
    return {"type": "websocket.receive", "text": what}


def echoing(*, after: float) -> AsgiApp:
    """Answer each message after so many seconds, until the client is gone."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            match await receive():
                case {"type": "websocket.connect"}:
                    await send({"type": "websocket.accept"})
                case {"type": "websocket.receive", "text": said}:
                    await asyncio.sleep(after)
                    await send({"type": "websocket.send", "text": said})
                case {"type": "websocket.disconnect", "code": code}:
                    await send({"type": "websocket.close", "code": code})
                    return

    return app


async def pushing(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Send for ever, without asking whether anybody is there."""
    await send({"type": "websocket.accept"})
    while True:
        await asyncio.sleep(1)
        await send({"type": "websocket.send", "text": "tick"})


def on_fake_time(coroutine: Coroutine[object, object, T], clock: FakeClock) -> T:
    with asyncio.Runner(loop_factory=lambda: FakeLoop(clock)) as runner:
        return runner.run(coroutine)


def test_an_idle_one_is_closed_at_once(clock: FakeClock) -> None:
    """Its client comes back to another process without waiting; the application learns that it is gone."""
    drain = GracefulShutdown(timeout=30)
    client = Client(drain.wrap(echoing(after=0)))

    async def story() -> Drained:
        connection = client.connect()
        await asyncio.sleep(1)
        assert (drain.active_websockets, drain.active_requests) == (1, 0)
        result = await drain.wait()
        await connection
        return result

    began = clock.monotonic()

    assert on_fake_time(story(), clock) == "clean"
    assert clock.monotonic() - began == pytest.approx(1, abs=0.1)
    assert client.got == [{"type": "websocket.accept"}, CLOSED]
    assert drain.active_websockets == 0


def test_a_message_that_is_being_worked_on_is_answered_first(clock: FakeClock) -> None:
    """The drain waits for it; what the client says after it goes to another process."""
    drain = GracefulShutdown(timeout=30)
    client = Client(drain.wrap(echoing(after=5)), text("one"), text("two"))

    async def story() -> Drained:
        connection = client.connect()
        await asyncio.sleep(1)
        result = await drain.wait()
        await connection
        return result

    assert on_fake_time(story(), clock) == "clean"
    assert client.got == [{"type": "websocket.accept"}, {"type": "websocket.send", "text": "one"}, CLOSED]


def test_one_that_never_listens_is_closed_at_half_of_the_limit(clock: FakeClock) -> None:
    """It cannot hold the drain: its next message fails as if the client had left."""
    drain = GracefulShutdown(timeout=30)
    client = Client(drain.wrap(pushing))

    async def story() -> Drained:
        connection = client.connect()
        await asyncio.sleep(0)
        result = await drain.wait()
        with pytest.raises(OSError, match="shutting down"):
            await connection
        return result

    assert on_fake_time(story(), clock) == "clean"
    assert drain.last_seconds == pytest.approx(15, abs=1)
    assert client.got[-1] == CLOSED
    assert client.got.count(CLOSED) == 1


def test_one_that_does_not_end_is_cut_off_with_the_requests(clock: FakeClock) -> None:
    """It makes the drain a timeout; it says goodbye before it goes."""
    drain = GracefulShutdown(timeout=30)

    async def deaf(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await asyncio.sleep(3600)

    client = Client(drain.wrap(deaf))

    async def story() -> Drained:
        connection = client.connect()
        await asyncio.sleep(0)
        result = await drain.wait()
        drain.cut_off()
        await connection
        return result

    assert on_fake_time(story(), clock) == "timeout"
    assert client.got == [{"type": "websocket.accept"}, CLOSED]


def test_the_servers_own_timeout_is_not_ours(clock: FakeClock) -> None:
    """An error while it waits for a message goes to the application as it came."""
    drain = GracefulShutdown()

    async def failing() -> Message:
        raise TimeoutError("the server's")

    async def listening(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()

    async def unheard(_message: Message) -> None:
        return

    async def story() -> None:
        with pytest.raises(TimeoutError, match="the server's"):
            await drain.wrap(listening)({"type": "websocket"}, failing, unheard)

    on_fake_time(story(), clock)

    assert drain.active_websockets == 0


def test_an_application_that_is_cancelled_while_it_listens_is_cancelled(clock: FakeClock) -> None:
    """Only the drain's own interruption becomes a message."""
    drain = GracefulShutdown()
    client = Client(drain.wrap(echoing(after=0)))

    async def story() -> bool:
        connection = client.connect()
        await asyncio.sleep(1)
        connection.cancel()
        await asyncio.wait([connection])
        return connection.cancelled()

    assert on_fake_time(story(), clock)
    assert drain.active_websockets == 0
    assert CLOSED not in client.got
