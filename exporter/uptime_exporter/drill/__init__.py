"""A fire drill: a fault that is none of anybody's, followed until somebody is told, and until it is over."""

from uptime_exporter.drill.options import add_arguments, options
from uptime_exporter.drill.progress import Progress
from uptime_exporter.drill.story import rehearse

__all__ = ["Progress", "add_arguments", "options", "rehearse"]
