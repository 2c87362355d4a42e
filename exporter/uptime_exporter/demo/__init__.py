"""Something to watch: stand-ins for a whole system, with faults that can be switched on and off."""

from uptime_exporter.demo.run import Demo, stand_ins
from uptime_exporter.demo.serve import SERVERS, serve

__all__ = ["SERVERS", "Demo", "serve", "stand_ins"]
