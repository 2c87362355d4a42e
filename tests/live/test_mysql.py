"""The MySQL probe against real MariaDB and real MySQL."""

import asyncio
import contextlib
import itertools
import re
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvloop

from support.configured import made
from support.databases import PASSWORD, RealServer, real_server
from uptime_exporter.errors import Inconclusive, ProbeFailure
from uptime_exporter.outcome import UNSEEN, OwnFault, Reason, Seen
from uptime_exporter.probes.dial import AddressInfo, Dialler, system_resolve
from uptime_exporter.probes.mysql import MysqlProbe, statement
from uptime_exporter.probes.mysql_client import MysqlClient
from uptime_exporter.probes.mysql_passwords import PUBLIC_KEY_REQUEST
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.stream import PlainStream
from uptime_exporter.settings import MysqlTarget, Tls


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["mariadb", "mysql"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RealServer]:
    """A server of each make, once for all tests here; each leaves it as it was."""
    async with real_server(request.param, tmp_path_factory.mktemp(request.param)) as real:
        yield real


async def check(server: RealServer, phases: Phases | None = None, **settings: Any) -> Seen:
    """Ask *server* once."""
    target = made(
        MysqlTarget, host="127.0.0.1", port=server.database.port, **({"password": PASSWORD} | settings)
    )
    return await MysqlProbe(target).check(phases or Phases())


README = Path(__file__).parents[2] / "README.md"

_NUMBERS = itertools.count(1)


@contextlib.asynccontextmanager
async def user(server: RealServer, password: str, options: str = "") -> AsyncIterator[str]:
    """Add a user for a while; a new name each time, as servers count connections by name for an hour."""
    name = f"guest_{next(_NUMBERS)}"
    quoted = password.replace("'", "''")
    await server.database.execute(f"CREATE USER {name}@'%' IDENTIFIED BY '{quoted}' {options}")
    try:
        yield name
    finally:
        await server.database.execute(f"DROP USER {name}@'%'")


async def test_a_server_that_answers_is_up(server: RealServer) -> None:
    """It takes no privilege, and each part of the conversation is timed on its own."""
    phases = Phases()

    assert await check(server, phases, expect_writable=True) == UNSEEN
    assert list(phases.seconds) == ["resolve", "connect", "auth", "query"]
    assert phases.on_timeout is Reason.TIMEOUT


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_server_that_answers_is_up_over_uvloop_too(server: RealServer, encrypted: bool) -> None:  # noqa: FBT001
    """Whichever loop there is."""
    tls: dict[str, Any] = {"tls": server.tls} if encrypted else {}

    def ask() -> Seen:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(check(server, **tls))

    assert ((await asyncio.to_thread(ask)).certificate_expires is not None) == encrypted


async def test_the_user_that_readme_makes_gets_in(server: RealServer) -> None:
    """Its statement is all that the database needs."""
    (made,) = re.findall(r"```sql\n(.*?);\n```", README.read_text())
    (password,) = re.findall(r"IDENTIFIED BY '(.*)'", made)
    await server.database.execute(made.replace("uptime@", "readers@"))
    try:
        assert await check(server, user="readers", password=password) == Seen()
    finally:
        await server.database.execute("DROP USER readers@'%'")


@pytest.mark.parametrize("password", ["", "x", "#'ü", "p" * 200, "\t%s;--\u2603"])
async def test_any_password_will_do(server: RealServer, password: str) -> None:
    """Whatever its characters and its length, none at all included."""
    async with user(server, password) as name:
        assert await check(server, user=name, password=password) == UNSEEN


@pytest.mark.parametrize("password", ["not#the'one ü", None])
async def test_a_wrong_password_is_down(server: RealServer, password: str | None) -> None:
    """The reason is auth, and the password stays secret."""
    with pytest.raises(ProbeFailure, match=r"^error 1045: Access denied for user 'uptime'@") as failure:
        await check(server, password=password)

    assert failure.value.reason is Reason.AUTH
    assert "not#the" not in repr(failure.value)


async def test_an_unknown_user_is_down(server: RealServer) -> None:
    """The server does not say whether it is the user or the password; the reason is the same."""
    with pytest.raises(ProbeFailure) as failure:
        await check(server, user="nobody", password="x")

    assert failure.value.reason is Reason.AUTH


async def test_a_locked_account_is_down(server: RealServer) -> None:
    """The reason is auth: the server's administrator has done it, and can undo it."""
    async with user(server, "x", "ACCOUNT LOCK") as name:
        with pytest.raises(ProbeFailure) as failure:
            await check(server, user=name, password="x")

    assert failure.value.reason is Reason.AUTH


async def test_a_read_only_server_is_down_where_writes_are_expected(server: RealServer) -> None:
    """And up where they are not."""
    await server.database.set_read_only(on=True)
    try:
        assert await check(server) == UNSEEN
        with pytest.raises(ProbeFailure, match=r"^the server takes no writes: read_only is 1$") as failure:
            await check(server, expect_writable=True)
    finally:
        await server.database.set_read_only(on=False)

    assert failure.value.reason is Reason.READ_ONLY


async def test_a_full_server_is_down(server: RealServer) -> None:
    """When max_connections is reached, users get no connection either."""
    async with server.database.session() as owner:
        ((before,),) = await owner.query("SELECT @@global.max_connections")
        await owner.query("SET GLOBAL max_connections = 10")  # MariaDB's least
        with contextlib.ExitStack() as crowd:
            for _ in range(10):
                sock = await Dialler().dial("127.0.0.1", server.database.port, Phases())
                crowd.enter_context(contextlib.closing(sock))
                await MysqlClient(PlainStream(sock), "").hear()
            with pytest.raises(ProbeFailure, match=r"^error 1040: Too many connections$") as failure:
                await check(server)
        await owner.query(f"SET GLOBAL max_connections = {before}")

    assert failure.value.reason is Reason.TOO_MANY_CONNECTIONS


async def test_a_user_over_its_quota_says_nothing_about_the_server(server: RealServer) -> None:
    """The quota is the exporter's own; others may well get in."""
    async with user(server, "x", "WITH MAX_CONNECTIONS_PER_HOUR 1") as name:
        await check(server, user=name, password="x")
        with pytest.raises(Inconclusive, match=r"^error 1226: .*; raise this user's limit") as inconclusive:
            await check(server, user=name, password="x")

    assert inconclusive.value.fault is OwnFault.USER_LIMIT


async def test_too_many_connections_of_one_user_say_nothing_about_the_server(server: RealServer) -> None:
    """max_user_connections is the exporter's own limit too."""
    async with (
        user(server, "x", "WITH MAX_USER_CONNECTIONS 1") as name,
        server.database.session(name, "x"),
    ):
        with pytest.raises(Inconclusive) as inconclusive:
            await check(server, user=name, password="x")

    assert inconclusive.value.fault is OwnFault.USER_LIMIT


async def test_a_paused_server_has_no_greeting(server: RealServer) -> None:
    """Its system still accepts connections, so the deadline strikes, and means what it meant just then."""
    phases = Phases()
    await server.database.pause()
    try:
        probing = asyncio.create_task(check(server, phases))
        while phases.on_timeout is not Reason.NO_GREETING:  # noqa: ASYNC110  # nothing here is waited for by time
            await asyncio.sleep(0)
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
    finally:
        await server.database.resume()

    assert phases.current == "connect"
    assert await check(server) == UNSEEN


async def test_tls_with_the_right_authority_is_up(server: RealServer) -> None:
    """The certificate's expiry is seen, and the handshake timed."""
    phases = Phases()
    seen = await check(server, phases, tls=server.tls)

    assert seen.certificate_expires is not None
    assert list(phases.seconds) == ["resolve", "connect", "tls", "auth", "query"]


async def test_a_certificate_of_a_stranger_is_refused(server: RealServer) -> None:
    """Its expiry is seen all the same."""
    expires = (await check(server, tls=server.tls)).certificate_expires
    with pytest.raises(ProbeFailure, match="authority that is not trusted") as failure:
        await check(server, tls={})

    assert failure.value.reason is Reason.TLS
    assert failure.value.seen == Seen(certificate_expires=expires)


async def test_looking_at_a_refused_certificate_turns_no_reason_into_another(server: RealServer) -> None:
    """Should the deadline strike while it is looked at on a second connection, the reason is still tls."""
    looking = asyncio.Event()
    lookups = iter([looking.clear, looking.set])

    async def resolve(host: str, port: int) -> Sequence[AddressInfo]:
        next(lookups)()
        if looking.is_set():
            await asyncio.Event().wait()
        return await system_resolve(host, port)

    phases = Phases()
    target = MysqlTarget(host="127.0.0.1", port=server.database.port, tls=Tls())
    probing = asyncio.create_task(MysqlProbe(target, Dialler(resolve)).check(phases))
    await looking.wait()
    probing.cancel()
    await asyncio.wait([probing])

    assert (phases.current, phases.on_timeout) == ("tls", Reason.TLS)


async def test_a_certificate_for_another_name_is_refused(server: RealServer) -> None:
    """Even if the right authority has signed it."""
    with pytest.raises(ProbeFailure, match="is not for elsewhere") as failure:
        await check(server, tls=Tls(ca_file=server.tls.ca_file, server_name="elsewhere"))

    assert failure.value.reason is Reason.TLS


async def test_verification_can_be_left_out(server: RealServer) -> None:
    """Then any certificate will do."""
    seen = await check(server, tls={"insecure_skip_verify": True})

    assert seen.certificate_expires is not None


async def test_a_failure_after_the_handshake_tells_the_expiry_too(server: RealServer) -> None:
    """A refused password is no reason to lose sight of the certificate."""
    with pytest.raises(ProbeFailure) as failure:
        await check(server, tls=server.tls, password="wrong")

    assert failure.value.reason is Reason.AUTH
    assert failure.value.seen.certificate_expires is not None


async def test_a_user_that_must_use_tls_gets_in_with_it_alone(server: RealServer) -> None:
    """Without it the server refuses, by way of the password."""
    async with user(server, "x", "REQUIRE SSL") as name:
        assert (await check(server, user=name, password="x", tls=server.tls)).certificate_expires
        with pytest.raises(ProbeFailure) as failure:
            await check(server, user=name, password="x")

    assert failure.value.reason is Reason.AUTH


async def test_a_server_that_insists_on_tls_is_down_without_it(server: RealServer) -> None:
    """MySQL says what is wrong, and the message says what to do; MariaDB blames the password."""
    async with server.database.session() as owner:
        await owner.query("SET GLOBAL require_secure_transport = 1")
        try:
            with pytest.raises(ProbeFailure, match=r"^error (3159: .*; set tls|1045: Access .*)$") as failure:
                await check(server)
            assert (await check(server, tls=server.tls)).certificate_expires
        finally:
            await owner.query("SET GLOBAL require_secure_transport = 0")

    assert failure.value.reason is (Reason.TLS if server.kind == "mysql" else Reason.AUTH)


async def test_success_counts_as_no_aborted_connection(server: RealServer) -> None:
    """Administrators watch these counters; a probe must not move them."""
    await server.settled()
    before = [await server.status(name) for name in ("Aborted_clients", "Aborted_connects")]
    for tls in (None, server.tls, None):
        await check(server, tls=tls)
    await server.settled()

    assert [await server.status(name) for name in ("Aborted_clients", "Aborted_connects")] == before


async def test_a_cancelled_probe_leaves_nothing_behind(server: RealServer) -> None:
    """Wherever it was, its connection is gone from the server, and its socket from here."""
    for turns in range(12):
        probing = asyncio.create_task(check(server, tls=server.tls if turns % 2 else None))
        for _ in range(turns):
            await asyncio.sleep(0)
        probing.cancel()
        await asyncio.wait([probing])

    await server.settled()


async def test_the_server_itself_ends_a_statement_that_takes_too_long(server: RealServer) -> None:
    """A client that goes away does not stop it, so the statement carries its own limit."""
    async with server.database.session("uptime", PASSWORD) as client:
        short = statement(client.greeting, 0.05, writable=False)
        endless = re.sub(
            "1$", f"COUNT(*) FROM {', '.join(f'information_schema.collations {x}' for x in 'abcde')}", short
        )
        with pytest.raises(ProbeFailure, match=r"^error (1969|3024): ") as failure:
            await client.query(endless)

    assert failure.value.reason is Reason.QUERY


class Overheard(PlainStream):
    """A stream that keeps what is sent."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.sent: list[bytes] = []

    async def send(self, data: bytes) -> None:
        self.sent.append(data)
        await super().send(data)


async def test_the_first_login_after_a_flush_goes_the_long_way(server: RealServer) -> None:
    """Until MySQL remembers the password, it wants it sealed with its public key; then a scramble is enough."""
    asked = []
    await server.database.execute("FLUSH PRIVILEGES")
    for _ in range(2):
        sock = await Dialler().dial("127.0.0.1", server.database.port, Phases())
        with contextlib.closing(sock):
            stream = Overheard(sock)
            client = MysqlClient(stream, "")
            await client.hear()
            await client.greet()
            await client.log_in("uptime", PASSWORD)
            await client.quit()
        asked.append(any(data[4:] == PUBLIC_KEY_REQUEST for data in stream.sent))

    assert asked == [server.kind == "mysql", False]


async def test_a_flush_makes_no_difference_over_tls(server: RealServer) -> None:
    """There the password itself may be sent, however long it is."""
    async with user(server, "p" * 250) as name:
        await server.database.execute("FLUSH PRIVILEGES")
        assert (await check(server, user=name, password="p" * 250, tls=server.tls)).certificate_expires
