"""README's first command, as somebody runs it who has just cloned the project."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.process import PATIENCE, clean_environment, eventually
from support.prometheus import prometheus
from support.servers import need

ROOT = Path(__file__).parents[2]
QUICK = {"UPTIME_INTERVAL": "2", "UPTIME_TIMEOUT": "0.5", "UPTIME_RETRY_BACKOFF": "0.05"}
"""Beats of two seconds, so that nobody waits for half a minute."""


@dataclass
class Running:
    """What `make run` has printed, and where it listens."""

    printed: str
    exporter: str
    control: str

    def metrics(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://{self.exporter}", trust_env=False)

    async def ups(self) -> dict[str, float]:
        async with self.metrics() as client:
            text = (await client.get("/metrics")).text
        found = re.findall(r'^uptime_target_up\{target="(\w+)"\} (\S+)$', text, flags=re.MULTILINE)
        return {target: float(value) for target, value in found}

    async def when(self, **expected: float) -> bool | None:
        ups = await self.ups()
        return True if ups.items() >= expected.items() else None


@asynccontextmanager
async def make_run(log: Path) -> AsyncIterator[Running]:
    """Run it until the end of the block; Ctrl-C ends it, and all of it."""
    errors = log.open("wb")
    process = await asyncio.create_subprocess_exec(
        "make",
        "--no-print-directory",
        "run",
        cwd=ROOT,
        env={**clean_environment(), **QUICK, "UPTIME_LISTEN": "127.0.0.1:0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(PATIENCE):
            printed = (await process.stdout.readuntil(b"Ctrl-C")).decode()
        (exporter,) = re.findall(r"Metrics: http://(\S+)/metrics", printed)
        control = re.findall(r"localhost:(\d+)/model_server/down", printed)[0]
        yield Running(printed, exporter, control)
        os.killpg(process.pid, signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == -signal.SIGINT  # make's way
        assert "msg=stopped result=clean" in log.read_text()
    finally:
        errors.close()
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def shell(command: str) -> None:
    process = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


async def test_make_run_shows_the_targets_and_prometheus_sees_them(tmp_path: Path) -> None:
    """The page, the metrics and a real Prometheus show all four, the database and the backend included."""
    need("mariadbd")
    everything = {"model_server": 1.0, "asr_ocr_server": 1.0, "mysql": 1.0, "main_backend": 1.0}
    async with make_run(tmp_path / "log") as demo:
        await eventually(lambda: demo.when(**everything))
        async with demo.metrics() as client:
            page = (await client.get("/")).text
        assert all(name in page for name in everything)
        async with prometheus(tmp_path, demo.exporter) as server:
            ups = await eventually(lambda: server.vector("uptime_target_up == 1", at_least=4))
            assert {metric["target"] for metric, _ in ups} == set(everything)
            assert [value for _, value in await server.query("up")] == [1.0]
            circuits = 'uptime_circuit_state{app="main_backend",state="closed"} == 1'
            closed = await eventually(lambda: server.vector(circuits, at_least=3))
            assert {metric["circuit"] for metric, _ in closed} == {
                "model_server",
                "asr_ocr_server",
                "database",
            }
            assert "level=warn" not in server.log()


async def test_what_readme_breaks_is_seen_to_break(tmp_path: Path) -> None:
    """The command that README shows takes the model server down, and its opposite brings it back."""
    need("mariadbd")
    (command,) = re.findall(r"^curl -X POST .*$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    async with make_run(tmp_path / "log") as demo:
        await eventually(lambda: demo.when(model_server=1.0))
        here = command.replace("8009", demo.control)
        await shell(here)
        await eventually(lambda: demo.when(model_server=0.0, asr_ocr_server=1.0))
        await shell(here.replace("/down", "/up"))
        await eventually(lambda: demo.when(model_server=1.0))
