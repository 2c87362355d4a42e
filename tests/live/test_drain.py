"""Drains under the servers that people run: real processes, real sockets, real signals."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import websockets

from support.badservers import closed_port
from support.process import PATIENCE, clean_environment, eventually, exporter
from support.prometheus import prometheus

TESTS = Path(__file__).parents[1]
RULES = TESTS.parent / "alerts" / "rules" / "application.yaml"
APP = "support.drained:app"

COMMANDS = {
    "uvicorn": ["-m", "uvicorn", APP, "--port={port}"],
    "uvicorn on asyncio": ["-m", "uvicorn", APP, "--port={port}", "--loop=asyncio", "--http=h11"],
    "hypercorn": ["-m", "hypercorn", APP, "--bind=127.0.0.1:{port}", "--workers=0"],
    "hypercorn on uvloop": [
        "-m",
        "hypercorn",
        APP,
        "--bind=127.0.0.1:{port}",
        "--workers=0",
        "--worker-class=uvloop",
    ],
    "gunicorn": [
        "-m",
        "gunicorn",
        APP,
        "--bind=127.0.0.1:{port}",
        "--worker-class=uvicorn_worker.UvicornWorker",
        "--no-control-socket",
    ],
}
WITH_WORKERS = {
    "hypercorn with workers": ["-m", "hypercorn", APP, "--bind=127.0.0.1:{port}", "--graceful-timeout=1"]
}
ENDS_WITH = {"uvicorn": -signal.SIGTERM, "uvicorn on asyncio": -signal.SIGTERM}
"""Exit codes other than 0: uvicorn ends by the signal that ended it."""

every_server = pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "gunicorn"])


@dataclass
class Gate:
    """Holds what the application waits for until the test lets go."""

    path: Path
    waiting: list[asyncio.StreamWriter] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take_in(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self.changed:
            self.waiting.append(writer)
            self.changed.notify_all()

    async def holds(self, number: int) -> None:
        """Wait until so many wait at the gate."""
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(lambda: len(self.waiting) >= number)

    def open(self) -> None:
        """Let them all go on."""
        for writer in self.waiting:
            writer.close()
        self.waiting.clear()


@dataclass
class Served:
    """The application under a server."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient
    port: int

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def end(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    async def answers(self, status: int) -> httpx.Response | None:
        """Return its answer once it has this status; a new connection each time."""
        try:
            answer = await self.client.get("/", headers={"Connection": "close"})
        except httpx.TransportError:
            return None
        return answer if answer.status_code == status else None

    async def refuses(self) -> httpx.Response:
        """Wait until it is draining."""
        return await eventually(lambda: self.answers(503))


@dataclass
class House:
    """Where the application runs, again and again."""

    folder: Path
    gate: Gate

    @property
    def record(self) -> Path:
        return self.folder / "shutdowns.json"

    async def is_draining(self) -> bool | None:
        """Return True once a drain is under way."""
        return True if [*self.folder.glob("*.draining")] else None

    def recorded(self) -> dict[str, float]:
        said: dict[str, float] = json.loads(self.record.read_text())
        return said

    @asynccontextmanager
    async def serve(
        self, server: str, *, limit: float = PATIENCE, port: int = 0, ready: bool = True, **more: str
    ) -> AsyncIterator[Served]:
        port = port or closed_port()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(word.format(port=port) for word in (COMMANDS | WITH_WORKERS)[server]),
            cwd=self.folder,
            env={
                **clean_environment(),
                "PYTHONPATH": str(TESTS),
                "DRAINED_LIMIT": str(limit),
                "DRAINED_RECORD": str(self.record),
                "DRAINED_GATE": str(self.gate.path),
                **more,
            },
            start_new_session=True,
            stderr=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            trust_env=False,
            timeout=PATIENCE,
            limits=httpx.Limits(max_connections=300),
        ) as client:
            served = Served(process, client, port)
            try:
                if ready:
                    await eventually(lambda: served.answers(200))
                yield served
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # gunicorn's workers too
                await process.wait()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A folder for the record, and a gate."""
    gate = Gate(tmp_path / "gate")
    async with await asyncio.start_unix_server(gate.take_in, gate.path, backlog=300):
        yield House(tmp_path, gate)
        gate.open()


@pytest.mark.parametrize("server", COMMANDS)
async def test_200_requests_in_flight_end_and_new_ones_are_sent_away(server: str, house: House) -> None:
    """Nobody who was in loses anything; who comes during the drain is told when to come back."""
    async with house.serve(server) as served:
        held = [asyncio.create_task(served.client.get("/hold")) for _ in range(150)]
        held += [asyncio.create_task(served.client.get("/stream")) for _ in range(50)]
        await house.gate.holds(200)
        told = time.monotonic()
        served.tell(signal.SIGTERM)
        refused = await served.refuses()
        house.gate.open()
        answers = await asyncio.gather(*held)
        code = await served.end()
        took = time.monotonic() - told

    assert 1 <= int(refused.headers["retry-after"]) <= PATIENCE
    assert refused.headers["connection"] == "close"
    assert [answer.status_code for answer in answers] == [200] * 200
    assert [answer.text for answer in answers] == ["held"] * 150 + ["begun, ended"] * 50
    assert {answer.headers.get("connection") for answer in answers[:150]} == {"close"}
    assert code == ENDS_WITH.get(server, 0)
    assert took < PATIENCE
    recorded = house.recorded()
    assert (recorded["clean"], recorded["timeout"]) == (1, 0)
    assert 0 < recorded["last_seconds"] < took


@every_server
async def test_one_that_never_ends_is_cut_off_at_the_limit(server: str, house: House) -> None:
    """It gets a 503 as its last chance, the process ends, and the record says why."""
    async with house.serve(server, limit=0.7) as served:
        endless = asyncio.create_task(served.client.get("/hold"))
        await house.gate.holds(1)
        told = time.monotonic()
        served.tell(signal.SIGTERM)
        answer = await endless
        code = await served.end()
        took = time.monotonic() - told

    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert code == ENDS_WITH.get(server, 0)
    assert 0.7 <= took < PATIENCE / 3
    recorded = house.recorded()
    assert (recorded["clean"], recorded["timeout"]) == (0, 1)
    assert 0.7 <= recorded["last_seconds"] <= took


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
async def test_one_that_cannot_be_cancelled_does_not_hold_the_process(server: str, house: House) -> None:
    """The process ends all the same, two seconds late, after the result was recorded."""
    async with house.serve(server, limit=0.3) as served:
        stubborn = asyncio.create_task(served.client.get("/stubborn"))
        await house.gate.holds(1)
        served.tell(signal.SIGTERM)
        with pytest.raises(httpx.TransportError):
            await stubborn
        await served.end()

    assert house.recorded()["timeout"] == 1


@every_server
async def test_websockets_end_between_two_messages(server: str, house: House) -> None:
    """An idle one is closed at once; one whose message is being worked on gets its answer first."""
    async with (
        house.serve(server) as served,
        websockets.connect(f"ws://127.0.0.1:{served.port}/echo", proxy=None) as idle,
        websockets.connect(f"ws://127.0.0.1:{served.port}/echo", proxy=None) as busy,
    ):
        await idle.send("hello")
        assert await idle.recv() == "hello"
        await busy.send("hold")
        await house.gate.holds(1)
        served.tell(signal.SIGTERM)
        with pytest.raises(websockets.ConnectionClosed):
            await idle.recv()
        house.gate.open()
        assert await busy.recv() == "hold"
        with pytest.raises(websockets.ConnectionClosed):
            await busy.recv()
        await served.end()

    assert (idle.close_code, busy.close_code) == (1012, 1012)
    assert house.recorded()["clean"] == 1


@every_server
async def test_a_second_sigterm_changes_nothing(server: str, house: House) -> None:
    """A service manager tells each process of a group, and the server's master tells its workers again."""
    async with house.serve(server) as served:
        held = asyncio.create_task(served.client.get("/hold"))
        await house.gate.holds(1)
        served.tell(signal.SIGTERM)
        await served.refuses()
        os.killpg(served.process.pid, signal.SIGTERM)
        await served.refuses()
        house.gate.open()
        assert (await held).status_code == 200
        await served.end()

    assert house.recorded()["clean"] == 1


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
async def test_a_second_sigint_ends_at_once(server: str, house: House) -> None:
    """Who presses Ctrl+C twice does not wait for the time limit."""
    async with house.serve(server) as served:
        held = asyncio.create_task(served.client.get("/hold"))
        await house.gate.holds(1)
        served.tell(signal.SIGINT)
        await served.refuses()
        served.tell(signal.SIGINT)
        await asyncio.wait_for(served.end(), PATIENCE / 3)
        await asyncio.gather(held, return_exceptions=True)

    assert house.recorded()["timeout"] == 1


@every_server
async def test_sigterm_during_the_start_ends_the_process(server: str, house: House) -> None:
    """It does not begin to serve first and wait for the next signal."""
    async with house.serve(server, ready=False, DRAINED_SLOW_START="1") as served:
        await house.gate.holds(1)
        served.tell(signal.SIGTERM)
        house.gate.open()
        await served.end()

    assert house.recorded()["clean"] == 1


async def test_a_drain_that_is_killed_counts_as_one_that_ran_out_of_time(house: House) -> None:
    """Who kills after ten seconds what was promised thirty finds it in the figures of the next start."""
    async with house.serve("uvicorn") as served:
        held = asyncio.create_task(served.client.get("/hold"))
        await house.gate.holds(1)
        served.tell(signal.SIGTERM)
        await served.refuses()
        served.tell(signal.SIGKILL)
        await served.end()
        await asyncio.gather(held, return_exceptions=True)
    async with house.serve("uvicorn") as served:
        page = (await served.client.get("/metrics")).text

    assert 'uptime_shutdowns_total{app="drained",result="timeout"} 1.0' in page


async def test_a_blocked_event_loop_does_not_hide_it(house: House) -> None:
    """The drain cannot begin where the loop stands still; that the process was told to end is known."""
    async with house.serve("uvicorn") as served:
        blocked = asyncio.create_task(served.client.get("/block"))
        await house.gate.holds(1)
        served.tell(signal.SIGTERM)
        await eventually(house.is_draining)
        served.tell(signal.SIGKILL)
        await served.end()
        await asyncio.gather(blocked, return_exceptions=True)
    async with house.serve("uvicorn") as served:
        page = (await served.client.get("/metrics")).text

    assert 'uptime_shutdowns_total{app="drained",result="timeout"} 1.0' in page


async def test_what_hypercorns_master_cuts_off_is_not_clean(house: House) -> None:
    """Its workers hear of no signal; the record says what became of the requests."""
    async with house.serve("hypercorn with workers") as served:
        held = asyncio.create_task(served.client.get("/hold"))
        await house.gate.holds(1)
        served.tell(signal.SIGTERM)
        await asyncio.gather(held, return_exceptions=True)
        await served.end()

    assert house.recorded()["timeout"] == 1


async def test_the_exporter_records_its_own_end(tmp_path: Path) -> None:
    """Beside its ledger; the next start goes on from there."""
    ledger = tmp_path / "uptime.db"
    record = tmp_path / "uptime.shutdowns.json"
    for clean in (1, 2):
        async with exporter("--ledger", str(ledger), "--config", str(_settings(tmp_path))) as running:
            running.tell(signal.SIGTERM)
            assert await running.end() == 0
        assert json.loads(record.read_text())["clean"] == clean


def _settings(folder: Path) -> Path:
    path = folder / "uptime.yaml"
    target = {"kind": "http", "url": f"http://127.0.0.1:{closed_port()}/"}
    path.write_text(json.dumps({"targets": {"a": target}}))
    return path


async def test_workers_share_a_record(house: House) -> None:
    """Each worker's drain is counted, and none is lost when they end together."""
    async with house.serve(
        "gunicorn", ready=False, GUNICORN_CMD_ARGS="--workers=3", DRAINED_SLOW_START="1"
    ) as served:
        await house.gate.holds(3)
        house.gate.open()
        served.tell(signal.SIGTERM)
        await served.end()

    assert house.recorded()["clean"] == 3


async def test_prometheus_learns_of_a_timeout_after_the_restart(house: House) -> None:
    """The process took its last sample along; the next one tells, and the alert fires."""
    port = closed_port()
    firing = 'ALERTS{alertname="UptimeShutdownTimeout",alertstate="firing"}'
    timeouts = 'uptime_shutdowns_total{result="timeout"}'
    async with prometheus(house.folder, f"127.0.0.1:{port}", rules=RULES) as server:
        async with house.serve("uvicorn", limit=0.5, port=port) as served:
            await eventually(lambda: server.vector(f"{timeouts} == 0", at_least=1))
            endless = asyncio.create_task(served.client.get("/hold"))
            await house.gate.holds(1)
            served.tell(signal.SIGTERM)
            await asyncio.gather(endless, return_exceptions=True)
            await served.end()
        assert await server.query(firing) == []
        async with house.serve("uvicorn", port=port):
            await eventually(lambda: server.vector(f"{timeouts} == 1", at_least=1))
            (alert,) = await eventually(lambda: server.vector(firing, at_least=1))

    assert alert[0]["app"] == "drained"
