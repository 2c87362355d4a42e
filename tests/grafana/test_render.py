"""Every dashboard as Grafana's own panels draw it in a real browser, of what a real Prometheus answers."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from support import installation
from support.dashboards import Range, answers, boards, filled, panels
from support.installation import DAY, END, HOUR, MONTH, WELL
from support.node import drawn, ready
from support.shared import once

README = Path(__file__).parents[2] / "grafana" / "README.md"
PICTURES = README.parent / "pictures"
OVERVIEW, TARGET = "uptime-sla-overview", "uptime-target"
STATES = {
    "healthy": (WELL, "uptime|main-backend", "mysql"),
    "outage": (END, "uptime|main-backend", "mysql"),
    "nothing": (END - 90 * DAY, "uptime|main-backend", "mysql"),
    "hundred": (END, "hundred", "mysql_002"),
}
"""State → until when it is shown, of which jobs, and which target."""

SHOWN = {
    (OVERVIEW, "healthy"),
    (OVERVIEW, "outage"),
    (OVERVIEW, "hundred"),
    (OVERVIEW, "nothing"),
    (TARGET, "outage"),
    ("uptime-application", "outage"),
    ("uptime-exporter", "healthy"),
}
"""What grafana/README.md has pictures of."""

Seen = dict[str, Any]
"""Dashboard and state, with a blank between → what tests/grafana/render/look.js finds, by panel."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Return what every dashboard looks like in each state, and one that is wrong on purpose."""
    looked: Seen = once(tmp_path_factory, "drawn", look)
    return looked


async def look(folder: Path) -> Seen:
    ready("chromium")
    jobs = [wrong()]
    samples = (*installation.history(), *installation.hundred(), *installation.alerts())
    async with filled(folder, samples) as server:
        for uid, board in boards().items():
            for state, (end, job, target) in STATES.items():
                shown = Range(end - length(uid, state), end)
                chosen = {"job": job, "instance": ".+", "sla": ".+", "target": target, "app": "main-backend"}
                answered = await answers(server, panels(board), chosen, shown)
                chosen |= {
                    "datasource": "Prometheus",
                    "instance": "All",
                    "sla": "All",
                    "job": job.partition("|")[0],
                }
                jobs.append(
                    {
                        "name": f"{uid} {state}",
                        "dashboard": board,
                        "answers": answered,
                        "range": shown.milliseconds(),
                        "variables": chosen,
                        "width": shown.width,
                        "picture": picture(uid, state),
                    }
                )
    return {each.pop("name"): each for each in await drawn(jobs)}


def picture(uid: str, state: str) -> str | None:
    """Return the file for a picture if README shows it and ``UPDATE_PICTURES=1`` asks for new ones."""
    wanted = (uid, state) in SHOWN and os.environ.get("UPDATE_PICTURES")
    return str(PICTURES / f"{uid}-{state}.png") if wanted else None


def length(uid: str, state: str) -> int:
    """Return how many seconds are shown: what the dashboard opens with, as far as there is something to see."""
    if state == "hundred":
        return HOUR
    return MONTH if uid == OVERVIEW else 6 * HOUR


def wrong() -> dict[str, Any]:
    """Return a dashboard with one mistake in each panel."""
    vector = {"resultType": "vector", "result": [{"metric": {"a": "b" * 90}, "value": [END, "1"]}]}
    matrix = {
        "resultType": "matrix",
        "step": 60,
        "result": [{"metric": {}, "values": [[END - 60, "1"], [END, "2"]]}],
    }
    table = {"format": "table", "instant": True}
    return {
        "name": "wrong",
        "dashboard": {
            "templating": {"list": []},
            "panels": [
                panel(1, "stat", "A title that nobody can read to its end", {}, width=3),
                panel(2, "table", "Table", table),
                panel(3, "nonesuch", "No panel", {}),
                panel(4, "timeseries", "Axis", {}, unit="suffix:" + "x" * 300),
                panel(5, "stat", "Small", {"legendFormat": "{{a}}"}, width=2, height=3),
                panel(6, "table", "Two", table)
                | {"targets": [{"refId": "A", **table}, {"refId": "B", **table}]},
                panel(7, "stat", "Broken", {})
                | {"fieldConfig": {"defaults": {"mappings": [{"type": "value"}]}, "overrides": []}},
            ],
        },
        "answers": {number: {"A": vector, "B": vector} for number in range(1, 8)} | {4: {"A": matrix}},
        "range": Range(END - 60, END).milliseconds(),
        "variables": {},
        "width": 1400,
    }


def panel(
    number: int, kind: str, title: str, target: Any, *, width: int = 4, height: int = 6, unit: str = "none"
) -> Any:
    place = {"x": 3 * number - 3, "y": 0, "w": width, "h": height}
    shown = {"defaults": {"unit": unit, "custom": {"width": 600}}, "overrides": []}
    asked = {"refId": "A", "expr": "a", **target}
    options = {"textMode": "value_and_name"}
    return {
        "id": number,
        "type": kind,
        "title": title,
        "gridPos": place,
        "targets": [asked],
        "fieldConfig": shown,
        "options": options,
    }


def complaints(seen: Seen, kind: str) -> dict[str, Any]:
    """Return what is wrong of this kind, by dashboard, state and panel."""
    return {
        f"{name}: {shown['text'][:40]}": shown[kind]
        for name, dashboard in seen.items()
        for shown in dashboard["panels"].values()
        if shown[kind] and name != "wrong"
    }


def one(seen: Seen, uid: str, state: str, title: str) -> dict[str, Any]:
    """Return what was seen of a panel."""
    number = next(panel["id"] for panel in panels(boards()[uid]) if panel["title"] == title)
    shown: dict[str, Any] = seen[f"{uid} {state}"]["panels"][str(number)]
    return shown


def text(seen: Seen, uid: str, state: str, title: str) -> str:
    """Return what a panel shows below its title."""
    told: str = one(seen, uid, state, title)["text"]
    return told.removeprefix(title).strip()


def test_readme_shows_what_there_is() -> None:
    """Each picture is in README, small, and nothing else lies beside them."""
    names = {f"{uid}-{state}.png" for uid, state in SHOWN}

    assert set(re.findall(r"\]\(pictures/(.+?)\)", README.read_text(encoding="utf-8"))) == names
    assert {path.name for path in PICTURES.iterdir()} == names
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 1_000_000


def test_the_eye_sees_what_is_wrong(seen: Seen) -> None:
    """Each mistake made on purpose is found, or the other tests would prove nothing."""
    found = seen["wrong"]["panels"]

    assert found["1"]["cut"] == ["A title that nobody can read to its end"]
    assert found["2"]["sideways"]
    assert found["3"]["type"] == "loading-plugin"
    assert found["4"]["outside"]
    assert found["5"]["small"]
    assert found["6"]["hidden"] == 1
    assert found["7"]["errors"]
    assert seen["wrong"]["complaints"]


@pytest.mark.parametrize("uid", list(boards()))
@pytest.mark.parametrize("state", list(STATES))
def test_every_panel_is_drawn_without_an_error(seen: Seen, uid: str, state: str) -> None:
    """Nothing is missing, no panel has failed, and the browser's console is silent."""
    dashboard = seen[f"{uid} {state}"]
    wanted = {str(panel["id"]): panel["type"] for panel in panels(boards()[uid])}

    assert {number: shown["type"] for number, shown in dashboard["panels"].items()} == wanted
    assert not [shown["errors"] for shown in dashboard["panels"].values() if shown["errors"]]
    assert not dashboard["complaints"]


def test_nothing_is_cut_off(seen: Seen) -> None:
    """No title, name, cell or axis loses its end, in any state."""
    assert not complaints(seen, "cut")
    assert not complaints(seen, "outside")


def test_nothing_has_to_be_looked_for(seen: Seen) -> None:
    """No table is wider than its panel or shows one of several answers only, and nothing is too small to read."""
    assert not complaints(seen, "sideways")
    assert not complaints(seen, "hidden")
    assert not complaints(seen, "small")


def test_an_outage_is_in_plain_sight(seen: Seen) -> None:
    """What is down, what is open and what fires stands on the first page, in words."""
    assert text(seen, OVERVIEW, "outage", "2 Circuits not closed").startswith("✗ OPEN")
    assert "mysql ▼ DOWN" in text(seen, OVERVIEW, "outage", "Targets")
    assert "UptimeTargetDown critical" in text(seen, OVERVIEW, "outage", "Firing alerts")
    assert text(seen, TARGET, "outage", "Now") == "▼ DOWN"


def test_two_minutes_are_visible_in_thirty_days(seen: Seen) -> None:
    """A circuit that was open for two minutes ten days ago is there at the range that the overview opens with."""
    spans = one(seen, OVERVIEW, "healthy", "Circuits")["spans"]

    assert "○ OPEN" in [state for row, state in spans if row.startswith("asr_ocr_server")]


@pytest.mark.parametrize("uid", list(boards()))
def test_no_data_is_said_in_words(seen: Seen, uid: str) -> None:
    """Without any data every panel says so, and none draws an axis or a number."""
    for panel in panels(boards()[uid]):
        nameless = panel["options"].get("textMode") == "name"  # Grafana shows no word for nothing there
        word = "" if nameless else panel["fieldConfig"]["defaults"]["noValue"]
        assert text(seen, uid, "nothing", panel["title"]) == word, panel["title"]
        assert not one(seen, uid, "nothing", panel["title"])["axes"], panel["title"]


def test_the_worst_of_a_hundred_is_in_sight(seen: Seen) -> None:
    """Four targets of a hundred are down, and with them the system: nobody has to scroll to them."""
    assert one(seen, OVERVIEW, "hundred", "Targets")["sight"].count("▼ DOWN") == 4
    assert one(seen, OVERVIEW, "hundred", "Promises")["sight"].count("▼ DOWN") == 5
    assert one(seen, OVERVIEW, "hundred", "Circuits")["spans"].count(
        ["mysql_002 (uptime-exporter)", "○ OPEN"]
    )
