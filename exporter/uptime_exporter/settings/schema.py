"""What the tree of settings may look like, read from the model."""

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from uptime_exporter.settings.checked import KINDS, SETTINGS
from uptime_exporter.settings.layer import Key, Tree


def allowed(annotation: object) -> Iterator[object]:
    """Yield the types that *annotation* stands for, without unions and without None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from allowed(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from allowed(one)
    elif annotation is not types.NoneType:
        yield annotation


def is_model(kind: object) -> bool:
    """Return whether *kind* is a mapping with settled names."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def is_mapping(kind: object) -> bool:
    """Return whether *kind* is a mapping with names of the user's choice."""
    return get_origin(kind) is Mapping


def is_list(kind: object) -> bool:
    """Return whether *kind* is a list."""
    return get_origin(kind) is tuple


def is_flat(kind: object) -> bool:
    """Return whether *kind* is a mapping in which nothing can be nested: its names may have dots."""
    return is_mapping(kind) and not any(is_model(value) for value in allowed(get_args(kind)[1]))


def kinds_at(key: Key) -> list[object]:
    """Return the types that the value of *key* may have; none if there is no such setting."""
    kinds: list[object] = [SETTINGS]
    for part in key:
        kinds = [inner for kind in kinds for inner in _inside(kind, str(part))]
    return kinds


def _inside(kind: Any, name: str) -> Iterator[object]:
    if is_model(kind) and name in kind.model_fields:
        yield from allowed(kind.model_fields[name].annotation)
    elif is_mapping(kind):
        yield from allowed(get_args(kind)[1])


def names_at(key: Key, value: Tree | None) -> list[str]:
    """Return the settings that there are in the mapping at *key*, whose present *value* may say its kind."""
    kinds = kinds_at(key)
    told = KINDS.get(str((value or {}).get("kind")))
    chosen = [told] if told in kinds else kinds
    return sorted({name for kind in chosen if is_model(kind) for name in kind.model_fields})  # type: ignore[attr-defined]
