"""Something to watch: stand-ins for a whole system, with faults that can be switched on and off."""

from uptime_exporter.demo.backend import Neighbours
from uptime_exporter.demo.backend_process import serve_backend
from uptime_exporter.demo.load import Load, ask_endlessly, bar
from uptime_exporter.demo.run import Demo, stand_ins
from uptime_exporter.demo.serve import SERVERS, serve

__all__ = [
    "SERVERS",
    "Demo",
    "Load",
    "Neighbours",
    "ask_endlessly",
    "bar",
    "serve",
    "serve_backend",
    "stand_ins",
]
