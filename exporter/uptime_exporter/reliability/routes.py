"""Names the route that answered a request by its template, never by what a client wrote.

Starlette and FastAPI leave the route in the scope, relative to where its application is mounted.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from uptime_exporter.reliability.asgi import Scope

UNMATCHED = "unmatched"
"""The route of a request that no route answered."""

SOMEWHERE = "*"
"""In place of a mount that cannot be found again."""

_NOTHING: Mapping[str, Any] = {}


class Routes:
    """The templates of one application's routes."""

    def __init__(self) -> None:
        self._relative: dict[int, tuple[object, str]] = {}
        self._endpoints: dict[int, tuple[object, Any]] = {}
        self._mounts: dict[str, str] = {}

    def template(self, scope: Scope) -> str:
        """Return the template of the route that *scope* ended up at, such as ``/items/{id}``."""
        route = scope.get("route")
        if (context := scope.get("fastapi", _NOTHING).get("effective_route_context")) is not None:
            route = _included(context, route)
        if route is None:
            route = self._of_endpoint(scope)
        known = self._relative.get(id(route))
        if known is None:
            known = self._relative[id(route)] = (route, _path_of(route))
        if (outside := scope.get("app_root_path")) is None:
            return known[1] or UNMATCHED
        return self._mounted(scope, outside) + known[1]

    def _of_endpoint(self, scope: Scope) -> Any:
        """Return the route of whoever answered: neither FastAPI nor older Starlettes say which it was."""
        endpoint = scope.get("endpoint")
        known = self._endpoints.get(id(endpoint))
        if known is None:
            route = _with_endpoint(getattr(scope.get("router"), "routes", ()), endpoint)
            known = self._endpoints[id(endpoint)] = (endpoint, route)
        return known[1]

    def _mounted(self, scope: Scope, outside: str) -> str:
        """Return the template of the mounts that led to the route."""
        inside = scope.get("root_path", "").removeprefix(outside)
        if inside in self._mounts:
            return self._mounts[inside]
        lead = _lead(_outermost(scope), inside)
        if lead == inside:  # no parameter in it, so there are only as many as there are mounts
            self._mounts[inside] = inside
        return SOMEWHERE if lead is None else lead


def _included(context: Any, route: Any) -> Any:
    """Return what knows the whole path: a route that FastAPI includes from a router knows its own part only."""
    if route is not None and getattr(context, "original_route", None) is not route:
        return route
    return getattr(context, "starlette_route", None) or context


def _outermost(scope: Scope) -> Iterable[Any]:
    """Yield the routes from which mounts lead on; those of FastAPI's included routers stand apart."""
    context = scope.get("fastapi", _NOTHING).get("effective_route_context")
    if (included := getattr(context, "starlette_route", None)) is not None:
        yield included
    yield from getattr(scope.get("router"), "routes", ())


def _with_endpoint(routes: Iterable[Any], endpoint: object) -> Any:
    """Return the first of *routes*, and of those mounted in them, that has *endpoint*; None if none has."""
    for route in routes:
        if endpoint is not None and getattr(route, "endpoint", None) is endpoint:
            return route
        found = _with_endpoint(getattr(route, "routes", ()), endpoint)
        if found is not None:
            return found
    return None


def _path_of(route: Any) -> str:
    """Return the route's own part of the path; nothing for a mount, which is accounted for as such."""
    if hasattr(route, "routes"):
        return ""
    return str(getattr(route, "path_format", None) or getattr(route, "path", ""))


def _lead(routes: Iterable[Any], path: str) -> str | None:
    """Return the template of the mounts in *routes* that lead through the whole of *path*."""
    if not path.strip("/"):
        return ""
    for route in routes:
        found = route.path_regex.match(f"{path}/") if hasattr(route, "routes") else None
        if found is not None:
            rest = _lead(route.routes, "/" + found["path"].strip("/"))
            if rest is not None:
                return str(route.path) + rest
    return None
