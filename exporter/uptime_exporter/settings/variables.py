"""The environment and the command line as layers."""

import json
import re
from collections.abc import Mapping

from uptime_exporter.settings.layer import Key, Layer, Place, Source
from uptime_exporter.settings.schema import is_flat, is_list, is_mapping, is_model, kinds_at

PREFIX = "UPTIME_"
CONFIG = "UPTIME_CONFIG"
"""Names the settings file."""

# Kubernetes puts these into every container beside a service called `uptime` or `uptime-…`.
_SERVICE_LINK = re.compile(
    r"UPTIME(_[A-Z0-9]+)*?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)


def read_environment(environ: Mapping[str, str]) -> Layer:
    """Return what the variables ``UPTIME_…`` say; an empty one says nothing."""
    layer = Layer()
    for name in sorted(filter(None, environ), key=lambda name: (name.count("__"), name)):
        if name.startswith(PREFIX) and environ[name] and not _is_no_setting(name, environ[name]):
            key = tuple(name.removeprefix(PREFIX).lower().split("__"))
            _put(layer, Source.ENVIRONMENT, name, key, environ[name])
    return layer


def _is_no_setting(name: str, value: str) -> bool:
    link = _SERVICE_LINK.fullmatch(name) or (name.endswith("_PORT") and re.match(r"(tcp|udp|sctp)://", value))
    return name == CONFIG or bool(link)


def read_overrides(overrides: Mapping[str, object]) -> Layer:
    """Return what dotted keys on the command line say: texts as in the environment, values as in the file."""
    layer = Layer()
    for name in sorted(overrides, key=lambda name: (name.count("."), name)):
        _put(layer, Source.OVERRIDE, name, tuple(name.split(".")), overrides[name])
    return layer


def _put(layer: Layer, source: Source, name: str, parts: tuple[str, ...], value: object) -> None:
    key = _key(parts)
    place = Place(source, name, key)
    try:
        _check_parts(key)
        layer.put(place, _read(key, value) if isinstance(value, str) else value)
    except _NotReadableError as error:
        layer.mistake_at(place, key, str(error))


def _key(parts: tuple[str, ...]) -> Key:
    """Return *parts*, of which those inside a flat mapping are one name: ``expect_json.status.code``."""
    for end in range(1, len(parts)):
        if any(is_flat(kind) for kind in kinds_at(parts[:end])):
            return (*parts[:end], ".".join(parts[end:]))
    return parts


def _check_parts(key: Key) -> None:
    for end in range(1, len(key)):
        kinds = kinds_at(key[:end])
        if kinds and not any(is_mapping(kind) or is_model(kind) for kind in kinds):
            raise _NotReadableError(f"{key[end - 1]} is one value and has no parts; remove what follows it")


class _NotReadableError(Exception):
    """A text is not what its setting wants; the message does not show it."""


def _read(key: Key, text: str) -> object:
    kinds = kinds_at(key)
    if any(is_mapping(kind) or is_model(kind) for kind in kinds):
        return _json(text, dict, 'must be JSON, such as {"name": "value"}')
    if any(is_list(kind) for kind in kinds):
        if text.lstrip().startswith("["):
            return _json(text, list, 'must be JSON, such as ["a", "b"]')
        return [item.strip() for item in text.split(",")]
    return text


def _json(text: str, kind: type, wanted: str) -> object:
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise _NotReadableError(f"{wanted}; {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise _NotReadableError("nested too deeply") from None
    if not isinstance(value, kind):
        raise _NotReadableError(wanted)
    return value


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise _NotReadableError("the JSON gives the same name twice; keep one of them")
    return dict(pairs)
