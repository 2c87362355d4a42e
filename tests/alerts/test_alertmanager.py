"""Alertmanager as it is shipped: who is told, and what they read."""

import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.alertmanager import (
    PROGRAM,
    SHIPPED,
    Alertmanager,
    alertmanager,
    impatient,
    inbox,
    letterbox,
    switched_on,
    with_secrets,
)
from support.process import eventually
from support.servers import need

ALERTS = (
    "UptimeBackupStale",
    "UptimeCertificateExpiring",
    "UptimeCheckSuccessLow",
    "UptimeCircuitOpen",
    "UptimeConfigReloadFailed",
    "UptimeErrorBudgetBurn",
    "UptimeErrorBudgetLow",
    "UptimeLedgerFailing",
    "UptimeMonitorBlind",
    "UptimeProbesStale",
    "UptimeRequestFailureRateHigh",
    "UptimeSLABreached",
    "UptimeShutdownTimeout",
    "UptimeTargetDegraded",
    "UptimeTargetDown",
    "UptimeWatchdog",
)
"""Those of the public interface; their names don't change."""

BY_SEVERITY = {"critical": "page", "warning": "chat", "info": "nobody", "none": "chat"}
WHATEVER_ITS_SEVERITY = {"UptimeSLABreached": "chat", "UptimeWatchdog": "dead-mans-switch"}

SECRETS = {
    "pagerduty_routing_key": "pd-secret",
    "opsgenie_api_key": "og-secret",
    "slack_api_url": "",
    "smtp_password": "mail-secret",
    "webhook_token": "hook-secret",
    "dead_mans_switch_url": "",
}
EVERY_CHANNEL = ("pagerduty", "opsgenie", "slack", "email", "webhook")
SINCE = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUMMARY = "A month's error budget would be gone within two days."
DESCRIPTION = "52 s down in the hour (connect) <b>&</b>, 98 % of the budget is left, gone in 41 h."
RUNBOOK = "https://example.net/UptimeErrorBudgetBurn.md"
DASHBOARD = "https://example.net/d/uptime"


@pytest.fixture
def tools(generation: str) -> str:
    """Return the amtool of each generation, whose Alertmanager is first on PATH."""
    assert generation
    need(PROGRAM)
    return need("amtool")


def knows_url_file(amtool: str) -> bool:
    """Tell whether a webhook's URL may come from a file: since 0.26."""
    said = subprocess.run([amtool, "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"version (\d+)\.(\d+)", said.stdout + said.stderr)
    assert version
    return (int(version[1]), int(version[2])) >= (0, 26)


def everything_on(config: str) -> str:
    """Return *config* with all of its lines switched on that every Alertmanager knows."""
    config = switched_on(config, "page", *EVERY_CHANNEL)
    return switched_on(config, "chat", "slack", "email", "webhook")


def check_config(amtool: str, config: str, folder: Path) -> str:
    """Return what amtool has against *config*; nothing if it is fine."""
    (folder / "templates").symlink_to(SHIPPED.parent / "templates")
    (folder / "am.yaml").write_text(config)
    said = subprocess.run(
        [amtool, "check-config", str(folder / "am.yaml")], capture_output=True, text=True, check=False
    )
    return said.stdout + said.stderr if said.returncode else ""


def test_it_is_valid_as_shipped_and_with_every_channel_on(tools: str, tmp_path: Path) -> None:
    """No channel's settings are left unchecked because they are switched off."""
    config = everything_on(SHIPPED.read_text())
    if knows_url_file(tools):
        config = switched_on(config, "dead-mans-switch", "webhook")
    for name, text in (("shipped", SHIPPED.read_text()), ("on", config)):
        (tmp_path / name).mkdir()
        assert check_config(tools, text, tmp_path / name) == ""


async def test_it_runs_without_any_secret(tools: str, tmp_path: Path) -> None:
    """Somebody who has just unpacked it sees alerts on its page and no error in its log."""
    assert tools
    async with alertmanager(tmp_path, SHIPPED.read_text()) as server:
        await server.fire({"alertname": "UptimeErrorBudgetBurn", "severity": "critical", "sla": "system"})
        assert [alert["receivers"] for alert in await server.alerts()] == [[{"name": "page"}]]
    assert not re.search("level=(warn|error)|level=(WARN|ERROR)", server.log())


@pytest.mark.parametrize("alert", ALERTS)
def test_each_severity_of_each_alert_reaches_its_receiver(alert: str, tools: str) -> None:
    """Critical wakes somebody, a warning waits in chat; a broken promise and the watchdog have their own ways."""
    for severity, usual in BY_SEVERITY.items():
        wanted = WHATEVER_ITS_SEVERITY.get(alert, usual)
        said = subprocess.run(
            [
                tools,
                "config",
                "routes",
                "test",
                f"--config.file={SHIPPED}",
                f"--verify.receivers={wanted}",
                f"alertname={alert}",
                f"severity={severity}",
                "sla=system",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 0, said.stdout + said.stderr


def test_an_alert_that_nobody_knows_is_seen(tools: str) -> None:
    """A rule of somebody's own, without severity, is not lost."""
    command = [tools, "config", "routes", "test", f"--config.file={SHIPPED}", "alertname=Mine"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "chat"


def test_no_secret_stands_in_the_file() -> None:
    """Every key of a secret ends in _file."""
    keys = re.findall(
        r"\b(?:routing_key|service_key|api_key|auth_password|credentials|api_url|password)(_file)?:",
        "\n".join(line for line in SHIPPED.read_text().splitlines() if "#" not in line),
    )
    assert keys == ["_file"] * 5


def burn(sla: str, tier: str = "fast", severity: str = "critical") -> Mapping[str, str]:
    return {"alertname": "UptimeErrorBudgetBurn", "sla": sla, "burn_tier": tier, "severity": severity}


async def fire_burn(
    server: Alertmanager, *slas: str, since: datetime | None = None, until: datetime | None = None
) -> None:
    """Fire them; what has fired since long before is not waited for by its group."""
    await server.fire(
        *map(burn, slas),
        since=since,
        until=until,
        summary=SUMMARY,
        description=DESCRIPTION,
        runbook_url=RUNBOOK,
        dashboard_url=DASHBOARD,
    )


async def test_every_channel_says_what_since_when_why_and_where_to_go_on(tools: str, tmp_path: Path) -> None:
    """The title carries who and what within 60 characters; markup in a description stays text."""
    assert tools
    async with inbox() as box, letterbox() as mail:
        secrets = {**SECRETS, "slack_api_url": f"{box.url}/slack"}
        config = everything_on(impatient(with_secrets(SHIPPED.read_text(), tmp_path / "secrets", secrets)))
        config = config.replace("client: uptime-exporter", f"url: {box.url}/pagerduty")
        config = config.replace("# api_url: https://api.eu.opsgenie.com/", f"api_url: {box.url}/opsgenie/")
        config = config.replace("https://hooks.example.org/alerts", f"{box.url}/hook")
        config = config.replace("smtp.example.org:587", f"127.0.0.1:{mail.port}\n        require_tls: false")
        async with alertmanager(tmp_path, config) as server:
            await fire_burn(server, "system", since=SINCE)
            slack = (await box.next_at("/slack"))["attachments"][0]
            pager = await box.next_at("/pagerduty")
            genie = await box.next_at("/opsgenie/v2/alerts")
            hook = await box.next_at("/hook")
            letter = await mail.next()
    title = f"system: {SUMMARY}"
    assert title[:60] == "system: A month's error budget would be gone within two days"
    told = (slack["title"], pager["payload"]["summary"], genie["message"], letter["Subject"])
    assert told == (title,) * 4
    everything = (DESCRIPTION, "since 2026-01-01 12:00:00 UTC", "UptimeErrorBudgetBurn", RUNBOOK, DASHBOARD)
    parts = {part.get_content_type(): part.get_content() for part in letter.walk() if not part.is_multipart()}
    for text in (
        pager["payload"]["custom_details"]["message"],
        genie["description"],
        parts["text/plain"],
    ):
        assert all(fact in text for fact in everything), text
    escaped = "(connect) &lt;b&gt;&amp;&lt;/b&gt;, 98 %"
    assert all(escaped in text for text in (slack["text"], parts["text/html"]))
    assert f"<{RUNBOOK}|runbook>" in slack["text"]
    assert f'<a href="{RUNBOOK}">' in parts["text/html"]
    assert (pager["payload"]["severity"], genie["priority"], slack["color"]) == ("critical", "P1", "danger")
    assert (pager["routing_key"], hook["receiver"]) == ("pd-secret", "page")
    authorized = {m.path: m.headers.get("authorization") for m in box.messages}
    assert (authorized["/hook"], authorized["/opsgenie/v2/alerts"]) == (
        "Bearer hook-secret",
        "GenieKey og-secret",
    )
    assert not any(secret in server.log() for secret in SECRETS.values() if secret)


async def test_a_page_waits_no_longer_than_the_configuration_says(tools: str, tmp_path: Path) -> None:
    """With the waits as they are shipped: what has fired for its group's 15 s leaves at once, and once."""
    assert tools
    async with inbox() as box:
        config = with_secrets(SHIPPED.read_text(), tmp_path / "secrets", {"webhook_token": "x"})
        config = switched_on(config, "page", "webhook")
        config = config.replace("https://hooks.example.org/alerts", f"{box.url}/hook")
        async with alertmanager(tmp_path, config) as server:
            now = datetime.now(UTC)
            blind = {"alertname": "UptimeMonitorBlind", "severity": "critical", "job": "uptime"}
            await server.fire(blind, since=now)
            await fire_burn(server, "system", since=now - timedelta(seconds=16))
            page = await box.next_at("/hook")
            took = datetime.now(UTC) - now
    assert [alert["labels"] for alert in page["alerts"]] == [burn("system")]
    assert took < timedelta(seconds=10)
    assert len(box.messages) == 1, "what has fired just now waits"


async def slack_titles(folder: Path, *slas: str, over: bool = False) -> Any:
    """Return the title that Slack shows for the burn of *slas*, or for its end."""
    async with inbox() as box:
        secrets = {**SECRETS, "slack_api_url": f"{box.url}/slack"}
        config = impatient(with_secrets(SHIPPED.read_text(), folder / "secrets", secrets))
        async with alertmanager(folder, switched_on(config, "page", "slack")) as server:
            await fire_burn(server, *slas)
            title = (await box.next_at("/slack"))["attachments"][0]["title"]
            if over:
                await fire_burn(server, *slas, until=datetime.now(UTC) - timedelta(seconds=1))
                title = (await box.next_at("/slack", after=1))["attachments"][0]["title"]
    return title


@pytest.mark.parametrize(
    ("slas", "who"),
    [
        (("model_server", "system"), "model_server, system"),
        (("asr_ocr_server", "model_server", "mysql", "system"), "system (4 alerts)"),
        (("a.b", "axb"), "a.b, axb"),
    ],
)
async def test_one_message_names_all_or_counts_them(slas: tuple[str, ...], who: str, tmp_path: Path) -> None:
    """Two names fit on a lock screen; of more, the promise that holds all of them leads."""
    assert await slack_titles(tmp_path, *slas) == f"{who}: {SUMMARY}"


async def test_the_end_of_an_outage_says_so_first(tmp_path: Path) -> None:
    """Nobody has to open a message to see that it is over."""
    assert await slack_titles(tmp_path, "system", over=True) == f"Over: system: {SUMMARY}"


TARGET = {"severity": "warning", "target": "mysql"}
SCRAPED = {"job": "uptime", "instance": "localhost:10999"}
INHIBITED: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = [
    ("fast over slow", burn("system"), burn("system", "slow")),
    ("fast over drip", burn("system"), burn("system", "drip", "warning")),
    ("slow over trickle", burn("system", "slow"), burn("system", "trickle", "warning")),
    ("trickle over drip", burn("system", "trickle"), burn("system", "drip", "warning")),
    (
        "outage over low budget",
        burn("system"),
        {"alertname": "UptimeErrorBudgetLow", "sla": "system", "severity": "warning"},
    ),
    (
        "broken over low budget",
        {"alertname": "UptimeSLABreached", "sla": "system", "severity": "critical"},
        {"alertname": "UptimeErrorBudgetLow", "sla": "system", "severity": "warning"},
    ),
    (
        "outage over its circuit",
        burn("mysql"),
        {
            "alertname": "UptimeCircuitOpen",
            "app": "uptime-exporter",
            "circuit": "mysql",
            "severity": "critical",
        },
    ),
    (
        "down over low success",
        {"alertname": "UptimeTargetDown", **TARGET},
        {"alertname": "UptimeCheckSuccessLow", **TARGET},
    ),
    (
        "down over degraded",
        {"alertname": "UptimeTargetDown", **TARGET},
        {"alertname": "UptimeTargetDegraded", **TARGET},
    ),
    (
        "stale backup over down",
        {"alertname": "UptimeBackupStale", **TARGET},
        {"alertname": "UptimeTargetDown", **TARGET},
    ),
    (
        "an outage over who goes blind in it",
        {**burn("system"), **SCRAPED},
        {"alertname": "UptimeMonitorBlind", "severity": "critical", **SCRAPED},
    ),
    (
        "a slower outage over who goes blind in it",
        {**burn("system", "slow"), **SCRAPED},
        {"alertname": "UptimeMonitorBlind", "severity": "critical", "sla": "mysql", **SCRAPED},
    ),
    (
        "blind over stale",
        {"alertname": "UptimeMonitorBlind", "severity": "critical"},
        {"alertname": "UptimeProbesStale", **TARGET},
    ),
]
NOT_INHIBITED: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = [
    ("another promise", burn("system"), burn("mysql", "slow")),
    ("slower over faster", burn("system", "slow"), burn("system")),
    (
        "an application's own circuit",
        burn("mysql"),
        {"alertname": "UptimeCircuitOpen", "app": "backend", "circuit": "mysql", "severity": "critical"},
    ),
    ("blind over an outage", {"alertname": "UptimeMonitorBlind", "severity": "critical"}, burn("system")),
    (
        "an outage over who goes blind in it, in chat",
        {**burn("system"), **SCRAPED},
        {"alertname": "UptimeMonitorBlind", "severity": "warning", **SCRAPED},
    ),
    (
        "an outage over another exporter that is blind",
        {**burn("system"), **SCRAPED},
        {"alertname": "UptimeMonitorBlind", "severity": "critical", **SCRAPED, "instance": "j"},
    ),
    (
        "an outage over a job that is gone",
        {**burn("system"), **SCRAPED},
        {"alertname": "UptimeMonitorBlind", "severity": "critical", "job": SCRAPED["job"]},
    ),
    (
        "what nobody was woken for over who is blind",
        {**burn("system", "drip", "warning"), **SCRAPED},
        {"alertname": "UptimeMonitorBlind", "severity": "critical", **SCRAPED},
    ),
    (
        "another target",
        {"alertname": "UptimeTargetDown", **TARGET},
        {**TARGET, "alertname": "UptimeCheckSuccessLow", "target": "x"},
    ),
    ("an outage over who is down", burn("mysql"), {"alertname": "UptimeTargetDown", **TARGET}),
    (
        "another's low budget",
        burn("mysql"),
        {"alertname": "UptimeErrorBudgetLow", "sla": "system", "severity": "warning"},
    ),
    (
        "the watchdog",
        {"alertname": "UptimeMonitorBlind", "severity": "critical"},
        {"alertname": "UptimeWatchdog", "severity": "none"},
    ),
]


@pytest.mark.parametrize("case", INHIBITED, ids=lambda case: case[0])
async def test_what_another_alert_says_already_is_inhibited(
    case: tuple[str, Mapping[str, str], Mapping[str, str]], tmp_path: Path
) -> None:
    """One fact is told once."""
    _, source, target = case
    async with alertmanager(tmp_path, impatient(SHIPPED.read_text())) as server:
        await server.fire(source, target)

        async def inhibited() -> list[dict[str, str]] | None:
            return await server.inhibited() or None

        assert await eventually(inhibited) == [target]


@pytest.mark.parametrize("case", NOT_INHIBITED, ids=lambda case: case[0])
async def test_what_no_other_alert_says_is_not_inhibited(
    case: tuple[str, Mapping[str, str], Mapping[str, str]], tmp_path: Path
) -> None:
    """A page is lost by one `equal` too few; the witness shows that inhibition was at work."""
    _, source, target = case
    witness = (burn("witness"), burn("witness", "slow"))
    async with alertmanager(tmp_path, impatient(SHIPPED.read_text())) as server:
        await server.fire(source, target, *witness)

        async def inhibited() -> list[dict[str, str]] | None:
            return await server.inhibited() or None

        assert target not in await eventually(inhibited)
