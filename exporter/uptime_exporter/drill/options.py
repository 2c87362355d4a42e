"""What a drill has to know: where everybody is, and for how long to wait."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uptime_exporter.errors import DrillError
from uptime_exporter.settings.values import host_and_port, seconds_in

SYNTHETIC = "drill"


@dataclass(frozen=True, slots=True)
class Options:
    """Addresses, without a slash at the end, and seconds."""

    exporter: str
    prometheus: str
    alertmanager: str
    demo: str | None
    """The demo's control and the part to break; None: a target of the exporter's own, for the time of the drill."""
    inbox: tuple[str, int] | None
    """Where to take Alertmanager's messages; None: its own word for it that it has sent them."""
    token: str | None
    patience: float
    """For each step until the fault has been told of."""
    patience_at_end: float
    """For each step after it is over: alerts look back for minutes."""

    @property
    def target(self) -> str:
        """The target that fails, and the name of its promise."""
        return self.demo.rpartition("/")[2] if self.demo else SYNTHETIC


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `drill`."""
    for name, port in (("exporter", 10999), ("prometheus", 9090), ("alertmanager", 9093)):
        url = f"http://127.0.0.1:{port}"
        parser.add_argument(f"--{name}", default=url, metavar="URL", help=f"{url} unless given")
    parser.add_argument(
        "--demo",
        metavar="URL",
        help="break a part of the demo, such as http://127.0.0.1:8009/model_server, and not a target made for it",
    )
    parser.add_argument(
        "--inbox",
        metavar="HOST:PORT",
        help="take Alertmanager's messages here: a webhook of its configuration must lead to it",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="the exporter's admin token; or UPTIME_ADMIN_TOKEN_FILE",
    )
    parser.add_argument("--patience", default="10m", metavar="TIME", help="10m for each step unless given")
    parser.add_argument(
        "--patience-at-end", default="30m", metavar="TIME", help="30m for each step after the fault"
    )


def options(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Options:
    """Return what the command line says.

    Raises:
        DrillError: One of them cannot be used.

    """
    file = arguments.token_file or environ.get("UPTIME_ADMIN_TOKEN_FILE")
    return Options(
        exporter=arguments.exporter.rstrip("/"),
        prometheus=arguments.prometheus.rstrip("/"),
        alertmanager=arguments.alertmanager.rstrip("/"),
        demo=arguments.demo.rstrip("/") if arguments.demo else None,
        inbox=_place(arguments.inbox) if arguments.inbox else None,
        token=_token(Path(file)) if file else environ.get("UPTIME_ADMIN_TOKEN"),
        patience=_seconds("--patience", arguments.patience),
        patience_at_end=_seconds("--patience-at-end", arguments.patience_at_end),
    )


def _token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DrillError(f"--token-file: {file} cannot be read ({type(error).__name__})") from error


def _place(text: str) -> tuple[str, int]:
    try:
        return host_and_port(text)
    except ValueError as error:
        raise DrillError(f"--inbox: {error}") from error


def _seconds(name: str, text: str) -> float:
    seconds = seconds_in(text)
    if seconds is None or not seconds > 0:
        raise DrillError(f"{name}: must be a duration such as 10m")
    return seconds
