"""One shape for each state, so that nobody has to tell red from green."""

from urllib.parse import quote

from uptime_exporter.html import Html, element
from uptime_exporter.web.answers import State

SHAPES: dict[State, tuple[str, str]] = {
    "up": ("M12 1a11 11 0 1 0 0 22 11 11 0 0 0 0-22z", "M7 12.5l3.5 3.5 6.5-7.5"),
    "degraded": ("M12 1.5 23.5 22H.5z", "M12 8.5v6M12 18v.5"),
    "down": ("M7.5 1h9L23 7.5v9L16.5 23h-9L1 16.5v-9z", "M8 8l8 8M16 8l-8 8"),
    "unknown": ("M12 .5 23.5 12 12 23.5.5 12z", "M9.5 9.8a2.6 2.6 0 1 1 3.7 2.4q-1.2.6-1.2 2M12 17v.5"),
}
"""Outline and mark, on a square of 24: a disc, a triangle, an octagon, a diamond."""

FAVICON_COLOURS: dict[State, str] = {
    "up": "#12806a",
    "degraded": "#a86700",
    "down": "#c2321f",
    "unknown": "#6b7280",
}


def definitions() -> Html:
    """Return the shapes, once for the page."""
    symbols = [
        element(
            "symbol",
            element("path", class_="shape", d=outline),
            element("path", class_="mark", d=mark),
            id=f"i-{state}",
            viewBox="0 0 24 24",
        )
        for state, (outline, mark) in SHAPES.items()
    ]
    return element("svg", *symbols, class_="away", aria_hidden="true")


def icon(state: State) -> Html:
    """Return the shape of a state; the word beside it is what a screen reader reads."""
    return element("svg", element("use", href=f"#i-{state}"), class_=f"icon {state}", aria_hidden="true")


def favicon(state: State) -> str:
    """Return the shape as the page's own icon, without a request."""
    outline, mark = SHAPES[state]
    return "data:image/svg+xml," + quote(
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'>"
        f"<path fill='{FAVICON_COLOURS[state]}' d='{outline}'/>"
        f"<path fill='none' stroke='#fff' stroke-width='2.6' stroke-linecap='round' d='{mark}'/></svg>"
    )
