"""A private MariaDB or MySQL server in a temporary folder, gone without a trace afterwards."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from uptime_exporter.errors import Inconclusive, ProbeFailure, UptimeError
from uptime_exporter.probes.dial import Dialler
from uptime_exporter.probes.mysql_client import MysqlClient, Rows
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.stream import PlainStream

HOST = "127.0.0.1"
USER = "uptime"
_OWNER = "owner"
_PROGRAMS = ("mariadbd", "mysqld")
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
"""Debian puts servers where an ordinary user's PATH does not lead."""
_SMALL = (
    "--innodb-buffer-pool-size=16M",
    "--loose-innodb-log-file-size=8M",
    "--loose-innodb-redo-log-capacity=16M",
    "--innodb-flush-log-at-trx-commit=0",
    "--performance-schema=OFF",
    "--loose-mysqlx=OFF",
    "--skip-log-bin",
)
"""MariaDB and MySQL pass over the options (``loose``) that only the other knows."""
_POLL_SECONDS = 0.05
_ANSWER_SECONDS = 0.5
_STARTUP_SECONDS = 60.0
_LINES_OF_LOG = 5


class DatabaseError(UptimeError):
    """The private server cannot be had; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """An installed server program."""

    path: str
    is_mariadb: bool

    @classmethod
    def find(cls) -> Self | None:
        """Return the one that is installed, if any; MariaDB rather than MySQL."""
        paths = (shutil.which(name, path=_PATH) for name in _PROGRAMS)
        return next((cls.at(path) for path in paths if path), None)

    @classmethod
    def at(cls, path: str) -> Self:
        """Return the program at *path*, which is asked what it is.

        Raises:
            DatabaseError: It does not run.

        """
        try:
            said = subprocess.run([path, "--version"], capture_output=True, check=True, text=True)  # noqa: S603
        except (OSError, subprocess.CalledProcessError) as error:
            raise DatabaseError(f"{path} does not run: {error}") from error
        return cls(path, "mariadb" in said.stdout.lower())

    def initialise(self, data: Path) -> Sequence[str]:
        """Return the command that fills the folder *data*.

        Raises:
            DatabaseError: A program that MariaDB needs for it is missing.

        """
        if not self.is_mariadb:
            return [self.path, *self._options(data), "--initialize-insecure"]
        installer = shutil.which("mariadb-install-db", path=_PATH)
        if installer is None:
            raise DatabaseError("mariadb-install-db is missing; install mariadb-server-core")
        return [installer, *self._options(data), "--auth-root-authentication-method=normal", "--skip-test-db"]

    def serve(self, data: Path, port: int, init_file: Path, options: Sequence[str]) -> Sequence[str]:
        """Return the command that serves the folder *data*."""
        return [
            self.path,
            *self._options(data),
            "--socket=mysql.sock",  # relative to the data: a path of a socket must be shorter than 108 bytes
            "--pid-file=mysql.pid",
            f"--secure-file-priv={data}",  # the packager's choice need not exist
            f"--bind-address={HOST}",
            f"--port={port}",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            f"--init-file={init_file}",
            *options,
        ]

    def _options(self, data: Path) -> Sequence[str]:
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        # A server clears temporary tables away when it starts: in /tmp, those of its neighbours too.
        return ["--no-defaults", f"--datadir={data}", f"--tmpdir={data.parent}", *as_root, *_SMALL]


class PrivateDatabase:
    """A server of one's own; see `private_database`.

    Attributes:
        port: On 127.0.0.1; the same after a restart.
        data: The folder with its data, where MySQL also puts the authority of its certificate (ca.pem).

    """

    def __init__(self, program: ServerProgram, folder: Path, port: int, options: Sequence[str]) -> None:
        self.port = port or _free_port()
        self.data = folder / "data"
        self._program = program
        self._options = options
        self._log = folder / "log"
        self._init_file = folder / "init.sql"
        self._password = secrets.token_urlsafe()
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    async def prepare(self, password: str) -> None:
        """Fill the data folder, with the user ``uptime`` of *password*, who may log in and nothing else.

        Raises:
            DatabaseError: The server program said no.

        """
        self._init_file.touch(mode=0o600)
        self._init_file.write_text(
            f"CREATE USER IF NOT EXISTS {_OWNER}@'%' IDENTIFIED BY {literal(self._password)};\n"
            f"GRANT ALL ON *.* TO {_OWNER}@'%' WITH GRANT OPTION;\n"
            f"CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY {literal(password)};\n"
        )
        self._launch(self._program.initialise(self.data))
        if await self._ended():
            raise DatabaseError(f"{self._program.path} could not set up its data: {self._last_words()}")

    async def start(self) -> None:
        """Run, until the server answers; again after `stop` or `kill`.

        Raises:
            DatabaseError: It does not come up.

        """
        self._launch(self._program.serve(self.data, self.port, self._init_file, self._options))
        try:
            async with asyncio.timeout(_STARTUP_SECONDS):
                while not await self._answers():  # noqa: ASYNC110  # a server tells nobody that it is up
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise DatabaseError(
                f"{self._program.path} is not up after {_STARTUP_SECONDS:g}s: {self._last_words()}"
            ) from error

    async def stop(self) -> None:
        """Let the server end in good order."""
        await self.resume()
        self._signal(signal.SIGTERM)
        await self._ended()

    async def kill(self) -> None:
        """End the server without warning; nothing happens where it does not run."""
        self._signal(signal.SIGKILL)
        await self._ended()

    async def pause(self) -> None:
        """Let the server get no processor time: its system goes on accepting connections in its name."""
        self._signal(signal.SIGSTOP)

    async def resume(self) -> None:
        """Undo `pause`."""
        self._signal(signal.SIGCONT)

    async def set_read_only(self, *, on: bool) -> None:
        """Refuse writes, or take them again."""
        await self.execute(f"SET GLOBAL read_only = {int(on)}")

    async def execute(self, statement: str) -> Rows:
        """Return what *statement* gives, as the server's owner.

        Raises:
            ProbeFailure: The server does not run, or refuses.
            Inconclusive: This machine cannot connect.

        """
        async with self.session() as client:
            return await client.query(statement)

    @contextlib.asynccontextmanager
    async def session(self, user: str = "", password: str = "") -> AsyncIterator[MysqlClient]:
        """Stay logged in for a while: as *user*, or as the server's owner.

        Raises:
            ProbeFailure: The server does not run, or refuses.
            Inconclusive: This machine cannot connect.

        """
        sock = await Dialler().dial(HOST, self.port, Phases())
        with contextlib.closing(sock):
            client = MysqlClient(PlainStream(sock), self.address)
            await client.hear()
            await client.greet()
            await client.log_in(user or _OWNER, password if user else self._password)
            try:
                yield client
            finally:
                await client.quit()

    async def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise DatabaseError(f"{self._program.path} ended at once: {self._last_words()}")
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):  # a stranger on the same port may keep silent
                await self.execute("SELECT 1")
        except (TimeoutError, ProbeFailure, Inconclusive):
            return False
        return True

    def _launch(self, command: Sequence[str]) -> None:
        self.forget()
        # A session of its own keeps the terminal's Ctrl-C away; setpriv ends it even if we are killed.
        leash = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._lifeline, held = os.pipe()
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603
                    [*leash, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._log.parent,
                    pass_fds=[held],
                    start_new_session=True,
                )
        finally:
            os.close(held)

    async def _ended(self) -> int:
        """Wait until the program and all that it has started are gone: nobody holds the other end any more."""
        if self._process is None or self._lifeline is None:
            return 0
        gone, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_reader(self._lifeline, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(self._lifeline)
        return self._process.wait()

    def forget(self) -> None:
        """Let go of a process that has ended."""
        if self._lifeline is not None:
            os.close(self._lifeline)
        self._process = self._lifeline = None

    def _signal(self, number: signal.Signals) -> None:
        """Reach the server, or all that its installation script has started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if "ERROR" in line]
        return "; ".join((errors or lines)[-_LINES_OF_LOG:])


@contextlib.asynccontextmanager
async def private_database(
    *, port: int = 0, password: str, program: ServerProgram | None = None, options: Sequence[str] = ()
) -> AsyncIterator[PrivateDatabase]:
    """Run a server on 127.0.0.1 that disturbs no other, with the user ``uptime``, who has no privilege.

    Args:
        port: TCP port; 0: a free one.
        password: Of the user ``uptime``.
        program: What to run; None: what is installed.
        options: For the server, beside its own.

    Raises:
        DatabaseError: No server program is installed, or it does not come up.

    """
    found = program or await asyncio.to_thread(ServerProgram.find)
    if found is None:
        raise DatabaseError("no MariaDB or MySQL server is installed; apt-get install mariadb-server-core")
    with tempfile.TemporaryDirectory(prefix="uptime-db-", ignore_cleanup_errors=True) as folder:
        database = PrivateDatabase(found, Path(folder), port, options)
        try:
            await database.prepare(password)
            await database.start()
            yield database
        finally:
            await database.kill()
            database.forget()


def literal(text: str) -> str:
    """Return *text* as a string literal of SQL."""
    return "'" + text.replace("\\", r"\\").replace("'", "''") + "'"


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port
