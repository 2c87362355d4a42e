"""The demo's main backend: it calls the others through the toolkit, and its users get an answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from support.badservers import closed_port
from uptime_exporter.demo import backend as module
from uptime_exporter.demo.backend import ROUTES, Faults, Neighbours, create_backend
from uptime_exporter.demo.standins import StandIn, asr_ocr_server, model_server

SUMMARISE, TRANSCRIBE, CASES = ROUTES


class House:
    """A backend, the servers that it calls, and one who asks it."""

    def __init__(self, client: httpx.AsyncClient, faults: Faults, servers: dict[str, StandIn]) -> None:
        self.faults = faults
        self.servers = servers
        self._client = client

    async def get(self, path: str) -> httpx.Response:
        return await self._client.get(path)

    async def json(self, path: str) -> Any:
        return (await self.get(path)).json()


@asynccontextmanager
async def living(**more: Any) -> AsyncIterator[House]:
    servers = {server.name: server for server in (model_server(port=0), asr_ocr_server(port=0))}
    for server in servers.values():
        await server.switch("up")
    urls = {name: f"http://{server.address}" for name, server in servers.items()}
    faults = Faults(late=0.0)
    app = create_backend(Neighbours(**{**urls, **more}), faults, shutdown_timeout=1)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://backend") as client,
    ):
        yield House(client, faults, servers)
    for server in servers.values():
        await server.listener.close()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Everything is well, but there is no database."""
    async with living() as house:
        yield house


async def test_each_server_does_its_work(house: House) -> None:
    """What they answer comes through; where nobody answers it is said that this is not all."""
    answers = [await house.json(path) for path in ROUTES]
    assert answers == [
        {"answer": "by summariser", "degraded": False},
        {"answer": "by whisper", "degraded": False},
        {"answer": None, "degraded": True},
    ]


async def test_a_server_that_fails_costs_no_user_an_answer(house: House) -> None:
    """They get what was answered last; its breaker opens, and spares the others' time."""
    await house.get(SUMMARISE)
    await house.servers["model_server"].switch("down")
    answers = [await house.json(SUMMARISE) for _ in range(4)]
    state = (await house.json("/reliability"))["circuit_breakers"]

    assert {answer["why"] for answer in answers} == {"ConnectError", "CircuitOpenError"}
    assert {(answer["answer"], answer["degraded"]) for answer in answers} == {("by summariser", True)}
    assert (state["model_server"]["state"], state["asr_ocr_server"]["state"]) == ("open", "closed")
    assert (await house.json(TRANSCRIBE))["degraded"] is False


async def test_a_server_without_models_is_no_help(house: House) -> None:
    """It answers 503 to work, and 200 to those who ask after its health."""
    await house.servers["model_server"].switch("unhealthy")
    assert (await house.json(SUMMARISE))["why"] == "HTTPStatusError"


async def test_some_requests_fail_on_demand(house: House) -> None:
    """One in three, and none after that."""
    house.faults.switch("error")
    assert [(await house.get(CASES)).status_code for _ in range(6)] == [500, 200, 200] * 2
    house.faults.switch("up")
    assert [(await house.get(CASES)).status_code for _ in range(3)] == [200] * 3


async def test_it_publishes_the_series_that_the_watched_backend_has(house: House) -> None:
    """Rules and dashboards read them from ``/metrics/prometheus``."""
    house.faults.switch("error")
    for _ in range(3):
        await house.get(SUMMARISE)
    lines = (await house.get("/metrics/prometheus")).text.splitlines()

    ok, broken = (
        f'api_requests_total{{endpoint="{SUMMARISE}",method="GET",status="{status}"}} '
        for status in (200, 500)
    )
    assert {ok + "2.0", broken + "1.0"} <= set(lines)
    assert f'api_request_duration_seconds_count{{endpoint="{SUMMARISE}"}} 3.0' in lines
    assert 'model_server_requests_total{server="model_server",status="success"} 2.0' in lines
    everything = (await house.get("/metrics")).text
    assert broken + "1.0" in everything
    assert "process_start_time_seconds" in everything


async def test_the_toolkits_routes_are_there(house: House) -> None:
    """With the names of contract and dashboards."""
    health, page = await house.json("/health"), (await house.get("/metrics")).text

    assert list(health["reliability"]["circuit_breakers"]) == ["model_server", "asr_ocr_server"]
    assert 'uptime_requests_in_flight{app="main-backend"}' in page
    assert 'uptime_pool_limit{app="main-backend",pool="http"} 100.0' in page


async def test_a_database_that_is_down_costs_no_user_an_answer() -> None:
    """Nor does it keep the backend from starting."""
    async with living(mysql_host="127.0.0.1", mysql_port=closed_port(), mysql_password="hunter2") as house:
        answer = await house.json(CASES)
        page = (await house.get("/metrics")).text

    assert (answer["answer"], answer["degraded"]) == (None, True)
    assert 'uptime_circuit_calls_total{app="main-backend",circuit="database",outcome="failure"} 2.0' in page
    assert 'uptime_pool_limit{app="main-backend",pool="mysql"} 15.0' in page


async def test_without_the_driver_it_does_without_the_database(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And says which extra to install."""
    monkeypatch.setattr(module, "asyncmy", None)  # as where it is not installed
    with caplog.at_level("WARNING", "uptime_exporter"):
        async with living(mysql_host="127.0.0.1") as house:
            assert (await house.json(CASES))["degraded"] is True

    assert "install uptime-exporter[demo]" in caplog.text


def test_the_password_is_in_no_repr() -> None:
    assert "hunter2" not in repr(Neighbours(mysql_password="hunter2"))
