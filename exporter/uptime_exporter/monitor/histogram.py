"""Counts in buckets: the toolkit's, which an application's own figures go by too."""

from uptime_exporter.reliability.histogram import Histogram

__all__ = ["Histogram"]
