"""Dashboards as Grafana reads them: panels, queries, and what it puts for their variables."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.dashboards import rounded

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
    points: int = 0
    """At most so many, or as many as the panel has pixels."""

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
                panel.get("maxDataPoints", 0),
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
        return max(least, rounded(self.seconds / (asked.points or self.screen * asked.span / 24)))

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


def _seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    return float(text[:-1]) * units[text[-1]] if text else 0.0
