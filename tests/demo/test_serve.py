"""One stand-in by itself, as a container runs it."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from demo.asking import ask
from support.badservers import closed_port
from support.process import COMMAND, PATIENCE, clean_environment
from uptime_exporter.cli import main
from uptime_exporter.demo.control import Control
from uptime_exporter.demo.serve import SERVERS


@dataclass
class Serving:
    """A stand-in in a process of its own."""

    process: asyncio.subprocess.Process
    port: int
    control: int


@asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[Serving]:
    """Run ``demo serve`` on free ports until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("demo", "serve", *arguments, "--port", "0", "--control-port", "0"),
        env=clean_environment(),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    try:
        async with asyncio.timeout(PATIENCE):
            ports = None
            while ports is None and (line := (await process.stderr.readline()).decode()):
                ports = re.search(r"address=\S+:(\d+) control=\S+:(\d+)", line)
        assert ports
        yield Serving(process, int(ports[1]), int(ports[2]))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("name", SERVERS)
async def test_it_answers_by_itself_and_can_be_broken(name: str) -> None:
    """As within the whole demo; told to stop, it ends well."""
    async with serving(name) as server:
        well = await ask(server.port)
        switched = await ask(server.control, "POST", f"/{name}/error")
        broken = await ask(server.port)
        server.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(server.process.wait(), PATIENCE)

    assert (well.json["status"], switched.status, broken.status, code) == ("healthy", 200, 500, 0)


async def test_the_main_backend_runs_alone_too() -> None:
    """Its neighbours come from the environment or the options; its control lists what can be broken."""
    at_nobody = ("--model-server", f"http://127.0.0.1:{closed_port()}")
    async with serving("main_backend", *at_nobody) as server:
        reliability = await ask(server.port, path="/reliability", connection="close")
        answer = await ask(server.port, path="/api/summarise", connection="close")
        switched = await ask(server.control, "POST", "/main_backend/error")
        broken = await ask(server.port, path="/api/summarise", connection="close")
        server.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(server.process.wait(), PATIENCE)

    assert list(reliability.json["circuit_breakers"]) == ["model_server", "asr_ocr_server"]
    assert (answer.status, answer.json["why"]) == (200, "ConnectError")
    assert (switched.status, broken.status, code) == (200, 500, 0)


async def test_its_control_answers_to_the_names_that_it_was_given() -> None:
    """A container is called by its name; by any other, nobody gets through."""
    async with serving("model_server", "--control-name", "model-server") as server:
        named = await ask(server.control, path="/", host=f"model-server:{server.control}")
        other = await ask(server.control, path="/", host=f"evil.example:{server.control}")

    assert (named.status, other.status) == (200, 403)


async def test_a_control_without_a_name_answers_to_localhost_only() -> None:
    """What listens for other machines is still no door for them."""
    control = Control([], port=0, host="0.0.0.0")
    await control.listener.open()
    here = await ask(control.listener.port, path="/")
    there = await ask(control.listener.port, path="/", host="model-server")
    await control.listener.close()

    assert (here.status, there.status) == (200, 403)


def test_a_port_that_is_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A container must not go on with another: nobody would find it."""
    code = main(["demo", "serve", "model_server", "--host", "203.0.113.1", "--port", "0"])

    assert code == 2
    assert "cannot listen on 203.0.113.1:0" in capsys.readouterr().err
