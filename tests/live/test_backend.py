"""The demo's main backend under load, while what it calls fails and it is replaced: the seed's own check."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from support.process import COMMAND, PATIENCE, clean_environment, eventually
from support.servers import need
from uptime_exporter.demo import Demo, Load, stand_ins
from uptime_exporter.demo.backend import Neighbours
from uptime_exporter.demo.backend_part import BackendPart, backend
from uptime_exporter.demo.database import private_database
from uptime_exporter.errors import UptimeError


async def metric(part: BackendPart, line: str) -> str | None:
    """Return the value of a series; None where there is none, or nobody answers."""
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            page = (await client.get(f"http://{part.address}/metrics")).text
        except httpx.TransportError:
            return None
    return next(
        (text.removeprefix(line).strip() for text in page.splitlines() if text.startswith(line)), None
    )


async def shutdowns(part: BackendPart, result: str) -> str | None:
    return await metric(part, f'uptime_shutdowns_total{{app="main-backend",result="{result}"}}')


@asynccontextmanager
async def demo() -> AsyncIterator[Demo]:
    async with stand_ins(
        backend_port=0,
        model_port=0,
        asr_port=0,
        mysql_port=0,
        control_port=0,
        backend_timeout=3.5,  # a call of a server that is silent takes two seconds
        open_database=private_database,
    ) as standing:
        assert standing.notes == []
        yield standing


async def test_users_get_their_answers_whatever_fails() -> None:
    """Both servers and the database are killed, one after the other, and the backend is replaced twice."""
    need("mariadbd")
    async with demo() as standing:
        model, asr, database, part = standing.parts
        assert isinstance(part, BackendPart)
        users = asyncio.create_task(Load(f"http://{part.address}", rate=50).run(8))
        await asyncio.sleep(0.5)
        await model.switch("down")
        await asyncio.sleep(0.5)
        await part.switch("restart")
        await database.switch("down")
        await asr.switch("silent")
        await asyncio.sleep(1)
        await part.switch("hanging")
        await asyncio.sleep(0.5)
        await part.switch("restart")
        await model.switch("up")
        tally = await users
        late = 'uptime_shutdowns_total{app="main-backend",result="timeout"} 1'
        await eventually(lambda: metric(part, late))
        results = {result: await shutdowns(part, result) for result in ("clean", "timeout")}

    assert tally.asked == 400
    assert tally.degraded > 50, "or nothing was down"
    assert tally.kept, tally.told(8)
    assert results == {"clean": "1.0", "timeout": "1.0"}


async def test_nobody_meets_a_process_that_is_about_to_end(tmp_path: Path) -> None:
    """While it waits for its last request, all others go to the new one: they need not even ask twice."""
    async with (
        backend(Neighbours(), tmp_path, port=0, shutdown_timeout=1.0) as part,
        httpx.AsyncClient(base_url=f"http://{part.address}", trust_env=False) as client,
    ):
        await part.switch("hanging")
        hanging = asyncio.create_task(client.get("/api/cases"))
        await eventually(lambda: metric(part, 'uptime_requests_in_flight{app="main-backend"} 2'))
        users = asyncio.create_task(Load(f"http://{part.address}", rate=80).run(3))
        await asyncio.sleep(0.5)
        await part.switch("restart")
        strangers = [
            (await client.get("/health", headers={"Connection": "close"})).status_code for _ in range(30)
        ]
        assert not hanging.done(), "or the old process was gone before anybody could meet it"
        last = await hanging
        tally = await users
        results = await shutdowns(part, "timeout")

    assert (last.status_code, results) == (503, "1.0")
    assert strangers == [200] * 30
    assert (tally.asked, tally.answered) == (240, 240)
    assert tally.attempts - tally.asked <= 3, "a connection that is let go as a request comes may cost one"


async def test_one_that_is_killed_is_missed_and_comes_back_where_it_was(tmp_path: Path) -> None:
    """The check would not be one if it could not fail."""
    async with backend(Neighbours(), tmp_path, port=0) as part:
        before = part.address
        await part.switch("down")
        tally = await Load(f"http://{before}", rate=20, timeout=1.0).run(0.1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", part.port)
        await part.switch("error")
        assert (part.present, part.address) == ("error", before)
        after = await Load(f"http://{before}", rate=20).run(0.1)

    assert (tally.answered, tally.kept) == (0, False)
    assert list(tally.failures) == ["ConnectError"]
    assert after.kept
    assert after.attempts > after.asked


async def test_one_that_does_not_start_is_said() -> None:
    """The demo goes on without it."""
    part = BackendPart([sys.executable, "-c", "pass"], clean_environment(), 0)
    with pytest.raises(UptimeError, match="the main backend does not start; its log says why"):
        await part.switch("up")
    assert part.present == "down"
    await part.close()


async def test_it_ends_with_whoever_has_started_it() -> None:
    """Also where that was killed, and could not say goodbye."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uptime_exporter.cli", "demo", "serve", "main_backend"),
            f"--inherited={listening.fileno()}",
            pass_fds=[listening.fileno()],
            env=clean_environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdin
        assert process.stdout
        assert await asyncio.wait_for(process.stdout.readline(), PATIENCE) == b"ready\n"
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0


@pytest.mark.parametrize(
    ("path", "code", "verdict"),
    [
        ("", 0, "KEPT: uptime under load 100.000 %, promised 99.9 %"),
        ("/nowhere", 1, "NOT KEPT: uptime under load 0.000 %, promised 99.9 %"),
    ],
)
async def test_the_command_says_by_its_exit_code_whether_it_held(
    path: str, code: int, verdict: str, tmp_path: Path
) -> None:
    """A bar is for a terminal: here there is none."""
    async with backend(Neighbours(), tmp_path, port=0) as part:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "demo", "load", "--url", f"http://{part.address}{path}", "--seconds", "0.2"),
            env=clean_environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)

    assert (process.returncode, err) == (code, b"")
    assert out.decode().splitlines()[-1] == verdict
