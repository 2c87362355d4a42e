"""Modules that are imported when they are first used, for what most runs never do."""

from importlib import import_module
from typing import Any


class Later:
    """Stands for a module until something of it is wanted; type checkers are shown the import itself."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        """Return what the module has under that name, and have it at hand from then on."""
        found = getattr(import_module(self._module), name)
        setattr(self, name, found)
        return found
