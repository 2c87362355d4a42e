"""The last checks of a target as a row of bars, whose heights say what their colours say."""

from collections.abc import Iterable, Sequence
from typing import Literal

from uptime_exporter.html import Html, element
from uptime_exporter.monitor.watch import HISTORY
from uptime_exporter.outcome import Look
from uptime_exporter.words import count

Bar = Literal["up", "degraded", "down", "unknown", "none"]

HEIGHT = 28
PITCH, WIDTH = 4, 3
_NONE: Bar = "none"

BARS: dict[Look, Bar] = {"up": "up", "degraded": "degraded", "down": "down", "inconclusive": "unknown"}
HEIGHTS: dict[Bar, int] = {"up": 16, "degraded": 22, "down": HEIGHT, "unknown": 7, "none": 2}
NAMES: dict[Bar, str] = {"up": "up", "degraded": "degraded", "down": "down", "unknown": "inconclusive"}


def strip(history: Iterable[Look]) -> Html:
    """Return the history, oldest first, as bars that stand against the right edge."""
    told = [BARS[look] for look in history]
    bars = [_NONE] * (HISTORY - len(told)) + told
    paths = [element("path", class_=f"bar {bar}", d=_outline(bars, bar)) for bar in HEIGHTS if bar in bars]
    return element(
        "svg",
        *paths,
        class_="strip",
        role="img",
        aria_label=summary(told),
        viewBox=f"0 0 {HISTORY * PITCH - PITCH + WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
    )


def summary(bars: Sequence[Bar]) -> str:
    """Return what the bars show, for those who don't see them."""
    if not bars:
        return "No check yet"
    parts = ", ".join(f"{bars.count(bar)} {name}" for bar, name in NAMES.items() if bar in bars)
    return f"Last {count(len(bars), 'check')}: {parts}"


def _outline(bars: Sequence[Bar], bar: Bar) -> Html:
    """Return all bars of one sort as one path; neighbours stay apart."""
    height = HEIGHTS[bar]
    shape = f" {HEIGHT}v-{height}h{WIDTH}v{height}z"
    return Html("".join(f"M{n * PITCH}{shape}" for n, each in enumerate(bars) if each == bar))
