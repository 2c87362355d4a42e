"""The main backend as a part of the demo: a process of its own, which can be killed and replaced."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from uptime_exporter.demo.backend import MEANINGS, Condition, Neighbours
from uptime_exporter.demo.backend_process import HAND_OVER, READY
from uptime_exporter.demo.listener import LOOPBACK
from uptime_exporter.errors import UptimeError

DOWN, RESTART = "down", "restart"

SWITCHES: Mapping[str, str] = {
    Condition.UP: MEANINGS[Condition.UP],
    DOWN: "killed: connection refused",
    **{word: meaning for word, meaning in MEANINGS.items() if word is not Condition.UP},
    RESTART: "replaced: the new process listens before the old one ends what it has begun",
}

STARTUP = 30.0
"""Seconds that a new process may take until it listens."""

LEAVING = 5.0
"""Seconds that it gets at the end of the demo."""


class BackendError(UptimeError):
    """The backend does not start; the message says why."""


class _Process:
    """One process of the backend."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, command: Sequence[str], listening: socket.socket, environment: Mapping[str, str]
    ) -> "_Process":
        """Run until it says that it listens."""
        process = await asyncio.create_subprocess_exec(
            *command,
            f"--inherited={listening.fileno()}",
            pass_fds=[listening.fileno()],
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the demo, which ends it in good order
        )
        started = cls(process)
        try:
            async with asyncio.timeout(STARTUP):
                await started._heard()
        except BaseException:
            await started.kill()
            raise
        return started

    async def _heard(self) -> None:
        assert self._process.stdout  # noqa: S101 - it is a pipe
        if (await self._process.stdout.readline()).decode().strip() != READY:
            raise BackendError("the main backend does not start; its log says why")

    def say(self, line: str) -> None:
        """Send it a line; one that has died hears nothing."""
        assert self._process.stdin  # noqa: S101 - it is a pipe
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(f"{line}\n".encode())

    def retire(self) -> None:
        """Let it end what it has begun; another one listens by now."""
        self.say(HAND_OVER)

    def end(self) -> None:
        """Tell it to end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    async def kill(self) -> None:
        """End it without warning."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self.gone()

    async def gone(self) -> None:
        """Wait until it has ended."""
        assert self._process.stdin  # noqa: S101 - it is a pipe
        await self._process.wait()
        self._process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.wait_closed()


class BackendPart:
    """Switches the backend from one condition to the next.

    Attributes:
        present: How it is now; one of `switches`.
        port: Where it listens.

    """

    name = "main_backend"
    switches = SWITCHES

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], port: int) -> None:
        self.present: str = DOWN
        self.port = port
        self._command = command
        self._environment = environment
        self._listening: socket.socket | None = None
        self._process: _Process | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._retired: set[_Process] = set()
        self._switching = asyncio.Lock()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{LOOPBACK}:{self.port}"

    async def switch(self, word: str) -> None:
        """Be as *word*, one of `switches`, says.

        Raises:
            BackendError: It does not start.

        """
        async with self._switching:
            if word == DOWN:
                await self._kill()
            elif self._process is None:
                await self._start()
            elif word == RESTART:
                await self._replace()
            if self._process is not None and word in MEANINGS:
                self._process.say(word)
                self.present = word

    async def close(self) -> None:
        """End all of it: in good order if that is soon, else without warning."""
        if self._process is not None:
            self._process.end()
            self._retire(self._process)
            self._process = None
        self._close_listener()
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=LEAVING)
        await asyncio.gather(*(process.kill() for process in self._retired))

    async def _kill(self) -> None:
        self._close_listener()
        if self._process is not None:
            await self._process.kill()
            self._process = None
        self.present = DOWN

    async def _start(self) -> None:
        self._listening = self._listening or self._bound()
        try:
            self._process = await _Process.start(self._command, self._listening, self._environment)
        except (TimeoutError, BackendError) as error:
            self._close_listener()
            raise BackendError(str(error) or "the main backend does not start in time") from error
        self.present = Condition.UP

    async def _replace(self) -> None:
        former = self._process
        await self._start()
        if former is not None:
            former.retire()
            self._retire(former)

    def _retire(self, process: _Process) -> None:
        self._retired.add(process)
        task = asyncio.create_task(self._see_off(process))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _see_off(self, process: _Process) -> None:
        await process.gone()
        self._retired.discard(process)

    def _bound(self) -> socket.socket:
        try:
            listening = socket.create_server((LOOPBACK, self.port), backlog=1024)
        except OSError as error:
            raise BackendError(f"cannot listen on {self.address}: {error.strerror}") from error
        self.port = listening.getsockname()[1]
        return listening

    def _close_listener(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None


@asynccontextmanager
async def backend(
    neighbours: Neighbours, folder: Path, *, port: int = 8000, shutdown_timeout: float = 30.0
) -> AsyncIterator[BackendPart]:
    """Run the backend for the time of a block, with what lasts of it in *folder*.

    Raises:
        BackendError: It does not start.

    """
    part = BackendPart(
        [
            *(sys.executable, "-m", "uptime_exporter.cli", "demo", "serve", BackendPart.name),
            f"--record={folder / 'shutdowns.json'}",
            f"--shutdown-timeout={shutdown_timeout}",
        ],
        {**os.environ, **variables(neighbours)},
        port,
    )
    try:
        await part.switch(Condition.UP)
        yield part
    finally:
        await part.close()


def variables(neighbours: Neighbours) -> Mapping[str, str]:
    """Return the environment that tells a process of its neighbours: arguments, everybody can see."""
    database = f"{neighbours.mysql_host}:{neighbours.mysql_port}" if neighbours.mysql_host else ""
    return {
        "DEMO_MODEL_SERVER": neighbours.model_server,
        "DEMO_ASR_OCR_SERVER": neighbours.asr_ocr_server,
        "DEMO_MYSQL": database,
        "DEMO_MYSQL_USER": neighbours.mysql_user,
        "DEMO_MYSQL_PASSWORD": neighbours.mysql_password,
    }
