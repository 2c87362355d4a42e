"""README shows nothing that is not so."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from support.asgi import client_of, running
from support.documents import blocks, commands, dead_links
from uptime_exporter.cli import main
from uptime_exporter.clock import SystemClock
from uptime_exporter.ledger import Bookkeeper, Terms
from uptime_exporter.outcome import OwnFault, Reason
from uptime_exporter.settings.load import load_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

RUN_ELSEWHERE = {
    "make run": "tests/live/test_demo.py",
    "make test": "this very run",
    "curl -X POST localhost:8009/model_server/down": "tests/live/test_demo.py",
    "uptime-exporter run --config uptime.yaml": "tests/test_app.py",
    "exporter/stack/secrets.sh": "tests/stack/test_secrets.py",
    "docker compose --profile demo up --detach --wait": "tests/stack/prove.py",
}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Write the settings that README shows to a file."""
    parts = [block for block in blocks(README, "yaml") if block.startswith(("targets:", "slas:"))]
    path = tmp_path / "uptime.yaml"
    path.write_text("\n".join(parts))
    return path


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Write a ledger that an exporter has just begun."""
    path = tmp_path / "uptime.db"

    async def begin() -> None:
        books = Bookkeeper(path, SystemClock())
        books.open({"system": Terms(("model_server", "mysql"))})
        await books.close()

    asyncio.run(begin())
    return path


def test_the_settings_that_it_shows_can_be_used(example: Path) -> None:
    """Whoever starts with them has three targets and two promises."""
    settings = load_settings(example, environ={})
    assert list(settings.targets) == ["model_server", "mysql", "gateway"]
    assert settings.slas["system"].targets == ("model_server", "mysql")
    assert settings.slas["checkout"].objective == 0.9995


def test_every_command_that_it_shows_is_run(
    example: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here, or by the test that is named for it."""
    assert example.parent == ledger.parent
    monkeypatch.chdir(example.parent)
    for command in commands(README):
        if command not in RUN_ELSEWHERE:
            program, *arguments = command.split()
            assert program == "uptime-exporter", command
            assert main(arguments) == 0, command
    assert "The settings can be used." in capsys.readouterr().out


async def test_its_five_lines_do_for_an_application() -> None:
    """They run as they stand, and give it routes that say how it is."""
    (example,) = blocks(README, "python")
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    async with running(names["app"]), client_of(names["app"]) as client:
        answer = await client.get("/reliability")
        assert list(answer.json()["circuit_breakers"]) == ["model_server"]
        assert 'uptime_circuit_state{app="main-backend"' in (await client.get("/metrics")).text


def test_every_reason_is_listed() -> None:
    """A reason that nobody explains helps nobody."""
    missing = [reason for reason in (*Reason, *OwnFault) if f"`{reason}`" not in README]
    assert missing == []


def test_every_ratio_was_measured() -> None:
    """As the benchmarks' last run has it."""
    table = README.partition("| of the rival's CPU time |")[2].partition("\n\n")[0]
    told = re.findall(r"^\| (.+) \| (\d\.\d+) \|$", table, re.MULTILINE)
    measured = (ROOT / "tests/bench/README.md").read_text().splitlines()
    assert told
    for what, ratio in told:
        (line,) = (line for line in measured if line.startswith(f"| {what} |"))
        assert f"| {ratio} (" in line


def test_every_link_leads_somewhere() -> None:
    """Within the project; others are not looked at."""
    assert re.search(r"\]\((?!\w+://)", README)
    assert dead_links(README, ROOT) == []
