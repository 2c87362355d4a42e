"""A period as a grid that can be read in colour, in grey and by a finger: a cell for each hour or each day."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from uptime_exporter.html import Html, element
from uptime_exporter.ledger.span import State
from uptime_exporter.report.calendar import Period, Slot, local
from uptime_exporter.report.findings import Findings
from uptime_exporter.report.statement import Statement, Sums, share
from uptime_exporter.report.wording import MINUTE, lasting, offset

HOURLY = 32 * 86_400
"""Seconds up to which a period is shown by the hour: the longest month, and a clock set back."""

LEFT, RIGHT, TOP = 74, 166, 16
PITCH = 15
"""Height of a row."""
GAP = 1.5
"""Between cells."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one slot."""

    slot: Slot
    begin: datetime
    end: datetime
    """Local times."""
    column: int
    row: str
    """The label of the row that it stands in."""
    sums: Sums
    by_day: bool

    @property
    def state(self) -> State | None:
        """The worst that happened in it; None where the account does not reach."""
        worst = (State.DOWN, State.UNKNOWN, State.UP)
        return next((each for each in worst if self.sums[each]), None)


@dataclass(frozen=True, slots=True)
class _Grid:
    """How the cells stand."""

    columns: int
    width: int
    """Of a column."""
    first: int
    """Number of the first column."""
    every: int
    """Columns from one label to the next."""
    unit: str


BY_HOUR = _Grid(columns=24, width=24, first=0, every=3, unit="hour")
BY_DAY = _Grid(columns=31, width=19, first=1, every=3, unit="day")


def picture(findings: Findings, statement: Statement) -> Html:
    """Return the picture of one promise."""
    grid = _grid(findings.period)
    rows = [(label, list(row)) for label, row in groupby(cells(findings, statement), attrgetter("row"))]
    width, height = LEFT + grid.columns * grid.width + RIGHT, TOP + len(rows) * PITCH
    parts = [*_heads(grid)]
    for number, (label, row) in enumerate(rows):
        parts += _row(grid, label, row, TOP + number * PITCH)
    about = f"{statement.name}, a cell for each {grid.unit}; the tables say the same in words"
    return element(
        "svg", *parts, class_="picture", role="img", aria_label=about, viewBox=f"0 0 {width} {height}"
    )


def unit(findings: Findings) -> str:
    """Return what a cell stands for."""
    return _grid(findings.period).unit


def cells(findings: Findings, statement: Statement) -> list[Cell]:
    """Return a cell for each hour of a period as long as a month, for each day of a longer one, in order."""
    period = findings.period
    hourly = _grid(period) is BY_HOUR
    slots = list(period.hours() if hourly else period.days())
    shares = share(statement, findings.timeline, slots)
    return [_cell(period, slot, sums, hourly=hourly) for slot, sums in zip(slots, shares, strict=True)]


def _cell(period: Period, slot: Slot, sums: Sums, *, hourly: bool) -> Cell:
    begin, end = local(slot.begin, period.zone), local(slot.end, period.zone)
    row = f"{begin:%a} {begin.day} {begin:%b}" if hourly else f"{begin:%b %Y}"
    return Cell(slot, begin, end, begin.hour if hourly else begin.day, row, sums, not hourly)


def _grid(period: Period) -> _Grid:
    return BY_HOUR if period.end - period.begin <= HOURLY else BY_DAY


def _heads(grid: _Grid) -> Iterator[Html]:
    numbers = range(grid.first, grid.first + grid.columns)
    for column in numbers[:: grid.every]:
        x = LEFT + (column - grid.first) * grid.width + (grid.width / 2 if grid is BY_DAY else 0)
        label = f"{column:02}" if grid is BY_HOUR else str(column)
        yield _label(label, x, TOP - 5, "head")


def _row(grid: _Grid, label: str, row: Sequence[Cell], y: int) -> Iterator[Html]:
    yield _label(label, LEFT - 8, y + PITCH - 4, "row")
    for column, group in groupby(row, attrgetter("column")):
        shown = list(group)
        width = grid.width / len(shown)
        for number, cell in enumerate(shown):
            yield _drawn(cell, LEFT + (column - grid.first) * grid.width + number * width, y, width)
    yield _label(_lost(row), LEFT + grid.columns * grid.width + 8, y + PITCH - 4, "sum")


def _drawn(cell: Cell, x: float, y: float, width: float) -> Html:
    place = {"x": f"{x:g}", "y": f"{y:g}", "width": f"{width - GAP:g}", "height": f"{PITCH - GAP:g}"}
    kind = "none" if cell.state is None else cell.state.value
    box = element("rect", element("title", _told(cell)), class_=f"cell {kind}", **place)
    if cell.state is not State.DOWN:
        return box
    kind = "number" if width >= BY_DAY.width else "number narrow"
    number = _label(_minutes(cell), x + (width - GAP) / 2, y + PITCH - 4.5, kind)
    return element("g", box, number)


def _label(said: str, x: float, y: float, kind: str) -> Html:
    return element("text", said, x=f"{x:g}", y=f"{y:g}", class_=kind)


def _minutes(cell: Cell) -> str:
    """Return whole minutes of downtime, begun ones included, so that none of it looks like nothing."""
    return str(-(-cell.sums[State.DOWN] // MINUTE))


def _told(cell: Cell) -> str:
    sums = [f"{lasting(cell.sums[each])} {each}" for each in State if cell.sums[each]]
    return f"{_when(cell)}: {', '.join(sums) or 'outside the account'}"


def _when(cell: Cell) -> str:
    begin, end = cell.begin, cell.end
    day = f"{begin:%a} {begin.day} {begin:%b %Y}"
    if cell.by_day:
        return day
    zone = "" if begin.utcoffset() == end.utcoffset() else offset(begin)
    return f"{day} {begin:%H:%M}{zone} to {end:%H:%M}{offset(end)}"


def _lost(row: Sequence[Cell]) -> str:
    words = {State.DOWN: "down", State.UNKNOWN: "unseen"}
    sums = {each: sum(cell.sums[each] for cell in row) for each in words}
    return ", ".join(f"{lasting(sums[each])} {word}" for each, word in words.items() if sums[each])
