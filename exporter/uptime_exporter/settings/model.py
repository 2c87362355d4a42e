"""Every setting: its name, unit and default, as plain values; what it may be, `kinds` says.

The annotations are read by `checked` only, so that nothing of what checks a setting is held by who goes by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from uptime_exporter.later import Later
from uptime_exporter.outcome import OwnFault, Reason
from uptime_exporter.settings.values import DAY, host_and_port, is_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uptime_exporter.reliability import retry
    from uptime_exporter.settings.kinds import (
        Age,
        AtLeastOne,
        Count,
        DatabaseUser,
        HeaderName,
        HeaderValue,
        Hidden,
        Host,
        Listen,
        Method,
        Name,
        Names,
        Part,
        Password,
        Pattern,
        Pause,
        Port,
        Redirects,
        Retries,
        Scalars,
        Seconds,
        Statuses,
        Threshold,
        Token,
        Url,
        UserName,
        Window,
    )
else:
    retry = Later("uptime_exporter.reliability.retry")

_PORTS = {"http": 80, "https": 443}
_NOTHING: frozenset[Reason | OwnFault] = frozenset()
_OF_NAMES: frozenset[Reason | OwnFault] = frozenset({Reason.DNS, OwnFault.RESOLVER})
_OF_TLS: frozenset[Reason | OwnFault] = frozenset({Reason.TLS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to talk TLS; the names are those of Prometheus' ``tls_config``."""

    ca_file: Path | None = None
    """PEM file of the authorities to trust instead of the system's."""
    cert_file: Path | None = None
    """PEM file of the client certificate; `key_file` goes with it."""
    key_file: Path | None = None
    """PEM file of the client certificate's private key, without a passphrase."""
    server_name: Host | None = None
    """The name that the certificate must carry, where it is not the host's."""
    insecure_skip_verify: bool = False
    """Accept any certificate. Its expiry is still watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """What all kinds have in common; unset ones take the value of the same name at the top of the file."""

    interval: Seconds = 30.0
    """One beat: seconds from one probe to the next."""
    timeout: Seconds = 5.0
    """Seconds that one attempt may take, everything included."""
    retries: Retries = 2
    """Further attempts that must fail too before the target counts as down."""
    retry_backoff: Pause = 1.0
    """Seconds before the first retry; doubles, with jitter."""
    failure_threshold: Threshold = 5
    """Failed beats in a row that open the circuit."""
    recovery_timeout: Seconds = 60.0
    """Seconds for which the circuit stays open."""
    serves: ClassVar[bool] = True
    """Whether somebody calls it: then it has a promise of its own, and a circuit that opens."""
    expensive: bool = False
    """Hold the probe back while the circuit is open (a real inference, say); it counts as down meanwhile."""

    @property
    def impossible(self) -> frozenset[Reason | OwnFault]:
        """What a probe of its kind may meet, but none of this one."""
        return _NOTHING

    @property
    def retry_policy(self) -> retry.RetryPolicy:
        """How a failure is confirmed within the beat."""
        return retry.RetryPolicy(retries=self.retries, backoff=self.retry_backoff)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AskedOverHttp(_Target):
    """What is asked over HTTP, whatever the answer is to say."""

    url: Url = field(repr=False)
    """``http://`` or ``https://``, without user name and password."""
    headers: Mapping[HeaderName, HeaderValue] = field(default_factory=dict)
    """Sent with the request; values are treated as secrets."""
    username: UserName | None = None
    """For basic authentication; `password` or `password_file` goes with it."""
    password: Password | None = None
    """For basic authentication; after loading, whichever way it came."""
    password_file: Path | None = None
    """File that holds the password; one line break at its end is not part of it."""
    bearer_token: Token | None = None
    """Sent as ``Authorization: Bearer …``; after loading, whichever way it came."""
    bearer_token_file: Path | None = None
    """File that holds the token; one line break at its end is not part of it."""
    max_redirects: Redirects = 0
    """How many redirects are followed; 0: none, a redirect is a status like any other."""
    max_body_bytes: Count = 1 << 20
    """A longer body (after decompression, or on the wire) counts as down."""
    tls: Tls = Tls()
    """For ``https://``."""

    @property
    def address(self) -> str:
        """Scheme, host, port and path: what may be shown."""
        url = urlsplit(self.url)
        where = _host_port(url.hostname or "", url.port or _PORTS[url.scheme])
        return f"{url.scheme}://{where}{url.path or '/'}"

    @property
    def impossible(self) -> frozenset[Reason | OwnFault]:
        """A name to be looked up, where there is none; a handshake, where nobody asks for one."""
        if self.max_redirects:
            return _NOTHING  # they lead anywhere
        url = urlsplit(self.url)
        return _of_names(url.hostname or "") | (_OF_TLS if url.scheme == "http" else _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTarget(_AskedOverHttp):
    """A server that is asked over HTTP."""

    kind: Literal["http"] = "http"
    """Says that this is one."""
    method: Method = "GET"
    """Of the request."""
    body: str | None = field(default=None, repr=False)
    """Sent with the request, as UTF-8."""
    expect_status: Statuses = ()
    """Statuses that count as up; empty: any from 200 to 299."""
    expect_json: Mapping[str, Scalars] | None = None
    """Dotted path in the JSON body → values that count as up.

    Unset: any body does, unless it is a JSON object whose `status` says that it is unwell. Empty: any body
    does.
    """
    degraded_json: Mapping[str, Scalars] = field(default_factory=lambda: {"status": ("degraded",)})
    """Dotted path in the JSON body → values that count as degraded (and up, if `expect_json` allows them)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityTarget(_AskedOverHttp):
    """An application whose ``/reliability`` tells of its circuits, its requests and its shutdown."""

    kind: Literal["reliability"] = "reliability"
    """Says that this is one."""

    @property
    def request(self) -> HttpTarget:
        """How it is asked."""
        return HttpTarget(**{each.name: getattr(self, each.name) for each in fields(_AskedOverHttp)})


@dataclass(frozen=True, slots=True, kw_only=True)
class _AtAPort(_Target):
    """What is asked at a host and a port."""

    host: Host
    """That listens."""
    port: Port
    """That is connected to."""

    @property
    def address(self) -> str:
        """Host and port."""
        return _host_port(self.host, self.port)

    @property
    def impossible(self) -> frozenset[Reason | OwnFault]:
        """A name to be looked up, where there is none; a MySQL server may insist on TLS whoever asks."""
        return _of_names(self.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class MysqlTarget(_AtAPort):
    """A MySQL or MariaDB server that is asked ``SELECT 1``."""

    kind: Literal["mysql"] = "mysql"
    """Says that this is one."""
    host: Host = "localhost"
    """Of the server."""
    port: Port = 3306
    """Of the server."""
    user: DatabaseUser = "uptime"
    """An account of the server; USAGE is enough."""
    password: Hidden | None = None
    """Of the account; after loading, whichever way it came."""
    password_file: Path | None = None
    """File that holds the password; one line break at its end is not part of it."""
    expect_writable: bool = False
    """Count a server with ``read_only`` on as down."""
    tls: Tls | None = None
    """Unset: plain. Set, even to ``{}``: TLS is required and the certificate verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpTarget(_AtAPort):
    """A port that must accept a connection."""

    kind: Literal["tcp"] = "tcp"
    """Says that this is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTarget(_Target):
    """A file that must be fresh, such as the latest of the backups."""

    serves: ClassVar[bool] = False
    kind: Literal["file"] = "file"
    """Says that this is one."""
    path: Pattern
    """Where it is, with a shell's wildcards: ``*``, ``?`` and ``[…]``; the newest match counts."""
    younger_than: Age
    """Seconds since it was last written to; more is down."""
    min_bytes: Count = 1
    """A newest match with fewer bytes is down."""

    @property
    def address(self) -> str:
        """The path."""
        return self.path


Target = HttpTarget | MysqlTarget | TcpTarget | FileTarget | ReliabilityTarget
KINDS: Mapping[str, type[Target]] = {
    "file": FileTarget,
    "http": HttpTarget,
    "mysql": MysqlTarget,
    "reliability": ReliabilityTarget,
    "tcp": TcpTarget,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sla:
    """A promise: that all its targets are up together for a part of a window."""

    targets: Names
    """Names of the targets; each must be up for the promise to be."""
    objective: Part = 0.999
    """Part of the time, 0 to 1."""
    window: Window = 30 * DAY
    """Seconds; rolling."""


def _of_names(host: str) -> frozenset[Reason | OwnFault]:
    """Return what *host* rules out: an address is not looked up, unless its interface is."""
    return _OF_NAMES if is_address(host) and "%" not in host else _NOTHING


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole of the settings, checked; made by `load_settings`."""

    listen: Listen = "127.0.0.1:10999"
    """Host and port of the metrics and the page; ``:10999`` is all interfaces."""
    ledger: Path = Path("uptime.db")
    """The file in which the account of the promise lasts; its directory must exist and be writable."""
    admin_token: Token | None = None
    """Who shows it may reset breakers and reload; after loading, whichever way it came."""
    admin_token_file: Path | None = None
    """File that holds the token; one line break at its end is not part of it."""
    log_format: Literal["logfmt", "json"] = "logfmt"
    """How a line of the log looks."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious lines that are logged."""
    shutdown_timeout: Seconds = 30.0
    """Seconds that requests in flight get after SIGTERM."""
    interval: Seconds = 30.0
    """One beat, in seconds, of targets that do not set their own; so are the next five."""
    timeout: Seconds = 5.0
    """Seconds that one attempt may take, everything included."""
    retries: Retries = 2
    """Further attempts that must fail too before a target counts as down."""
    retry_backoff: Pause = 1.0
    """Seconds before the first retry; doubles, with jitter."""
    failure_threshold: Threshold = 5
    """Failed beats in a row that open a circuit."""
    recovery_timeout: Seconds = 60.0
    """Seconds for which a circuit stays open."""
    targets: Annotated[Mapping[Name, Target], AtLeastOne]
    """Name → what is watched."""
    slas: Annotated[Mapping[Name, Sla], AtLeastOne]
    """Name → a promise over several targets, or over the target of that name."""

    @property
    def listen_host(self) -> str:
        """The host to listen on, IPv6 without brackets; empty: all interfaces."""
        return host_and_port(self.listen)[0]

    @property
    def listen_port(self) -> int:
        """The port to listen on; 0: any that is free."""
        return host_and_port(self.listen)[1]

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only this machine can reach the listener."""
        host = self.listen_host
        return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)

    @property
    def promises(self) -> Mapping[str, Sla]:
        """Every promise by name: those of `slas`, and one for each target that serves somebody, named like it."""
        own = {name: Sla(targets=(name,)) for name, target in self.targets.items() if target.serves}
        return {**own, **self.slas}
