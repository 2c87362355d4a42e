"""What a stranger wrote, made fit for one line of a log."""

import json

DETAIL = 80
"""Characters of a stranger's text that an error message quotes at most."""


def one_line(text: str, limit: int = DETAIL) -> str:
    """Return *text* on one line, without control characters, at most *limit* characters long."""
    if len(text) <= limit and text.isprintable() and "  " not in text and text.strip(" ") == text:
        return text  # as a rule
    head = text[: 4 * limit]
    clean = " ".join("".join(c if c.isprintable() else " " for c in head).split())
    if len(clean) > limit or len(text) > len(head):
        return clean[: limit - 1] + "…"
    return clean


def in_words(value: object, limit: int = 60) -> str:
    """Return a *value* of JSON for an error message: on one line, of an object no more than that it is one."""
    match value:
        case str():
            return f'"{one_line(value, limit)}"'
        case bool() | None:
            return json.dumps(value)
        case int() | float():
            return one_line(repr(value), limit)
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return "missing"
