"""Something to watch: stand-ins for a whole system, with faults that can be switched on and off."""

from uptime_exporter.demo.run import Demo, stand_ins

__all__ = ["Demo", "stand_ins"]
