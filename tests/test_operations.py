"""OPERATIONS.md shows nothing that is not so."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest
import yaml

from stack.compose_file import Compose, variables
from support.documents import blocks, commands, dead_links
from support.prometheus import Prometheus
from uptime_exporter.cli import main
from uptime_exporter.clock import SystemClock
from uptime_exporter.ledger import Bookkeeper, Terms

ROOT = Path(__file__).parents[1]
FILE = ROOT / "exporter" / "OPERATIONS.md"
TEXT = FILE.read_text()
MIMIR_TAKES = 20
"""Rules in a group."""

PROOF = "tests/stack/prove.py"
RUN_ELSEWHERE = {
    "exporter/stack/secrets.sh": ("tests/stack/prove", "exporter/stack/secrets.sh"),
    "cp .env.example .env": ("tests/stack/test_compose.py", "test_every_variable_stands_in_the_example"),
    "docker compose up --detach --wait": (PROOF, '"up", "--detach", "--wait")'),
    "docker compose build": (PROOF, '"build"'),
    "docker compose kill --signal HUP exporter prometheus alertmanager": ("tests/test_app.py", "SIGHUP"),
    "docker compose exec backup /opt/backup/backup.sh once": (
        PROOF,
        '"backup", "/opt/backup/backup.sh", "once"',
    ),
    "docker compose exec backup /opt/backup/backup.sh list": ("tests/stack/test_backup.py", 'script("list")'),
    "docker compose exec mysql /opt/backup/backup.sh restore": (
        PROOF,
        '"mysql", "/opt/backup/backup.sh", "restore"',
    ),
    "uptime-exporter drill --token-file secrets/admin_token": (
        PROOF,
        '"drill", "--token-file=secrets/admin_token"',
    ),
}
"""Command → the file that runs it, and how it is written there."""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with the shipped settings, where an exporter has just begun a ledger."""
    (tmp_path / "exporter").mkdir()
    shutil.copy(ROOT / "exporter" / "uptime.yaml", tmp_path / "exporter")

    async def begin() -> None:
        books = Bookkeeper(tmp_path / "uptime.db", SystemClock())
        books.open({"system": Terms(("model_server", "mysql"))})
        await books.close()

    asyncio.run(begin())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_is_run(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Here, in the order in which it is shown, or in the place that is named for it."""
    for command in commands(TEXT):
        if command in RUN_ELSEWHERE:
            continue
        typed, _, file = command.partition(" > ")
        program, *arguments = typed.split()
        assert program == "uptime-exporter", command
        assert main(arguments) == 0, command
        said = capsys.readouterr().out
        assert said, command
        if file:
            (checkout / file).write_text(said)
    assert (checkout / "moved.db").exists()


@pytest.mark.parametrize(("command", "where"), RUN_ELSEWHERE.items())
def test_what_is_run_elsewhere_is_run_there(command: str, where: tuple[str, str]) -> None:
    """Or the place that is named for it has changed."""
    file, fragment = where
    assert command in commands(TEXT)
    assert fragment in (ROOT / file).read_text()


def test_every_link_leads_somewhere() -> None:
    """Within the project."""
    assert dead_links(TEXT, FILE.parent) == []


def test_what_must_last_is_named_as_it_is() -> None:
    """Volumes, variables and services have these names in the compose file."""
    stack = Compose.under({})
    (row,) = [line for line in TEXT.splitlines() if line.startswith("| what must last")]
    assert set(re.findall(r"`(\w+)`", row)) <= set(stack.document["volumes"])
    assert "PROMETHEUS_RETENTION" in variables()
    asked = re.findall(r"docker compose (?:exec|logs) (\w+)", TEXT)
    assert set(asked) - {"NAME"} <= set(stack.services)


async def test_prometheus_takes_what_sends_samples_on(tmp_path: Path) -> None:
    """Added to the configuration to start from; and every metric that rules make is sent."""
    (block,) = blocks(TEXT, "yaml")
    text = (ROOT / "alerts" / "prometheus.yaml").read_text()
    (tmp_path / "prometheus.yaml").write_text(f"{text}\n{block}")
    (write,) = yaml.safe_load(block)["remote_write"]
    kept = re.compile(write["write_relabel_configs"][0]["regex"])
    made = [rule["record"] for group in groups() for rule in group["rules"] if "record" in rule]
    assert [name for name in made if not kept.fullmatch(name)] == []
    assert await Prometheus.check(tmp_path / "prometheus.yaml") == ""


def test_no_group_is_too_large_for_mimir() -> None:
    """Which refuses a group as a whole."""
    assert max(len(group["rules"]) for group in groups()) <= MIMIR_TAKES


def groups() -> list[dict[str, list[dict[str, str]]]]:
    files = (ROOT / "alerts" / "rules").glob("*.yaml")
    return [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
