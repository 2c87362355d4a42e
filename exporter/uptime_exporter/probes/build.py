"""Which probe asks which kind of target."""

from uptime_exporter.probes.dial import Dialler
from uptime_exporter.probes.http import HttpProbe
from uptime_exporter.probes.mysql import MysqlProbe
from uptime_exporter.probes.protocol import Probe
from uptime_exporter.probes.tcp import TcpProbe
from uptime_exporter.settings import HttpTarget, MysqlTarget, Target, TcpTarget


def build_probe(target: Target, dialler: Dialler | None = None) -> Probe:
    """Return the probe for *target*.

    Raises:
        SettingsError: It cannot be built, for example because a file for TLS cannot be used.

    """
    match target:
        case HttpTarget():
            return HttpProbe(target, dialler)
        case MysqlTarget():
            return MysqlProbe(target, dialler)
        case TcpTarget():
            return TcpProbe(target, dialler)
