"""The whole demo: stand-ins, a private database, and the control over them."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from uptime_exporter.demo.backend import Neighbours
from uptime_exporter.demo.backend_part import BackendPart, backend
from uptime_exporter.demo.control import Control, Part
from uptime_exporter.demo.database import USER, private_database
from uptime_exporter.demo.listener import LOOPBACK, Listener
from uptime_exporter.demo.load import Load
from uptime_exporter.demo.mysql import Database, DatabasePart
from uptime_exporter.demo.standins import PACE, Pace, StandIn, asr_ocr_server, model_server
from uptime_exporter.errors import UptimeError


class OpenDatabase(Protocol):
    """Runs a database server for the time of a block."""

    def __call__(self, *, port: int, password: str) -> AbstractAsyncContextManager[Database]:
        """Return the block; entering it raises an UptimeError where there can be no server."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What runs, and how to watch and break it."""

    servers: Sequence[StandIn]
    database: DatabasePart | None
    """None where no database server could be started."""
    control: Control
    backend: BackendPart | None = None
    """None where it was not asked for, or does not start."""
    notes: Sequence[str] = ()
    """What is otherwise than was asked for, one line each."""
    database_password: str | None = field(default=None, repr=False)
    """Of the database user of `overrides`; to be kept out of logs."""

    @property
    def parts(self) -> Sequence[Part]:
        """Everything that is watched."""
        more: tuple[Part | None, ...] = (self.database, self.backend)
        return (*self.servers, *(part for part in more if part is not None))

    def overrides(self) -> Mapping[str, object]:
        """Return the settings, nested as in the file, of an exporter that watches exactly this."""
        targets = {server.name: _http_target(server) for server in self.servers}
        if self.database is not None:
            targets[self.database.name] = self._mysql_target(self.database)
        if self.backend is not None:
            url = f"http://{self.backend.address}/reliability"
            targets[self.backend.name] = {"kind": "reliability", "url": url}
        return {"targets": targets, "slas": {"system": {"targets": list(targets)}}}

    def instructions(self, exporter_url: str) -> str:
        """Return what a person wants to read first: where everything is, and what to try.

        Args:
            exporter_url: Where the exporter's page is.

        """
        url = exporter_url.rstrip("/")
        return "\n".join([*self._whereabouts(url), "", *self._experiments(), "", *_questions(url), ""])

    def _whereabouts(self, url: str) -> Sequence[str]:
        width = max(len(part.name) for part in self.parts)
        watched = (f"  {part.name:{width}}  {part.address}" for part in self.parts)
        return [f"The page: {url}/    Metrics: {url}/metrics", "", "It watches", *watched, *self.notes]

    def _experiments(self) -> Sequence[str]:
        tries = [
            (self.control.command("model_server", "down"), "connection refused"),
            (self.control.command("model_server", "up"), "and well again"),
            (self.control.command("asr_ocr_server", "unhealthy"), "HTTP 200, but no model is loaded"),
            (self.control.command("asr_ocr_server", "half"), "some models are missing: degraded"),
        ]
        if self.database is not None:
            tries.append((self.control.command(self.database.name, "paused"), "accepts, then says nothing"))
        if self.backend is not None:
            name = self.backend.name
            tries.append((self.control.command(name, "restart"), "and none of its users notices"))
            tries.append((f"uptime-exporter demo load --url http://{self.backend.address}", "to see that"))
        tries.append((f"curl localhost:{self.control.listener.port}", "all switches, and how each part is"))
        return ["Break something, mend it, and watch the page:", *_commented(tries)]

    def _mysql_target(self, database: DatabasePart) -> Mapping[str, object]:
        return {
            "kind": "mysql",
            "host": LOOPBACK,
            "port": database.port,
            "user": USER,
            "password": self.database_password,
            "expect_writable": True,  # or nobody would see the switch read_only
        }


@asynccontextmanager
async def stand_ins(
    *,
    model_port: int = 8001,
    asr_port: int = 8002,
    mysql_port: int = 3306,
    control_port: int = 8009,
    backend_port: int | None = None,
    backend_timeout: float = 30.0,
    load: float = 2.0,
    open_database: OpenDatabase = private_database,
    pace: Pace = PACE,
) -> AsyncIterator[Demo]:
    """Run everything until the end of the block; then nothing of it is left.

    A port that is taken is replaced by a free one, and the notes say so; 0 means any.

    Args:
        model_port: Of the model server.
        asr_port: Of the ASR/OCR server.
        mysql_port: Of the database.
        control_port: Of the control.
        backend_port: Of the main backend; None: without it.
        backend_timeout: Seconds that its requests in flight get when it ends.
        load: Users of the backend a second, from the start to the end.
        open_database: Runs a database.
        pace: How slow is slow.

    Raises:
        ListenError: No port can be had at all.

    """
    async with AsyncExitStack() as stack:
        servers = (model_server(port=model_port, pace=pace), asr_ocr_server(port=asr_port, pace=pace))
        notes = []
        for server in servers:
            notes += await _opened(stack, server.name, server.listener)
            await server.switch("up")
        password = secrets.token_urlsafe(18)
        database, about_it = await _database(stack, open_database, mysql_port, password)
        notes += about_it
        main_backend, about_it = None, []
        if backend_port is not None:
            around = _neighbours(*servers, database, password)
            main_backend, about_it = await _backend(stack, around, backend_port, backend_timeout)
        notes += about_it
        if main_backend is not None:
            await stack.enter_async_context(_gently_used(main_backend, load))
        parts: tuple[Part | None, ...] = (*servers, database, main_backend)
        control = Control([part for part in parts if part is not None], port=control_port)
        notes += await _opened(stack, "the control", control.listener)
        yield Demo(servers, database, control, main_backend, notes, password if database else None)


async def _opened(stack: AsyncExitStack, name: str, listener: Listener) -> list[str]:
    """Open *listener* for the time of *stack*; return what there is to note."""
    wanted = listener.port
    stack.push_async_callback(listener.close)
    if await listener.open_here_or_elsewhere():
        return []
    return [f"Port {wanted} is not free: {name} listens on {listener.port} instead."]


async def _database(
    stack: AsyncExitStack, open_database: OpenDatabase, wanted: int, password: str
) -> tuple[DatabasePart | None, list[str]]:
    """Run a database for the time of *stack*; return it, if there can be one, and what there is to note."""
    port = wanted if _is_free(wanted) else 0
    try:
        database = await stack.enter_async_context(open_database(port=port, password=password))
    except UptimeError as exc:
        return None, [f"mysql is left out: {exc}."]
    elsewhere = [f"Port {wanted} is not free: mysql listens on {database.port} instead."]
    return DatabasePart(database), elsewhere if database.port != wanted != 0 else []


def _neighbours(model: StandIn, asr: StandIn, database: DatabasePart | None, password: str) -> Neighbours:
    found = Neighbours(model_server=f"http://{model.address}", asr_ocr_server=f"http://{asr.address}")
    if database is None:
        return found
    return replace(
        found, mysql_host=LOOPBACK, mysql_port=database.port, mysql_user=USER, mysql_password=password
    )


async def _backend(
    stack: AsyncExitStack, neighbours: Neighbours, wanted: int, seconds: float
) -> tuple[BackendPart | None, list[str]]:
    """Run the backend for the time of *stack*; return it, if it starts, and what there is to note."""
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="uptime-exporter-backend-")))
    port = wanted if _is_free(wanted) else 0
    try:
        part = await stack.enter_async_context(
            backend(neighbours, folder, port=port, shutdown_timeout=seconds)
        )
    except UptimeError as exc:
        return None, [f"main_backend is left out: {exc}."]
    elsewhere = [f"Port {wanted} is not free: main_backend listens on {part.port} instead."]
    return part, elsewhere if part.port != wanted != 0 else []


@asynccontextmanager
async def _gently_used(part: BackendPart, rate: float) -> AsyncIterator[None]:
    """Let users come to the backend for the time of a block, so that its metrics move."""
    load = asyncio.create_task(Load(f"http://{part.address}", rate=rate).run(), name="gentle load")
    try:
        yield
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _http_target(server: StandIn) -> Mapping[str, object]:
    url = f"http://{server.address}/health"
    return {"kind": "http", "url": url, "expect_json": {"status": ["healthy", "degraded"]}}


def _questions(url: str) -> Sequence[str]:
    questions = [
        (f"curl -s {url}/metrics | grep '^uptime_target_up'", "1 up, 0 down"),
        (f"curl -s {url}/reliability", "circuits and latest checks"),
    ]
    return ["Ask what it has seen:", *_commented(questions), "", "Ctrl-C ends all of it."]


def _commented(commands: Sequence[tuple[str, str]]) -> Sequence[str]:
    width = max(len(command) for command, _ in commands)
    return [f"  {command:{width}}  # {comment}" for command, comment in commands]
