"""The exporter as its users run it: a process of its own."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import TypeVar

import httpx

COMMAND = (sys.executable, "-m", "uptime_exporter.cli")
WITHOUT_UVLOOP = (
    sys.executable,
    "-c",
    "import sys; sys.modules['uvloop'] = None; from uptime_exporter.cli import main; sys.exit(main())",
)
URL = re.compile(r"url=(http://\S+?)/?(\s|$)")
T = TypeVar("T")

PATIENCE = 30.0
"""Seconds until a test gives up on something that usually takes a moment."""


@dataclass
class Exporter:
    """A running exporter and what it has said so far."""

    process: asyncio.subprocess.Process
    url: str = ""
    lines: list[str] = field(default_factory=list)
    said: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=PATIENCE)

    async def says(self, pattern: str) -> str:
        """Wait for a line that matches, and return it."""
        return (await self._matching(re.compile(pattern))).string

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def end(self) -> int:
        """Wait until it has ended; return its exit code."""
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    async def listen(self) -> None:
        """Take in what it says until its end."""
        assert self.process.stderr
        async for line in self.process.stderr:
            async with self.said:
                self.lines.append(line.decode().rstrip())
                self.said.notify_all()

    async def _matching(self, pattern: re.Pattern[str]) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            return next((match for line in self.lines if (match := pattern.search(line))), None)

        async with asyncio.timeout(PATIENCE), self.said:
            await self.said.wait_for(lambda: found() is not None)
        match = found()
        assert match
        return match


@asynccontextmanager
async def exporter(*arguments: str, **environ: str) -> AsyncIterator[Exporter]:
    """Run the exporter on a free port, wait until it answers, and end it at the end."""
    async with running_as(COMMAND, *arguments, **environ) as running:
        yield running


@asynccontextmanager
async def running_as(command: tuple[str, ...], /, *arguments: str, **environ: str) -> AsyncIterator[Exporter]:
    """Run it by that command."""
    folder = TemporaryDirectory()
    process = await asyncio.create_subprocess_exec(
        *command,
        "run",
        *arguments,
        cwd=folder.name,
        env={**clean_environment(), "UPTIME_LISTEN": "127.0.0.1:0", **environ},
        stderr=asyncio.subprocess.PIPE,
    )
    running = Exporter(process)
    listening = asyncio.create_task(running.listen())
    try:
        line = await running.says(URL.pattern)
        match = URL.search(line)
        assert match
        running.url = match[1]
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening
        folder.cleanup()


def clean_environment() -> dict[str, str]:
    """Return the environment without settings and proxies of whoever runs the tests."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("UPTIME_") and "proxy" not in name.lower()
    }


async def eventually(ask: Callable[[], Awaitable[T | None]]) -> T:
    """Ask until there is an answer; for programs that cannot tell when they are ready."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await ask()) is None:  # noqa: ASYNC110 - another process sets no event here
            await asyncio.sleep(0.05)
        return answer
