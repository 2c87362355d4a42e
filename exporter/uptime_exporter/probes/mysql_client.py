"""One short conversation with a MySQL or MariaDB server, and what its errors mean."""

import contextlib
import ssl
from collections.abc import Sequence

from uptime_exporter.errors import Inconclusive, ProbeFailure
from uptime_exporter.outcome import OwnFault, Reason
from uptime_exporter.probes import mysql_packets as packets
from uptime_exporter.probes import mysql_passwords as passwords
from uptime_exporter.probes.dial import from_os_error
from uptime_exporter.probes.mysql_packets import Refusal
from uptime_exporter.probes.stream import Stream
from uptime_exporter.probes.tls import refused

Rows = Sequence[Sequence[str | None]]

ATTRIBUTES = {"program_name": "uptime-exporter"}
"""Shown in performance_schema.session_connect_attrs."""

_MOST_LOGIN_STEPS = 8
"""Packets that a login may take; no plugin needs more than four."""

_MEANINGS: dict[int, Reason | OwnFault] = {
    1040: Reason.TOO_MANY_CONNECTIONS,
    1044: Reason.AUTH,
    1045: Reason.AUTH,
    1053: Reason.CONNECT,  # shutting down: as good as refused
    1129: OwnFault.HOST_BLOCKED,
    1130: Reason.AUTH,
    1135: Reason.TOO_MANY_CONNECTIONS,  # no thread left for one
    1203: OwnFault.USER_LIMIT,
    1226: OwnFault.USER_LIMIT,
    1251: Reason.AUTH,
    1290: Reason.READ_ONLY,
    1524: Reason.AUTH,
    1698: Reason.AUTH,
    1792: Reason.READ_ONLY,
    1820: Reason.AUTH,
    1836: Reason.READ_ONLY,
    1862: Reason.AUTH,
    2061: Reason.AUTH,
    3032: Reason.CONNECT,  # offline mode
    3118: Reason.AUTH,
    3159: Reason.TLS,
    4151: Reason.AUTH,
}
"""Error numbers whose meaning does not depend on when they come.

Sources: dev.mysql.com/doc/mysql-errors/en/server-error-reference.html and
mariadb.com/kb/en/mariadb-error-code-reference.
"""
_REMEDIES = {
    1129: "; run FLUSH HOSTS or TRUNCATE TABLE performance_schema.host_cache there",
    1203: "; raise max_user_connections, or look who else uses this user",
    1226: "; raise this user's limit, or look who else uses it",
    3159: "; set tls",
}


def meaning(refusal: Refusal, otherwise: Reason) -> ProbeFailure | Inconclusive:
    """Say what an error packet means for the target; *otherwise* is for numbers that are not known."""
    detail = f"error {refusal.code}: {refusal.message}{_REMEDIES.get(refusal.code, '')}"
    match _MEANINGS.get(refusal.code, otherwise):
        case OwnFault() as fault:
            return Inconclusive(fault, detail)
        case reason:
            return ProbeFailure(reason, detail)


class MysqlClient:
    """Greeting, login, queries: in this order, and each as far as the server goes along.

    Methods raise `ProbeFailure` or `Inconclusive`, and nothing else. Closing the stream is left to the
    caller.
    """

    __slots__ = ("_address", "_inbox", "_next", "_stream", "greeting")

    def __init__(self, stream: Stream, address: str) -> None:
        """Talk over *stream*; *address* is for messages."""
        self._stream = stream
        self._address = address
        self._inbox = packets.Inbox()
        self._next = 0
        self.greeting = packets.NO_GREETING

    async def hear(self) -> None:
        """Wait until the server has said anything at all."""
        if not (data := await self._receive(Reason.NO_GREETING)):
            raise ProbeFailure(
                Reason.NO_GREETING, f"{self._address} closed the connection without a greeting"
            )
        self._inbox.feed(data)

    async def greet(self) -> None:
        """Read the server's greeting."""
        match packets.read_greeting(await self._read()):
            case Refusal() as refusal:
                raise meaning(refusal, Reason.CONNECT)
            case greeting:
                self.greeting = greeting

    async def ask_for_tls(self) -> None:
        """Have the server wait for a TLS handshake on this connection; see `continue_over`."""
        if not self.greeting.offers_tls:
            raise ProbeFailure(Reason.TLS, f"{self._address} offers no TLS")
        if self._inbox:
            raise packets.malformed(f"{self._address} spoke before TLS could begin")
        await self._write(packets.tls_request(self.greeting))

    def continue_over(self, encrypted: Stream) -> None:
        """Go on over the same connection with TLS on it."""
        self._stream = encrypted

    async def log_in(self, user: str, password: str, *, encrypted: bool = False) -> None:
        """Show the server who we are.

        Args:
            user: Name.
            password: In any characters; may be empty.
            encrypted: Whether the stream is; a full login of caching_sha2_password depends on it.

        """
        plugin, nonce = passwords.first_choice(self.greeting.plugin), self.greeting.nonce
        answer = passwords.answer(plugin, password, nonce)
        await self._write(
            packets.login(
                self.greeting,
                user=user,
                plugin=plugin,
                answer=answer,
                attributes=ATTRIBUTES,
                tls=encrypted,
            )
        )
        for _ in range(_MOST_LOGIN_STEPS):
            reply = await self._read()
            match reply[:1]:
                case packets.OK:
                    return
                case packets.ERROR:
                    raise meaning(packets.read_refusal(reply), Reason.AUTH)
                case packets.END:
                    plugin, nonce = packets.read_switch(reply)
                    await self._write(passwords.answer(plugin, password, nonce))
                case packets.MORE_DATA if plugin == passwords.CACHING_SHA2:
                    await self._go_on(reply[1:], password, nonce, encrypted=encrypted)
                case _:
                    break
        raise packets.malformed(f"{self._address} answered the login with something else")

    async def _go_on(self, said: bytes, password: str, nonce: bytes, *, encrypted: bool) -> None:
        """Take the next step of caching_sha2_password."""
        if said == passwords.FAST_LOGIN:
            return
        if said != passwords.FULL_LOGIN:
            await self._write(passwords.sealed(password, nonce, said))
        elif encrypted:
            await self._write(passwords.in_clear(password))
        else:
            await self._write(passwords.PUBLIC_KEY_REQUEST)

    async def query(self, statement: str) -> Rows:
        """Return the rows that *statement* gives, as text."""
        self._next = 0
        await self._write(packets.QUERY + statement.encode())
        columns = packets.read_column_count(await self._read_result())
        if not columns:
            return ()
        for _ in range(columns):
            await self._read_result()
        if not packets.is_end(await self._read_result()):
            raise packets.malformed(f"{self._address} promised {columns} columns and described more")
        rows: list[Sequence[str | None]] = []
        while not packets.is_end(reply := await self._read_result()):
            rows.append(packets.read_row(reply, columns))
        return rows

    async def quit(self) -> None:
        """Say goodbye, or the server counts the client as aborted; never raises."""
        self._next = 0
        with contextlib.suppress(ProbeFailure, Inconclusive):
            await self._write(packets.QUIT)

    async def _read_result(self) -> bytes:
        reply = await self._read()
        if reply[:1] == packets.ERROR:
            raise meaning(packets.read_refusal(reply), Reason.QUERY)
        return reply

    async def _read(self) -> bytes:
        inbox = self._inbox
        while (payload := inbox.take()) is None:
            if not (data := await self._receive(Reason.PROTOCOL)):
                raise ProbeFailure(Reason.PROTOCOL, f"{self._address} closed the connection halfway")
            inbox.feed(data)
        self._next = inbox.sequence + 1
        return payload

    async def _receive(self, otherwise: Reason) -> bytes:
        try:
            return await self._stream.receive()
        except OSError as error:
            raise self._broken(error, otherwise) from error

    async def _write(self, payload: bytes) -> None:
        try:
            await self._stream.send(packets.packet(self._next, payload))
        except OSError as error:
            raise self._broken(error, Reason.PROTOCOL) from error
        self._next += 1

    def _broken(self, error: OSError, otherwise: Reason) -> ProbeFailure | Inconclusive:
        if isinstance(error, ssl.SSLError):  # its numbers are OpenSSL's, not the system's
            return refused(error, self._address, "")
        return from_os_error(error, self._address, otherwise)
