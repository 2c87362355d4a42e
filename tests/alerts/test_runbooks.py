"""Runbooks for somebody new at night: complete, and each of their steps works."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from support.alertmanager import PACK, SHIPPED, alertmanager
from support.process import clean_environment, eventually, exporter
from support.prometheus import Prometheus, prometheus
from support.servers import need
from support.standins import two_servers
from uptime_exporter.outcome import OwnFault, Reason

RUNBOOKS = sorted((PACK / "runbooks").glob("*.md"))
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "When it is wrong"]
ROWS = re.compile(r"^\| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    """Return what stands in the fenced blocks of *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def alerts() -> set[str]:
    """Return the names of the alerts that the rules define."""
    groups = [
        g for file in (PACK / "rules").glob("*.yaml") for g in yaml.safe_load(file.read_text())["groups"]
    ]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


def test_each_alert_has_one_runbook() -> None:
    """None is missing, and none is left over."""
    assert {path.stem for path in RUNBOOKS} == alerts()


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_each_has_the_same_five_parts(path: Path) -> None:
    """Whoever knows one finds the way in all; and each says how its alert ends, and has something to paste."""
    text = path.read_text()
    assert text.startswith(f"# {path.stem}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert re.search(r"^It (never )?ends", text, re.MULTILINE)
    assert blocks(path, "promql") + blocks(path, "sh")
    assert "TODO" not in text


@pytest.mark.parametrize(
    ("name", "reasons"), [("UptimeTargetDown", Reason), ("UptimeMonitorBlind", OwnFault)]
)
def test_each_reason_has_a_next_step(name: str, reasons: type[Reason] | type[OwnFault]) -> None:
    """A new reason without a row fails here."""
    rows = ROWS.findall((PACK / "runbooks" / f"{name}.md").read_text())
    assert [reason for reason, _, _ in rows] == [reason.value for reason in reasons]
    assert all(meaning.strip() and step.strip().endswith(".") for _, meaning, step in rows)


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_its_links_lead_somewhere(path: Path) -> None:
    """A file beside it, and the heading in it."""
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        file, _, anchor = link.partition("#")
        text = (path.parent / file).read_text()
        headings = [
            line.lstrip("# ").lower().replace(" ", "-") for line in re.findall(r"^#+ .+$", text, re.MULTILINE)
        ]
        assert not anchor or anchor in headings, link


@dataclass
class System:
    """All that a runbook's commands talk to, and where it really listens."""

    folder: Path
    ports: dict[str, str]
    prometheus: Prometheus

    async def run(self, command: str) -> str:
        """Run *command* as pasted, at the ports of this system; return what failed, or nothing."""
        for usual, real in self.ports.items():
            command = command.replace(f"localhost:{usual}", f"localhost:{real}")
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-euc",
            command,
            cwd=self.folder,
            env={**clean_environment(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return said.decode() or "no output" if process.returncode or not said.strip() else ""


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[System]:
    """Run the demo's servers, the exporter, Prometheus and Alertmanager on free ports."""
    async with two_servers() as demo:
        settings = {
            "ledger": str(folder / "uptime.db"),
            **demo.overrides(),
            "interval": 2,
            "timeout": 0.5,
            "retry_backoff": 0.05,
        }
        (folder / "uptime.yaml").write_text(json.dumps(settings))
        async with (
            exporter("--config", str(folder / "uptime.yaml")) as watching,
            prometheus(folder, watching.url.removeprefix("http://")) as server,
            alertmanager(folder, SHIPPED.read_text()) as manager,
        ):
            await manager.fire({"alertname": "UptimeWatchdog", "severity": "none"})
            ports = {
                usual: url.rpartition(":")[2]
                for usual, url in (("10999", watching.url), ("9090", server.url), ("9093", manager.url))
            }
            await eventually(lambda: server.vector("uptime_sla_uptime_seconds_total > 0", at_least=3))
            yield System(folder, ports, server)


async def test_every_step_of_every_runbook_works(tmp_path: Path) -> None:
    """Each query is answered, and each command succeeds and says something, on a system that is well."""
    need("curl")
    async with running(tmp_path) as system:
        for path in RUNBOOKS:
            for query in blocks(path, "promql"):
                await system.prometheus.query(query)
            for command in blocks(path, "sh"):
                assert await system.run(command) == "", f"{path.stem}: {command}"
