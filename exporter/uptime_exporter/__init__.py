"""Know whether a service kept its promise: probes, an exact budget, and metrics for Prometheus."""

__version__ = "0.1.0"
