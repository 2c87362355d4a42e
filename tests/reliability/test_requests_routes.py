"""Routes by their templates, as real Starlette and FastAPI applications have them."""

from pathlib import Path

import httpx
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from uptime_exporter.reliability.requests import RequestAccounting, RequestMiddleware


def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


def item(number: int) -> int:
    """Return what was asked for."""
    return number


def root() -> str:
    """Return something."""
    return "root"


def own() -> APIRouter:
    router = APIRouter(prefix="/own")
    router.add_api_route("/items/{number}", item)
    return router


def with_fastapi(folder: Path) -> FastAPI:
    """Return an application that has routes in every way that FastAPI knows."""
    app, nested, plain, inner = FastAPI(), APIRouter(prefix="/outer"), APIRouter(), FastAPI()
    app.add_api_route("/items/{number}", item, methods=["GET"])
    app.add_api_route("/", root)
    app.add_route("/starlettes/{key}", hello)
    app.include_router(own(), prefix="/v1")
    app.include_router(own(), prefix="/v2")
    nested.include_router(own(), prefix="/mid")
    app.include_router(nested)
    plain.routes.append(Route("/plain/{key}", hello))
    plain.mount("/mounted", Starlette(routes=[Route("/deep/{key}", hello)]))
    app.include_router(plain, prefix="/inc")
    inner.add_api_route("/items/{number}", item)
    inner.include_router(own(), prefix="/v3")
    app.mount("/sub", inner)
    app.mount(
        "/users/{user}",
        Starlette(routes=[Route("/posts/{post}", hello), Mount("/more/{key}", routes=[Route("/z", hello)])]),
    )
    app.mount("/static", StaticFiles(directory=folder))
    return app


EXPECTED = {
    "/items/1": ("/items/{number}", 200),
    "/items/2": ("/items/{number}", 200),
    "/items/a": ("/items/{number}", 422),
    "/starlettes/1": ("/starlettes/{key}", 200),
    "/": ("/", 200),
    "/v1/own/items/1": ("/v1/own/items/{number}", 200),
    "/v2/own/items/1": ("/v2/own/items/{number}", 200),
    "/outer/mid/own/items/1": ("/outer/mid/own/items/{number}", 200),
    "/inc/plain/1": ("/inc/plain/{key}", 200),
    "/inc/mounted/deep/1": ("/inc/mounted/deep/{key}", 200),
    "/sub/items/1": ("/sub/items/{number}", 200),
    "/sub/v3/own/items/1": ("/sub/v3/own/items/{number}", 200),
    "/sub/missing": ("/sub", 404),
    "/users/7/posts/1": ("/users/{user}/posts/{post}", 200),
    "/users/8/more/1/z": ("/users/{user}/more/{key}/z", 200),
    "/static/a.txt": ("/static", 200),
    "/static/missing": ("/static", 404),
    "/missing": ("unmatched", 404),
    "/%2e%2e/etc/passwd": ("unmatched", 404),
}


async def asked(app: Starlette, *paths: str, method: str = "GET", prefix: str = "") -> list[tuple[str, int]]:
    """Return the template and the code of each path asked for."""
    accounting = RequestAccounting()
    app.add_middleware(RequestMiddleware, accounting=accounting)
    found = []
    before: dict[tuple[str, str, str], int] = {}
    transport = httpx.ASGITransport(app, root_path=prefix)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        for path in paths:
            await client.request(method, path)
            after = dict(accounting.requests)
            ((_, route, code),) = [key for key, number in after.items() if number > before.get(key, 0)]
            found.append((route, int(code)))
            before = after
    return found


async def test_fastapi_routes_have_their_whole_template(tmp_path: Path) -> None:
    """Included, mounted, nested: never what the client wrote."""
    (tmp_path / "a.txt").write_text("a")
    twice = [*EXPECTED, *EXPECTED]

    found = await asked(with_fastapi(tmp_path), *twice)

    assert dict(zip(twice, found, strict=True)) == EXPECTED
    assert found[: len(EXPECTED)] == found[len(EXPECTED) :]


async def test_starlette_routes_have_their_whole_template() -> None:
    """The same without FastAPI."""
    app = Starlette(
        routes=[
            Route("/items/{number:int}", hello),
            Mount("/a/{b}", routes=[Route("/c/{d}", hello), Mount("/e", routes=[Route("/", hello)])]),
        ]
    )

    found = await asked(app, "/items/1", "/a/1/c/2", "/a/1/e/", "/a/1/missing", "/missing")

    assert found == [
        ("/items/{number}", 200),
        ("/a/{b}/c/{d}", 200),
        ("/a/{b}/e/", 200),
        ("/a/{b}", 404),
        ("unmatched", 404),
    ]


async def test_a_wrong_method_is_the_routes() -> None:
    """405 says which route does not take it."""
    assert await asked(Starlette(routes=[Route("/a", hello)]), "/a", method="POST") == [("/a", 405)]


async def test_a_prefix_of_the_server_is_not_in_the_template() -> None:
    """The same application has the same series behind every proxy."""
    app, inner = FastAPI(), FastAPI()
    inner.add_api_route("/items/{number}", item)
    app.mount("/sub", inner)
    app.add_api_route("/items/{number}", item)

    assert await asked(app, "/behind/items/1", "/behind/sub/items/1", prefix="/behind") == [
        ("/items/{number}", 200),
        ("/sub/items/{number}", 200),
    ]


async def test_clients_cannot_make_series(tmp_path: Path) -> None:
    """As many as there are routes, whatever is asked for."""
    paths = [f"/users/{n}/posts/{n}" for n in range(50)]

    assert set(await asked(with_fastapi(tmp_path), *paths)) == {("/users/{user}/posts/{post}", 200)}
