"""Every setting: its name, unit, default and bounds."""

from collections import Counter
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from uptime_exporter.reliability.retry import RetryPolicy
from uptime_exporter.settings.values import (
    DAY,
    Age,
    Count,
    DatabaseUser,
    HeaderName,
    HeaderValue,
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
    host_and_port,
    is_address,
    wrong,
)


class _Model(BaseModel):
    """A typing error in a key is a mistake, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def _broken_rules(self) -> Iterator[PydanticCustomError]:
        """Yield what fields that are fine by themselves get wrong together."""
        yield from ()

    @model_validator(mode="after")
    def _keeps_its_rules(self) -> Self:
        # Several validators would stop at the first broken rule; a reader of `check` wants all of them.
        broken = [InitErrorDetails(type=rule, loc=(), input=None) for rule in self._broken_rules()]
        if broken:
            raise ValidationError.from_exception_data(type(self).__name__, broken, hide_input=True)
        return self


class Tls(_Model):
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

    def _broken_rules(self) -> Iterator[PydanticCustomError]:
        if (self.cert_file is None) != (self.key_file is None):
            yield wrong("cert_file and key_file go together: give both, or neither", "cert_file", "key_file")


class _Target(_Model):
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
    def retry_policy(self) -> RetryPolicy:
        """How a failure is confirmed within the beat."""
        return RetryPolicy(retries=self.retries, backoff=self.retry_backoff)

    def _broken_rules(self) -> Iterator[PydanticCustomError]:
        yield from self._answer_before_the_next_question()

    def _answer_before_the_next_question(self) -> Iterator[PydanticCustomError]:
        longest = self.retry_policy.longest(self.timeout)
        if self.timeout >= self.interval:
            yield wrong(
                f"timeout ({self.timeout:g}s) must be shorter than interval ({self.interval:g}s)",
                *("timeout", "interval"),
            )
        elif longest >= self.interval:
            yield wrong(
                f"{self.retries + 1} attempts of {self.timeout:g}s and the pauses between them can take "
                f"{longest:g}s, which must be shorter than interval ({self.interval:g}s); "
                "lower timeout, retries or retry_backoff, or raise interval",
                *("timeout", "retries", "retry_backoff", "interval"),
            )


class _AskedOverHttp(_Target):
    """What is asked over HTTP, whatever the answer is to say."""

    url: Annotated[Url, Field(repr=False)]
    """``http://`` or ``https://``, without user name and password."""
    headers: Mapping[HeaderName, HeaderValue] = Field(default_factory=dict)
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
        return f"{self.url.scheme}://{self.url.host}:{self.url.port}{self.url.path or '/'}"

    def _broken_rules(self) -> Iterator[PydanticCustomError]:
        yield from super()._broken_rules()
        yield from self._name_and_password_go_together()
        yield from self._authorize_one_way()
        yield from self._send_each_header_once()

    def _name_and_password_go_together(self) -> Iterator[PydanticCustomError]:
        if self.password is None and self.username is not None:
            yield wrong("username needs a password; add password_file, or password", "username")
        if self.password is not None and self.username is None:
            yield wrong("a password needs a username; add it", "password_file", "password")

    def _authorize_one_way(self) -> Iterator[PydanticCustomError]:
        by_hand = [f"headers.{name}" for name in self.headers if name.lower() == "authorization"]
        ways = [
            *(["username"] if self.username is not None or self.password is not None else []),
            *(["bearer_token"] if self.bearer_token is not None else []),
            *by_hand,
        ]
        if len(ways) > 1:
            yield wrong(
                f"{' and '.join(ways)} would each set the Authorization header; keep one",
                *("bearer_token", "bearer_token_file", "username"),
            )

    def _send_each_header_once(self) -> Iterator[PydanticCustomError]:
        seen = Counter(name.lower() for name in self.headers)
        for name, times in seen.items():
            if times > 1:
                yield wrong(f"the header {name} is given {times} times; keep one", "headers")


class HttpTarget(_AskedOverHttp):
    """A server that is asked over HTTP."""

    kind: Literal["http"] = "http"
    """Says that this is one."""
    method: Method = "GET"
    """Of the request."""
    body: Annotated[str | None, Field(repr=False)] = None
    """Sent with the request, as UTF-8."""
    expect_status: Statuses = ()
    """Statuses that count as up; empty: any from 200 to 299."""
    expect_json: Mapping[str, Scalars] | None = None
    """Dotted path in the JSON body → values that count as up.

    Unset: any body does, unless it is a JSON object whose `status` says that it is unwell. Empty: any body
    does.
    """
    degraded_json: Mapping[str, Scalars] = {"status": ("degraded",)}
    """Dotted path in the JSON body → values that count as degraded (and up, if `expect_json` allows them)."""


class ReliabilityTarget(_AskedOverHttp):
    """An application whose ``/reliability`` tells of its circuits, its requests and its shutdown."""

    kind: Literal["reliability"] = "reliability"
    """Says that this is one."""

    @property
    def request(self) -> HttpTarget:
        """How it is asked."""
        return HttpTarget.model_construct(
            **{name: getattr(self, name) for name in type(self).model_fields if name != "kind"}
        )


class MysqlTarget(_Target):
    """A MySQL or MariaDB server that is asked ``SELECT 1``."""

    kind: Literal["mysql"] = "mysql"
    """Says that this is one."""
    host: Host = "localhost"
    """Of the server."""
    port: Port = 3306
    """Of the server."""
    user: DatabaseUser = "uptime"
    """An account of the server; USAGE is enough."""
    password: SecretStr | None = None
    """Of the account; after loading, whichever way it came."""
    password_file: Path | None = None
    """File that holds the password; one line break at its end is not part of it."""
    expect_writable: bool = False
    """Count a server with ``read_only`` on as down."""
    tls: Tls | None = None
    """Unset: plain. Set, even to ``{}``: TLS is required and the certificate verified."""

    @property
    def address(self) -> str:
        """Host and port."""
        return _host_port(self.host, self.port)


class TcpTarget(_Target):
    """A port that must accept a connection."""

    kind: Literal["tcp"] = "tcp"
    """Says that this is one."""
    host: Host
    """That listens."""
    port: Port
    """That is connected to."""

    @property
    def address(self) -> str:
        """Host and port."""
        return _host_port(self.host, self.port)


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


Target = Annotated[
    HttpTarget | MysqlTarget | TcpTarget | FileTarget | ReliabilityTarget, Field(discriminator="kind")
]
KINDS: Mapping[str, type[HttpTarget | MysqlTarget | TcpTarget | FileTarget | ReliabilityTarget]] = {
    "file": FileTarget,
    "http": HttpTarget,
    "mysql": MysqlTarget,
    "reliability": ReliabilityTarget,
    "tcp": TcpTarget,
}


class Sla(_Model):
    """A promise: that all its targets are up together for a part of a window."""

    targets: Names
    """Names of the targets; each must be up for the promise to be."""
    objective: Part = 0.999
    """Part of the time, 0 to 1."""
    window: Window = 30 * DAY
    """Seconds; rolling."""


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Settings(BaseSettings):
    """The whole of the settings, checked; made by `load_settings`, whose layers are its only source."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

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
    targets: Annotated[Mapping[Name, Target], Field(min_length=1)]
    """Name → what is watched."""
    slas: Annotated[Mapping[Name, Sla], Field(min_length=1)]
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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings passes all of them by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what `load_settings` hands in and nothing else: its layers know where each value was written."""
        return (init_settings,)

    @property
    def promises(self) -> Mapping[str, Sla]:
        """Every promise by name: those of `slas`, and one for each target that serves somebody, named like it."""
        own = {name: Sla(targets=(name,)) for name, target in self.targets.items() if target.serves}
        return {**own, **self.slas}
