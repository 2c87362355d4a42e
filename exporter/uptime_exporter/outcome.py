"""The one value that travels: what became of one probe that was due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

HOLDS = 2.5
"""Beats for which a verdict stands, unless the next one comes first; after that nobody knows."""

NOTHING: Mapping[str, float] = MappingProxyType({})
NO_MODELS: Mapping[str, bool] = MappingProxyType({})


class Verdict(StrEnum):
    """What an outcome says about its target."""

    UP = "up"
    DOWN = "down"
    INCONCLUSIVE = "inconclusive"


Look = Literal["up", "degraded", "down", "inconclusive"]
"""A verdict as people see it: a target that is degraded is up, and not at its best."""


class Reason(StrEnum):
    """Why a target counts as down.

    Each member is also a label value, so the set stays small and closed: a new way of failing is filed
    under the nearest reason unless an operator would act on it differently.
    """

    TIMEOUT = "timeout"
    """No complete answer within the time limit of one attempt."""
    DNS = "dns"
    """The name does not exist (a resolver said so)."""
    CONNECT = "connect"
    """Refused, or no way to the host."""
    TLS = "tls"
    """The handshake failed, or the certificate was refused."""
    PROTOCOL = "protocol"
    """The answer broke off, or is none of the protocol that was expected."""
    STATUS = "status"
    """An HTTP status that was not expected, redirects without end included."""
    BODY = "body"
    """The right status, but the body says something else, or too much."""
    AUTH = "auth"
    """The database refused the user or the password."""
    NO_GREETING = "no_greeting"
    """The database server accepted the connection and said nothing."""
    TOO_MANY_CONNECTIONS = "too_many_connections"
    """The database server has no connection left for anybody."""
    READ_ONLY = "read_only"
    """The database answers, but does not accept writes although it is expected to."""
    QUERY = "query"
    """The database server refused the statement, or ran out of its time."""
    STALE = "stale"
    """No file matches, or the newest is too old or too small."""
    CIRCUIT_OPEN = "circuit_open"
    """An expensive probe was held back because the circuit is open."""


class OwnFault(StrEnum):
    """Why a probe says nothing about its target: the cause is on the exporter's own side.

    Label values too, and just as closed.
    """

    RESOLVER = "resolver"
    """The name could not be looked up: the resolver failed or did not answer."""
    RESOURCES = "resources"
    """No file descriptor, no port or no memory left in the exporter or its machine."""
    NETWORK = "network"
    """No route from this machine, or its own firewall forbids the connection."""
    STARVED = "starved"
    """The exporter was suspended or got no processor time, so its time limit means nothing."""
    HOST_BLOCKED = "host_blocked"
    """MySQL error 1129: the server has blocked the exporter's host, and only that."""
    USER_LIMIT = "user_limit"
    """MySQL errors 1203 and 1226: the exporter's own database user is over its quota."""
    UNREADABLE = "unreadable"
    """The exporter may not look at the folder, or its file system fails."""
    INTERNAL = "internal"
    """A defect in the exporter; the log has the trace."""


_NETWORK = (Reason.TIMEOUT, Reason.DNS, Reason.CONNECT)
_HTTP = (*_NETWORK, Reason.TLS, Reason.PROTOCOL, Reason.STATUS, Reason.BODY)
_MYSQL = (
    *(*_NETWORK, Reason.TLS, Reason.PROTOCOL, Reason.AUTH, Reason.NO_GREETING),
    *(Reason.TOO_MANY_CONNECTIONS, Reason.READ_ONLY, Reason.QUERY),
)
REASONS: Mapping[str, Sequence[Reason]] = MappingProxyType(
    {
        "http": _HTTP,
        "reliability": _HTTP,
        "mysql": _MYSQL,
        "tcp": _NETWORK,
        "file": (Reason.TIMEOUT, Reason.STALE),
    }
)
"""Kind of target → why its probe may find it down. An expensive target may also be held back by its circuit."""

_ALWAYS = (OwnFault.RESOURCES, OwnFault.STARVED, OwnFault.INTERNAL)
_ON_THE_WAY = (OwnFault.RESOLVER, OwnFault.NETWORK, *_ALWAYS)
FAULTS: Mapping[str, Sequence[OwnFault]] = MappingProxyType(
    {
        "http": _ON_THE_WAY,
        "reliability": _ON_THE_WAY,
        "mysql": (*_ON_THE_WAY, OwnFault.HOST_BLOCKED, OwnFault.USER_LIMIT),
        "tcp": _ON_THE_WAY,
        "file": (*_ALWAYS, OwnFault.UNREADABLE),
    }
)
"""Kind of target → why its probe may say nothing about it."""


@dataclass(frozen=True, slots=True)
class CircuitSeen:
    """What an application says of one of its circuits."""

    state: Literal["closed", "open", "half_open"]
    since: str | None = None
    """Since when, in its own words; None if it does not say."""
    age: float | None = None
    """Seconds for which it has been in that state, by the application's own clock; None if it does not say."""


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """What an application says of one of its own checks."""

    healthy: bool | None
    """None while it does not know."""
    last: str | None = None
    """When it was made last, in the application's own words; None before the first time."""
    age: float | None = None
    """Seconds since then, by the application's own clock; None if it cannot be told."""


@dataclass(frozen=True, slots=True)
class AppSeen:
    """What an application says of its own reliability."""

    circuits: Mapping[str, CircuitSeen]
    checks: Mapping[str, CheckSeen]
    in_flight: int | None = None
    """Requests that it is answering; None if it does not say."""
    shutting_down: bool | None = None
    """Whether it drains; None if it does not say."""
    lost: tuple[str, ...] = ()
    """What could not be understood, for people: one line each, no secret."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What an attempt learnt about its target, whether it is up or down."""

    degraded: bool = False
    """The target is up, but says itself that it is not at its best."""
    message: str = ""
    """What the target said of itself, for people; one line, no secret."""
    models: Mapping[str, bool] = field(default_factory=lambda: NO_MODELS)
    """Model name → loaded, from the body of a health check."""
    certificate_expires: float | None = None
    """Unix time at which the first certificate of the served chain runs out; None without TLS."""
    application: AppSeen | None = None
    """What an application said of itself; None of anything else."""


UNSEEN = Seen()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one probe that was due.

    One verdict, however many attempts it took to reach it.
    """

    target: str
    at: float
    """Unix time at which the first attempt started, to the millisecond."""
    monotonic: float
    """The same instant on the monotonic clock (seconds; comparable only within one process)."""
    interval: float
    """Seconds until the next probe of this target is due: one beat."""
    seconds: float
    """From the start of the first attempt to the verdict, pauses between attempts included; to the microsecond."""
    reason: Reason | OwnFault | None
    """None if the target is up."""
    detail: str = ""
    """The reason in words, for people; one line, no secret."""
    attempts: int = 1
    """How many attempts were made; 0 where the probe was held back."""
    phases: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    """Phase → seconds, of the last attempt, to the microsecond."""
    seen: Seen = UNSEEN

    @property
    def verdict(self) -> Verdict:
        """Up, down or inconclusive: what the reason amounts to."""
        if self.reason is None:
            return Verdict.UP
        return Verdict.DOWN if isinstance(self.reason, Reason) else Verdict.INCONCLUSIVE

    @property
    def look(self) -> Look:
        """The verdict as people see it."""
        if self.reason is None:
            return "degraded" if self.seen.degraded else "up"
        return "down" if isinstance(self.reason, Reason) else "inconclusive"
