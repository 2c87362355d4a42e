"""From a name to a connected socket, and what it means where that fails."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, zip_longest

from uptime_exporter.errors import Inconclusive, ProbeFailure
from uptime_exporter.outcome import UNSEEN, OwnFault, Reason, Seen
from uptime_exporter.probes.lookup import Threads
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.stream import writable

Sockaddr = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Sockaddr]
"""One row of `socket.getaddrinfo`."""
Resolve = Callable[[str, int], Awaitable[Sequence[AddressInfo]]]
OpenSocket = Callable[[int, int, int], socket.socket]

ATTEMPT_DELAY = 0.25
"""What RFC 8305, section 5 recommends."""

_ANY = frozenset[int]()
_VERDICTS: tuple[tuple[type[OSError], frozenset[int], Reason | OwnFault], ...] = (
    (ssl.SSLError, _ANY, Reason.TLS),
    (socket.gaierror, frozenset({socket.EAI_NONAME, socket.EAI_NODATA}), Reason.DNS),
    (socket.gaierror, _ANY, OwnFault.RESOLVER),
    (
        OSError,
        frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}),
        OwnFault.RESOURCES,
    ),
    (
        OSError,
        frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EACCES, errno.EPERM, errno.EAFNOSUPPORT}),
        OwnFault.NETWORK,
    ),
)
"""Most specific first; what is in no row is the target's fault."""

_WORDS = {
    socket.EAI_NONAME: "the name {} does not exist",
    socket.EAI_NODATA: "the name {} has no address",
    socket.EAI_AGAIN: "the resolver did not answer for {}",
    errno.ECONNREFUSED: "connection refused by {}",
    errno.ECONNRESET: "connection reset by {}",
    errno.EPIPE: "connection closed by {}",
    errno.ETIMEDOUT: "no packet came back from {}",
    errno.EHOSTUNREACH: "the host of {} cannot be reached",
    errno.ENETUNREACH: "no route from this machine to {}",
    errno.ENETDOWN: "the network of this machine is down, and with it the way to {}",
    errno.EAFNOSUPPORT: "this machine has no such network as that of {}",
    errno.EACCES: "this machine's own firewall forbids the connection to {}",
    errno.EPERM: "this machine's own firewall forbids the connection to {}",
    errno.EMFILE: "no file descriptor is left for {}; raise the exporter's limit (ulimit -n)",
    errno.ENFILE: "no file descriptor is left on this machine for {}",
    errno.EADDRNOTAVAIL: "this machine has no free port or no address of its own for {}",
}
_NAMED_ADDRESSES = 3
"""How many addresses of one name an error message tells of."""


def from_os_error(
    error: OSError, address: str, otherwise: Reason, seen: Seen = UNSEEN
) -> ProbeFailure | Inconclusive:
    """Say what a failed system call means for the target.

    Args:
        error: From a lookup or a socket.
        address: Host and port, for the message.
        otherwise: The reason where the error is neither the resolver's nor this machine's.
        seen: What was learnt before it.

    """
    known = _WORDS.get(error.errno or 0)
    words = known.format(address) if known else f"{address}: {_system_words(error)}"
    match _verdict(error, otherwise):
        case OwnFault() as fault:
            return Inconclusive(fault, words)
        case reason:
            return ProbeFailure(reason, words, seen)


def _verdict(error: OSError, otherwise: Reason) -> Reason | OwnFault:
    rows = (
        v for kind, codes, v in _VERDICTS if isinstance(error, kind) and (not codes or error.errno in codes)
    )
    return next(rows, otherwise)


def _system_words(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"the lookup failed ({error.strerror})"
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__


def shown(host: str, port: int) -> str:
    """Return host and port as one string; an IPv6 address gets its brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_lookups = Threads(32)
"""Of their own, so that names that hang hold up nothing but names."""


async def system_resolve(host: str, port: int) -> Sequence[AddressInfo]:
    """Look *host* up as every other program on this machine does; an address in figures takes no thread.

    Raises:
        OSError: It has no address, or the lookup itself failed.

    """
    if found := _in_figures(host, port):
        return found
    return await _lookups.run(partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))


@lru_cache(4096)
def _in_figures(host: str, port: int) -> Sequence[AddressInfo]:
    """Return what an address in figures stands for; nothing for a name, or where an interface is named too."""
    if "%" in host:
        return ()
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        return ()


@dataclass(frozen=True, slots=True)
class Dialler:
    """Makes connections; whatever it stands on can be replaced."""

    resolve: Resolve = system_resolve
    open_socket: OpenSocket = socket.socket
    attempt_delay: float = ATTEMPT_DELAY
    """Seconds that one address has before the next is tried beside it."""

    async def dial(self, host: str, port: int, phases: Phases) -> socket.socket:
        """Return a connected, non-blocking socket, which is the caller's to close.

        Phases: ``resolve``, ``connect``. All addresses of the name are tried, the next one as soon as the
        last has failed or kept silent for `attempt_delay`; cancellation leaves no socket open.

        Raises:
            ProbeFailure: dns or connect.
            Inconclusive: resolver, resources or network.

        """
        with phases.phase("resolve"):
            found = await self._addresses(host, port)
        with phases.phase("connect"):
            if len(found) == 1:
                return await self._connect_to_the_only_one(found[0])
            return await _Race(self, found).run()

    async def _addresses(self, host: str, port: int) -> Sequence[AddressInfo]:
        try:
            found = await self.resolve(host, port)
        except OSError as error:
            raise from_os_error(self._own_trouble() or error, host, Reason.DNS) from error
        except ValueError as error:  # the idna codec's, and that of a NUL
            raise ProbeFailure(Reason.DNS, f"{host!r} cannot be the name of a host") from error
        except RuntimeError as error:
            raise Inconclusive(OwnFault.RESOURCES, "no thread is left for looking names up") from error
        if not found:
            raise ProbeFailure(Reason.DNS, f"the name {host} has no address")
        return found

    def _own_trouble(self) -> OSError | None:
        """Return what keeps this process from opening anything; glibc calls that a name that does not exist."""
        try:
            self.open_socket(socket.AF_UNIX, socket.SOCK_STREAM, 0).close()
        except OSError as error:
            return error
        return None

    async def _connect_to_the_only_one(self, info: AddressInfo) -> socket.socket:
        try:
            return await self.connect(info)
        except OSError as error:
            raise from_os_error(error, _shown(info), Reason.CONNECT) from error

    async def connect(self, info: AddressInfo) -> socket.socket:
        """Return a socket connected to the one address *info*.

        Raises:
            OSError: As the system said it.

        """
        family, kind, proto, _, address = info
        sock = self.open_socket(family, kind, proto)
        try:
            sock.settimeout(0)
            await _connected(sock, address)
            _refuse_oneself(sock, address[1])
        except BaseException:
            sock.close()
            raise
        return sock


async def _connected(sock: socket.socket, address: Sockaddr) -> None:
    error = sock.connect_ex(address)
    if error == errno.EINPROGRESS:
        await writable(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def _refuse_oneself(sock: socket.socket, port: int | bytes) -> None:
    """Treat a connection to itself as what it is: nobody listens.

    TCP allows it where the system happens to choose the very *port* that is asked for (RFC 9293, 3.5).
    """
    own = sock.getsockname()
    if own[1] == port and own == sock.getpeername():
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


class _Race:
    """Happy eyeballs (RFC 8305) that keep every address's own error.

    The stock implementations (asyncio up to 3.11, aiohappyeyeballs) merge the errors into one text, from
    which nobody can tell a refusal from a missing route.
    """

    def __init__(self, dialler: Dialler, infos: Sequence[AddressInfo]) -> None:
        self._dialler = dialler
        self._infos = _families_in_turn(infos)
        self._running: set[asyncio.Task[None]] = set()
        self._won: list[socket.socket] = []
        self._failed: list[ProbeFailure | Inconclusive] = []

    async def run(self) -> socket.socket:
        try:
            await self._run()
            await self._call_off()
        except BaseException:
            for task in self._running:
                task.cancel()
            for sock in self._won:
                sock.close()
            raise
        if not self._won:
            raise _weightiest(self._failed)
        return self._won[0]

    async def _run(self) -> None:
        for info in self._infos:
            self._running.add(asyncio.create_task(self._attempt(info)))
            await self._wait(self._dialler.attempt_delay)
            if self._won:
                return
        while self._running and not self._won:
            await self._wait(None)

    async def _wait(self, seconds: float | None) -> None:
        done, self._running = await asyncio.wait(
            self._running, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            task.result()

    async def _call_off(self) -> None:
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _attempt(self, info: AddressInfo) -> None:
        try:
            sock = await self._dialler.connect(info)
        except OSError as error:
            self._failed.append(from_os_error(error, _shown(info), Reason.CONNECT))
            return
        if self._won:
            sock.close()
        else:
            self._won.append(sock)


def _families_in_turn(infos: Sequence[AddressInfo]) -> Iterable[AddressInfo]:
    """Keep the resolver's order within each family, and try the families in turn."""
    families: dict[int, list[AddressInfo]] = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    return (info for info in chain.from_iterable(zip_longest(*families.values())) if info)


def _weightiest(failed: Sequence[ProbeFailure | Inconclusive]) -> ProbeFailure | Inconclusive:
    """Let a target's own failure on one address outweigh that another address cannot be reached from here."""
    ranked = sorted(failed, key=lambda failure: isinstance(failure, Inconclusive))
    words = "; ".join(failure.detail for failure in ranked[:_NAMED_ADDRESSES])
    if isinstance(ranked[0], Inconclusive):
        return Inconclusive(ranked[0].fault, words)
    return ProbeFailure(ranked[0].reason, words)


def _shown(info: AddressInfo) -> str:
    host, port, *_ = info[4]
    return shown(str(host), int(port))
