"""Figures, how they scatter, and the table that they end in."""

import platform
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

BAR = 30

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Table:
    """One subject's figures."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        """Return it as GitHub shows it."""
        lines = [self.head, ["---"] + ["---:"] * (len(self.head) - 1), *self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"## {self.title}\n\n{table}\n" + (f"\n{self.note}\n" if self.note else "")


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure is to be at most."""

    most: float
    unit: str = ""

    def judged(self, figure: float) -> str:
        """Return the goal, and whether *figure* meets it."""
        return f"≤ {self.most:g}{self.unit}: {'met' if figure <= self.most else '**missed**'}"


def spread(values: Sequence[float], unit: str = "ms", factor: float = 1000.0) -> str:
    """Return the median with the quartiles around it."""
    scaled = [value * factor for value in values]
    low, middle, high = statistics.quantiles(scaled, n=4) if len(scaled) > 1 else [scaled[0]] * 3
    return f"{middle:.3g} {unit} ({low:.3g} to {high:.3g})"


def progress(what: str, items: Sequence[T]) -> Iterator[T]:
    """Yield the items, with a bar on standard error that says how far it is."""
    for done, item in enumerate(items):
        _draw(what, done, len(items))
        yield item
    _draw(what, len(items), len(items))
    if sys.stderr.isatty():
        sys.stderr.write("\n")


def _draw(what: str, done: int, of: int) -> None:
    if not sys.stderr.isatty():
        return
    filled = BAR * done // max(of, 1)
    sys.stderr.write(f"\r{what:44} [{'#' * filled}{'.' * (BAR - filled)}] {done}/{of}")
    sys.stderr.flush()


def machine() -> str:
    """Return what the figures were measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"{model}, CPython {platform.python_version()}, {platform.system()} {platform.release()}"
