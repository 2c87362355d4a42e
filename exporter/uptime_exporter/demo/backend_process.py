"""The main backend as a process: it serves until it is told to end, and hands its listener over before."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

import uvicorn

from uptime_exporter import logs
from uptime_exporter.demo.backend import MEANINGS, Faults, Neighbours, create_backend
from uptime_exporter.demo.control import Control
from uptime_exporter.errors import ListenError

HAND_OVER = "hand over"
"""The line that tells a process to end, because another one has taken its place at the listener."""

READY = "ready"
"""The line with which a process says that it accepts connections."""

GRACE = 0.3
"""Seconds from taking no new connection to letting go of those on which nobody has asked anything yet."""

_log = logs.get("demo")


class BackendFaults:
    """The faults of a backend that runs by itself, as a part of the control.

    Attributes:
        address: Host and port.

    """

    name = "main_backend"
    switches: Mapping[str, str] = MEANINGS

    def __init__(self, faults: Faults, address: str) -> None:
        self.address = address
        self._faults = faults

    @property
    def present(self) -> str:
        """How it is now."""
        return self._faults.present

    async def switch(self, word: str) -> None:
        """Be as *word* says."""
        self._faults.switch(word)


class _Server(uvicorn.Server):
    """Uvicorn, which says when it is ready, and can leave its listener to another process."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if not self.should_exit:
            await self._ready()

    async def hand_over(self) -> None:
        """Accept nothing more, and let go of connections on which nothing is under way."""
        # A server that is closed loses whom it has accepted in the same turn of the loop: first it stops listening.
        for server in self.servers:
            for sock in server.sockets:
                asyncio.get_running_loop().remove_reader(sock.fileno())
        await asyncio.sleep(GRACE)
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


async def serve_backend(
    neighbours: Neighbours,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    control_port: int = 8009,
    control_names: Collection[str] = (),
    record: Path | None = None,
    shutdown_timeout: float = 30.0,
    check_interval: float = 30.0,
    inherited: int | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        neighbours: What the backend calls.
        host: The address on which it and its control listen.
        port: 0 for any.
        control_port: Of its control; 0 for any.
        control_names: What a caller of the control may call this machine, beside localhost.
        record: The file in which the results of its shutdowns last.
        shutdown_timeout: Seconds that requests in flight get at the end.
        check_interval: Seconds from one of its own checks to the next.
        inherited: The file descriptor of a listening socket, from a parent that switches faults by lines on
            standard input; then there is no control.

    Raises:
        ListenError: A port cannot be had.

    """
    faults = Faults()
    app = create_backend(
        neighbours, faults, record=record, shutdown_timeout=shutdown_timeout, check_interval=check_interval
    )
    listening = _listening(host, port) if inherited is None else socket.socket(fileno=inherited)
    address = "{}:{}".format(*listening.getsockname()[:2])
    control = Control([BackendFaults(faults, address)], port=control_port, host=host, names=control_names)
    obeying: list[asyncio.Task[None]] = []

    async def ready() -> None:
        if inherited is None:
            await control.listener.open()
            _log.info("serving", target=BackendFaults.name, address=address, control=control.listener.address)
        else:
            obeying.append(asyncio.create_task(_obey(server, faults)))
            print(READY, flush=True)  # noqa: T201 - to the parent

    # No limit of its own: the drain has one, and says afterwards what became of it.
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"), ready)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, lambda *_: None
        )  # what uvicorn raises again when it has ended: that was well done
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in obeying:
            task.cancel()
        await control.listener.close()
        listening.close()


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise ListenError(f"cannot listen on {host}:{port}: {why}; see who does: ss -ltnp") from error


async def _obey(server: _Server, faults: Faults) -> None:
    """Do what the parent says, line by line; without a parent there is nobody to serve for."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := (await reader.readline()).decode().strip():
            if line == HAND_OVER:
                await server.hand_over()
                signal.raise_signal(signal.SIGTERM)
            else:
                faults.switch(line)
        signal.raise_signal(signal.SIGTERM)
    finally:
        with contextlib.suppress(OSError):
            pipe.close()
