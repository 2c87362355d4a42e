"""The private database server, with the MariaDB that is installed."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from pathlib import Path

import pytest

from support.configured import made
from support.servers import need
from uptime_exporter.demo.database import (
    DatabaseError,
    PrivateDatabase,
    ServerProgram,
    literal,
    private_database,
)
from uptime_exporter.demo.mysql import DatabasePart
from uptime_exporter.errors import ProbeFailure
from uptime_exporter.outcome import Reason
from uptime_exporter.probes.mysql import MysqlProbe
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.settings import MysqlTarget

PASSWORD = "it's \\ ü"


@pytest.fixture
def mariadb() -> ServerProgram:
    """The installed MariaDB."""
    return ServerProgram.at(need("mariadbd"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders go; fails a test after which one of them is left."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


async def probe(database: PrivateDatabase, **settings: bool) -> None:
    """Ask *database* as the exporter does."""
    values = {"host": "127.0.0.1", "port": database.port, "password": PASSWORD, **settings}
    target = made(MysqlTarget, **values)
    await MysqlProbe(target).check(Phases())


def commands(word: str) -> list[str]:
    """Return the command lines of all processes whose command line has *word* in it."""
    lines = map(_text, Path("/proc").glob("[0-9]*/cmdline"))
    return [line for line in lines if word in line]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


async def test_it_runs_while_it_is_needed(mariadb: ServerProgram, folder: Path) -> None:
    """Its user can log in and nothing else; afterwards neither process nor folder is left."""
    async with private_database(password=PASSWORD, program=mariadb) as database:
        await probe(database, expect_writable=True)
        grants = await database.execute("SHOW GRANTS FOR uptime")
        assert len(commands(str(folder))) == 1
        assert commands(PASSWORD) == []

    assert [str(row[0]).split(" IDENTIFIED")[0] for row in grants] == ["GRANT USAGE ON *.* TO `uptime`@`%`"]
    assert commands(str(folder)) == []


async def test_it_disturbs_no_neighbour(
    mariadb: ServerProgram, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB clears temporary tables away when it starts; those of another server are not its own."""
    shared = tmp_path_factory.mktemp("shared")
    theirs = shared / "#sql-temptable-1-1-1.MAI"
    theirs.touch()
    monkeypatch.setenv("TMPDIR", str(shared))
    async with private_database(password=PASSWORD, program=mariadb):
        pass

    assert theirs.exists()


async def test_it_can_be_hurt_and_mended(mariadb: ServerProgram) -> None:
    """Each verb does to the server what its name says, and can be undone; the address stays."""
    async with private_database(password=PASSWORD, program=mariadb) as database:
        patient = DatabasePart(database)
        await patient.switch("read_only")
        assert await reason(probe(database, expect_writable=True)) is Reason.READ_ONLY
        await patient.switch("up")
        await probe(database, expect_writable=True)

        await patient.switch("down")
        assert await reason(probe(database)) is Reason.CONNECT
        await patient.switch("paused")
        await patient.switch("up")
        await probe(database)

        await database.pause()
        await database.stop()
        assert await reason(probe(database)) is Reason.CONNECT
        await database.start()
        await probe(database)


async def reason(probing: Awaitable[None]) -> Reason:
    """Return why a probe found its target down."""
    with pytest.raises(ProbeFailure) as failure:
        await probing
    return failure.value.reason


async def test_it_goes_when_its_user_fails(mariadb: ServerProgram, folder: Path) -> None:
    """A paused one too."""
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # what is raised inside is the point
        async with private_database(password=PASSWORD, program=mariadb) as database:
            await database.pause()
            raise ZeroDivisionError

    assert commands(str(folder)) == []


async def _run(mariadb: ServerProgram) -> None:
    async with private_database(password=PASSWORD, program=mariadb):
        await asyncio.Event().wait()


@pytest.mark.parametrize("option", ["--bootstrap", "--port"])
async def test_it_goes_when_it_is_cancelled(mariadb: ServerProgram, folder: Path, option: str) -> None:
    """While its data is being set up, or while it starts."""
    running = asyncio.create_task(_run(mariadb))
    while not any(option in command for command in commands(str(folder))):  # noqa: ASYNC110  # looking takes the time
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])

    assert running.cancelled()
    assert commands(str(folder)) == []


async def test_a_port_that_is_taken_is_said(mariadb: ServerProgram) -> None:
    """With the server's own words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DatabaseError, match=r"ended at once: .*[Bb]ind on TCP/IP port"):
            async with private_database(port=port, password=PASSWORD, program=mariadb):
                pass


async def test_a_data_folder_that_cannot_be_set_up_is_said(mariadb: ServerProgram) -> None:
    """A program that fails at it says why; nothing is left."""
    broken = ServerProgram(need("false"), is_mariadb=False)
    with pytest.raises(DatabaseError, match="false could not set up its data"):
        async with private_database(password=PASSWORD, program=broken):
            pass
    del mariadb


def test_a_program_that_does_not_run_is_said() -> None:
    """Before anything else is tried."""
    with pytest.raises(DatabaseError, match=r"^/nowhere/mysqld does not run: "):
        ServerProgram.at("/nowhere/mysqld")


async def test_no_program_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the command that helps."""
    monkeypatch.setattr("uptime_exporter.demo.database._PATH", str(tmp_path))

    assert ServerProgram.find() is None
    with pytest.raises(DatabaseError, match=r"apt-get install mariadb-server-core$"):
        async with private_database(password=PASSWORD):
            pass


PARENT = """
import asyncio, sys
from uptime_exporter.demo.database import private_database

async def main():
    async with private_database(password="x") as database:
        print((database.data / "mysql.pid").read_text().strip(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_it_does_not_outlive_its_parent(
    mariadb: ServerProgram, end: signal.Signals, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Not even one that had no chance to say goodbye."""
    del mariadb
    environment = {**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("parent"))}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as parent:
        assert parent.stdout is not None
        server = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(end)
        ended, _, _ = select.select([server], [], [], 30)
        os.close(server)

    assert ended == [server]


def test_a_literal_holds_any_text() -> None:
    """Quotes and backslashes included."""
    assert literal("it's \\ ü") == r"'it''s \\ ü'"
