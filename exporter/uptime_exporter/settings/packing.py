"""Settings on their way from one process to another, where equal values arrive as one.

Thousands of targets differ in their name and where they are, and hardly in anything else.
"""

import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from uptime_exporter.settings.model import Settings, Target

_Row = tuple[type[Target], list[int]]


def pack(settings: Settings) -> bytes:
    """Return *settings*, secrets and all, as bytes for `unpack`."""
    places: dict[bytes, int] = {}
    values: list[Any] = []

    def place(value: object) -> int:
        # What is equal to Python need not be the same: 1 is not true, and a secret is not its stars.
        at = places.setdefault(pickle.dumps(value), len(values))
        if at == len(values):
            values.append(value)
        return at

    rows = {name: _row(target, place) for name, target in settings.targets.items()}
    return pickle.dumps((replace(settings, targets={}), values, rows))


def _row(target: Target, place: Callable[[object], int]) -> _Row:
    return type(target), [place(getattr(target, each.name)) for each in fields(target)]


def unpack(packed: bytes) -> Settings:
    """Return what `pack` was given; only for bytes of a process of one's own."""
    rest: Settings
    rest, values, rows = pickle.loads(packed)  # noqa: S301 - our own process wrote it
    return replace(rest, targets={name: _target(row, values) for name, row in rows.items()})


def _target(row: _Row, values: list[Any]) -> Target:
    kind, places = row
    return kind(**{each.name: values[place] for each, place in zip(fields(kind), places, strict=True)})
