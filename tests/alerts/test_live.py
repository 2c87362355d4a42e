"""The whole way, from a server that dies to a message, and from a monitor that dies to another."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.alertmanager import (
    PACK,
    SHIPPED,
    Alertmanager,
    Inbox,
    alertmanager,
    impatient,
    inbox,
    switched_on,
    with_secrets,
)
from support.process import Exporter, eventually, exporter
from support.prometheus import Prometheus, prometheus
from support.standins import two_servers
from uptime_exporter.demo import Demo

PROMISES = ("asr_ocr_server", "model_server", "system")
OBJECTIVE = 0.9999
"""Five seconds of downtime in an hour are 14.4 times too much of it."""
SHORTER = (
    (r"\[(5m|30m)\]", "[12s]"),
    (r"offset 5m\b", "offset 12s"),
    (r"keep_firing_for: 5m", "keep_firing_for: 1s"),
    (r"interval: 1m", "interval: 1s"),
    (r"< 0\.25", "< 0.25 * 12 / 300"),
    (r"> 300\b", "> 3"),
    (r">= 10\)", ">= 4)"),
)
"""What makes an alert end sooner, a target down and checks enough sooner; rates and long windows stay."""
WINDOW = "1h"
"""At this objective, 0.36 s of downtime break it."""

pytestmark = pytest.mark.timeout(240)


@dataclass
class System:
    """All of it, as it is set up in earnest, at a quicker pace."""

    demo: Demo
    exporter: Exporter
    prometheus: Prometheus
    alertmanager: Alertmanager
    inbox: Inbox

    async def switch(self, word: str) -> None:
        for server in self.demo.servers:
            await server.switch(word)

    def told(self, receiver: str) -> list[Any]:
        return [m for m in self.inbox.at("/hook") if m["receiver"] == receiver]

    def pages(self) -> list[Any]:
        return self.told("page")

    async def page(self, *, status: str, alert: str) -> Any:
        """Wait for a page that says so."""
        return await self.message("page", status=status, alert=alert)

    async def message(self, receiver: str, *, status: str, alert: str) -> Any:
        """Wait for a message that says so."""

        async def there() -> Any:
            found = (p for p in self.told(receiver) if p["status"] == status)
            return next((p for p in found if alert in {a["labels"]["alertname"] for a in p["alerts"]}), None)

        return await eventually(there)

    async def inhibited(self, alert: str, **labels: str) -> None:
        """Wait until Alertmanager keeps such an alert to itself, for each promise or circuit."""
        wanted = {"alertname": alert, **labels}

        async def there() -> bool | None:
            found = [
                known for known in await self.alertmanager.inhibited() if known.items() >= wanted.items()
            ]
            return True if len(found) >= 2 else None

        await eventually(there)


def rules(folder: Path) -> Path:
    """Write the pack's rules with shorter memories; return where they are."""
    folder.mkdir()
    for file in (PACK / "rules").glob("*.yaml"):
        (folder / file.name).write_text(shortened(file.read_text()))
    return folder / "*.yaml"


def shortened(text: str) -> str:
    """Return a rule file with shorter memories."""
    for pattern, instead in SHORTER:
        text = re.sub(pattern, instead, text)
    return text


def receivers(folder: Path, box: Inbox) -> str:
    """Return the shipped configuration with everybody told through *box*, without long waits."""
    config = with_secrets(
        impatient(SHIPPED.read_text(), repeat="1s"), folder / "secrets", {"webhook_token": "x"}
    )
    config = switched_on(switched_on(config, "page", "webhook"), "chat", "webhook")
    config = switched_on(config, "dead-mans-switch", "webhook")
    config = re.sub(r"url_file: \S+,", f"url: {box.url}/alive,", config)
    config = config.replace("group_wait: 1s", "group_wait: 4s")  # two beats, so that all of it is there
    return config.replace("https://hooks.example.org/alerts", f"{box.url}/hook")


@pytest.fixture
async def system(generation: str, tmp_path: Path) -> AsyncIterator[System]:
    """Two targets that are well, watched every two seconds; by a Prometheus and Alertmanager of each generation."""
    assert generation
    async with two_servers() as demo, inbox() as box:
        terms = {"objective": OBJECTIVE, "window": WINDOW}
        slas = {name: {"targets": [name], **terms} for name in PROMISES[:2]}
        slas["system"] = {"targets": list(PROMISES[:2]), **terms}
        pace = {"interval": 2, "timeout": 0.5, "retry_backoff": 0.05, "recovery_timeout": 5}
        settings = {
            "ledger": str(tmp_path / "uptime.db"),
            "targets": demo.overrides()["targets"],
            "slas": slas,
        }
        (tmp_path / "uptime.yaml").write_text(json.dumps({**settings, **pace}))
        async with (
            exporter("--config", str(tmp_path / "uptime.yaml")) as watching,
            alertmanager(tmp_path, receivers(tmp_path, box)) as manager,
            prometheus(
                tmp_path,
                watching.url.removeprefix("http://"),
                rules=rules(tmp_path / "rules"),
                alertmanager=manager.url,
            ) as server,
        ):
            await eventually(lambda: server.vector("uptime_sla_uptime_seconds_total > 0", at_least=3))
            yield System(demo, watching, server, manager, box)


async def test_an_outage_of_everything_is_one_page_from_beginning_to_end(system: System) -> None:
    """It says what, since when, why and where to go on; what says the same again is kept back; it ends."""
    await system.switch("down")
    page = await system.page(status="firing", alert="UptimeErrorBudgetBurn")
    told = {(a["labels"]["sla"], a["labels"]["burn_tier"]) for a in page["alerts"]}
    assert told == {(name, "fast") for name in PROMISES}
    for alert in page["alerts"]:
        assert alert["labels"]["sla"] in alert["annotations"]["description"]
        assert alert["annotations"]["runbook_url"].endswith("/UptimeErrorBudgetBurn.md")
        assert alert["startsAt"].startswith("20")
    await system.inhibited("UptimeErrorBudgetBurn", burn_tier="slow")
    await system.inhibited("UptimeCircuitOpen")
    down = await system.message("chat", status="firing", alert="UptimeTargetDown")
    assert {a["labels"]["target"] for a in down["alerts"]} <= set(PROMISES[:2])
    await system.inhibited("UptimeCheckSuccessLow")
    broken = await system.message("chat", status="firing", alert="UptimeSLABreached")
    assert {a["labels"]["severity"] for a in broken["alerts"]} == {"critical"}
    assert {p["status"] for p in system.pages()} == {"firing"}
    assert len(system.pages()) == 1
    await system.switch("up")
    await system.page(status="resolved", alert="UptimeErrorBudgetBurn")
    assert len({p["groupKey"] for p in system.pages()}) == 1
    await system.message("chat", status="resolved", alert="UptimeTargetDown")
    low = await system.message("chat", status="firing", alert="UptimeCheckSuccessLow")
    assert "probes failed" in low["alerts"][0]["annotations"]["description"]


async def test_a_dead_exporter_is_told_and_the_watchdog_goes_on(system: System) -> None:
    """Whoever is blind says so; the sign of life comes again and again."""
    await system.inbox.next_at("/alive")
    system.exporter.process.kill()
    page = await system.page(status="firing", alert="UptimeMonitorBlind")
    assert [a["labels"]["alertname"] for a in page["alerts"]] == ["UptimeMonitorBlind"]
    assert "has not answered" in page["alerts"][0]["annotations"]["description"]
    before = len(system.inbox.at("/alive"))
    await system.inbox.next_at("/alive", after=before)
    assert {m["status"] for m in system.inbox.at("/alive")} == {"firing"}
