"""When a target is due: the toolkit's beat, which an application's own checks go by too."""

from uptime_exporter.reliability.schedule import STARTS_PER_SECOND, Schedule

__all__ = ["STARTS_PER_SECOND", "Schedule"]
