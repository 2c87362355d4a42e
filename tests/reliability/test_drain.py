"""Draining: what is in flight ends, what comes new is sent away."""

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


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_what_is_no_request_passes_uncounted(kind: str) -> None:
    """A WebSocket may never end and must not hold the drain up; the lifespan is the application's own."""
    drain = GracefulShutdown()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": f"{kind}.seen", "active": drain.active_requests})

    assert on_fake_time(ask(drain.wrap(app), kind)) == [{"type": f"{kind}.seen", "active": 0}]


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
