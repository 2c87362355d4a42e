"""Dialling: which fault is whose, and that nothing stays open."""

import asyncio
import errno
import os
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from support.badservers import closed_port, infos, serving, silent
from uptime_exporter.errors import Inconclusive, ProbeFailure
from uptime_exporter.outcome import OwnFault, Reason
from uptime_exporter.probes.dial import AddressInfo, Dialler, from_os_error
from uptime_exporter.probes.protocol import Phases

pytestmark = pytest.mark.usefixtures("leaves_nothing")


class Resolver:
    """Finds what it was told to find, or fails as it was told to fail."""

    def __init__(self, *addresses: tuple[str, int], fails: Exception | None = None) -> None:
        self._found = infos(*addresses)
        self._fails = fails

    async def __call__(self, _host: str, _port: int) -> Sequence[AddressInfo]:
        await asyncio.sleep(0)
        if self._fails:
            raise self._fails
        return self._found


class Sockets:
    """Opens sockets until it is told to fail, with another error for each."""

    def __init__(self, *errors: int) -> None:
        self._errors = list(errors)

    def __call__(self, family: int, kind: int, proto: int) -> socket.socket:
        if self._errors:
            code = self._errors.pop(0)
            raise OSError(code, os.strerror(code))
        return socket.socket(family, kind, proto)


async def dial(dialler: Dialler, port: int = 1) -> Any:
    return await dialler.dial("name.test", port, Phases())


@pytest.mark.parametrize(
    ("error", "verdict", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "?"), Reason.DNS, "the name name.test does not exist"),
        (socket.gaierror(socket.EAI_NODATA, "?"), Reason.DNS, "the name name.test has no address"),
        (
            socket.gaierror(socket.EAI_AGAIN, "?"),
            OwnFault.RESOLVER,
            "the resolver did not answer for name.test",
        ),
        (socket.gaierror(socket.EAI_FAIL, "oh"), OwnFault.RESOLVER, "name.test: the lookup failed (oh)"),
        (socket.gaierror(socket.EAI_SYSTEM, "oh"), OwnFault.RESOLVER, "name.test: the lookup failed (oh)"),
        (socket.gaierror(socket.EAI_MEMORY, "oh"), OwnFault.RESOLVER, "name.test: the lookup failed (oh)"),
        (UnicodeError("label too long"), Reason.DNS, "'name.test' cannot be the name of a host"),
        (
            RuntimeError("can't start new thread"),
            OwnFault.RESOURCES,
            "no thread is left for looking names up",
        ),
        (
            OSError(errno.EMFILE, "?"),
            OwnFault.RESOURCES,
            "no file descriptor is left for name.test; raise the exporter's limit (ulimit -n)",
        ),
    ],
)
async def test_a_failed_lookup_says_whose_fault_it_is(
    error: Exception, verdict: Reason | OwnFault, words: str
) -> None:
    """That a name does not exist is the target's fault; that nobody could say is ours."""
    with pytest.raises((ProbeFailure, Inconclusive)) as caught:
        await dial(Dialler(resolve=Resolver(fails=error)))

    assert (said_by(caught.value), str(caught.value)) == (verdict, words)


def said_by(error: BaseException) -> Reason | OwnFault:
    assert isinstance(error, ProbeFailure | Inconclusive)
    return error.reason if isinstance(error, ProbeFailure) else error.fault


async def test_a_name_is_not_missing_where_nothing_can_be_opened() -> None:
    """The C library says so when it has no file descriptor left to ask with."""
    resolver = Resolver(fails=socket.gaierror(socket.EAI_NONAME, "?"))

    with pytest.raises(Inconclusive) as caught:
        await dial(Dialler(resolve=resolver, open_socket=Sockets(errno.EMFILE)))

    assert caught.value.fault is OwnFault.RESOURCES


async def test_a_lookup_that_finds_nothing_is_the_targets_fault() -> None:
    """No address is no way to the target."""
    with pytest.raises(ProbeFailure, match=r"the name name\.test has no address"):
        await dial(Dialler(resolve=Resolver()))


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("ECONNREFUSED", Reason.CONNECT),
        ("EHOSTUNREACH", Reason.CONNECT),
        ("ECONNRESET", Reason.CONNECT),
        ("ETIMEDOUT", Reason.CONNECT),
        ("EINVAL", Reason.CONNECT),
        ("EMFILE", OwnFault.RESOURCES),
        ("ENFILE", OwnFault.RESOURCES),
        ("ENOBUFS", OwnFault.RESOURCES),
        ("ENOMEM", OwnFault.RESOURCES),
        ("EADDRNOTAVAIL", OwnFault.RESOURCES),
        ("ENETUNREACH", OwnFault.NETWORK),
        ("ENETDOWN", OwnFault.NETWORK),
        ("EAFNOSUPPORT", OwnFault.NETWORK),
        ("EACCES", OwnFault.NETWORK),
        ("EPERM", OwnFault.NETWORK),
    ],
)
async def test_a_failed_connection_says_whose_fault_it_is(code: str, verdict: Reason | OwnFault) -> None:
    """What this machine lacks or forbids says nothing about the target."""
    number = getattr(errno, code)
    dialler = Dialler(resolve=Resolver(("127.0.0.1", 1)), open_socket=Sockets(number))

    with pytest.raises((ProbeFailure, Inconclusive)) as caught:
        await dial(dialler)

    assert said_by(caught.value) is verdict
    assert "127.0.0.1:1" in str(caught.value)


def test_a_reset_after_the_connection_is_no_failure_to_connect() -> None:
    """The same error means another thing once there is a connection."""
    failure = from_os_error(ConnectionResetError(errno.ECONNRESET, "?"), "a:1", Reason.PROTOCOL)

    assert said_by(failure) is Reason.PROTOCOL
    assert str(failure) == "connection reset by a:1"


def test_an_error_without_a_number_has_a_name_at_least() -> None:
    """Nothing is worse on call than an empty message."""
    assert str(from_os_error(TimeoutError(), "a:1", Reason.CONNECT)) == "a:1: TimeoutError"


async def test_a_refused_connection_names_the_address() -> None:
    """Somebody on call wants to know which address of the name refused."""
    port = closed_port()

    with pytest.raises(ProbeFailure) as caught:
        await Dialler().dial("127.0.0.1", port, Phases())

    assert caught.value.reason is Reason.CONNECT
    assert caught.value.detail == f"connection refused by 127.0.0.1:{port}"


async def test_every_address_is_tried() -> None:
    """A name with a dead address still works."""
    async with serving(silent) as server:
        dialler = Dialler(resolve=Resolver(("::1", closed_port("::1")), ("127.0.0.1", server.port)))
        phases = Phases()
        sock = await dialler.dial("name.test", server.port, phases)
        with sock:
            assert sock.getpeername() == ("127.0.0.1", server.port)
            assert sock.gettimeout() == 0

    assert list(phases.seconds) == ["resolve", "connect"]


async def test_a_name_fails_with_what_all_its_addresses_say() -> None:
    """The detail tells of each address."""
    one, two = closed_port("::1"), closed_port()

    with pytest.raises(ProbeFailure) as caught:
        await dial(Dialler(resolve=Resolver(("::1", one), ("127.0.0.1", two))))

    assert caught.value.detail == f"connection refused by [::1]:{one}; connection refused by 127.0.0.1:{two}"


async def test_a_refusal_outweighs_a_missing_route() -> None:
    """Without IPv6 here, an address of that kind proves nothing; the other one's refusal does."""
    dialler = Dialler(
        resolve=Resolver(("::1", 1), ("127.0.0.1", closed_port())), open_socket=Sockets(errno.ENETUNREACH)
    )

    with pytest.raises(ProbeFailure) as caught:
        await dial(dialler)

    assert caught.value.reason is Reason.CONNECT
    assert "no route from this machine to [::1]:1" in caught.value.detail


async def test_only_faults_of_our_own_are_inconclusive() -> None:
    """Where no address could be tried, nothing is known."""
    dialler = Dialler(
        resolve=Resolver(("::1", 1), ("127.0.0.1", 1)), open_socket=Sockets(errno.ENETUNREACH, errno.EPERM)
    )

    with pytest.raises(Inconclusive) as caught:
        await dial(dialler)

    assert caught.value.fault is OwnFault.NETWORK


async def test_a_silent_address_does_not_hold_up_the_next() -> None:
    """The next address is tried beside one that drops packets, and the loser is hung up on."""
    with full_listener() as hole:
        async with serving(silent) as server:
            dialler = Dialler(resolve=Resolver(hole, ("127.0.0.1", server.port)), attempt_delay=0.001)
            sock = await dial(dialler)
            with sock:
                assert sock.getpeername() == ("127.0.0.1", server.port)
            assert not [t for t in asyncio.all_tasks() if "_attempt" in repr(t)]


async def test_an_address_that_works_is_the_only_one_asked() -> None:
    """The others are for when it does not."""
    async with serving(silent) as first, serving(silent, host="::1") as second:
        dialler = Dialler(resolve=Resolver(("127.0.0.1", first.port), ("::1", second.port)))
        (await dial(dialler)).close()
        await first.left.wait()

    assert (first.connections, second.connections) == (1, 0)


async def test_addresses_may_all_be_asked_at_once_and_all_refuse() -> None:
    """The last answer is waited for as well."""
    dialler = Dialler(
        resolve=Resolver(("::1", closed_port("::1")), ("127.0.0.1", closed_port())), attempt_delay=0
    )

    with pytest.raises(ProbeFailure) as caught:
        await dial(dialler)

    assert caught.value.detail.count("connection refused") == 2


async def test_a_race_can_be_cancelled_at_any_point() -> None:
    """Even between a victory and its announcement; of two winners, one goes."""
    async with serving(silent) as first, serving(silent, host="::1") as second:
        addresses = ("127.0.0.1", first.port), ("::1", second.port)
        for turns in range(40):
            task = asyncio.create_task(dial(Dialler(resolve=Resolver(*addresses), attempt_delay=0)))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            result: Any = (await asyncio.gather(task, return_exceptions=True))[0]
            assert isinstance(result, socket.socket | asyncio.CancelledError)
            if isinstance(result, socket.socket):
                result.close()


async def test_a_cancelled_race_leaves_no_socket() -> None:
    """All attempts are called off with the probe."""
    with full_listener() as hole, full_listener() as other:
        task = asyncio.create_task(dial(Dialler(resolve=Resolver(hole, other))))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_unexpected_error_in_a_race_is_a_bug_and_shows() -> None:
    """What is no error of the system's is not the target's fault."""

    def broken(_family: int, _kind: int, _proto: int) -> socket.socket:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await dial(Dialler(resolve=Resolver(("::1", 1), ("127.0.0.1", 1)), open_socket=broken))


async def test_a_connection_to_oneself_is_nobody_listening() -> None:
    """The system may choose the very port that is asked for; then TCP talks to itself."""
    port = closed_port()

    def bound(family: int, kind: int, proto: int) -> socket.socket:
        sock = socket.socket(family, kind, proto)
        sock.bind(("127.0.0.1", port))
        return sock

    with pytest.raises(ProbeFailure, match="connection refused by"):
        await dial(Dialler(resolve=Resolver(("127.0.0.1", port)), open_socket=bound))


async def test_the_systems_resolver_is_asked_for_names() -> None:
    """Names go the way of every other program on the machine."""
    async with serving(silent) as server:
        sock = await Dialler().dial("localhost", server.port, Phases())
        sock.close()


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "nul\0.test", ".test"])
async def test_what_cannot_be_a_name_is_the_targets_fault(host: str) -> None:
    """Neither a label of 64 characters nor a NUL is an accident."""
    with pytest.raises(ProbeFailure) as caught:
        await Dialler().dial(host, 1, Phases())

    assert caught.value.reason is Reason.DNS


class full_listener:  # noqa: N801  # reads as a function
    """An address whose queue is full, so that the system drops whoever knocks."""

    def __enter__(self) -> tuple[str, int]:
        self._sockets = [socket.socket()]
        self._sockets[0].bind(("127.0.0.1", 0))
        self._sockets[0].listen(0)
        address: tuple[str, int] = self._sockets[0].getsockname()
        for _ in range(3):
            sock = socket.socket()
            sock.settimeout(0)
            sock.connect_ex(address)
            self._sockets.append(sock)
        return address

    def __exit__(self, *_: object) -> None:
        for sock in self._sockets:
            sock.close()
