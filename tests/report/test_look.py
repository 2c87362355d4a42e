"""What the page looks like on a screen and on paper, as far as a number can say it."""

import re

import pytest

from support.contrast import colours, contrast
from uptime_exporter.report.as_html import POLICY, STYLE

LIGHT, DARK, PRINT = re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL)[:3]
SCHEMES = {"light": LIGHT, "dark": DARK, "print": PRINT}

GROUNDS = {
    "ink": ["ground", "paper"],
    "soft": ["ground", "paper"],
    "up": ["paper"],
    "doubt": ["paper"],
    "down": ["paper"],
    "unknown": ["paper"],
    "mark": ["down"],
}
"""Colour of text → what it stands on; numbers in cells are of the colour of marks."""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("text", GROUNDS)
def test_text_can_be_read(scheme: str, text: str) -> None:
    """At least 4.5 to 1 on everything that it stands on (WCAG 2.2, 1.4.3)."""
    palette = colours(SCHEMES[scheme])

    assert min(contrast(palette[text], palette[ground]) for ground in GROUNDS[text]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_outage_stands_out_without_colour(scheme: str) -> None:
    """At least 3 to 1 beside an hour that was up (WCAG 2.2, 1.4.11); numbers and hatching say the same."""
    palette = colours(SCHEMES[scheme])

    assert contrast(palette["down"], palette["up-cell"]) >= 3
    assert contrast(palette["unknown"], palette["paper"]) >= 3


def test_paper_gets_no_colour() -> None:
    """Black, white and grey, on A4."""
    assert all(
        len(set(re.findall("..", c[1:]) if len(c) == 7 else c[1:])) == 1 for c in colours("print").values()
    )
    assert "@page { size: A4;" in STYLE


def test_the_file_may_only_be_shown() -> None:
    """It needs nothing from elsewhere, and gets nothing."""
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "http" not in STYLE
    assert "@import" not in STYLE
