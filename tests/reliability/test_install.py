"""The toolkit in a Starlette and in a FastAPI application."""

import asyncio
import contextlib
import gzip
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

from support.asgi import client_of, running
from uptime_exporter.reliability import InstallError, Paths, Reliability, install
from uptime_exporter.reliability.shapes import Json

RESET = "/reliability/circuit-breaker/model_server/reset"
TOKEN = "hunter2-ü"
BEARER = {"authorization": f"Bearer {TOKEN}".encode()}

Make = Callable[..., Any]


@pytest.fixture(params=[Starlette, FastAPI])
def make(request: pytest.FixtureRequest) -> Make:
    """Both frameworks."""
    made: Make = request.param
    return made


def a_toolkit() -> Reliability:
    toolkit = Reliability("main-backend")
    toolkit.breaker("model_server")
    toolkit.breaker("asr_ocr_server")
    return toolkit


async def hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def explode(_request: Request) -> PlainTextResponse:
    raise ZeroDivisionError


def samples(text: str) -> Mapping[str, Mapping[tuple[str, ...], float]]:
    """Return name → values of the labels, those of `app` left out → value."""
    told: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(v for k, v in sorted(sample.labels.items()) if k != "app")
            told.setdefault(sample.name, {})[labels] = sample.value
    return told


async def test_five_lines_do(make: Make) -> None:
    """Routes of the application and of the toolkit answer, and what is asked is counted."""
    app = make()
    toolkit = install(app, a_toolkit())
    add = app.add_api_route if isinstance(app, FastAPI) else app.add_route
    add("/hello/{who}", hello)
    add("/explode", explode)

    async with client_of(app) as client:
        for path in ("/hello/you", "/hello/me", "/explode", "/nowhere"):
            await client.get(path)
        health = (await client.get("/health")).json()
        report = (await client.get("/reliability")).json()
        told = samples((await client.get("/metrics")).text)

    assert health["status"] == "healthy"
    assert list(health["reliability"]["circuit_breakers"]) == ["model_server", "asr_ocr_server"]
    assert health["reliability"]["circuit_breakers"] == report["circuit_breakers"]
    assert (report["uptime_target"], report["max_downtime_per_month"]) == ("99.9%", "43.8 minutes")
    assert told["uptime_requests_total"] == {
        ("200", "GET", "/hello/{who}"): 2,
        ("500", "GET", "/explode"): 1,
        ("404", "GET", "unmatched"): 1,
        ("200", "GET", "/health"): 1,
        ("200", "GET", "/reliability"): 1,
    }
    assert told["uptime_request_failures_total"] == {(): 1}
    assert told["process_start_time_seconds"]
    assert toolkit.app == "main-backend"


async def test_metrics_come_in_both_formats_and_compressed(make: Make) -> None:
    """By Accept and Accept-Encoding, as from the exporter."""
    app = make()
    install(app, a_toolkit())

    async with client_of(app) as client:
        plain = await client.get("/metrics", headers={"accept-encoding": "identity"})
        small = await client.get("/metrics")
        new = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        async with client.stream("GET", "/metrics", headers={"accept-encoding": "gzip"}) as raw:
            body = b"".join([part async for part in raw.aiter_raw()])

    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert small.headers["vary"] == "Accept, Accept-Encoding"
    assert new.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert new.text.endswith("# EOF\n")
    assert gzip.decompress(body).startswith(b"# HELP")
    assert "_created" not in plain.text + new.text


async def test_the_applications_own_metrics_stand_beside(make: Make) -> None:
    """A registry that is handed in is what is shown."""
    registry = CollectorRegistry()
    Counter("orders", "Orders.", registry=registry).inc(3)
    app = make()
    install(app, a_toolkit(), registry=registry)

    async with client_of(app) as client:
        told = samples((await client.get("/metrics")).text)

    assert told["orders_total"] == {(): 3}
    assert "process_start_time_seconds" not in told
    assert ("model_server", "closed") in told["uptime_circuit_state"]


@pytest.mark.parametrize(
    ("headers", "options", "status", "message"),
    [
        (BEARER, {"admin_token": TOKEN}, 200, "Circuit model_server is closed"),
        (BEARER, {"admin_token": lambda: TOKEN}, 200, "Circuit model_server is closed"),
        ({}, {"admin_token": TOKEN}, 401, "send Authorization: Bearer <admin token>"),
        ({"authorization": "Bearer x"}, {"admin_token": TOKEN}, 403, "that is not the admin token"),
        ({"authorization": "Bearer x"}, {"admin_token": ""}, 403, "that is not the admin token"),
        ({}, {}, 403, "the listener is not loopback; give install() an admin_token"),
        ({}, {"admin_token": lambda: None}, 403, "the listener is not loopback"),
        ({}, {"loopback_only": True}, 200, "Circuit model_server is closed"),
        ({"x-forwarded-for": "10.0.0.7"}, {"loopback_only": True}, 403, "through a proxy"),
        ({"host": "evil.example.org"}, {"loopback_only": True}, 403, "Host does not name this machine"),
        ({"origin": "http://evil.example.org"}, {"loopback_only": True}, 403, "another site's page"),
    ],
)
async def test_the_reset_is_guarded(
    make: Make, headers: Mapping[str, str], options: Mapping[str, Any], status: int, message: str
) -> None:
    """As in the exporter; without a token nobody may, unless nobody else can reach the listener."""
    app, toolkit = make(), a_toolkit()
    install(app, toolkit, **options)
    toolkit.breakers["model_server"].force_open()

    async with client_of(app) as client:
        answer = await client.post(RESET, headers=headers)

    said = answer.json()
    assert (answer.status_code, said["success"]) == (status, status == 200)
    assert message in said["message"]
    assert TOKEN not in answer.text + str(answer.headers)
    assert toolkit.breakers["model_server"].state == ("closed" if status == 200 else "open")
    if status == 200:
        assert (said["status"]["name"], said["status"]["state"]) == ("model_server", "closed")
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer realm="main-backend"'


async def test_a_stranger_may_not_reset_even_where_the_listener_is_said_to_be_local(make: Make) -> None:
    """The other end's address decides, not what the operator believed."""
    app = make()
    install(app, a_toolkit(), loopback_only=True)

    async with client_of(app, peer="203.0.113.9") as client:
        assert (await client.post(RESET)).status_code == 403


async def test_an_unknown_circuit_names_the_known(make: Make) -> None:
    """The operator mistyped; only the right method resets."""
    app = make()
    install(app, a_toolkit(), admin_token=TOKEN)

    async with client_of(app, headers=BEARER) as client:
        answer = await client.post("/reliability/circuit-breaker/modle/reset")
        wrong = await client.get(RESET)

    assert answer.status_code == 404
    assert answer.json() == {
        "success": False,
        "message": "There is no circuit modle; there are: model_server, asr_ocr_server",
        "known": ["model_server", "asr_ocr_server"],
    }
    assert wrong.status_code == 405


class Broken(Reliability):
    def _parts(self) -> Json:
        raise LookupError("mysql://backend:hunter2@db")


async def test_an_internal_error_is_told_with_200_and_without_its_text(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Old clients read the body, and an exception's text may hold a password."""
    app = make()
    install(app, Broken("main-backend"))

    async with client_of(app) as client:
        health, report = await client.get("/health"), await client.get("/reliability")

    assert (health.status_code, report.status_code) == (200, 200)
    assert health.json() == {"status": "unhealthy", "error": "LookupError; the log has more"}
    assert report.json() == {"error": "LookupError; the log has more"}
    assert "the state of the application cannot be told" in caplog.text


async def test_the_lifespan_goes_around_the_applications_own() -> None:
    """Checks run between its start and its end; pools are disconnected after it, its state is kept."""
    story: list[str] = []

    async def asked() -> None:
        story.append("check")

    @contextlib.asynccontextmanager
    async def own(_app: Any) -> AsyncIterator[dict[str, str]]:
        story.append("start")
        yield {"greeting": "hello"}
        story.append(f"end, {toolkit.checks.overall_healthy}, {len(asyncio.all_tasks())} tasks")

    class Pool:
        use = Reliability  # never looked at
        idle = 0

        async def disconnect(self) -> None:
            story.append("disconnected")

    toolkit = a_toolkit()
    toolkit.monitor({"database": asked})
    toolkit.pools["mysql"] = Pool()  # type: ignore[assignment] # only its end is looked at
    app = Starlette(lifespan=own)
    install(app, toolkit)
    tasks = len(asyncio.all_tasks())

    async with running(app):
        for _ in range(5):
            await asyncio.sleep(0)

    assert story == ["start", "check", f"end, True, {tasks + 1} tasks", "disconnected"]


async def test_an_application_can_be_started_again(make: Make) -> None:
    """A test client starts it for each test."""
    app, asked = make(), 0

    async def check() -> None:
        nonlocal asked
        asked += 1

    toolkit = a_toolkit()
    toolkit.monitor({"database": check})
    install(app, toolkit)
    for _ in range(2):
        async with running(app), client_of(app) as client:
            for _ in range(5):
                await asyncio.sleep(0)
            assert (await client.get("/health")).status_code == 200

    assert asked == 2


async def test_a_watcher_sees_the_drain(make: Make) -> None:
    """While it drains, what is new gets 503; metrics and state are told, or nobody would ever see it."""
    app, toolkit = make(), a_toolkit()
    install(app, toolkit)
    app.add_route("/hello", hello)
    toolkit.drain.begin()

    async with client_of(app) as client:
        answers = {path: await client.get(path) for path in ("/hello", "/health", "/reliability", "/metrics")}
        reset = await client.post(RESET)

    assert {path: answer.status_code for path, answer in answers.items()} == {
        "/hello": 503,
        "/health": 503,
        "/reliability": 200,
        "/metrics": 200,
    }
    assert reset.status_code == 503
    assert answers["/health"].headers["retry-after"]
    assert answers["/health"].json()["reliability"]["graceful_shutdown"]["is_shutting_down"] is True
    assert samples(answers["/metrics"].text)["uptime_shutdown_in_progress"] == {(): 1}


async def test_below_a_prefix_the_watcher_sees_it_too() -> None:
    """A proxy's prefix is no part of the path."""
    app, toolkit = Starlette(), a_toolkit()
    install(app, toolkit)
    toolkit.drain.begin()
    transport = httpx.ASGITransport(app, root_path="/api")

    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/api/metrics")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/apimetrics")).status_code == 503


@pytest.mark.parametrize(
    "path", ["/health", "/reliability", "/metrics", RESET.replace("model_server", "{name}")]
)
def test_a_route_of_the_applications_own_is_not_hidden(make: Make, path: str) -> None:
    """Neither silently wins: the mistake is told before anything was changed, with what to do."""
    app = make()
    app.add_route(path, hello)
    before = list(app.router.routes), list(app.user_middleware), app.router.lifespan_context

    with pytest.raises(
        InstallError, match=re.escape(f"has a route {path} of its own: give install(…, paths=")
    ):
        install(app, a_toolkit())

    assert (list(app.router.routes), list(app.user_middleware), app.router.lifespan_context) == before


async def test_a_route_that_is_added_later_is_found_at_the_start(make: Make) -> None:
    """Five lines install first; the application's routes come after them."""
    app = make()
    install(app, a_toolkit())
    app.add_route("/health", hello)

    with pytest.raises(RuntimeError, match="has a route /health of its own"):
        async with running(app):
            pass


async def test_a_route_of_an_included_router_is_found(make: Make) -> None:
    """However FastAPI keeps it; a mount on the very path is one, too."""
    app = make()
    if isinstance(app, FastAPI):
        router = APIRouter(prefix="/health")
        router.add_api_route("", hello)
        app.include_router(router)
    else:
        app.router.routes.append(Mount("/health", Starlette()))

    with pytest.raises(InstallError, match="has a route /health of its own"):
        install(app, a_toolkit())


async def test_paths_lead_around_the_applications_own(make: Make) -> None:
    """An application that has the seed's routes keeps them."""
    app = make()
    app.add_route("/health", hello)
    install(app, a_toolkit(), paths=Paths(health=None, reliability="/uptime", metrics="/uptime/metrics"))

    async with running(app), client_of(app) as client:
        assert (await client.get("/health")).text == "hello"
        assert (await client.get("/uptime")).json()["uptime_target"] == "99.9%"
        assert (await client.get("/uptime/metrics")).status_code == 200
        assert (await client.get("/reliability")).status_code == 404
        assert (await client.post("/uptime/circuit-breaker/model_server/reset")).status_code == 403


async def test_a_route_that_takes_every_path_swallows_none_of_ours(make: Make) -> None:
    """A page for all else, or a mounted site, stands behind the toolkit's routes."""
    app = make(routes=[Route("/{path:path}", hello)])
    install(app, a_toolkit())

    async with running(app), client_of(app) as client:
        assert (await client.get("/health")).json()["status"] == "healthy"
        assert (await client.get("/else")).text == "hello"


async def test_our_routes_are_no_part_of_the_documented_interface() -> None:
    """FastAPI's page of an application's interface shows what the application has made."""
    app = FastAPI()
    install(app, a_toolkit())

    assert app.openapi()["paths"] == {}


def test_what_is_no_such_application_is_refused() -> None:
    """A bare ASGI function has no routes to add to."""
    with pytest.raises(InstallError, match="function is neither a Starlette nor a FastAPI application"):
        install(hello)


def test_without_a_name_nothing_is_installed(make: Make) -> None:
    """The label `app` has to say something."""
    with pytest.raises(ValueError, match="an application needs a name"):
        install(make())

    assert install(make(), name="main-backend").app == "main-backend"


async def test_a_stream_is_in_flight_until_it_ends(make: Make) -> None:
    """`/reliability` and `/metrics` say how much is still being answered, themselves included."""
    app, toolkit, end = make(), a_toolkit(), asyncio.Event()

    async def stream(_request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            yield "begin"
            await end.wait()

        return StreamingResponse(parts())

    install(app, toolkit)
    app.add_route("/stream", stream)

    async with client_of(app) as client:
        flowing = asyncio.create_task(client.get("/stream"))
        for _ in range(20):
            await asyncio.sleep(0)
        report = (await client.get("/reliability")).json()
        told = samples((await client.get("/metrics")).text)
        end.set()
        assert (await flowing).text == "begin"

    assert report["graceful_shutdown"]["active_requests"] == 2
    assert told["uptime_requests_in_flight"] == {(): 2}
    assert (toolkit.drain.active_requests, toolkit.requests.in_flight) == (0, 0)
