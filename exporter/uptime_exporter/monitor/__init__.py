"""Owns the beat, the deadline, the confirmation and the breaker; hands each outcome to a sink."""

from uptime_exporter.monitor.application import Application, ToldCheck, ToldCircuit
from uptime_exporter.monitor.attempt import Asker, Attempt
from uptime_exporter.monitor.circuit import Circuit
from uptime_exporter.monitor.monitor import Monitor
from uptime_exporter.monitor.watch import Watch, all_up, together
from uptime_exporter.reliability.histogram import Histogram

__all__ = [
    "Application",
    "Asker",
    "Attempt",
    "Circuit",
    "Histogram",
    "Monitor",
    "ToldCheck",
    "ToldCircuit",
    "Watch",
    "all_up",
    "together",
]
