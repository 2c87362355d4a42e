"""The MySQL probe against servers that no honest installation will play."""

import asyncio
import os
import socket
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from support.configured import made
from support.databases import (
    HEAR,
    LEAVE,
    NONCE,
    RESET,
    STAY,
    Step,
    answer,
    fake_server,
    greeting,
    ok,
    refusal,
)
from uptime_exporter.errors import Inconclusive, ProbeFailure
from uptime_exporter.outcome import UNSEEN, OwnFault, Reason, Seen
from uptime_exporter.probes import mysql_packets as packets
from uptime_exporter.probes import mysql_passwords as passwords
from uptime_exporter.probes.dial import Dialler
from uptime_exporter.probes.mysql import MysqlProbe, judge, statement
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.settings import MysqlTarget

pytestmark = pytest.mark.usefixtures("leaves_nothing")

LOGGED_IN: tuple[Step, ...] = (greeting(), HEAR, ok(), HEAR)
PEM = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
ELLIPTIC_KEY = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*PEM)
RSA_KEY = rsa.generate_private_key(65537, 2048).public_key().public_bytes(*PEM)
CACHING = greeting(plugin=passwords.CACHING_SHA2)


async def check(port: int, phases: Phases | None = None, **settings: Any) -> Seen:
    """Ask the server at *port* once."""
    target = made(MysqlTarget, host="127.0.0.1", port=port, **({"password": "hunter2"} | settings))
    return await MysqlProbe(target).check(phases or Phases())


async def test_what_the_fake_says_is_understood() -> None:
    """The fake's good side: up, and the server hears a statement and a goodbye."""
    async with fake_server(*LOGGED_IN, answer("1"), HEAR, STAY) as server:
        assert await check(server.port) == UNSEEN
        await server.deserted.wait()

    assert server.heard[1:] == [b"\x03SELECT /*+ MAX_EXECUTION_TIME(5000) */ 1", b"\x01"]


@pytest.mark.parametrize(
    ("steps", "reason", "words"),
    [
        ([LEAVE], Reason.NO_GREETING, "closed the connection without a greeting"),
        ([RESET], Reason.NO_GREETING, "connection reset by 127.0.0.1"),
        ([greeting()[:20]], Reason.PROTOCOL, "closed the connection halfway"),
        ([b"SSH-2.0-OpenSSH_9.2p1\r\n", STAY], Reason.PROTOCOL, "a packet of 4739923 bytes was announced"),
        ([b"\xff\xff\xff\x00", STAY], Reason.PROTOCOL, "a packet of 16777215 bytes was announced"),
        ([packets.packet(0, b""), STAY], Reason.PROTOCOL, "a packet ends too soon"),
        ([packets.packet(0, b"\x0a9.7"), STAY], Reason.PROTOCOL, "a packet ends too soon"),
        ([greeting(protocol=9), STAY], Reason.PROTOCOL, "the greeting is of protocol version 9"),
        ([greeting(capabilities=0x8000), STAY], Reason.PROTOCOL, "does not speak the protocol of MySQL 4.1"),
        ([refusal(1040, state=b"", sequence=0)], Reason.TOO_MANY_CONNECTIONS, "error 1040: no"),
        ([refusal(1130, state=b"", sequence=0)], Reason.AUTH, "error 1130: no"),
        ([refusal(1053, sequence=0)], Reason.CONNECT, "error 1053: no"),
        ([refusal(9999, sequence=0)], Reason.CONNECT, "error 9999: no"),
        ([greeting(), HEAR, RESET], Reason.PROTOCOL, "connection reset by 127.0.0.1"),
        ([greeting(), HEAR, refusal(9999), STAY], Reason.AUTH, "error 9999: no"),
        ([greeting(), HEAR, packets.packet(2, b"\xfe"), STAY], Reason.AUTH, "a password of MySQL 4.0"),
        (
            [greeting(), HEAR, packets.packet(2, b"\xfeclient_ed25519\0" + NONCE), STAY],
            Reason.AUTH,
            "the server wants client_ed25519 of this user; give it caching_sha2_password or",
        ),
        (
            [greeting(), HEAR, packets.packet(2, b"\xfemysql_clear_password\0"), STAY],
            Reason.AUTH,
            "the server wants mysql_clear_password of this user",
        ),
        (
            [greeting(), HEAR, *[packets.packet(2, b"\xfemysql_native_password\0" + NONCE)] * 20, STAY],
            Reason.PROTOCOL,
            "answered the login with something else",
        ),
        ([greeting(), HEAR, packets.packet(2, b""), STAY], Reason.PROTOCOL, "something else"),
        ([greeting(), HEAR, packets.packet(2, b"\x01\x04"), STAY], Reason.PROTOCOL, "something else"),
        (
            [CACHING, HEAR, packets.packet(2, b"\x01\x04"), HEAR, packets.packet(4, b"\x01PEM"), STAY],
            Reason.PROTOCOL,
            "the server's public key cannot be read",
        ),
        (
            [CACHING, HEAR, packets.packet(2, b"\x01" + ELLIPTIC_KEY), STAY],
            Reason.PROTOCOL,
            "the server's public key is not one of RSA",
        ),
        ([*LOGGED_IN, refusal(1053), STAY], Reason.CONNECT, "error 1053: no"),
        ([*LOGGED_IN, refusal(1290), STAY], Reason.READ_ONLY, "error 1290: no"),
        ([*LOGGED_IN, refusal(1969), STAY], Reason.QUERY, "error 1969: no"),
        ([*LOGGED_IN, refusal(1064, "a\nb\x1b[31m\0c"), STAY], Reason.QUERY, r"error 1064: a b \[31m c$"),
        ([*LOGGED_IN, packets.packet(1, b"\xfb/etc/passwd"), STAY], Reason.PROTOCOL, "asks for a local file"),
        ([*LOGGED_IN, ok(1), STAY], Reason.PROTOCOL, "SELECT 1 was not answered with 1"),
        ([*LOGGED_IN, answer("2"), STAY], Reason.PROTOCOL, "SELECT 1 was not answered with 1"),
        ([*LOGGED_IN, answer(None), STAY], Reason.PROTOCOL, "SELECT 1 was not answered with 1"),
        ([*LOGGED_IN, answer("1", "1"), STAY], Reason.PROTOCOL, "SELECT 1 was not answered with 1"),
        (
            [*LOGGED_IN, b"".join(packets.packet(1, b"\x01") for _ in range(3)), STAY],
            Reason.PROTOCOL,
            "described more",
        ),
        (
            [*LOGGED_IN, packets.packet(1, b"\xfe" + b"\xff" * 8), packets.packet(2, b"x") * 20_000, STAY],
            Reason.PROTOCOL,
            "more than 65536 bytes were sent",
        ),
    ],
)
async def test_a_bad_server_is_down_for_a_reason(steps: list[Step], reason: Reason, words: str) -> None:
    """At once, without waiting for the deadline, and never with the password in the message."""
    async with fake_server(*steps) as server:
        with pytest.raises(ProbeFailure, match=words) as failure:
            await check(server.port)

    assert failure.value.reason is reason
    assert "hunter2" not in repr(failure.value)


@pytest.mark.parametrize(
    ("code", "fault", "remedy"),
    [
        (1129, OwnFault.HOST_BLOCKED, "run FLUSH HOSTS"),
        (1203, OwnFault.USER_LIMIT, "raise max_user_connections"),
        (1226, OwnFault.USER_LIMIT, "raise this user's limit"),
    ],
)
async def test_what_is_the_exporters_own_fault_is_no_outage(code: int, fault: OwnFault, remedy: str) -> None:
    """These errors concern the exporter's host or user alone; the message says what to do."""
    async with fake_server(refusal(code, "Host is blocked", state=b"", sequence=0)) as server:
        with pytest.raises(Inconclusive, match=remedy) as inconclusive:
            await check(server.port)

    assert inconclusive.value.fault is fault


async def test_a_silent_server_has_no_greeting() -> None:
    """The deadline strikes while nothing has been said, and the probe has said what that means."""
    phases = Phases()
    async with fake_server(STAY) as server:
        probing = asyncio.create_task(check(server.port, phases))
        await server.accepted.wait()
        probing.cancel()
        await asyncio.wait([probing])
        await server.deserted.wait()

    assert (phases.current, phases.on_timeout) == ("connect", Reason.NO_GREETING)


async def test_a_server_that_drips_its_greeting_runs_out_of_time() -> None:
    """It has said something, so the reason is the time."""
    phases = Phases()
    async with fake_server(greeting()[:1], STAY) as server:
        probing = asyncio.create_task(check(server.port, phases))
        while phases.on_timeout is not Reason.NO_GREETING:  # noqa: ASYNC110  # it is about to
            await asyncio.sleep(0)
        while phases.on_timeout is Reason.NO_GREETING:  # noqa: ASYNC110  # the first byte is on its way
            await asyncio.sleep(0)
        probing.cancel()
        await asyncio.wait([probing])
        await server.deserted.wait()

    assert (phases.current, phases.on_timeout) == ("connect", Reason.TIMEOUT)


async def test_a_greeting_may_come_in_pieces() -> None:
    """TCP cuts where it likes."""
    pieces = [greeting()[i : i + 1] for i in range(len(greeting()))]
    async with fake_server(*pieces, HEAR, ok(), HEAR, answer("1"), HEAR, STAY) as server:
        assert await check(server.port) == UNSEEN


async def test_a_server_without_tls_is_down_where_tls_is_wanted() -> None:
    """Nothing is sent to it, the password least of all."""
    async with fake_server(greeting(), STAY) as server:
        with pytest.raises(ProbeFailure, match="offers no TLS") as failure:
            await check(server.port, tls={})
        await server.deserted.wait()

    assert failure.value.reason is Reason.TLS
    assert server.heard == []


@pytest.mark.parametrize("after", [LEAVE, RESET, b"\x15\x03\x01\x00\x02\x02\x28", b"no TLS at all"])
async def test_a_handshake_that_fails_is_down(after: Step) -> None:
    """Whether the server goes, refuses, or speaks something else."""
    async with fake_server(greeting(capabilities=0xFFFF_FFFF), HEAR, after, LEAVE) as server:
        with pytest.raises(ProbeFailure) as failure:
            await check(server.port, tls={})

    assert failure.value.reason is Reason.TLS


async def test_what_comes_before_tls_is_not_believed() -> None:
    """Somebody on the line could have put it there, to be read as if it came from inside."""
    async with fake_server(greeting(capabilities=0xFFFF_FFFF) + ok(), STAY) as server:
        with pytest.raises(ProbeFailure, match="spoke before TLS could begin") as failure:
            await check(server.port, tls={})

    assert failure.value.reason is Reason.PROTOCOL


async def test_a_password_too_long_for_the_servers_key_needs_tls() -> None:
    """Over a plain connection caching_sha2_password can take 213 bytes, with the key that MySQL makes itself."""
    steps: tuple[Step, ...] = (CACHING, HEAR, packets.packet(2, b"\x01" + RSA_KEY), STAY)
    async with fake_server(*steps) as server:
        with pytest.raises(ProbeFailure, match="too long to be sent without TLS; set tls") as failure:
            await check(server.port, password="x" * 214)

    assert failure.value.reason is Reason.AUTH


async def test_a_server_of_unknown_name_is_down() -> None:
    """A resolver has said so."""

    async def nowhere(_: str, __: int) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(ProbeFailure) as failure:
        await MysqlProbe(MysqlTarget(host="db.invalid"), Dialler(resolve=nowhere)).check(Phases())

    assert failure.value.reason is Reason.DNS


async def test_nobody_listens() -> None:
    """The connection is refused."""
    async with fake_server() as server:
        port = server.port
    with pytest.raises(ProbeFailure) as failure:
        await check(port)

    assert failure.value.reason is Reason.CONNECT


async def test_one_probe_is_in_flight() -> None:
    """A second one waits for the first, so that a server in trouble gets no crowd as well."""
    async with fake_server(STAY) as server:
        probe = MysqlProbe(MysqlTarget(host="127.0.0.1", port=server.port))
        first = asyncio.create_task(probe.check(Phases()))
        await server.accepted.wait()
        phases = Phases()
        second = asyncio.create_task(probe.check(phases))
        await asyncio.sleep(0)
        second.cancel()
        first.cancel()
        await asyncio.wait([first, second])
        await server.deserted.wait()

    assert phases.current == ""


@pytest.mark.parametrize(
    ("version", "writable", "expected"),
    [
        ("9.7.4", False, "SELECT /*+ MAX_EXECUTION_TIME(1500) */ 1"),
        (
            "9.7.4",
            True,
            "SELECT /*+ MAX_EXECUTION_TIME(1500) */ 1, @@global.read_only, @@global.innodb_read_only",
        ),
        ("5.5.5-10.11.19-MariaDB-0+deb12u1", False, "SET STATEMENT max_statement_time=1.500 FOR SELECT 1"),
        ("11.8.2-mariadb", False, "SET STATEMENT max_statement_time=1.500 FOR SELECT 1"),
    ],
)
def test_the_statement_is_in_the_servers_dialect(version: str, writable: bool, expected: str) -> None:  # noqa: FBT001
    """Each server limits the time of a statement in its own way."""
    server = packets.read_greeting(greeting(version=version)[4:])

    assert isinstance(server, packets.Greeting)
    assert statement(server, 1.5, writable=writable) == expected


@pytest.mark.parametrize("values", [("0", "0"), ("OFF", "OFF"), ("OFF", "0")])
def test_off_is_said_in_two_ways(values: tuple[str, str]) -> None:
    """As a number, or as a word."""
    judge([["1", *values]], writable=True)


@pytest.mark.parametrize(
    "values", [("1", "0"), ("ON", "OFF"), ("NO_LOCK_NO_ADMIN", "0"), ("0", "1"), (None, "0")]
)
def test_anything_else_is_read_only(values: tuple[str | None, str]) -> None:
    """MariaDB 12 knows more than two; a replica of Aurora says it with its second variable."""
    with pytest.raises(ProbeFailure, match=r"^the server takes no writes: ") as failure:
        judge([["1", *values]], writable=True)

    assert failure.value.reason is Reason.READ_ONLY


@given(st.binary(max_size=200))
def test_no_bytes_break_a_reader(payload: bytes) -> None:
    """Whatever comes is understood or refused, never a bug of ours."""
    for read in (
        packets.read_greeting,
        packets.read_refusal,
        packets.read_switch,
        packets.read_column_count,
        lambda row: packets.read_row(row, 3),
    ):
        try:
            read(payload)
        except ProbeFailure as failure:
            assert failure.reason is Reason.PROTOCOL  # noqa: PT017


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(1, 50)))
def test_packets_survive_any_cutting(payloads: list[bytes], cuts: list[int]) -> None:
    """What goes in as packets comes out as the same packets."""
    stream = b"".join(packets.packet(i, payload) for i, payload in enumerate(payloads))
    inbox, taken = packets.Inbox(), []
    for size in [*cuts, len(stream)]:
        piece, stream = stream[:size], stream[size:]
        inbox.feed(piece)
        while (payload := inbox.take()) is not None:
            taken.append(payload)

    assert taken == payloads


def test_a_password_from_an_environment_that_is_not_utf8_stays_as_it_is() -> None:
    """Python marks such bytes when it reads them; the server gets them unmarked."""
    assert passwords.in_clear(os.fsdecode(b"\xfc#")) == b"\xfc#\0"
