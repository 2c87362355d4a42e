"""Database servers for tests: real ones with what makes them different, and a fake that says what it is told."""

import asyncio
import contextlib
import os
import shutil
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.x509.oid import NameOID

from support.servers import missing, need
from uptime_exporter.demo.database import PrivateDatabase, ServerProgram, private_database
from uptime_exporter.probes import mysql_packets as packets
from uptime_exporter.settings import Tls

PASSWORD = "p#'ü\\\"§ ß%s"
"""Of the user ``uptime``: all that shells, URLs, SQL and printf trip over."""


def program(kind: str, folder: Path) -> ServerProgram:
    """Return the server program of *kind* (mariadb, mysql), or skip; *folder* is for a script."""
    return _mysql(folder) if kind == "mysql" else ServerProgram.at(need("mariadbd"))


def _mysql(folder: Path) -> ServerProgram:
    if root := os.environ.get("TEST_MYSQL_ROOT"):
        return ServerProgram.at(str(_script_for(Path(root), folder)))
    path = shutil.which("mysqld", path=f"{os.environ['PATH']}:/usr/sbin")
    found = ServerProgram.at(path) if path else None
    if found is None or found.is_mariadb:
        missing("MySQL (TEST_MYSQL_ROOT: the root folder of a system that has it)")
    return found


def _script_for(root: Path, folder: Path) -> Path:
    """Write a script that runs the mysqld of another system's root folder here, with that system's libraries."""
    if not (root / "usr/sbin/mysqld").exists():
        missing(f"{root}/usr/sbin/mysqld (TEST_MYSQL_ROOT)")
    linker = next(root.glob("lib64/ld-linux-*.so.2"))
    libraries = ":".join(map(str, (*root.glob("usr/lib/*-linux-gnu"), root / "usr/lib/mysql/private")))
    share = root / "usr/share/mysql"
    script = folder / "mysqld"
    script.write_text(
        f"#!/bin/sh\nexec {linker} --library-path {libraries} {root}/usr/sbin/mysqld"
        f' "$@" --lc-messages-dir={share} --character-sets-dir={share}/charsets\n'
    )
    script.chmod(0o755)
    return script


@dataclass(frozen=True, slots=True)
class RealServer:
    """A running server, and how to trust it."""

    kind: str
    database: PrivateDatabase
    tls: Tls

    async def status(self, name: str) -> int:
        """Return a global status variable."""
        rows = await self.database.execute(f"SHOW GLOBAL STATUS LIKE '{name}'")
        return int(rows[0][1] or 0)

    async def settled(self) -> None:
        """Wait until the server has noticed that everybody but the one who asks has gone."""
        await eventually(self._is_alone)

    async def _is_alone(self) -> bool:
        return await self.status("Threads_connected") == 1


@contextlib.asynccontextmanager
async def real_server(kind: str, folder: Path) -> AsyncIterator[RealServer]:
    """Run MariaDB with a certificate for 127.0.0.1, or MySQL with the one that it makes itself."""
    options = _certificate(folder) if kind == "mariadb" else []
    async with private_database(
        password=PASSWORD, program=program(kind, folder), options=options
    ) as database:
        if kind == "mariadb":
            tls = Tls(ca_file=folder / "ca.pem")
        else:
            name = _common_name(database.data / "server-cert.pem")
            tls = Tls(ca_file=database.data / "ca.pem", server_name=name)
        yield RealServer(kind, database, tls)


def _certificate(folder: Path) -> Sequence[str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return [f"--ssl-cert={folder / 'cert.pem'}", f"--ssl-key={folder / 'key.pem'}"]


def _common_name(path: Path) -> str:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask again until it holds."""
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110  # asking is what takes the time
            await asyncio.sleep(0)


NONCE = b"abcdefgh12345678ABCD"
HEAR = "hear"
"""A step of a fake server: wait for one packet of the client."""
LEAVE, RESET, STAY = "leave", "reset", "stay"
"""Last steps of a fake server: close the connection, reset it, or wait until the client goes."""
Step = bytes | str


def greeting(
    *,
    version: str = "9.7.4",
    capabilities: int = 0xFFFF_F7FF,
    plugin: str = "mysql_native_password",
    protocol: int = 10,
) -> bytes:
    """Return a server's first packet; these capabilities are all but TLS."""
    low, high = capabilities & 0xFFFF, capabilities >> 16
    return packets.packet(
        0,
        bytes((protocol,))
        + version.encode()
        + b"\0"
        + struct.pack("<I", 7)
        + NONCE[:8]
        + b"\0"
        + struct.pack("<HBHHB", low, 45, 2, high, 21)
        + bytes(10)
        + NONCE[8:]
        + b"\0"
        + plugin.encode()
        + b"\0",
    )


def refusal(code: int, message: str = "no", state: bytes = b"#HY000", sequence: int = 2) -> bytes:
    """Return an error packet."""
    return packets.packet(sequence, b"\xff" + struct.pack("<H", code) + state + message.encode())


def ok(sequence: int = 2) -> bytes:
    """Return the packet that says that all is well."""
    return packets.packet(sequence, bytes.fromhex("00000002000000"))


def answer(*values: str | None) -> bytes:
    """Return a result of one row."""
    row = b"".join(b"\xfb" if v is None else bytes((len(v),)) + v.encode() for v in values)
    end = bytes.fromhex("fe00000200")
    parts = [bytes((len(values),)), *[b"\x03def"] * len(values), end, row, end]
    return b"".join(packets.packet(1 + i, part) for i, part in enumerate(parts))


@dataclass
class FakeServer:
    """Goes through its steps with every client."""

    steps: Sequence[Step]
    port: int = 0
    heard: list[bytes] = field(default_factory=list)
    accepted: asyncio.Event = field(default_factory=asyncio.Event)
    deserted: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client."""
        self.accepted.set()
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            for step in self.steps:
                await self._take(step, reader, writer)
        self.deserted.set()

    async def _take(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match step:
            case bytes():
                writer.write(step)
                await writer.drain()
            case "hear":
                size = int.from_bytes((await reader.readexactly(4))[:3], "little")
                self.heard.append(await reader.readexactly(size))
            case "stay":
                await reader.read()
            case "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@contextlib.asynccontextmanager
async def fake_server(*steps: Step) -> AsyncIterator[FakeServer]:
    """Run a server that goes through *steps* with every client."""
    fake = FakeServer(steps)
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0) as server:
        fake.port = server.sockets[0].getsockname()[1]
        yield fake
