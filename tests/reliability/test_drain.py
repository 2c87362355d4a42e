"""Draining: what is in flight ends, what comes new is sent away."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
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


def on_fake_time(coroutine: Coroutine[object, object, T], clock: FakeClock | None = None) -> T:
    with asyncio.Runner(loop_factory=lambda: FakeLoop(clock or FakeClock())) as runner:
        return runner.run(coroutine)


def answering(*, after: float) -> AsgiApp:
    """Send the head at once and the body after so many seconds."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await asyncio.sleep(after)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    return app


async def ask(app: AsgiApp, kind: str = "http", version: str = "1.1") -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": f"{kind}.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": kind, "http_version": version}, receive, send)
    return sent


def test_a_request_in_flight_ends_well_and_the_drain_is_clean() -> None:
    """The wait ends with the last request, long before the time limit."""
    clock = FakeClock()
    drain = GracefulShutdown(timeout=30)

    async def story() -> tuple[Drained, list[Message]]:
        request = asyncio.create_task(ask(drain.wrap(answering(after=4))))
        await asyncio.sleep(1)
        assert drain.active_requests == 1
        return await drain.wait(), await request

    began = clock.monotonic()
    result, sent = on_fake_time(story(), clock)

    assert result == "clean"
    assert clock.monotonic() - began == pytest.approx(4)
    assert sent[0]["status"] == 200
    assert drain.active_requests == 0


def test_a_request_in_flight_takes_its_connection_along() -> None:
    """A keep-alive client must not send its next request to a process that is going away."""
    drain = GracefulShutdown()

    async def story() -> list[Message]:
        request = asyncio.create_task(ask(drain.wrap(answering(after=1))))
        await asyncio.sleep(0)
        drain.begin()
        return await request

    assert (b"connection", b"close") in on_fake_time(story())[0]["headers"]


def test_before_the_end_connections_are_kept() -> None:
    """A client that keeps its connection saves a handshake."""
    drain = GracefulShutdown()

    assert on_fake_time(ask(drain.wrap(answering(after=1))))[0]["headers"] == []


def test_the_wait_ends_at_the_time_limit_counted_from_begin() -> None:
    """A request that never ends cannot hold the process; a late wait gets no extra time."""
    clock = FakeClock()
    drain = GracefulShutdown(timeout=30)

    async def story() -> Drained:
        request = asyncio.create_task(ask(drain.wrap(answering(after=3600))))
        await asyncio.sleep(0)
        drain.begin()
        await asyncio.sleep(10)
        drain.begin()
        try:
            return await drain.wait()
        finally:
            request.cancel()

    began = clock.monotonic()

    assert on_fake_time(story(), clock) == "timeout"
    assert clock.monotonic() - began == pytest.approx(30)


@pytest.mark.parametrize(("busy", "result"), [(True, "timeout"), (False, "clean")])
def test_giving_up_ends_the_wait_at_once(busy: bool, result: str) -> None:  # noqa: FBT001 - a case of the table
    """The second signal does not wait, and says truthfully whether something was cut off."""
    clock = FakeClock()
    drain = GracefulShutdown(timeout=30)

    async def story() -> Drained:
        request = asyncio.create_task(ask(drain.wrap(answering(after=3600 if busy else 0))))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(drain.wait())
        await asyncio.sleep(2 if busy else 0)
        drain.give_up()
        try:
            return await waiting
        finally:
            request.cancel()

    began = clock.monotonic()

    assert on_fake_time(story(), clock) == result
    assert clock.monotonic() - began <= 2


@pytest.mark.parametrize(("version", "closes"), [("1.0", True), ("1.1", True), ("2", False)])
def test_a_new_request_is_sent_away(version: str, closes: bool) -> None:  # noqa: FBT001 - a case of the table
    """It gets 503, when to come back, and the end of its connection where HTTP knows such a thing."""
    drain = GracefulShutdown(timeout=30)

    async def story() -> list[Message]:
        drain.begin()
        await asyncio.sleep(7.5)
        return await ask(drain.wrap(answering(after=0)), version=version)

    head, body = on_fake_time(story())

    assert head["status"] == 503
    assert (b"retry-after", b"23") in head["headers"]
    assert ((b"connection", b"close") in head["headers"]) is closes
    assert body["body"] == b"shutting down; try again later\n"
    assert drain.active_requests == 0


def test_an_application_may_word_the_refusal() -> None:
    """Its own answer goes out, but as 503."""
    drain = GracefulShutdown()

    async def story() -> list[Message]:
        drain.begin()
        return await ask(drain.wrap(answering(after=3600), refusal=answering(after=0)))

    head, body = on_fake_time(story())

    assert (head["status"], body["body"]) == (503, b"done")


def test_a_failing_or_cancelled_request_is_no_longer_in_flight() -> None:
    """Whatever ends a request, it is counted out."""
    drain = GracefulShutdown()

    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise LookupError

    async def story() -> Drained:
        with pytest.raises(LookupError):
            await ask(drain.wrap(broken))
        cancelled = asyncio.create_task(ask(drain.wrap(answering(after=3600))))
        await asyncio.sleep(1)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        return await drain.wait()

    assert on_fake_time(story()) == "clean"


def test_what_is_no_request_passes_uncounted() -> None:
    """The lifespan is the application's own."""
    drain = GracefulShutdown()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.seen", "active": drain.active_requests + drain.active_websockets})

    assert on_fake_time(ask(drain.wrap(app), "lifespan")) == [{"type": "lifespan.seen", "active": 0}]


def test_a_new_websocket_is_sent_away_while_draining() -> None:
    """It is closed as by a service that restarts."""
    drain = GracefulShutdown()

    async def story() -> list[Message]:
        drain.begin()
        return await ask(drain.wrap(answering(after=0)), "websocket")

    assert on_fake_time(story()) == [{"type": "websocket.close", "code": 1012}]


def test_the_lifespan_passes_while_draining() -> None:
    """An application still learns that it ends."""
    drain = GracefulShutdown()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.shutdown.complete"})

    async def story() -> list[Message]:
        drain.begin()
        return await ask(drain.wrap(app), "lifespan")

    assert on_fake_time(story()) == [{"type": "lifespan.shutdown.complete"}]


async def never() -> Message:
    """Receive nothing, ever."""
    await asyncio.Event().wait()
    raise AssertionError


async def unheard(_message: Message) -> None:
    """Send to nobody."""


@pytest.mark.parametrize(("started", "gets"), [(False, 503), (True, 200)])
def test_what_is_cut_off_says_goodbye_if_it_still_can(started: bool, gets: int) -> None:  # noqa: FBT001 - a table
    """A client that has got nothing yet learns when to try again; an answer that has begun just breaks off."""
    drain = GracefulShutdown(timeout=30)
    sent: list[Message] = []

    async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(3600)

    async def send(message: Message) -> None:
        sent.append(message)

    async def story() -> bool:
        request = asyncio.create_task(drain.wrap(endless)({"type": "http"}, never, send))
        await asyncio.sleep(0)
        assert await drain.wait() == "timeout"
        drain.cut_off()
        await asyncio.wait([request])
        return request.cancelled()

    assert on_fake_time(story()) is started
    assert sent[0]["status"] == gets
    assert drain.active_requests == 0


def test_an_answer_after_the_cut_is_still_an_answer() -> None:
    """Whoever takes the cancellation and answers all the same is let."""
    drain = GracefulShutdown(timeout=30)

    async def unimpressed(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await answering(after=0)(scope, receive, send)

    async def story() -> list[Message]:
        request = asyncio.create_task(ask(drain.wrap(unimpressed)))
        await asyncio.sleep(0)
        await drain.wait()
        drain.cut_off()
        return await request

    assert on_fake_time(story())[0]["status"] == 200


def test_who_is_cancelled_by_the_server_too_is_cancelled() -> None:
    """The drain takes back its own cancellation and no other."""
    drain = GracefulShutdown(timeout=30)

    async def story() -> bool:
        request = asyncio.create_task(ask(drain.wrap(answering(after=3600))))
        await asyncio.sleep(0)
        await drain.wait()
        drain.cut_off()
        request.cancel()
        await asyncio.wait([request])
        return request.cancelled()

    assert on_fake_time(story())


def test_the_result_and_the_seconds_are_there_afterwards() -> None:
    """What a drain took is counted from its beginning, and counted once."""
    drain = GracefulShutdown(timeout=30)

    async def story() -> None:
        request = asyncio.create_task(ask(drain.wrap(answering(after=4))))
        await asyncio.sleep(1)
        await asyncio.gather(drain.wait(), drain.wait())
        await drain.wait()
        await request

    assert (dict(drain.shutdowns), drain.last_seconds) == ({"clean": 0, "timeout": 0}, None)
    on_fake_time(story())
    assert dict(drain.shutdowns) == {"clean": 1, "timeout": 0}
    assert drain.last_seconds == pytest.approx(3)


def test_a_stream_without_an_end_can_end_at_the_beginning_of_the_end() -> None:
    """An application that asks is told, and drains clean."""
    drain = GracefulShutdown(timeout=30)

    async def events(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await drain.begun()
        await send({"type": "http.response.body", "body": b""})

    async def story() -> Drained:
        request = asyncio.create_task(ask(drain.wrap(events)))
        await asyncio.sleep(5)
        try:
            return await drain.wait()
        finally:
            await request

    assert on_fake_time(story()) == "clean"


class Lifespan:
    """A server that starts an application, and stops it when told."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.said: list[str] = []
        self._asked = 0

    async def receive(self) -> Message:
        self._asked += 1
        if self._asked == 1:
            return {"type": "lifespan.startup"}
        await self.stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send(self, message: Message) -> None:
        self.said.append(message["type"])


async def well_behaved(_scope: Scope, receive: Receive, send: Send) -> None:
    """Start and stop."""
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


async def until(condition: Callable[[], bool]) -> None:
    """Let the others work until something is so."""
    while not condition():  # noqa: ASYNC110 - a signal handler sets no event
        await asyncio.sleep(0.01)


def test_sigterm_drains_first_and_reaches_the_server_then() -> None:
    """The server hears of it when the last request has been answered, and the application after that."""
    drain, server = GracefulShutdown(timeout=30), Lifespan()

    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, server.stop.set)
        life = asyncio.create_task(
            drain.wrap(well_behaved)({"type": "lifespan"}, server.receive, server.send)
        )
        await until(lambda: bool(server.said))
        request = asyncio.create_task(ask(drain.wrap(answering(after=4))))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: drain.is_shutting_down)
        assert not server.stop.is_set()
        await request
        await life
        loop.remove_signal_handler(signal.SIGTERM)

    on_fake_time(story())

    assert server.said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert dict(drain.shutdowns) == {"clean": 1, "timeout": 0}


def test_a_server_that_stops_by_itself_is_a_shutdown_too() -> None:
    """Some stop after so many requests, and some tell their workers without a signal."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    drain, server = GracefulShutdown(timeout=30), Lifespan()
    server.stop.set()

    on_fake_time(drain.wrap(well_behaved)({"type": "lifespan"}, server.receive, server.send))

    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert drain.is_shutting_down
    assert dict(drain.shutdowns) == {"clean": 1, "timeout": 0}


def test_a_server_that_cancels_and_stops_has_not_stopped_clean() -> None:
    """Hypercorn's workers do; the requests that were cancelled got no answer."""
    drain, server = GracefulShutdown(timeout=30), Lifespan()

    async def story() -> None:
        life = asyncio.create_task(
            drain.wrap(well_behaved)({"type": "lifespan"}, server.receive, server.send)
        )
        request = asyncio.create_task(ask(drain.wrap(answering(after=3600))))
        await asyncio.sleep(5)
        request.cancel()
        server.stop.set()
        await asyncio.wait([request, life])

    on_fake_time(story())

    assert dict(drain.shutdowns) == {"clean": 0, "timeout": 1}
    assert drain.last_seconds == 30


def test_a_request_that_was_cancelled_long_ago_is_not_the_servers_doing() -> None:
    """A client that left in the morning does not spoil the evening's shutdown."""
    drain, server = GracefulShutdown(timeout=30), Lifespan()

    async def story() -> None:
        life = asyncio.create_task(
            drain.wrap(well_behaved)({"type": "lifespan"}, server.receive, server.send)
        )
        request = asyncio.create_task(ask(drain.wrap(answering(after=3600))))
        await asyncio.sleep(5)
        request.cancel()
        await asyncio.sleep(5)
        server.stop.set()
        await asyncio.wait([request, life])

    on_fake_time(story())

    assert dict(drain.shutdowns) == {"clean": 1, "timeout": 0}


def test_a_start_that_fails_leaves_the_signals_alone() -> None:
    """Nothing is held back for an application that never was."""
    before = signal.getsignal(signal.SIGTERM)
    drain = GracefulShutdown()

    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        on_fake_time(drain.wrap(broken)({"type": "lifespan"}, never, unheard))

    assert signal.getsignal(signal.SIGTERM) is before
