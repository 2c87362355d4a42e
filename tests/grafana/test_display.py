"""The text and the colour of every number, as Grafana's own code makes them of what a real Prometheus answers."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from support import moments
from support.dashboards import Range, answers, boards, filled, panels
from support.golden import agrees
from support.moments import CASES
from support.node import ready, said
from support.shared import once

GOLDEN = Path(__file__).parents[1] / "golden" / "dashboards.txt"
COLOURS = {"#009E73": "good", "#E69F00": "soon", "#D55E00": "bad", "#7F7F7F": "unknown"}
CHOSEN = {"job": "uptime", "instance": ".+", "sla": ".+", "target": "mysql", "app": "main-backend"}
OVERVIEW = "uptime-sla-overview"

Shown = dict[str, dict[str, dict[str, list[str]]]]
"""Dashboard → panel → case → what it shows, line by line."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Return what every stat and every table shows in each case."""
    everything: Shown = once(tmp_path_factory, "shown", look)
    return everything


async def look(folder: Path) -> Shown:
    ready()
    asked, jobs = [], []
    async with filled(folder, moments.moments()) as server:
        for (uid, board), case in product(boards().items(), CASES):
            now = moments.moment(case)
            numbers = list(panels(board, "stat", "table"))
            answered = await answers(server, numbers, CHOSEN, Range(now - moments.HOUR, now))
            for panel in numbers:
                asked.append((uid, panel["title"], case))
                about = {"panel": panel, "answers": answered[panel["id"]]}
                jobs.append(about | {"variables": CHOSEN, "now": now * 1000})
    everything: Shown = {}
    for (uid, title, case), told in zip(asked, await said(jobs), strict=True):
        everything.setdefault(uid, {}).setdefault(title, {})[case] = [line(each) for each in told]
    return everything


def line(each: Mapping[str, Any]) -> str:
    """Return one number of a stat, or one row of a table, as text."""
    if "title" not in each:
        return " | ".join(f"{column}: {cell(value)}" for column, value in each.items())
    return " | ".join(filter(None, [each["title"], cell(each)]))


def cell(value: Mapping[str, Any]) -> str:
    """Return a text, with its colour if it has one that means something."""
    colour = COLOURS.get(value["color"])
    return (value["text"] or "") + (f" [{colour}]" if colour else "")


def of(shown: Shown, case: str) -> Iterator[tuple[str, list[str]]]:
    """Yield every panel's title and what it shows in a case."""
    for board in shown.values():
        for title, cases in board.items():
            yield title, cases[case]


def test_every_number_is_shown_as_it_was_agreed(shown: Shown) -> None:
    """Each stat and each cell in each case, as tests/golden/dashboards.txt has it; a reader can check it there."""
    text = [
        "# What each stat and each table shows: well, where a warning begins, exactly at an alarm's limit, broken,",
        "# NaN, and no data. In brackets what its colour means. tests/support/moments.py says what is so then.",
    ]
    for uid, board in shown.items():
        text += ["", f"== {uid}"]
        for title, cases in board.items():
            text += ["", title]
            text += [
                f"  {case:<8}  {each}" for case, lines in cases.items() for each in lines or ["(no row)"]
            ]
    assert agrees(GOLDEN, "\n".join([*text, ""]))


def test_the_five_key_metrics_change_exactly_at_their_limits(shown: Shown) -> None:
    """A promise kept to the second is kept; what no alert fires for yet is not shown as an alarm."""
    five = {title: cases for title, cases in shown[OVERVIEW].items() if title[0].isdigit()}

    assert len(five) == 5
    assert [cases["limit"] for cases in five.values()] == [
        ["✓ kept: mysql | 99.900% [good]"],
        ["! not for long yet | 1 [soon]"],
        ["! below the aim | 95.00% [soon]"],
        ["! above the aim | 1.000% [soon]"],
        ["! slow | 30.0 s [soon]"],
    ]


@pytest.mark.parametrize(("case", "colour"), [("healthy", "good"), ("breached", "bad")])
def test_the_five_key_metrics_are_all_good_or_all_bad(shown: Shown, case: str, colour: str) -> None:
    """Well is green in all of them, broken is red in all of them, and a sign says the same without colour."""
    five = [cases[case] for title, cases in shown[OVERVIEW].items() if title[0].isdigit()]
    sign = {"good": "✓", "bad": "✗"}[colour]

    assert all(each[0].startswith(sign) and each[0].endswith(f"[{colour}]") for each in five), five


def test_nothing_looks_like_nothing(shown: Shown) -> None:
    """Where there is no data no number, no NaN and no colour pretends that there is."""
    wrong = [
        (title, lines)
        for title, lines in of(shown, "nothing")
        if any("[good]" in each or "[bad]" in each or "[soon]" in each or "NaN" in each for each in lines)
    ]
    assert not wrong


def test_what_is_no_number_is_neither_good_nor_bad(shown: Shown) -> None:
    """One NaN shows as a word in the colour of what is unknown, except to what only counts series."""
    wrong = [
        (title, lines)
        for title, lines in of(shown, "nan")
        if title != "Targets known"
        and any("[good]" in each or "[bad]" in each or "NaN" in each for each in lines)
    ]
    assert not wrong


def test_what_is_broken_is_never_green(shown: Shown) -> None:
    """A number far beyond its limit, also below zero, has the colour of an alarm."""
    green = [
        (title, lines) for title, lines in of(shown, "breached") if any("[good]" in each for each in lines)
    ]

    assert not green
