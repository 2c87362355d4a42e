"""A snapshot as exposition; the only home of metric names."""

from uptime_exporter.metrics.exposition import Exposition
from uptime_exporter.metrics.subjects import APP, Books, Reloads, Watching

__all__ = ["APP", "Books", "Exposition", "Reloads", "Watching"]
