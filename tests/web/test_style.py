"""What the page looks like, as far as a number can say it."""

import re

import pytest

from support.contrast import colours, contrast
from uptime_exporter.web.page import STYLE

LIGHT, DARK = re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL)[:2]
SCHEMES = {"light": LIGHT, "dark": DARK}

GROUNDS = {
    "ink": ["ground", "paper", "down-tint", "degraded-tint", "unknown-tint"],
    "soft": ["ground", "paper", "down-tint", "degraded-tint", "unknown-tint"],
    "up": ["paper"],
    "degraded": ["degraded-tint"],
    "down": ["ground", "down-tint"],
    "unknown": ["unknown-tint"],
}
"""Colour of text → what it stands on."""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("text", GROUNDS)
def test_text_can_be_read(scheme: str, text: str) -> None:
    """At least 4.5 to 1 on everything that it stands on (WCAG 2.2, 1.4.3)."""
    palette = colours(SCHEMES[scheme])

    worst = min(contrast(palette[text], palette[ground]) for ground in GROUNDS[text])

    assert worst >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bar", ["up-bar", "degraded", "down", "unknown"])
def test_bars_can_be_seen(scheme: str, bar: str) -> None:
    """At least 3 to 1 on every card (WCAG 2.2, 1.4.11)."""
    palette = colours(SCHEMES[scheme])
    cards = ["paper", "down-tint", "degraded-tint", "unknown-tint"]

    assert min(contrast(palette[bar], palette[card]) for card in cards) >= 3


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("shape", ["up", "degraded", "down", "unknown"])
def test_the_mark_in_a_shape_can_be_seen(scheme: str, shape: str) -> None:
    """The shapes differ, and so do the marks in them, for whoever does not see the colours."""
    palette = colours(SCHEMES[scheme])

    assert contrast(palette["mark"], palette[shape]) >= 3


def test_nothing_is_wider_than_a_telephone() -> None:
    """Long words break anywhere, and no column insists on more than the screen."""
    assert "overflow-wrap: anywhere" in STYLE
    assert "minmax(min(100%, 21rem), 1fr)" in STYLE
