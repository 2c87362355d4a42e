"""How values look: units, limits, colours and words that also tell apart who cannot tell the colours apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

# Okabe and Ito's palette, which people with any colour vision can tell apart: jfly.uni-koeln.de/color
GOOD = "#009E73"
SOON = "#E69F00"
BAD = "#D55E00"
UNKNOWN = "#7F7F7F"
BLUE, SKY, PINK, YELLOW = "#0072B2", "#56B4E9", "#CC79A7", "#F0E442"
SERIES = (BLUE, SOON, GOOD, PINK, SKY, BAD)

NO_DATA = "no data"
LOWEST = -1e12
"""Below every value there is: a first step for numbers, so that the base colour is left for what is none."""

Step = tuple[float, str]
Word = tuple[str, str]
"""A text and its colour."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a number looks like.

    Attributes:
        unit: By Grafana's name for it.
        decimals: Always so many.
        steps: Ascending: from this value on, this colour. Without any, a number has no colour.
        words: Values that are shown as a word.
        nothing: Shown where there is no number.

    """

    unit: str
    decimals: int = 0
    steps: Sequence[Step] = ()
    words: Mapping[int, Word] | None = None
    nothing: str = NO_DATA
    lowest: float | None = None
    highest: float | None = None

    def thresholds(self) -> build.ThresholdsConfig:
        """Return the steps; whatever is no number is grey."""
        steps = [model.Threshold(value=None, color=UNKNOWN if self.steps else "text")]
        steps += [model.Threshold(value=at, color=colour) for at, colour in self.steps]
        return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)

    def mappings(self) -> list[model.ValueMapping]:
        """Return the words, and the one for nothing."""
        nothing = model.SpecialValueMap(
            options=model.DashboardSpecialValueMapOptions(
                match=model.SpecialValueMatch.NULL_AND_NAN,
                result=model.ValueMappingResult(
                    text=self.nothing, color=UNKNOWN, index=len(self.words or {})
                ),
            )
        )
        if not self.words:
            return [nothing]
        words = {
            str(value): model.ValueMappingResult(text=text, color=colour, index=place)
            for place, (value, (text, colour)) in enumerate(self.words.items())
        }
        return [model.ValueMap(options=words), nothing]


def beyond(limit: float) -> float:
    """Return the first number above a limit: colours begin at a number, most alerts fire above one."""
    return math.nextafter(limit, math.inf)


def at_least(bad: float, soon: float | None = None) -> tuple[Step, ...]:
    """Colour what is bad below a limit."""
    if soon is None:
        return ((LOWEST, BAD), (bad, GOOD))
    return ((LOWEST, BAD), (bad, SOON), (soon, GOOD))


def at_most(soon: float, bad: float | None = None) -> tuple[Step, ...]:
    """Colour what is bad from a limit on."""
    if bad is None:
        return ((LOWEST, GOOD), (soon, BAD))
    return ((LOWEST, GOOD), (soon, SOON), (bad, BAD))


UP_WORDS = {1: ("▲ up", GOOD), 0: ("▼ DOWN", BAD)}
TARGET_WORDS = {2: ("▲ up", GOOD), 1: ("◆ degraded", SOON), 0: ("▼ DOWN", BAD)}
CIRCUIT_WORDS = {0: ("● closed", GOOD), 1: ("◐ half-open", SOON), 2: ("○ OPEN", BAD)}
PROMISE_WORDS = {2: ("✓ kept", GOOD), 1: ("! below so far", SOON), 0: ("✗ BROKEN", BAD)}
YES_WORDS = {1: ("✓ yes", GOOD), 0: ("✗ NO", BAD)}

COUNT = Look("none")
SECONDS = Look("s", 1, lowest=0)
RATE = Look("reqps", 3, lowest=0)
RATIO = Look("percentunit", 3)
