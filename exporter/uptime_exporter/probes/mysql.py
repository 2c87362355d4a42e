"""Ask a MySQL or MariaDB server ``SELECT 1``."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace

from uptime_exporter.errors import Inconclusive, ProbeFailure
from uptime_exporter.outcome import UNSEEN, Reason, Seen
from uptime_exporter.probes.dial import Dialler
from uptime_exporter.probes.mysql_client import MysqlClient, Rows
from uptime_exporter.probes.mysql_packets import Greeting
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.stream import PlainStream
from uptime_exporter.probes.text import one_line
from uptime_exporter.probes.tls import TlsClient, TlsStream, earliest_expiry, refused
from uptime_exporter.settings import MysqlTarget

_READ_ONLY_VARIABLES = ("read_only", "innodb_read_only")
"""Either keeps writers out.

``super_read_only`` never goes without the first; replicas of Amazon Aurora set only the second.
"""
_OFF = ("0", "OFF")
_LOOK_SECONDS = 1.0


class MysqlProbe:
    """Logs in on a connection of its own and asks for what costs the server least.

    The user needs no privilege (``USAGE``). Phases: ``resolve``, ``connect`` (up to the server's greeting),
    ``tls``, ``auth``, ``query``.
    """

    def __init__(self, target: MysqlTarget, dialler: Dialler | None = None) -> None:
        """Read the files that ``tls`` names.

        Raises:
            SettingsError: One of them cannot be used.

        """
        self._target = target
        self._dialler = dialler or Dialler()
        self._password = target.password.get_secret_value() if target.password else ""
        self._tls = self._trusting = None
        if target.tls is not None:
            self._tls = TlsClient(target.tls, target.host)
            anybody = replace(target.tls, insecure_skip_verify=True)
            self._trusting = TlsClient(anybody, target.host)
        self._one_at_a_time = asyncio.Lock()

    async def check(self, phases: Phases) -> Seen:
        """Return what was seen if the server let us in and answered; see `Probe.check`."""
        async with self._one_at_a_time:
            sock = await self._dialler.dial(self._target.host, self._target.port, phases)
            with contextlib.closing(sock):
                return await self._converse(sock, phases)

    async def _converse(self, sock: socket.socket, phases: Phases) -> Seen:
        client = MysqlClient(PlainStream(sock), self._target.address)
        with phases.phase("connect"):
            await _greet(client, phases)
        if self._tls is None:
            await self._ask(client, phases)
            return UNSEEN
        with phases.phase("tls"):
            stream = await self._encrypt(client, sock, self._tls, phases)
        seen = Seen(certificate_expires=earliest_expiry(stream.chain))
        try:
            await self._ask(client, phases)
        except ProbeFailure as failure:
            failure.seen = seen
            raise
        return seen

    async def _encrypt(
        self, client: MysqlClient, sock: socket.socket, tls: TlsClient, phases: Phases
    ) -> TlsStream:
        await client.ask_for_tls()
        try:
            stream = await tls.handshake(sock)
        except ssl.SSLCertVerificationError as error:
            phases.on_timeout = Reason.TLS
            chain = await self._look()
            raise refused(error, self._target.address, tls.name, chain) from error
        except OSError as error:
            raise refused(error, self._target.address, tls.name) from error
        client.continue_over(stream)
        return stream

    async def _look(self) -> Sequence[bytes]:
        """Return the chain (DER) of a server whose certificate was refused, as `TlsClient.look` does."""
        with contextlib.suppress(TimeoutError, OSError, ProbeFailure, Inconclusive):
            async with asyncio.timeout(_LOOK_SECONDS):
                return await self._look_on_a_connection_of_its_own()
        return ()

    async def _look_on_a_connection_of_its_own(self) -> Sequence[bytes]:
        sock = await self._dialler.dial(self._target.host, self._target.port, Phases())
        with contextlib.closing(sock):
            client = MysqlClient(PlainStream(sock), self._target.address)
            await client.hear()
            await client.greet()
            await client.ask_for_tls()
            return (await self._trusting.handshake(sock)).chain if self._trusting else ()

    async def _ask(self, client: MysqlClient, phases: Phases) -> None:
        target = self._target
        with phases.phase("auth"):
            await client.log_in(target.user, self._password, encrypted=self._tls is not None)
        with phases.phase("query"):
            question = statement(client.greeting, target.timeout, writable=target.expect_writable)
            try:
                rows = await client.query(question)
            except (ProbeFailure, Inconclusive):
                await client.quit()
                raise
            await client.quit()
            judge(rows, writable=target.expect_writable)


async def _greet(client: MysqlClient, phases: Phases) -> None:
    phases.on_timeout = Reason.NO_GREETING
    await client.hear()
    phases.on_timeout = Reason.TIMEOUT
    await client.greet()


def statement(greeting: Greeting, seconds: float, *, writable: bool) -> str:
    """Return the one statement that is asked, in the server's dialect.

    Args:
        greeting: Tells the dialect.
        seconds: The time after which the server itself gives up, because a client that goes away does not
            stop it.
        writable: Ask for what `judge` needs to know whether the server takes writes.

    """
    columns = ", ".join(["1", *(f"@@global.{name}" for name in _READ_ONLY_VARIABLES if writable)])
    if greeting.is_mariadb:
        return f"SET STATEMENT max_statement_time={seconds:.3f} FOR SELECT {columns}"
    return f"SELECT /*+ MAX_EXECUTION_TIME({max(1, round(seconds * 1000))}) */ {columns}"


def judge(rows: Rows, *, writable: bool) -> None:
    """Accept the answer to `statement`.

    Raises:
        ProbeFailure: protocol or read_only.

    """
    names = _READ_ONLY_VARIABLES if writable else ()
    if len(rows) != 1 or len(rows[0]) != 1 + len(names) or rows[0][0] != "1":
        raise ProbeFailure(Reason.PROTOCOL, "SELECT 1 was not answered with 1")
    on = [f"{name} is {value}" for name, value in zip(names, rows[0][1:], strict=True) if value not in _OFF]
    if on:
        raise ProbeFailure(Reason.READ_ONLY, one_line(f"the server takes no writes: {', '.join(on)}"))
