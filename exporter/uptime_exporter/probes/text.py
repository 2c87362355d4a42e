"""What a stranger wrote, made fit for one line of a log."""

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
