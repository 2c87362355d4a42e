"""A drill, against everybody played by one server; the real ones are in tests/live/test_drill.py."""

import asyncio
import io
import json
import re
from argparse import ArgumentParser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.badservers import closed_port, response, serving
from uptime_exporter.cli import main
from uptime_exporter.drill import Progress, add_arguments, options, rehearse
from uptime_exporter.drill.inbox import Inbox
from uptime_exporter.drill.progress import bar

ALERT = {"alertname": "UptimeErrorBudgetBurn", "sla": "drill"}
CONFIGURATION = """
route:
  receiver: chat
  routes:
    - {matchers: [alertname="UptimeWatchdog"], receiver: dead-mans-switch}
    - {matchers: [severity="critical"], receiver: page}
receivers:
  - {name: lent, pagerduty_configs: [{routing_key: <secret>}]}
  - {name: page%s}
  - {name: chat}
  - {name: dead-mans-switch, webhook_configs: [{url: <secret>}]}
"""
ACTIVE: dict[str, Any] = {"state": "active", "silencedBy": [], "inhibitedBy": []}


@dataclass
class Town:
    """Exporter, Prometheus, Alertmanager and demo at once, each in working order unless something is taken away."""

    without: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    on: bool = False
    sent: int = 7
    alive: int = 0
    """Messages of the watchdog, by webhook: one at each look."""
    page: str = "pagerduty"
    """By what people are paged."""
    names_receivers: bool = False
    status: dict[str, Any] = field(default_factory=lambda: dict(ACTIVE))
    failed: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, _ = head.split(" ", 2)
            status, body = self.answer(method, target)
            text = body if isinstance(body, str) else json.dumps(body)
            writer.write(response(text.encode(), status))

    def answer(self, method: str, target: str) -> tuple[str, Any]:
        path = target.partition("?")[0]
        self.asked.append(f"{method} {path}")
        match method, path:
            case "POST", "/-/drill" | "/model_server/down":
                if "token" in self.without:
                    return "401 Unauthorized", {"message": "refused: send the token"}
                self.on, self.sent = True, self.sent + ("messages" not in self.without)
            case "DELETE", "/-/drill":
                if "end" in self.without:
                    return "503 Service Unavailable", {"message": "no"}
                self.on, self.sent = False, self.sent + ("messages" not in self.without)
            case "POST", "/model_server/up":
                self.on, self.sent = False, self.sent + 1
        return "200 OK", self.state(path, target)

    def state(self, path: str, target: str) -> Any:  # noqa: PLR0911 - one for each path
        fires = self.on and "firing" not in self.without
        match path:
            case "/api/v1/query" if "build_info" in target:
                return self.data("result", [] if "scrape" in self.without else [{"value": [0, "1"]}])
            case "/api/v1/query":
                seen = self.on and "sight" not in self.without
                return self.data("result", [{"value": [0, "0"]}] if seen else [])
            case "/api/v1/rules":
                rules = [] if "rules" in self.without else [{"name": ALERT["alertname"]}]
                return self.data("groups", [{"rules": rules}])
            case "/api/v1/alertmanagers":
                return self.data("activeAlertmanagers", [] if "alerting" in self.without else [{}])
            case "/api/v1/alerts":
                return self.data("alerts", [{"state": "firing", "labels": ALERT}] if fires else [])
            case "/api/v2/alerts":
                has = (fires and "delivery" not in self.without) or "peace" in self.without
                alert = {"labels": ALERT, "status": self.status, "receivers": [{"name": "page"}]}
                return [alert] if has else []
            case "/api/v2/status":
                return {
                    "config": {"original": CONFIGURATION % (self.page and f", {self.page}_configs: [{{}}]")}
                }
            case "/metrics":
                self.alive += 1
                if "channel" in self.without and self.on:
                    self.failed += 3
                    self.sent = 7 + self.failed
                return self.counters()
        return {"success": True}

    def counters(self) -> str:
        messages = {("webhook", "dead-mans-switch"): (self.alive, 0)}
        page = self.page, "page" if self.names_receivers else "dead-mans-switch"
        sent, failed = messages.get(page, (0, 0))
        messages[page] = (sent + self.sent, failed + self.failed)
        return "".join(
            f"alertmanager_notification_requests_total{{{labels}}} {sent}\n"
            f"alertmanager_notification_requests_failed_total{{{labels}}} {failed}\n"
            for (kind, receiver), (sent, failed) in messages.items()
            for labels in (f'integration="{kind}"' + f',receiver_name="{receiver}"' * self.names_receivers,)
        )

    @staticmethod
    def data(name: str, value: object) -> dict[str, Any]:
        return {"status": "success", "data": {name: value}}


@asynccontextmanager
async def town(*without: str) -> AsyncIterator[Town]:
    here = Town(set(without))
    async with serving(here.serve) as server:
        here.url = server.url("")
        yield here


async def rehearsed(here: Town, *more: str, environ: dict[str, str] | None = None) -> tuple[bool, list[str]]:
    """Return whether it went well, and what it said without the times."""
    parser, out = ArgumentParser(), io.StringIO()
    add_arguments(parser)
    given = [word for name in ("exporter", "prometheus", "alertmanager") for word in (f"--{name}", here.url)]
    words = [*given, "--patience", "50ms", "--patience-at-end", "50ms", *more]
    well = await rehearse(options(parser.parse_args(words), environ or {}), Progress(out, lambda: 0.0))
    return well, [re.sub(r" \(\d+\.\d s\)$", "", line[11:]).strip() for line in out.getvalue().splitlines()]


TOLD = [
    "ok      Prometheus scrapes the exporter",
    "ok      Prometheus has the rule UptimeErrorBudgetBurn",
    "ok      Prometheus knows an Alertmanager",
    "ok      Prometheus sees that drill is down",
    "ok      UptimeErrorBudgetBurn fires",
    "ok      Alertmanager has the alert",
    "ok      somebody is told",
    "Alertmanager says that it has told page, by pagerduty.",
    "ok      the fault is switched off",
    "ok      UptimeErrorBudgetBurn fires no more",
    "ok      somebody is told that it is over",
    "A fault is told, and so is its end.",
]


async def test_all_of_it_in_order() -> None:
    """Each step is told with its time."""
    async with town() as here:
        well, said = await rehearsed(here)
    assert (well, here.on) == (True, False)
    assert said == TOLD


@pytest.mark.parametrize(
    ("without", "says", "breaks"),
    [
        ("scrape", "not within 0.05 s: Prometheus scrapes the exporter. Add the job", False),
        ("rules", "Prometheus has the rule UptimeErrorBudgetBurn. Name alerts/rules", False),
        ("alerting", "not within 0.05 s: Prometheus knows an Alertmanager. Name one under", False),
        ("peace", "an alert about drill is open already", False),
        ("token", "exporter says 401 to POST /-/drill: refused: send the token", True),
        ("sight", "not within 0.05 s: Prometheus sees that drill is down. Does it scrape", True),
        ("firing", "not within 0.05 s: UptimeErrorBudgetBurn fires. Do the rules", True),
        ("delivery", "not within 0.05 s: Alertmanager has the alert. Can Prometheus", True),
        ("messages", "not within 0.05 s: somebody is told. Alertmanager's log says what became", True),
        ("channel", "Alertmanager cannot deliver its message", True),
    ],
)
async def test_what_is_missing_is_said(without: str, says: str, breaks: bool) -> None:  # noqa: FBT001
    """With what to do; nothing is broken before everybody is there, and nothing stays broken."""
    async with town(without) as here:
        well, said = await rehearsed(here)
    assert not well
    assert says in said[-1]
    assert said[-1].startswith("FAILED")
    assert ("POST /-/drill" in here.asked) is breaks
    assert ("DELETE /-/drill" in here.asked) is breaks
    assert not here.on


async def test_a_prometheus_that_has_just_started_is_waited_for() -> None:
    """It looks for its Alertmanagers every few seconds only."""
    async with town("alerting") as here:
        drill = asyncio.create_task(rehearsed(here, "--patience", "1h"))
        while "GET /api/v1/alertmanagers" not in here.asked:  # noqa: ASYNC110 - the server plays, and sets nothing
            await asyncio.sleep(0)
        here.without.clear()
        well, said = await drill
    assert well, said


async def test_where_no_channel_is_switched_on_nobody_is_told() -> None:
    """The shipped configuration's state; that the watchdog's messages go out is no comfort."""
    async with town() as here:
        here.page = ""
        well, said = await rehearsed(here)
    assert not well
    assert said[-1] == "FAILED  Alertmanager tells nobody: no channel is switched on under page"


async def test_a_message_that_may_be_another_s_is_told_as_such() -> None:
    """A watchdog that goes the same way counts too, and Alertmanager does not say which was which."""
    async with town() as here:
        here.page = "webhook"
        well, said = await rehearsed(here)
    assert well
    assert (
        "Alertmanager says that it has told page, or dead-mans-switch, by webhook: "
        "to be sure, take it with --inbox."
    ) in said


@pytest.mark.parametrize("without", [(), ("messages",)])
async def test_an_alertmanager_that_names_receivers_is_believed(without: tuple[str, ...]) -> None:
    """Then a watchdog that goes the same way is told apart."""
    async with town(*without) as here:
        here.page, here.names_receivers = "webhook", True
        well, said = await rehearsed(here)
    assert well is (not without)
    assert ("Alertmanager says that it has told page, by webhook." in said) is well


@pytest.mark.parametrize("who", ["exporter", "prometheus", "alertmanager"])
async def test_whoever_is_not_there_is_named(who: str) -> None:
    """With the option that says where."""
    async with town() as here:
        well, said = await rehearsed(here, f"--{who}", f"http://127.0.0.1:{closed_port()}")
    assert not well
    assert f"{who} does not answer at" in said[-1]
    assert f"--{who}" in said[-1]
    assert "POST /-/drill" not in here.asked


@pytest.mark.parametrize(("by", "word"), [("silencedBy", "silenced"), ("inhibitedBy", "inhibited")])
async def test_an_alert_that_is_kept_back_is_told_to_nobody(by: str, word: str) -> None:
    """The drill says why rather than wait."""
    async with town() as here:
        here.status.update({"state": "suppressed", by: ["x"]})
        well, said = await rehearsed(here)
    assert not well
    assert f"it is {word}" in said[-1]
    assert not here.on


async def test_a_fault_that_stays_is_told() -> None:
    """Somebody has to end it by hand."""
    async with town("end") as here:
        well, said = await rehearsed(here)
    assert not well
    assert said[-1].startswith("FAILED  the fault may still be on: exporter says 503")


async def test_whoever_interrupts_it_leaves_nothing_broken() -> None:
    """Ctrl-C cancels; the fault goes first."""
    async with town("firing") as here:
        drill = asyncio.create_task(rehearsed(here, "--patience", "1h"))
        while "GET /api/v1/alerts" not in here.asked:  # noqa: ASYNC110 - the server plays, and sets nothing
            await asyncio.sleep(0)
        assert here.on
        drill.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drill
    assert not here.on


async def test_a_part_of_the_demo_can_be_broken_instead() -> None:
    """The target is the part's."""
    async with town() as here:
        await rehearsed(here, "--demo", f"{here.url}/model_server/")
    assert "POST /model_server/down" in here.asked
    assert "POST /model_server/up" in here.asked
    assert "POST /-/drill" not in here.asked


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--patience", "soon"], "--patience: must be a duration"),
        (["--patience-at-end", "0"], "--patience-at-end: must be a duration"),
        (["--inbox", "here"], "--inbox: must be host:port"),
        (["--token-file", "/nowhere/token"], "--token-file: /nowhere/token cannot be read"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, as everywhere."""
    assert main(["drill", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_failed_drill_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1."""
    assert main(["drill", "--exporter", f"http://127.0.0.1:{closed_port()}"]) == 1
    assert "FAILED  exporter does not answer" in capsys.readouterr().out


def test_the_token_comes_from_a_file(tmp_path: Path) -> None:
    """The one that the exporter reads, if nothing else is said."""
    (tmp_path / "token").write_text("hush\n")
    parser = ArgumentParser()
    add_arguments(parser)
    file = {"UPTIME_ADMIN_TOKEN_FILE": str(tmp_path / "token")}
    assert options(parser.parse_args([]), file).token == "hush"
    assert options(parser.parse_args(["--token-file", str(tmp_path / "token")]), {}).token == "hush"


async def test_an_inbox_that_cannot_listen_is_named() -> None:
    """Before anything is broken."""
    async with town() as here, serving(here.serve) as taken:
        well, said = await rehearsed(here, "--inbox", f"127.0.0.1:{taken.port}")
    assert not well
    assert "--inbox: cannot listen" in said[-1]


@pytest.mark.parametrize(
    "message",
    [{}, {"alerts": [{"labels": {**ALERT, "sla": "x"}, "status": "firing"}]}, {"alerts": [{"labels": {}}]}],
)
def test_other_messages_are_none_of_a_drill_s(message: dict[str, Any]) -> None:
    """Somebody else's alert does not end the wait."""
    box = Inbox()
    box.read(message)
    assert not box.heard("firing", "drill")


class Terminal(io.StringIO):
    """Something that is looked at."""

    def isatty(self) -> bool:
        return True


async def test_only_a_terminal_gets_a_bar() -> None:
    """It is gone when the step is taken; a log is not littered with it."""
    for out, drawn in ((Terminal(), True), (io.StringIO(), False)):
        async with Progress(out).waiting("the alert", 10):
            await asyncio.sleep(0)
        assert ("the alert" in out.getvalue()) is drawn
        assert out.getvalue().endswith("\x1b[K") is drawn


@pytest.mark.parametrize(("seconds", "full"), [(0, 0), (5, 12), (10, 24), (99, 24)])
def test_the_bar_shows_how_much_patience_is_left(seconds: float, full: int) -> None:
    """Full is where it ends."""
    assert bar("x", seconds, 10).startswith(f"[{'#' * full}{'.' * (24 - full)}]")
