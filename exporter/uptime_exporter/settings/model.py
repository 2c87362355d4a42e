"""Every setting: its name, unit, default and bounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    StringConstraints,
    model_validator,
)

from pydantic_settings import BaseSettings, SettingsConfigDict

from uptime_exporter.reliability.retry import RetryPolicy

DAY = 86_400.0
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY, "w": 7 * DAY}


def _seconds(value: object) -> object:
    """Read ``30d`` or ``90m`` as seconds; leave a plain number alone."""
    if isinstance(value, str) and value[-1:] in UNITS and value[:-1].replace(".", "", 1).isdigit():
        return float(value[:-1]) * UNITS[value[-1]]
    return value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=DAY, allow_inf_nan=False)]
Window = Annotated[float, BeforeValidator(_seconds), Field(ge=3600, le=400 * DAY, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Lower case, so that an environment variable can name it too."""
Host = Annotated[str, StringConstraints(min_length=1, max_length=253, strip_whitespace=True)]
Status = Annotated[int, Field(ge=100, le=599)]
Scalar = str | bool | int | float


class _Model(BaseModel):
    """A typing error in a key is a mistake, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Model):
    """How to talk TLS; the names are those of Prometheus' ``tls_config``."""

    ca_file: Path | None = None
    """PEM file of the authorities to trust instead of the system's."""
    cert_file: Path | None = None
    """PEM file of the client certificate; `key_file` goes with it."""
    key_file: Path | None = None
    server_name: Host | None = None
    """The name that the certificate must carry, where it is not the host's."""
    insecure_skip_verify: bool = False

    @model_validator(mode="after")
    def _certificate_and_key_go_together(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self


class _Target(_Model):
    """What all kinds have in common; unset ones take the value of the same name at the top of the file."""

    interval: Seconds = 30.0
    """One beat: seconds from one probe to the next."""
    timeout: Seconds = 5.0
    """One attempt, everything included."""
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    """Further attempts that must fail too before the target counts as down."""
    retry_backoff: Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=3600, allow_inf_nan=False)] = 1.0
    """Seconds before the first retry; doubles, with jitter."""
    failure_threshold: Annotated[int, Field(ge=1, le=10_000)] = 5
    """Failed beats in a row that open the circuit."""
    recovery_timeout: Seconds = 60.0
    """Seconds for which the circuit stays open."""
    expensive: bool = False
    """Hold the probe back while the circuit is open (a real inference, say); it counts as down meanwhile."""

    @property
    def retry_policy(self) -> RetryPolicy:
        """How a failure is confirmed within the beat."""
        return RetryPolicy(retries=self.retries, backoff=self.retry_backoff)

    @model_validator(mode="after")
    def _answer_before_the_next_question(self) -> Self:
        if self.timeout >= self.interval:
            raise ValueError(f"timeout ({self.timeout:g}s) must be shorter than interval ({self.interval:g}s)")
        longest = self.retry_policy.longest(self.timeout)
        if longest >= self.interval:
            raise ValueError(
                f"{self.retries + 1} attempts of {self.timeout:g}s and the pauses between them can take "
                f"{longest:g}s, which must be shorter than interval ({self.interval:g}s); "
                "lower timeout, retries or retry_backoff, or raise interval"
            )
        return self


class HttpTarget(_Target):
    """A server that is asked over HTTP."""

    kind: Literal["http"] = "http"
    url: HttpUrl
    method: Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,16}$")] = "GET"
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Sent with the request; values are treated as secrets."""
    body: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    bearer_token: SecretStr | None = None
    bearer_token_file: Path | None = None
    expect_status: tuple[Status, ...] = ()
    """Statuses that count as up; empty: any from 200 to 299."""
    expect_json: Mapping[str, tuple[Scalar, ...]] | None = None
    """Dotted path in the JSON body → values that count as up.

    Unset: any body does, unless it is a JSON object whose `status` says that it is unwell. Empty: any body does.
    """
    degraded_json: Mapping[str, tuple[Scalar, ...]] = {"status": ("degraded",)}
    """Dotted path in the JSON body → values that count as degraded (and up, where `expect_json` allows them)."""
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 0
    """How many redirects are followed; 0: none, a redirect is a status like any other."""
    max_body_bytes: Annotated[int, Field(ge=0, le=1 << 30)] = 1 << 20
    """A longer body (after decompression, or on the wire) counts as down."""
    tls: Tls = Tls()

    @property
    def address(self) -> str:
        """Scheme, host, port and path: what may be shown."""
        url = self.url
        host = f"[{url.host}]" if url.host and ":" in url.host.strip("[]") and not url.host.startswith("[") else url.host
        return f"{url.scheme}://{host}:{url.port}{url.path or '/'}"


class MysqlTarget(_Target):
    """A MySQL or MariaDB server that is asked ``SELECT 1``."""

    kind: Literal["mysql"] = "mysql"
    host: Host = "localhost"
    port: Port = 3306
    user: Annotated[str, StringConstraints(min_length=1, max_length=128)] = "uptime"
    password: SecretStr | None = None
    password_file: Path | None = None
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
    host: Host
    port: Port

    @property
    def address(self) -> str:
        """Host and port."""
        return _host_port(self.host, self.port)


Target = Annotated[HttpTarget | MysqlTarget | TcpTarget, Field(discriminator="kind")]


class Sla(_Model):
    """A promise: that all its targets are up together for a part of a window."""

    targets: Annotated[tuple[Name, ...], Field(min_length=1)]
    objective: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.999
    """Part of the time, 0 to 1."""
    window: Window = 30 * DAY
    """Seconds; rolling."""


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Settings(BaseSettings):
    """The whole of the settings, checked."""

    model_config = SettingsConfigDict(
        env_prefix="UPTIME_", env_nested_delimiter="__", extra="forbid", frozen=True, nested_model_default_partial_update=True
    )

    listen: str = "127.0.0.1:10999"
    """Host and port of the metrics and the page."""
    ledger: Path = Path("uptime.db")
    """The file in which the account of the promise lasts."""
    admin_token: SecretStr | None = None
    """Who shows it may reset breakers and reload."""
    admin_token_file: Path | None = None
    log_format: Literal["logfmt", "json"] = "logfmt"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shutdown_timeout: Seconds = 30.0
    """Seconds that requests in flight get after SIGTERM."""
    interval: Seconds = 30.0
    timeout: Seconds = 5.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    retry_backoff: Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=3600, allow_inf_nan=False)] = 1.0
    failure_threshold: Annotated[int, Field(ge=1, le=10_000)] = 5
    recovery_timeout: Seconds = 60.0
    targets: Mapping[Name, Target]
    slas: Mapping[Name, Sla]
