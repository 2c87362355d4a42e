"""HTML put together from parts that cannot break out of their place."""

import re
from collections.abc import Iterable
from html import escape

_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Characters that HTML forbids, that UTF-8 cannot say, or that reorder the text around them."""

_VOID = frozenset({"link", "meta"})


class Html(str):
    """Text that is HTML already; every other string is escaped before it becomes part of any."""

    __slots__ = ()


def text(value: str) -> Html:
    """Return *value* as HTML that shows it and does nothing else."""
    return value if isinstance(value, Html) else Html(escape(_UNPRINTABLE.sub("\ufffd", value)))


def join(parts: Iterable[str], by: str = "") -> Html:
    """Return all *parts* in one, escaped where they are not HTML."""
    return Html(text(by).join(text(part) for part in parts))


def element(name: str, /, *children: str, **attributes: str | None) -> Html:
    """Return an element; a trailing underscore of an attribute is dropped, others become hyphens.

    An attribute that is None is left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")
