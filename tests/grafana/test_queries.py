"""Every query of every panel, asked of a real Prometheus about a month in which everything happened."""

from collections.abc import AsyncIterator
from itertools import chain
from pathlib import Path

import pytest

from grafana import reading
from grafana.build import board
from grafana.history import BURN, DAY, DEAF, DOWN, END, GAP, HEALTHY, HOUR, MINUTE, OPENING, OUTAGE, RESTART
from grafana.reading import Asked, Json, View
from grafana.server import Memory, Result, copied, once, remembering, shared

pytestmark = pytest.mark.timeout(300)

ALL = {"job": ".+", "instance": ".+", "sla": ".+"}
MONTH = 30 * DAY

EMPTY = {
    ("Availability against the objective", "C"): "drawn only where objectives differ",
}
"""Queries that have no answer in this month, and why."""


def views(**chosen: str) -> tuple[View, ...]:
    """Return what a reader looks at, in turn."""
    moments = (
        (END, MONTH),
        (END, 3 * HOUR),
        (HEALTHY, HOUR),
        (DOWN, HOUR),
        (BURN[0] + 2 * HOUR, 6 * HOUR),
        (OPENING[0] + MINUTE, HOUR),
        (RESTART + 10 * MINUTE, 3 * HOUR),
    )
    return tuple(View(now, seconds, ALL | chosen) for now, seconds in moments)


CHOSEN: dict[str, tuple[dict[str, str], ...]] = {
    board.OVERVIEW: ({},),
    board.TARGET: ({"target": "mysql"}, {"target": "model_server"}, {"target": "asr_ocr_server"}),
    board.APPLICATION: ({"app": "main-backend"},),
    board.EXPORTER: ({},),
}


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with once(shared(tmp_path_factory.getbasetemp())) as built:
        return copied(built, tmp_path_factory.mktemp("month"))


@pytest.fixture
async def memory(month: Path) -> AsyncIterator[Memory]:
    async with remembering(month) as running:
        yield running


def shown(uid: str) -> Json:
    return next(each for each in reading.boards() if each["uid"] == uid)


def one(uid: str, title: str, ref: str = "A") -> Asked:
    return next(asked for asked in reading.queries(shown(uid)) if (asked.panel, asked.ref) == (title, ref))


def by(result: Result, label: str) -> dict[str, float]:
    """Return the values of an instant answer by one label."""
    return {each["metric"].get(label, ""): float(each["value"][1]) for each in result}


def curves(result: Result, label: str) -> dict[str, dict[float, float]]:
    """Return the points of a range's answer by one label."""
    return {
        each["metric"].get(label, ""): {at: float(value) for at, value in each["values"]} for each in result
    }


@pytest.mark.parametrize("uid", CHOSEN)
async def test_every_query_has_an_answer(memory: Memory, uid: str) -> None:
    """At one of the moments of the month at least, for one of the targets."""
    silent = []
    for asked in (*reading.queries(shown(uid)), *reading.annotations(shown(uid))):
        for view in chain.from_iterable(views(**chosen) for chosen in CHOSEN[uid]):
            if await memory.ask(asked, view):
                break
        else:
            silent.append((asked.panel, asked.ref))
    assert silent == [where for where in EMPTY if where[0] in {p["title"] for p in shown(uid)["panels"]}]


async def test_variables_offer_what_there_is(memory: Memory) -> None:
    """Jobs, instances, promises, targets and applications, each within what is chosen before."""
    offered = {}
    view = View(END, DAY, ALL)
    for each in reading.boards():
        for variable in each["templating"]["list"][1:]:
            selector, _, label = variable["query"].removeprefix("label_values(")[:-1].rpartition(", ")
            asked = Asked(each["uid"], variable["name"], 0, "", selector, instant=True, span=24, every="")
            offered[each["uid"], variable["name"]] = await memory.series(view.expr(asked), label, view)
    assert offered[board.OVERVIEW, "job"] == {"uptime-exporter", "backend"}
    assert offered[board.EXPORTER, "job"] == {"uptime-exporter"}
    assert offered[board.OVERVIEW, "sla"] == {"system", "model_server", "asr_ocr_server", "mysql"}
    assert offered[board.TARGET, "target"] == {"model_server", "asr_ocr_server", "mysql"}
    assert offered[board.APPLICATION, "app"] == {"main-backend", "uptime-exporter"}


async def test_the_five_verdicts_follow_what_happens(memory: Memory) -> None:
    """Of the three questions of each exactly one has an answer, and it is the right one."""
    titles = [panel["title"] for panel in reading.panels(shown(board.OVERVIEW))[:5]]
    story = {}
    for name, now in {
        "healthy": HEALTHY,
        "down": DOWN,
        "burn": BURN[0] + 2 * HOUR,
        "opening": OPENING[0] + MINUTE,
        "restart": RESTART + 10 * MINUTE,
        "end": END,
    }.items():
        view = View(now, HOUR, ALL)
        answered = [
            [ref for ref in "ABC" if await memory.ask(one(board.OVERVIEW, title, ref), view)]
            for title in titles
        ]
        story[name] = " ".join("".join(refs) for refs in answered)
    assert story == {
        "healthy": "A A A A A",
        "down": "B C C C A",
        "burn": "C A B A A",
        "opening": "C B A A A",
        "restart": "C A A A C",
        "end": "C A A B B",
    }


async def test_the_promises_are_right_to_the_second(memory: Memory) -> None:
    """Forty minutes of the database, and thirty lost probes of the model server."""
    view = View(END, MONTH, ALL)
    down = {"system": 3300, "mysql": 2400, "model_server": 900, "asr_ocr_server": 0}
    seen = MONTH - (GAP[1] - GAP[0]) - (DEAF[1] - DEAF[0])
    columns = dict(
        zip(
            "ABCDEFGH",
            [by(await memory.ask(one(board.OVERVIEW, "Promises", ref), view), "sla") for ref in "ABCDEFGH"],
            strict=True,
        )
    )
    assert columns["A"] == dict.fromkeys(down, 1)
    assert columns["B"] == {"system": 0, "mysql": 2, "model_server": 2, "asr_ocr_server": 2}
    for name, seconds in down.items():
        assert columns["C"][name] == pytest.approx(1 - seconds / seen, abs=1e-5)
        assert columns["E"][name] == pytest.approx((2592 - seconds) / 60, abs=0.01)
        assert columns["F"][name] == pytest.approx(1 - seconds / 2592, abs=0.001)
        assert columns["H"][name] == pytest.approx(seen / MONTH, abs=0.001)
    burn_down = curves(
        await memory.ask(one(board.OVERVIEW, "Budget burn-down over the range shown"), view), "sla"
    )
    for name, seconds in down.items():
        assert list(burn_down[name].values())[-1] == pytest.approx(1 - seconds / 2592, abs=0.001)
    ideal = curves(
        await memory.ask(one(board.OVERVIEW, "Budget burn-down over the range shown", "B"), view), ""
    )[""]
    assert ideal[min(ideal)] == pytest.approx(1, abs=0.01)
    assert ideal[max(ideal)] == pytest.approx(0, abs=0.01)


async def test_two_minutes_open_are_seen_at_thirty_days(memory: Memory) -> None:
    """With the step that Grafana takes for the panel's width, on the overview and on the application's."""
    for uid, label, screen in ((board.OVERVIEW, "app", 1850), (board.APPLICATION, "circuit", 800)):
        view = View(END, MONTH, ALL | {"app": "main-backend"}, screen)
        asked = one(uid, "Circuits")
        assert view.step(asked) >= 20 * MINUTE
        states = curves(await memory.ask(asked, view), label)
        backend = states["main-backend" if label == "app" else "model_server"]
        opened = [at for at, state in backend.items() if state == 2]
        assert opened
        assert all(OPENING[0] <= at <= OPENING[1] + 2 * view.step(asked) for at in opened)


async def test_outages_are_listed_with_their_length(memory: Memory) -> None:
    """Hour by hour; the lengths add up to the outage, and a narrow screen leaves none out."""
    view = View(END, MONTH, ALL, 800)
    hours = curves(await memory.ask(one(board.OVERVIEW, "Outages, hour by hour"), view), "sla")
    assert sum(hours["mysql"].values()) == pytest.approx(2400, abs=1)
    assert sum(hours["system"].values()) == pytest.approx(3300, abs=1)
    assert "asr_ocr_server" not in hours
    assert all(OUTAGE[0] < at <= OUTAGE[1] + 2 * HOUR for at in hours["mysql"])


async def test_a_target_says_why_it_failed(memory: Memory) -> None:
    """How often for which reason, and when last; in a month, and of another target in the outage."""
    counted = {}
    for target in ("mysql", "model_server", "asr_ocr_server"):
        view = View(END, MONTH, ALL | {"target": target})
        counted[target] = by(await memory.ask(one(board.TARGET, "Failures by reason"), view), "reason")
        latest = by(await memory.ask(one(board.TARGET, "Failures by reason", "B"), view), "reason")
        assert counted[target].keys() == latest.keys()
    assert counted == {
        "mysql": {"connect": pytest.approx(80, abs=1)},
        "model_server": {"timeout": pytest.approx(30, abs=1)},
        "asr_ocr_server": {},
    }
    view = View(END, MONTH, ALL | {"target": "mysql"})
    latest = by(await memory.ask(one(board.TARGET, "Failures by reason", "B"), view), "reason")
    step = view.step(one(board.TARGET, "Failures by reason", "B"))
    assert OUTAGE[1] <= latest["connect"] / 1000 <= OUTAGE[1] + 2 * step


async def test_states_of_a_target_are_told_apart(memory: Memory) -> None:
    """Up, degraded and down; nothing where nobody knew."""
    asked = one(board.TARGET, "Up, degraded, down")
    for target, now, expected in (
        ("mysql", HEALTHY, {2}),
        ("mysql", DOWN, {0, 2}),
        ("asr_ocr_server", END, {1, 2}),
        ("mysql", DEAF[0] + 30 * MINUTE, {2}),
    ):
        (states,) = curves(
            await memory.ask(asked, View(now, 3 * HOUR, ALL | {"target": target})), ""
        ).values()
        assert set(states.values()) == expected
    silent = View(DEAF[0] + 30 * MINUTE, HOUR, ALL | {"target": "mysql"})
    assert await memory.ask(one(board.TARGET, "What it is"), silent)
    blind = await memory.ask(
        one(board.TARGET, "Now"), View(DEAF[0] + 30 * MINUTE, HOUR, ALL | {"target": "mysql"})
    )
    assert blind == []


async def test_an_application_and_the_exporter_are_measured(memory: Memory) -> None:
    """Rates, percentiles, limits and parts are those of the story."""
    view = View(END, HOUR, ALL | {"app": "main-backend"})
    expected = {
        (board.APPLICATION, "Requests", "A"): 4.5,
        (board.APPLICATION, "Request failures, last 5 min", "B"): 0.012 / 4.5,
        (board.APPLICATION, "Latest shutdown", "A"): 30.0,
        (board.APPLICATION, "Circuits not closed", "A"): 0.0,
        (board.EXPORTER, "Answers", "A"): 1.0,
        (board.EXPORTER, "Targets known", "A"): 1.0,
        (board.EXPORTER, "Failed commits, 10 min", "A"): 0.0,
        (board.EXPORTER, "Running for", "A"): END - GAP[1],
    }
    for where, value in expected.items():
        ((answer),) = await memory.ask(one(*where), view)
        assert float(answer["value"][1]) == pytest.approx(value, rel=0.01), where
    for title, ref, value in (("Duration", "B", 0.25), ("Duration", "C", 1.0)):
        (curve,) = curves(await memory.ask(one(board.APPLICATION, title, ref), view), "").values()
        assert curve[max(curve)] == pytest.approx(value, rel=0.01)
    blind = View(DEAF[0] + 30 * MINUTE, HOUR, ALL)
    ((known),) = await memory.ask(one(board.EXPORTER, "Targets known"), blind)
    assert float(known["value"][1]) == 0


async def test_annotations_mark_what_happened(memory: Memory) -> None:
    """Alerts, restarts to the second, and openings."""
    marks = {asked.panel: asked for asked in reading.annotations(shown(board.OVERVIEW))}
    view = View(END, MONTH, ALL, screen=100)
    alerts = curves(await memory.ask(marks["Firing alerts"], view), "alertname")
    assert {"UptimeSLABreached", "UptimeTargetDown", "UptimeCircuitOpen"} <= alerts.keys()
    restarts = curves(await memory.ask(marks["Restarts"], view), "job")
    assert set(restarts["backend"].values()) >= {RESTART * 1000}
    assert GAP[1] * 1000 in restarts["uptime-exporter"].values()
    openings = curves(await memory.ask(marks["Circuit openings"], view), "app")
    assert any(
        abs(at - OPENING[0]) <= 2 * view.step(marks["Circuit openings"]) for at in openings["main-backend"]
    )
