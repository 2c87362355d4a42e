"""Shapes of the fixtures that load settings."""

from collections.abc import Callable

from uptime_exporter.settings import Settings

Load = Callable[..., Settings]
"""The text of a file, variables, and overrides with ``__`` for dots → settings."""
Complain = Callable[..., list[str]]
"""The same → all that is said against them."""
