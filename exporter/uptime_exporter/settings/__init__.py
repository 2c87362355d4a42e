"""What the file may say; the only place with YAML, environment, defaults and units."""

from uptime_exporter.settings.model import HttpTarget, MysqlTarget, Settings, Sla, Target, TcpTarget, Tls

__all__ = ["HttpTarget", "MysqlTarget", "Settings", "Sla", "Target", "TcpTarget", "Tls"]
