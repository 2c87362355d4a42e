"""Which probe asks which kind of target."""

from uptime_exporter.probes.dial import Dialler
from uptime_exporter.probes.file import FileProbe
from uptime_exporter.probes.http import HttpProbe
from uptime_exporter.probes.mysql import MysqlProbe
from uptime_exporter.probes.protocol import Probe
from uptime_exporter.probes.reliability import ReliabilityProbe
from uptime_exporter.probes.tcp import TcpProbe
from uptime_exporter.settings import FileTarget, HttpTarget, MysqlTarget, ReliabilityTarget, Target, TcpTarget


def build_probe(target: Target, dialler: Dialler | None = None) -> Probe:
    """Return the probe for *target*.

    Raises:
        SettingsError: It cannot be built, for example because a file for TLS cannot be used.

    """
    match target:
        case HttpTarget():
            return HttpProbe(target, dialler)
        case ReliabilityTarget():
            return ReliabilityProbe(target, dialler)
        case MysqlTarget():
            return MysqlProbe(target, dialler)
        case TcpTarget():
            return TcpProbe(target, dialler)
        case FileTarget():
            return FileProbe(target)
