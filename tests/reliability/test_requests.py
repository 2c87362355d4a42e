"""What an application's requests are counted as."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from support.loop import FakeClock
from uptime_exporter.reliability.asgi import AsgiApp, Message, Receive, Scope, Send
from uptime_exporter.reliability.requests import RequestAccounting

Run = Callable[[Coroutine[Any, Any, None]], None]


class Route:
    """A route as Starlette leaves it in the scope."""

    path = path_format = "/items/{id}"


def answer(code: int, *parts: bytes, after: float = 0.0) -> AsgiApp:
    """Answer in so many parts, each after so many seconds."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        scope["route"] = Route
        await send({"type": "http.response.start", "status": code, "headers": []})
        for part in parts:
            await asyncio.sleep(after)
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def received() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def left() -> Message:
    return {"type": "http.disconnect"}


async def unheard(_message: Message) -> None:
    return


async def broken_pipe(_message: Message) -> None:
    raise BrokenPipeError


async def ask(
    app: AsgiApp, method: str = "GET", kind: str = "http", receive: Receive = received, send: Send = unheard
) -> None:
    await app({"type": kind, "method": method, "path": "/items/7"}, receive, send)


@pytest.fixture
def accounting(clock: FakeClock) -> RequestAccounting:
    """Nothing counted yet."""
    return RequestAccounting(clock=clock.monotonic, bounds=(1.0, 10.0))


def test_nothing_yet_is_nothing(accounting: RequestAccounting) -> None:
    """Failures and those in flight are 0 from the start."""
    assert (accounting.failures, accounting.in_flight) == (0, 0)
    assert dict(accounting.requests) == {}
    assert dict(accounting.durations) == {}


@pytest.mark.parametrize(("code", "failures"), [(200, 0), (302, 0), (404, 0), (499, 0), (500, 1), (503, 1)])
def test_server_errors_are_failures(
    code: int, failures: int, accounting: RequestAccounting, run: Run
) -> None:
    """What the client did wrong is not."""
    run(ask(accounting.wrap(answer(code))))

    assert dict(accounting.requests) == {("GET", "/items/{id}", str(code)): 1}
    assert accounting.failures == failures


@pytest.mark.parametrize(("method", "counted"), [("POST", "POST"), ("get", "OTHER"), ("BREW", "OTHER")])
def test_methods_are_a_closed_set(method: str, counted: str, accounting: RequestAccounting, run: Run) -> None:
    """A client cannot make up label values."""
    run(ask(accounting.wrap(answer(200)), method))

    assert [*accounting.requests] == [(counted, "/items/{id}", "200")]


def test_requests_add_up(accounting: RequestAccounting, run: Run) -> None:
    """Each kind has a count of its own."""

    async def story() -> None:
        for code in (200, 200, 404, 200):
            await ask(accounting.wrap(answer(code)))

    run(story())

    assert dict(accounting.requests) == {("GET", "/items/{id}", "200"): 3, ("GET", "/items/{id}", "404"): 1}


def test_a_stream_counts_until_it_ends(accounting: RequestAccounting, run: Run) -> None:
    """It is in flight, and its duration is that of the whole answer."""

    async def story() -> None:
        stream = asyncio.create_task(ask(accounting.wrap(answer(200, b"a", b"b", after=3))))
        await asyncio.sleep(5)
        assert accounting.in_flight == 1
        assert dict(accounting.requests) == {}
        await stream

    run(story())

    assert accounting.in_flight == 0
    seconds = accounting.durations["/items/{id}"]
    assert [*seconds.cumulative()] == [(1.0, 0), (10.0, 1), (float("inf"), 1)]
    assert seconds.sum == pytest.approx(6)


def test_what_is_done_after_the_answer_is_in_flight_but_not_waited_for(
    accounting: RequestAccounting, run: Run
) -> None:
    """A background task holds the drain, not the client."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(200, b"a", after=2)(scope, receive, send)
        await asyncio.sleep(100)

    async def story() -> None:
        request = asyncio.create_task(ask(accounting.wrap(app)))
        await asyncio.sleep(50)
        assert accounting.in_flight == 1
        await request

    run(story())

    assert accounting.durations["/items/{id}"].sum == pytest.approx(2)


@pytest.mark.parametrize(("started", "code"), [(False, "500"), (True, "200")])
def test_an_unhandled_exception_is_a_failure(
    started: bool,  # noqa: FBT001 - a case of the table
    code: str,
    accounting: RequestAccounting,
    run: Run,
) -> None:
    """Also where half of a good answer is on its way; the server hears of it as before."""

    async def broken(_scope: Scope, _receive: Receive, send: Send) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError

    async def story() -> None:
        with pytest.raises(LookupError):
            await ask(accounting.wrap(broken))

    run(story())

    assert dict(accounting.requests) == {("GET", "unmatched", code): 1}
    assert (accounting.failures, accounting.in_flight) == (1, 0)


def test_no_answer_at_all_is_a_failure(accounting: RequestAccounting, run: Run) -> None:
    """The server makes a 500 of it."""

    async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
        return

    run(ask(accounting.wrap(silent)))

    assert dict(accounting.requests) == {("GET", "unmatched", "500"): 1}
    assert accounting.failures == 1


def test_a_request_that_is_cut_off_is_a_failure(accounting: RequestAccounting, run: Run) -> None:
    """The end of a shutdown's patience is 503 to who was waiting."""

    async def story() -> None:
        request = asyncio.create_task(ask(accounting.wrap(answer_never)))
        await asyncio.sleep(5)
        request.cancel()
        await asyncio.wait([request])

    async def answer_never(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(3600)

    run(story())

    assert dict(accounting.requests) == {("GET", "unmatched", "503"): 1}
    assert (accounting.failures, accounting.in_flight) == (1, 0)


@pytest.mark.parametrize(("started", "code"), [(False, "499"), (True, "200")])
def test_a_client_that_goes_away_is_no_failure(
    started: bool,  # noqa: FBT001 - a case of the table
    code: str,
    accounting: RequestAccounting,
    run: Run,
) -> None:
    """Frameworks raise when a body does not come; nobody is there who could complain."""

    async def reading(_scope: Scope, receive: Receive, send: Send) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
        if (await receive())["type"] == "http.disconnect":
            raise ConnectionError

    async def story() -> None:
        with pytest.raises(ConnectionError):
            await ask(accounting.wrap(reading), receive=left)

    run(story())

    assert dict(accounting.requests) == {("GET", "unmatched", code): 1}
    assert accounting.failures == 0


def test_a_connection_that_breaks_under_the_answer_is_no_failure(
    accounting: RequestAccounting, run: Run
) -> None:
    """Servers may raise an OSError where the client is gone (ASGI 2.4)."""

    async def story() -> None:
        with pytest.raises(BrokenPipeError):
            await ask(accounting.wrap(answer(200, b"a")), send=broken_pipe)

    run(story())

    assert accounting.failures == 0


def test_an_error_of_its_own_is_a_failure_although_it_is_one_of_connections(
    accounting: RequestAccounting, run: Run
) -> None:
    """The application's database is not its client."""

    async def no_database(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ConnectionRefusedError

    async def story() -> None:
        with pytest.raises(ConnectionRefusedError):
            await ask(accounting.wrap(no_database))

    run(story())

    assert accounting.failures == 1


def test_a_client_that_leaves_after_its_answer_excuses_nothing(
    accounting: RequestAccounting, run: Run
) -> None:
    """What fails in a background task is a failure."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(200)(scope, receive, send)
        await receive()
        raise LookupError

    async def story() -> None:
        with pytest.raises(LookupError):
            await ask(accounting.wrap(app), receive=left)

    run(story())

    assert accounting.failures == 1


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_what_is_no_request_is_not_counted(kind: str, accounting: RequestAccounting, run: Run) -> None:
    """A WebSocket has no status code, and may last for days."""

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        assert accounting.in_flight == 0

    run(ask(accounting.wrap(app), kind=kind))

    assert dict(accounting.requests) == {}
