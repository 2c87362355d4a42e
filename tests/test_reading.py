"""The exporter as a process of its own, and the one that reads its settings."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from support.process import COMMAND, PATIENCE, clean_environment, eventually, exporter, running_as

NEVER = {
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "dotenv",
    "yaml",
    "cryptography",
    "importlib.metadata",
}
"""What a run has no use for: it takes more memory than all the rest."""
SAYS_WHAT_IT_HOLDS = (
    sys.executable,
    "-c",
    (
        "import atexit, json, os, sys; from pathlib import Path; from uptime_exporter.cli import main; "
        "atexit.register(lambda: Path(os.environ['HELD']).write_text(json.dumps(sorted(sys.modules)))); "
        "sys.exit(main())"
    ),
)


def write(folder: Path, number: int) -> Path:
    """Write settings with so many targets, which nobody asks before the test is over."""
    target = {"kind": "tcp", "host": "127.0.0.1", "port": 9, "interval": 86_400}
    path = folder / "uptime.yaml"
    path.write_text(json.dumps({"targets": {f"t{n}": target for n in range(number)}}))
    return path


async def reader_of(process: int) -> int | None:
    """Return the process that reads settings for that one."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    children = [int(child) for file in lists for child in file.read_text().split()]
    return next((child for child in children if b"uptime_exporter.settings" in command_line(child)), None)


def command_line(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


async def stopped(process: int) -> int:
    """Return the process that reads settings for that one, and will never be ready."""
    reader = await eventually(lambda: reader_of(process))
    os.kill(reader, signal.SIGSTOP)
    return reader


async def gone(process: int) -> bool | None:
    return None if Path(f"/proc/{process}").exists() else True


async def test_it_holds_nothing_that_only_reads_settings(tmp_path: Path) -> None:
    """Neither at the start nor after a reload."""
    config, held = write(tmp_path, 1), tmp_path / "held"
    async with running_as(SAYS_WHAT_IT_HOLDS, "--config", str(config), HELD=str(held)) as running:
        async with running.client() as client:
            assert "t0" in (await client.get("/metrics")).text
        write(tmp_path, 2)
        running.tell(signal.SIGHUP)
        await running.says("settings reloaded.*targets=2")
        running.tell(signal.SIGTERM)
        assert await running.end() == 0
    modules = set(json.loads(held.read_text()))
    assert "httpx" in modules
    assert modules & NEVER == set()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 128 + 15), (signal.SIGINT, 128 + 2)])
async def test_a_signal_while_it_starts_leaves_nothing(tmp_path: Path, number: int, code: int) -> None:
    """Neither a trace nor a process that reads on for nobody."""
    command = (*COMMAND, "run", "--config", str(write(tmp_path, 1000)), "--listen=127.0.0.1:0")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, env=clean_environment(), stderr=asyncio.subprocess.PIPE
    )
    reader = await stopped(process.pid)
    process.send_signal(number)
    _, said = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert (process.returncode, said) == (code, b"")
    assert await eventually(lambda: gone(reader))


async def test_an_end_in_the_middle_of_a_reload_does_not_wait_for_it(tmp_path: Path) -> None:
    """The drain is all that a supervisor has to give time for."""
    config = write(tmp_path, 1)
    async with exporter("--config", str(config)) as running:
        write(tmp_path, 1000)
        running.tell(signal.SIGHUP)
        reader = await stopped(running.process.pid)
        running.tell(signal.SIGTERM)
        assert await running.end() == 0
        assert await eventually(lambda: gone(reader))
    assert "settings reloaded" not in running.log
    assert "level=error" not in running.log


async def test_a_reload_whose_process_dies_changes_nothing(tmp_path: Path) -> None:
    """It is a mistake like any other: in the log, in the metric, and mended by the next reload."""
    config = write(tmp_path, 1)
    async with exporter("--config", str(config)) as running, running.client() as client:
        write(tmp_path, 1000)
        running.tell(signal.SIGHUP)
        reader = await stopped(running.process.pid)
        os.kill(reader, signal.SIGKILL)
        await running.says("nothing was changed.*ended by signal 9")
        page = (await client.get("/metrics")).text
        assert "uptime_exporter_config_last_reload_successful 0" in page
        write(tmp_path, 2)
        running.tell(signal.SIGHUP)
        await running.says("settings reloaded.*targets=2")
