"""What pydantic finds wrong, in words that say what to do."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from uptime_exporter.settings.layer import Key, Layer, Place, Source, shown
from uptime_exporter.settings.model import KINDS
from uptime_exporter.settings.schema import names_at
from uptime_exporter.settings.variables import PREFIX

Context = Mapping[str, Any]

_MAPPING = "must be a mapping (name: value)"
_TEXT = "must be text; put it in quotes"
_WHOLE = "must be a whole number"
_TRUTH = "must be true or false"
_URL = "must be an address such as http://localhost:8001/health"

_WORDS: Mapping[str, str | Callable[[Context], str]] = {
    "bool_parsing": _TRUTH,
    "bool_type": _TRUTH,
    "dict_type": _MAPPING,
    "finite_number": "must be a number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": lambda found: f"must be more than {found['gt']:g}",
    "greater_than_equal": lambda found: f"must be at least {found['ge']}",
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_type": _WHOLE,
    "less_than": lambda found: f"must be less than {found['lt']:g}",
    "less_than_equal": lambda found: f"must be at most {found['le']}",
    "literal_error": lambda found: f"must be {found['expected'].replace(chr(39), '')}",
    "model_attributes_type": _MAPPING,
    "model_type": _MAPPING,
    "path_type": "must be the name of a file; put it in quotes",
    "string_too_long": lambda found: f"must have at most {found['max_length']} characters",
    "string_too_short": "must not be empty",
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "too_short": "must not be empty; name at least one",
    "tuple_type": "must be a list, such as [a, b]",
    "url_parsing": _URL,
    "url_scheme": "must begin with http:// or https://",
    "url_syntax_violation": _URL,
    "url_too_long": lambda found: f"must have at most {found['max_length']} characters",
    "url_type": _URL,
    "wrong": lambda found: str(found["text"]),
}

_MISSING: Mapping[str, str] = {
    "host": "is missing; say which host to ask",
    "path": "is missing; say which file, such as path: /backup/*.sql.gz",
    "port": "is missing; say which port to ask",
    "targets": "is missing; name the targets that it is about, such as targets: [mysql]",
    "younger_than": "is missing; say how old it may be, such as younger_than: 7h",
    "url": "is missing; say what to ask, such as url: http://localhost:8001/health",
}


def tell(error: ValidationError, layer: Layer) -> None:
    """Note in *layer* all that *error* found wrong with it, where it came from."""
    for found in error.errors(include_url=False):
        key = _key(found["loc"])
        told: Context = found.get("ctx", {})
        match found["type"]:
            case "extra_forbidden":
                _unknown(layer, key)
            case "union_tag_not_found" | "union_tag_invalid":
                _no_kind(layer, key)
            case "missing":
                layer.mistake(key, _MISSING.get(str(key[-1]), "is missing; give it a value"))
            case _ if found["input"] is None and found["type"] != "wrong":
                layer.mistake(key, "has no value; give it one, or remove it")
            case kind:
                layer.mistake(_blamed(layer, key, told.get("fields", ())), _words(kind, told))


def _key(location: Key) -> Key:
    """Return *location* without what pydantic adds: a target's kind, and that a mapping's name is meant."""
    if location[:1] == ("targets",) and location[2:3] and location[2] in KINDS:
        location = location[:2] + location[3:]
    return location[:-1] if location[-1:] == ("[key]",) else location


def _words(kind: str, told: Context) -> str:
    words = _WORDS.get(kind, f"is not valid ({kind})")
    return words if isinstance(words, str) else words(told)


def _blamed(layer: Layer, key: Key, fields: Iterable[str]) -> Key:
    """Return which of the *fields* in *key* to name: one set there rather than inherited, and lately."""

    def weight(field: Key) -> tuple[bool, int]:
        place = layer.places.get(field)
        return (place is not None and place.key == field, place.source if place else 0)

    placed = [(*key, field) for field in fields if (*key, field) in layer.places]
    return max(placed, key=weight, default=key)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the name among *known* that *name* may be a misspelling of, or nothing."""
    return next(iter(get_close_matches(name.lower(), list(known), n=1)), "")


def _unknown(layer: Layer, key: Key) -> None:
    meant = did_you_mean(str(key[-1]), names_at(key[:-1], layer.at(key[:-1])))
    # A variable has one name for the whole way, so a wrong part is wrong in each that goes through it.
    places = [one for one in layer.places_below(key) if one.source is not Source.FILE]
    for place in places:
        layer.mistake_at(place, place.key, _sentence("", _corrected(place, len(key) - 1, meant)))
    own = layer.places.get(key)
    if not places or (own and own.source is Source.FILE):
        layer.mistake(key, _sentence(f" `{shown(str(key[-1]))}`", f"`{meant}`" * bool(meant)))


def _corrected(place: Place, at: int, meant: str) -> str:
    parts = [str(part) for part in (*place.key[:at], meant, *place.key[at + 1 :])]
    if not meant:
        return ""
    return PREFIX + "__".join(parts).upper() if place.source is Source.ENVIRONMENT else f"`{'.'.join(parts)}`"


def _sentence(name: str, suggestion: str) -> str:
    return f"unknown setting{name}; " + (f"did you mean {suggestion}?" if suggestion else "remove it")


def _no_kind(layer: Layer, key: Key) -> None:
    target = layer.at(key)
    if "kind" in target:
        layer.mistake((*key, "kind"), f"must be one of {', '.join(KINDS)}")
        return
    meant = did_you_mean(str(key[-1]), [name for name in layer.tree["targets"] if name != key[-1]])
    alias = f"; or did you mean `{meant}`?" if meant else ""
    layer.mistake(key, f"needs a kind, one of {', '.join(KINDS)}{alias}")
