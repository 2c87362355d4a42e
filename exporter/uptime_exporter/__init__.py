"""Know whether a service kept its promise: probes, an exact budget, and metrics for Prometheus."""

from importlib.metadata import version

__version__ = version("uptime-exporter")
