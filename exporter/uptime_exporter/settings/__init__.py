"""What the file may say; the only place with YAML, environment, defaults and units."""

from uptime_exporter.settings.drill import DRILL, LONGEST, drilling
from uptime_exporter.settings.model import (
    FileTarget,
    HttpTarget,
    MysqlTarget,
    ReliabilityTarget,
    Settings,
    Sla,
    Target,
    TcpTarget,
    Tls,
)
from uptime_exporter.settings.redaction import secrets_of
from uptime_exporter.settings.secret import Secret
from uptime_exporter.settings.values import duration

__all__ = [
    "DRILL",
    "LONGEST",
    "FileTarget",
    "HttpTarget",
    "MysqlTarget",
    "ReliabilityTarget",
    "Secret",
    "Settings",
    "Sla",
    "Target",
    "TcpTarget",
    "Tls",
    "drilling",
    "duration",
    "secrets_of",
]
