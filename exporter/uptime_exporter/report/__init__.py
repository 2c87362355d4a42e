"""What was promised and what was kept, in a period, for people and for programs."""

from uptime_exporter.report.render import report, write
from uptime_exporter.report.request import Request, add_arguments

__all__ = ["Request", "add_arguments", "report", "write"]
