"""Dashboards as Grafana reads them: panels, queries, and what it puts for their variables."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana" / "dashboards"

Json = dict[str, Any]

SCRAPE = 15.0
"""Seconds: `timeInterval` of the provisioned data source."""


def boards() -> list[Json]:
    """Return every dashboard's JSON."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]


def panels(board: Json) -> list[Json]:
    """Return what is no row."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One query, and where it stands."""

    board: str
    panel: str
    id: int
    ref: str
    expr: str
    instant: bool
    span: int
    every: str
    """Its own least interval, or nothing."""

    def __str__(self) -> str:
        return f"{self.board} / {self.panel} / {self.ref}"


def queries(board: Json) -> Iterator[Asked]:
    """Yield every query of every panel."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield Asked(
                board["uid"],
                panel["title"],
                panel["id"],
                target["refId"],
                target["expr"],
                bool(target.get("instant")),
                panel["gridPos"]["w"],
                target.get("interval", ""),
            )


def annotations(board: Json) -> Iterator[Asked]:
    """Yield the queries of annotations."""
    for number, asked in enumerate(board["annotations"]["list"]):
        yield Asked(
            board["uid"],
            asked["name"],
            -number,
            "Anno",
            asked["expr"],
            instant=False,
            span=24,
            every=asked["step"],
        )


@dataclass(frozen=True, slots=True)
class View:
    """What a reader looks at: a range, and what is chosen."""

    now: float
    seconds: float
    chosen: Mapping[str, str]
    screen: int = 1850
    """Pixels of the widest panel."""

    def step(self, asked: Asked) -> float:
        """Return the seconds between two points, as Grafana computes them from the panel's width."""
        least = max(SCRAPE, _seconds(asked.every))
        return max(least, rounded(self.seconds / (self.screen * asked.span / 24)))

    def expr(self, asked: Asked) -> str:
        """Return the query with everything put in."""
        step = self.step(asked)
        built_in = {
            "${__from:date:seconds}": f"{self.now - self.seconds:.0f}",
            "$__rate_interval": f"{max(step + SCRAPE, 4 * SCRAPE):.0f}s",
            "$__interval": f"{step:.0f}s",
            "$__range": f"{self.seconds:.0f}s",
        }
        text = asked.expr
        for variable, value in built_in.items():
            text = text.replace(variable, value)
        for name, value in self.chosen.items():
            text = re.sub(rf"\${name}\b", value, text)
        assert "$" not in text, f"{asked}: a variable is left in {text}"
        return text


_NICE = (
    *(
        (1.5, 1),
        (3.5, 2),
        (7.5, 5),
        (12.5, 10),
        (17.5, 15),
        (25, 20),
        (45, 30),
        (90, 60),
        (210, 120),
        (450, 300),
    ),
    *((750, 600), (1050, 900), (1500, 1200), (2700, 1800), (5400, 3600), (9000, 7200), (16_200, 10_800)),
    *((32_400, 21_600), (64_800, 43_200), (math.inf, 86_400)),
)


def rounded(seconds: float) -> float:
    """Return the interval that Grafana takes instead: `roundInterval` in its rangeutil."""
    return next(nice for below, nice in _NICE if seconds < below)


def _seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    return float(text[:-1]) * units[text[-1]] if text else 0.0
