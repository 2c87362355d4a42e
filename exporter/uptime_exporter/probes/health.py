"""What the body of a health check says: up, degraded or down, and which models are loaded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from uptime_exporter.errors import ProbeFailure
from uptime_exporter.outcome import UNSEEN, Reason, Seen
from uptime_exporter.probes.text import in_words, one_line

Expected = Mapping[str, Sequence[str | bool | int | float]]
"""Dotted path → values."""

UNWELL = frozenset({"unhealthy", "down", "fail", "failing", "failed", "error", "critical", "unavailable"})
"""What a JSON object's ``status`` says that is down, where the settings expect nothing in particular.

From what is common: the watched servers', Spring Boot's and the health+json draft's words among them.
"""
MESSAGE = 200
"""Characters that are kept of what a target says of itself."""
MODELS = 50
MODEL_NAME = 100

_MISSING = object()


def judge(body: bytes, expected: Expected | None, degraded: Expected, seen: Seen = UNSEEN) -> Seen:
    """Return *seen* and what *body* adds to it, if it says that the target is up.

    Texts are compared without regard to case; ``true`` is no ``1``.

    Args:
        body: Of the response.
        expected: Values that count as up; each path must have one of its values. None: whatever is not
            `UNWELL`. Empty: anything.
        degraded: Values that count as degraded; one path is enough.
        seen: What is known already.

    Raises:
        ProbeFailure: body; what was seen is with it.

    """
    if expected:
        return _judge_strictly(body, expected, degraded, seen)
    said = _parse(body)
    seen = _enriched(said, seen)
    status = _at(said, "status")
    if expected is None and isinstance(status, str) and status.strip().casefold() in UNWELL:
        raise ProbeFailure(Reason.BODY, f"status is {in_words(status)}", seen)
    return _graded(said, degraded, seen)


def observe(body: bytes, seen: Seen = UNSEEN) -> Seen:
    """Return *seen* and what *body* adds to it, whatever it says."""
    return _enriched(_parse(body), seen)


def _judge_strictly(body: bytes, expected: Expected, degraded: Expected, seen: Seen) -> Seen:
    try:
        said = _STRICT.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise ProbeFailure(Reason.BODY, _why_no_json(body, error), seen) from error
    seen = _enriched(said, seen)
    for path, values in expected.items():
        _require(said, path, values, seen)
    return _graded(said, degraded, seen)


def _require(said: Any, path: str, values: Sequence[object], seen: Seen) -> None:
    value = _at(said, path)
    if not _is_one_of(value, values):
        wanted = one_line(" or ".join(map(in_words, values)))
        raise ProbeFailure(Reason.BODY, f"{path} is {in_words(value)}, expected {wanted}", seen)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it contains {name}")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says a thing twice: which one counts is anybody's guess (RFC 8259, 4)."""
    said = dict(pairs)
    if len(said) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return said


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates)
"""Made once: for every body it would cost more than the decoding."""


def _why_no_json(body: bytes, error: Exception) -> str:
    if not body.strip():
        return "the body is empty, expected JSON"
    why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    start = one_line(body[:400].decode("utf-8", "replace"), 40)
    return f'the body is no usable JSON ({one_line(why)}); it begins with "{start}"'


def _parse(body: bytes) -> Any:
    """Return what *body* says if it is JSON of any sort, else None."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _at(said: Any, path: str) -> Any:
    """Return what stands at the dotted *path*; a key that contains the dots itself comes first."""
    if isinstance(said, dict) and path in said:
        return said[path]
    for name in path.split("."):
        if not isinstance(said, dict) or name not in said:
            return _MISSING
        said = said[name]
    return said


def _is_one_of(value: object, values: Sequence[object]) -> bool:
    return any(_equal(value, other) for other in values)


def _equal(one: object, other: object) -> bool:
    match one, other:
        case str(), str():
            return one.casefold() == other.casefold()
        case (bool(), _) | (_, bool()):
            return one is other
        case ((int() | float()), (int() | float())):
            return one == other
        case _:
            return False


def _graded(said: Any, degraded: Expected, seen: Seen) -> Seen:
    is_degraded = any(_is_one_of(_at(said, path), values) for path, values in degraded.items())
    return seen if is_degraded == seen.degraded else replace(seen, degraded=is_degraded)


def _enriched(said: Any, seen: Seen) -> Seen:
    if not isinstance(said, dict):
        return seen
    return replace(seen, message=_message(said), models=_models(said))


def _message(said: Mapping[str, Any]) -> str:
    texts = (said[key] for key in ("message", "error") if isinstance(said.get(key), str))
    return one_line(next(texts, ""), MESSAGE)


def _models(said: Mapping[str, Any]) -> Mapping[str, bool]:
    for key in ("models_loaded", "models"):
        flags = said.get(key)
        if isinstance(flags, dict):
            named = ((one_line(name, MODEL_NAME), loaded) for name, loaded in flags.items())
            return dict(
                [(name, loaded) for name, loaded in named if name and isinstance(loaded, bool)][:MODELS]
            )
    return {}
