"""The unit for machines without containers."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from support.servers import need
from uptime_exporter.app import LAST_RESORT
from uptime_exporter.settings.load import load_settings
from uptime_exporter.settings.variables import read_environment

UNIT = Path(__file__).parents[1] / "exporter" / "uptime-exporter.service"
LARGEST_EXPOSURE = 15
"""Tenths of ten; systemd calls up to 20 "OK", and most services of a system have 96."""


def directives() -> list[tuple[str, str]]:
    return re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), flags=re.MULTILINE)


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [need("systemd-analyze"), "--no-pager", *words], capture_output=True, text=True, check=False
    )


def test_it_exposes_little() -> None:
    """As systemd itself judges it; a line that goes missing shows here."""
    done = analyze("security", "--offline=true", f"--threshold={LARGEST_EXPOSURE}", str(UNIT))
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_without_its_fences_it_would_expose_much(tmp_path: Path) -> None:
    """The judge is awake."""
    bare = tmp_path / UNIT.name
    bare.write_text(re.sub(r"(?m)^(Protect|Private|Restrict|SystemCall|Capab).*\n", "", UNIT.read_text()))
    assert analyze("security", "--offline=true", f"--threshold={LARGEST_EXPOSURE}", str(bare)).returncode


def test_systemd_takes_every_line(tmp_path: Path) -> None:
    """Unknown directives and sections would be passed over with a warning in a log."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/uptime-exporter/bin/uptime-exporter", need("true")))
    done = analyze("verify", "--man=no", str(unit))
    about = [line for line in (done.stdout + done.stderr).splitlines() if UNIT.name in line]
    assert about == []


def test_what_it_runs_are_commands_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Checked before it starts, so that a restart with bad settings says so."""
    commands = [
        shlex.split(value)[1:] for name, value in directives() if name in ("ExecStartPre", "ExecStart")
    ]
    assert commands == [["check"], ["run"]]
    assert capsys.readouterr().err == ""


def test_its_variables_are_settings() -> None:
    """And lead into the folder that is its own."""
    environ = dict(value.split("=", 1) for name, value in directives() if name == "Environment")
    assert read_environment(environ).mistakes == []
    (folder,) = [value for name, value in directives() if name == "StateDirectory"]
    assert Path(environ["UPTIME_LEDGER"]).parent == Path("/var/lib") / folder


def test_it_is_given_the_time_that_its_drain_takes(tmp_path: Path) -> None:
    """Or systemd would end it in the middle of a commit."""
    drain = load_settings(environ={"UPTIME_LEDGER": str(tmp_path / "uptime.db")}).shutdown_timeout
    (limit,) = [float(value) for name, value in directives() if name == "TimeoutStopSec"]
    assert limit > drain + LAST_RESORT
