"""The demo's main backend: an application that calls servers and a database through the toolkit."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from uptime_exporter import logs
from uptime_exporter.reliability import Reliability, RetryBudget, install
from uptime_exporter.reliability.pools import DatabasePool, SharedClient

try:
    import asyncmy
except ImportError:  # the extra `demo`; everything else of the backend does without
    asyncmy = None  # type: ignore[assignment]  # what is missing is nothing

APP = "main-backend"
"""What it calls itself in its own metrics."""

ROUTES = ("/api/summarise", "/api/transcribe", "/api/cases")
"""What users ask for: the model server's work, the ASR/OCR server's, and the database's."""

PATIENCE = 1.0
"""Seconds that one call of a server or of the database may take."""

LATE = 2.0
"""Seconds before a slow answer."""

ONE_IN = 3
"""Of so many requests one fails, where some do."""

Ask = Callable[[], Awaitable[object]]

_log = logs.get("demo")


class Condition(StrEnum):
    """How the backend is; each member is also the word that switches it."""

    UP = "up"
    ERROR = "error"
    SLOW = "slow"
    HANGING = "hanging"


MEANINGS: Mapping[str, str] = {
    Condition.UP: "well again",
    Condition.ERROR: "one request in three is answered with 500",
    Condition.SLOW: f"answers {LATE:g} s late",
    Condition.HANGING: "the next request never ends: a restart takes all its time",
}
"""What each word does, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Where everything is that the backend calls."""

    model_server: str = "http://localhost:8001"
    asr_ocr_server: str = "http://localhost:8002"
    mysql_host: str | None = None
    """None: there is no database."""
    mysql_port: int = 3306
    mysql_user: str = "uptime"
    mysql_password: str = field(default="", repr=False)


class Faults:
    """What goes wrong inside the backend, on demand.

    Attributes:
        present: How it is now.

    """

    def __init__(self, late: float = LATE) -> None:
        self.present = Condition.UP
        self._late = late
        self._met = 0

    def switch(self, word: str) -> None:
        """Be as *word* says from the next request on."""
        self.present, self._met = Condition(word), 0

    async def meet(self) -> Response | None:
        """Let a request meet what is wrong; return its answer if that is the end of it."""
        self._met += 1
        if self.present is Condition.ERROR and self._met % ONE_IN == 1:
            return JSONResponse({"detail": "Internal Server Error"}, 500)
        if self.present is Condition.HANGING and self._met == 1:
            await asyncio.Event().wait()
        if self.present is Condition.SLOW:
            await asyncio.sleep(self._late)
        return None


class Server:
    """A server that the backend calls: retry around breaker around the shared client."""

    def __init__(self, reliability: Reliability, http: SharedClient, name: str, work: str) -> None:
        self._http = http
        self._work = work
        breaker = reliability.breaker(name)
        retry = reliability.retry(
            name,
            retries=1,
            backoff=0.1,
            retry_on=(httpx.TransportError, TimeoutError),
            deadline=3 * PATIENCE,
            budget=RetryBudget(),
        )
        self.ask: Ask = retry(breaker(self._ask))

    async def is_well(self) -> bool:
        """Return what its health check says."""
        said = await self._get(self._work.rpartition("/")[0] + "/health")
        return said.get("status") in {"healthy", "degraded"}

    async def _ask(self) -> object:
        return (await self._get(self._work))["answer"]

    async def _get(self, url: str) -> Mapping[str, Any]:
        async with asyncio.timeout(PATIENCE):
            answer = await self._http.get(url)
        answer.raise_for_status()
        said: Mapping[str, Any] = answer.json()
        return said


class Database:
    """The database, through a pool of 15 connections."""

    def __init__(self, reliability: Reliability, neighbours: Neighbours) -> None:
        self._at = neighbours
        self._pool = reliability.pool(DatabasePool("mysql", self._open, limit=15, checkout_timeout=PATIENCE))
        breaker = reliability.breaker("database")
        retry = reliability.retry(
            "database", retries=1, backoff=0.1, retry_on=Exception, budget=RetryBudget()
        )
        self.ask: Ask = retry(breaker(self._ask))

    async def is_well(self) -> bool:
        """Return whether it answers."""
        return await self._ask() == 1

    async def _ask(self) -> object:
        async with asyncio.timeout(PATIENCE), self._pool.connection() as connection:
            try:
                async with connection.cursor() as cursor:
                    await cursor.execute("SELECT 1")
                    return (await cursor.fetchone())[0]
            except BaseException:
                connection.close()  # what was cut short is still under way on it
                raise

    async def _open(self, size: int) -> Any:
        at = self._at
        return await asyncmy.create_pool(
            minsize=0,
            maxsize=size,
            host=at.mysql_host,
            port=at.mysql_port,
            user=at.mysql_user,
            password=at.mysql_password,
            connect_timeout=PATIENCE,
            autocommit=True,
        )


class Work:
    """One route: asks whoever does the work; where that fails, the user gets what was answered last."""

    def __init__(self, faults: Faults, ask: Ask | None) -> None:
        self._faults = faults
        self._ask = ask
        self._last: object = None

    async def __call__(self, _request: Request) -> Response:
        """Answer one request."""
        if (wrong := await self._faults.meet()) is not None:
            return wrong
        try:
            if self._ask is not None:
                self._last = await self._ask()
        except Exception as error:  # noqa: BLE001 - whatever a dependency does, the user gets an answer
            return JSONResponse({"answer": self._last, "degraded": True, "why": type(error).__name__})
        return JSONResponse({"answer": self._last, "degraded": self._ask is None})


def create_backend(
    neighbours: Neighbours,
    faults: Faults,
    *,
    record: Path | None = None,
    shutdown_timeout: float = 30.0,
    check_interval: float = 30.0,
) -> Starlette:
    """Return the application.

    Args:
        neighbours: What it calls.
        faults: What goes wrong in it.
        record: The file in which the results of its shutdowns last.
        shutdown_timeout: Seconds that requests in flight get at the end.
        check_interval: Seconds from one of its own checks to the next.

    """
    reliability = Reliability(APP, shutdown_timeout=shutdown_timeout, shutdown_record=record)
    http = reliability.pool(SharedClient("http", checkout_timeout=PATIENCE, timeout=PATIENCE))
    models = Server(reliability, http, "model_server", f"{neighbours.model_server}/generate")
    speech = Server(reliability, http, "asr_ocr_server", f"{neighbours.asr_ocr_server}/transcribe")
    checks: dict[str, Any] = {"model_server": models.is_well, "asr_ocr_server": speech.is_well}
    database = _database(reliability, neighbours)
    if database is not None:
        checks["database"] = database.is_well
    reliability.monitor(checks, interval=check_interval, timeout=min(5.0, check_interval / 2))
    asks = (models.ask, speech.ask, database.ask if database else None)
    routes = [
        Route(path, Work(faults, ask).__call__, name=path) for path, ask in zip(ROUTES, asks, strict=True)
    ]
    old = CollectorRegistry()
    old.register(_OldMetrics(reliability))
    app = Starlette(routes=[*routes, Route("/metrics/prometheus", _page(old))])
    install(app, reliability, registry=_everything(reliability))
    return app


def _database(reliability: Reliability, neighbours: Neighbours) -> Database | None:
    if neighbours.mysql_host is None:
        _log.warning("the backend runs without a database: it was told of none")
        return None
    if asyncmy is None:
        _log.warning("the backend runs without a database: asyncmy is missing; install uptime-exporter[demo]")
        return None
    return Database(reliability, neighbours)


def _everything(reliability: Reliability) -> CollectorRegistry:
    """Return what ``/metrics`` shows beside the toolkit: one scrape gets the old series too."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_OldMetrics(reliability))
    return registry


def _page(registry: CollectorRegistry) -> Callable[[Request], Awaitable[Response]]:
    async def page(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return page


class _OldMetrics(Collector):
    """The series that the watched backend publishes of its own, from what the toolkit has counted."""

    def __init__(self, reliability: Reliability) -> None:
        self._reliability = reliability

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        asked = CounterMetricFamily(
            "api_requests_total", "Requests to the API.", labels=("endpoint", "method", "status")
        )
        for (method, route, code), number in self._reliability.requests.requests.items():
            asked.add_metric((route, method, code), number)
        yield asked
        took = HistogramMetricFamily(
            "api_request_duration_seconds", "Time that requests to the API took.", labels=("endpoint",)
        )
        for route, durations in self._reliability.requests.durations.items():
            buckets = [
                ("+Inf" if le == float("inf") else str(le), float(n)) for le, n in durations.cumulative()
            ]
            took.add_metric((route,), buckets, durations.sum)
        yield took
        called = CounterMetricFamily(
            "model_server_requests_total", "Calls of the model servers.", labels=("server", "status")
        )
        for breaker in self._reliability.breakers.values():
            for status, number in breaker.calls.items():
                called.add_metric((breaker.name, status), number)
        yield called
