"""The page for people."""

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.golden import agrees
from support.situations import BEAT, DAY, DOOR, MODEL_SERVER, MYSQL, Scene
from uptime_exporter import __version__
from uptime_exporter.ledger.span import State
from uptime_exporter.outcome import OwnFault, Reason, Seen
from uptime_exporter.web.page import render_page

GOLDEN = Path(__file__).parent / "golden"


class Reader(HTMLParser):
    """Reads a page as a screen reader would: text and labels, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.parts: list[str] = []
        self._silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.parts += [value for name, value in attrs if name == "aria-label" and value]
        self._silent = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._silent = self._silent and tag != "style"
        if tag in {"p", "li", "h1", "h2", "h3", "dt", "dd", "title"}:
            self.parts.append(" | ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def read(html: str) -> str:
    reader = Reader()
    reader.feed(html)
    return re.sub(r"\s+", " ", "".join(reader.parts))


async def seen(scene: Scene) -> str:
    return read(await render_page(scene.backend()))


def model_server_down(scene: Scene, beats: int = 9) -> None:
    for _ in range(beats):
        scene.clock.pass_time(BEAT)
        scene.past("model_server").beat(
            Reason.CONNECT,
            "connection refused by 127.0.0.1 port 8001",
            seconds=3.012,
            attempts=3,
            phases={"resolve": 0.0003, "connect": 0.0002},
        )
        for name in scene.monitor.watches:
            if name != "model_server":
                scene.past(name).beat()
    scene.clock.pass_time(12)


async def test_the_page_of_a_known_situation() -> None:
    """One target down, one degraded, one up: every byte of it."""
    scene = Scene()
    scene.everybody(30)
    scene.past("asr_ocr_server").beat(
        seen=Seen(
            degraded=True,
            message="dots_ocr is not loaded",
            models={"whisper": True, "dots_ocr": False},
            certificate_expires=scene.clock.wall() + 9.5 * DAY,
        ),
        phases={"resolve": 0.0004, "connect": 0.0011, "tls": 0.004, "processing": 0.0072, "transfer": 0.0013},
    )
    scene.clock.pass_time(1)
    scene.past("model_server").beat(Reason.TIMEOUT, "no complete answer within 5 s", seconds=17.2, attempts=3)
    promised(scene)

    page = (await render_page(scene.backend())).replace(f"uptime-exporter {__version__}", "uptime-exporter X")

    assert agrees(GOLDEN / "page.html", page)


def promised(scene: Scene) -> None:
    """Let the month have had an outage of five minutes, a gap of twenty, and be well since."""
    now = scene.clock.wall()
    scene.ledger.account("mysql", (600_000, State.UP, ""), until=now)
    scene.ledger.account(
        "system",
        (2_500_000, State.UP, ""),
        (1200, State.UNKNOWN, "exporter_down"),
        (3600, State.UP, ""),
        (300, State.DOWN, "model_server: connect"),
        (720, State.UP, ""),
        until=now,
        targets=["model_server", "asr_ocr_server", "mysql"],
    )


async def test_one_target_down_is_the_headline() -> None:
    """What, for how long, since when and why, in the first sentence."""
    scene = Scene()
    scene.everybody(20)
    model_server_down(scene)

    assert (
        "1 of 3 targets is DOWN: model_server, for 4 min 12 s, since 13:10:30 UTC: "
        "connect: connection refused by 127.0.0.1 port 8001"
    ) in await seen(scene)


async def test_everything_up_is_one_calm_sentence() -> None:
    """There is nothing to explain, and no banner."""
    scene = Scene()
    scene.everybody(3)

    page = await render_page(scene.backend())

    assert "All 3 targets are up" in read(page)
    assert 'class="banner"' not in page
    assert 'class="because"' not in page


async def test_all_down_at_once_points_at_this_machine() -> None:
    """The cause is more likely here than in three places at once."""
    scene = Scene()
    scene.clock.pass_time(1)
    for name in scene.monitor.watches:
        scene.past(name).beat(Reason.CONNECT, "no route to host")
    scene.clock.pass_time(70)

    page = await seen(scene)

    assert "All 3 targets are DOWN: model_server (connect, for 1 min 10 s), asr_ocr_server (" in page
    assert "Every target fails at once: look at this machine's own network first." in page


async def test_the_headline_names_a_few_and_counts_the_rest() -> None:
    """Forty names are no headline."""
    scene = Scene({f"node_{n}": MODEL_SERVER for n in range(40)})
    for n in range(5):
        scene.past(f"node_{n}").beat(Reason.STATUS, "500")
    for n in range(5, 40):
        scene.past(f"node_{n}").beat()

    page = await seen(scene)

    assert "5 of 40 targets are DOWN: node_0 (status, for 0 s), node_1 (status, for 0 s), " in page
    assert "node_2 (status, for 0 s) and 2 more | " in page


async def test_degraded_is_up_and_says_why_and_since_when() -> None:
    """The target's own words, and the time since it says them, not since it came up."""
    scene = Scene()
    scene.everybody(20)
    for _ in range(2):
        scene.clock.pass_time(BEAT)
        scene.past("mysql").beat(seen=Seen(degraded=True, message="replica is behind"))
    scene.past("model_server").beat()
    scene.past("asr_ocr_server").beat()

    assert "1 of 3 targets is degraded: mysql, for 30 s, since 13:10:30 UTC: replica is behind" in await seen(
        scene
    )


async def test_before_the_first_check_nothing_is_claimed() -> None:
    """Unknown is a state of its own, neither up nor down."""
    page = await seen(Scene())

    assert "Nothing is known of any target: waiting for the first checks" in page
    assert " DOWN" not in page
    assert "model_server | UNKNOWN | waiting for its first check | No check yet" in page


async def test_a_verdict_grows_stale() -> None:
    """After two and a half beats without news nobody knows, and the page says since when."""
    scene = Scene({"model_server": MODEL_SERVER})
    scene.past("model_server").beat()
    scene.clock.pass_time(100)

    assert "Nothing is known of the target: model_server, for 25 s, since 13:01:15 UTC" in await seen(scene)


async def test_an_inconclusive_check_is_shown_as_ours() -> None:
    """A fault on the exporter's side does not look like the target's."""
    scene = Scene()
    scene.everybody(2)
    scene.past("mysql").beat(OwnFault.RESOLVER, "SERVFAIL")

    page = await seen(scene)

    assert "All 3 targets are up" in page
    assert "latest check inconclusive, a fault on our side: resolver: SERVFAIL" in page
    assert "Last 3 checks: 2 up, 1 inconclusive" in page


async def test_no_targets_are_no_outage() -> None:
    """An empty settings file is named as what it is."""
    assert "No targets are set" in await seen(Scene({}))


async def test_down_comes_first() -> None:
    """Whoever opens the page on a telephone need not scroll to the fault."""
    scene = Scene({"fine": DOOR, "odd": MODEL_SERVER, "new": MODEL_SERVER, "broken": MYSQL})
    scene.past("fine").beat()
    scene.past("odd").beat(seen=Seen(degraded=True))
    scene.past("broken").beat(Reason.AUTH, "access denied")

    names = re.findall("<h3>(.*?)</h3>", await render_page(scene.backend()))

    assert names == ["broken", "odd", "new", "fine"]


@pytest.mark.parametrize(
    ("beats", "wait", "said"),
    [
        (1, 0, "Breaker | closed, 1 of 5 failures in a row | "),
        (5, 10, "Breaker | open for 22 s, tries again in 38 s | "),
        (5, 60, "Breaker | open for 1 min 12 s, tries again at the next check | "),
        (9, 0, "Breaker | open for 12 s, tries again in 48 s | "),
    ],
)
async def test_the_breaker_says_when_it_tries_again(beats: int, wait: float, said: str) -> None:
    """Open is no end: the page says what happens next."""
    scene = Scene()
    model_server_down(scene, beats)
    scene.clock.pass_time(wait)

    assert said in await seen(scene)


async def test_an_open_breaker_of_a_target_that_is_up_stands_out() -> None:
    """A caller would still fail fast, so it must not hide in folded details."""
    scene = Scene()
    model_server_down(scene, 5)
    scene.past("model_server").beat()

    assert (
        "model_server | UP | for 0 s, since 13:02:42 UTC | breaker open for 12 s, tries again in 48 s |"
        in await seen(scene)
    )


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (9.5, "9 days left, until 11 Jan"),
        (1.2, "1 day left"),
        (0.2, "0 days left"),
        (-2, "expired 2 d 0 h ago, 30 Dec 2025"),
    ],
)
async def test_a_certificate_near_its_end_stands_out(days: float, said: str) -> None:
    """Two weeks before it expires the card says so, unfolded."""
    scene = Scene({"model_server": MODEL_SERVER})
    scene.past("model_server").beat(seen=Seen(certificate_expires=scene.clock.wall() + days * DAY))

    assert f"UTC | certificate: {said}" in await seen(scene)


async def test_missing_models_are_named() -> None:
    """Half the models missing is what an operator wants to read first."""
    scene = Scene({"model_server": MODEL_SERVER})
    models = {f"m{n}": False for n in range(14)} | {"llm": True}
    scene.past("model_server").beat(seen=Seen(models=models))

    page = await seen(scene)

    assert "models: 1 of 15 loaded, missing: m0, m1, " in page
    assert "m11 and 2 more" in page


async def test_draining_and_a_stopped_beat_have_a_banner() -> None:
    """What is shown may be out of date, and the reader must know."""
    scene = Scene()
    scene.everybody(1)
    scene.monitor.stopped = ["mysql"]

    assert "The exporter has stopped probing mysql: what stands here may be out of date." in await seen(scene)

    scene.drain.enter()
    scene.drain.begin()

    assert "The exporter is shutting down: 1 request still in flight." in await seen(scene)


async def test_budgets_stand_where_they_belong() -> None:
    """A target's own with the target, the whole system's above all of them."""
    scene = Scene()
    scene.everybody(1)
    promised(scene)

    page = await seen(scene)

    assert (
        "Promises | system | 38 min of 43 min of downtime left in 30 days; "
        "99.988 % kept of 99.9 % promised; 20 min unknown"
    ) in page
    assert "Budget | 43 min of 43 min of downtime left in 30 days; 100.000 % kept of 99.9 % promised" in page


async def test_the_last_outages_stand_with_the_promise() -> None:
    """Begin, length and reason; the latest first, and one that goes on says so."""
    scene = Scene()
    scene.everybody(1)
    promised(scene)

    page = await seen(scene)

    assert "Last outages | 12:43:30 UTC, for 5 min · model_server: connect" in page

    scene.ledger.accounts["system"].add(
        round(scene.clock.wall() * 1000) + 60_000, State.DOWN, "mysql: timeout"
    )
    assert "for 1 min, going on · mysql: timeout | " in await seen(scene)


async def test_an_outage_that_goes_on_is_as_long_as_the_clock_says() -> None:
    """It is accounted for a beat later; beside the target's own card a shorter one would look wrong."""
    scene = Scene()
    scene.everybody(1)
    promised(scene)
    system = scene.ledger.accounts["system"]
    system.add(system.settled + 3_000, State.DOWN, "mysql: timeout")
    scene.clock.pass_time(system.settled / 1000 - 3 + 54 - scene.clock.wall())

    assert "for 54 s, going on · mysql: timeout | " in await seen(scene)


async def test_a_broken_promise_is_called_broken() -> None:
    """How far it is over stands first."""
    scene = Scene()
    scene.everybody(1)
    scene.ledger.account(
        "system", (600_000, State.UP, ""), (45 * 60, State.DOWN, "mysql: auth"), until=scene.clock.wall()
    )

    assert "system | BROKEN: 1 min 48 s over the 43 min of downtime allowed in 30 days" in await seen(scene)


async def test_trouble_with_the_ledger_is_a_banner() -> None:
    """Whoever looks at the page learns what the log says, and what to do."""
    scene = Scene()
    scene.everybody(1)
    scene.ledger.trouble = "the disk is full; free some space"

    assert "The ledger cannot be written: the disk is full; free some space" in await seen(scene)


async def test_no_secret_is_shown() -> None:
    """Passwords of the settings have no way onto the page."""
    scene = Scene()
    scene.everybody(1)

    assert "hunter2" not in await render_page(scene.backend())


async def test_the_page_needs_nothing_from_elsewhere() -> None:
    """No script, no request to anywhere: it works on the worst day."""
    scene = Scene()
    model_server_down(scene)
    page = await render_page(scene.backend())
    reader = Reader()
    reader.feed(page)

    assert not {"script", "img", "iframe", "form", "object", "embed"} & set(reader.tags)
    assert not [name for name in reader.attributes if name.startswith("on") or name in {"src", "style"}]
    assert re.findall(r'href="([^"#:]*)["]', page) == ["metrics", "reliability", "health"]
    assert 'href="http' not in page
    assert "url(" not in page


ANYTHING = st.text(st.characters()) | st.text(st.sampled_from("<>&\"'=/! -scriptonerror\u202e\x00\ud800"))


@settings(max_examples=50)
@given(ANYTHING, ANYTHING, st.dictionaries(ANYTHING, st.booleans(), max_size=3), ANYTHING)
async def test_nothing_that_a_target_says_becomes_a_tag(
    detail: str, message: str, models: dict[str, bool], phase: str
) -> None:
    """The page has the same tags, whatever a hostile target answers."""

    async def tags(detail: str, message: str, models: dict[str, bool], phase: str) -> list[str]:
        scene = Scene()
        said = Seen(message=message, models=models)
        scene.past("model_server").beat(Reason.BODY, detail, said, phases={phase: 0.1})
        scene.past("mysql").beat(seen=Seen(degraded=True, message=message, models=models))
        page = await render_page(scene.backend())
        page.encode("utf-8")
        reader = Reader()
        reader.feed(page)
        return reader.tags

    harmless = {f"m{n}": loaded for n, loaded in enumerate(models.values())}
    assert await tags(detail, message, models, phase) == await tags(
        "x" * bool(detail), "x" * bool(message), harmless, "x"
    )


async def test_a_long_sentence_is_cut() -> None:
    """A target that talks too much does not push the others off the screen."""
    scene = Scene()
    scene.past("model_server").beat(Reason.BODY, "W" * 5000)

    assert len(await seen(scene)) < 2500


async def test_forty_targets_with_a_full_history() -> None:
    """Everything has its bars, and the page stays small enough for a telephone."""
    scene = Scene({f"node_{n}": MODEL_SERVER for n in range(40)})
    scene.everybody(101)

    page = await render_page(scene.backend())

    assert page.count("Last 100 checks: 100 up") == 40
    assert len(page) < 150_000


async def test_many_targets_leave_room_for_the_probes() -> None:
    """Other tasks get their turn while the page is rendered."""
    scene = Scene({f"node_{n}": MODEL_SERVER for n in range(100)})
    scene.everybody(1)
    turns = 0

    async def probing() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(probing())
    await render_page(scene.backend())
    task.cancel()

    assert turns >= 5
