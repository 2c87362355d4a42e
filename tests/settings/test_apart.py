"""Settings that another process reads."""

import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from uptime_exporter import __version__
from uptime_exporter.errors import SettingsError
from uptime_exporter.settings import HttpTarget
from uptime_exporter.settings.apart import NOT_FOR_IT, Reading
from uptime_exporter.settings.load import load_settings

TEXT = """
admin_token: a-token
targets:
  web: {kind: http, url: 'http://a/?key=b', headers: {X-Key: secret}, expect_json: {on: [1, true, yes, 1.0]}}
  same: {kind: http, url: 'http://b/', tls: {server_name: c}, expect_json: {on: [1, true, yes, 1.0]}}
  app: {kind: reliability, url: 'http://c/reliability', bearer_token: d}
  db: {kind: mysql, password: e, tls: {}}
  door: {kind: tcp, host: '::1', port: 70}
  backup: {kind: file, path: /backups/*, younger_than: 7h}
slas: {system: {objective: 0.99}}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where nothing is, with no settings around."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("UPTIME_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file with a target of every kind."""
    file = tmp_path / "uptime.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return file


def program(folder: Path, text: str) -> str:
    """Return the name of what stands for the interpreter, and does this instead."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o700)
    return str(file)


def children() -> set[int]:
    """Return the processes that this one has begun, zombies too."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(child) for file in lists for child in file.read_text().split()}


def descriptors() -> int:
    """Return how many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_they_are_the_same_wherever_they_are_read(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, environment and command line, secrets and kinds of values."""
    monkeypatch.setenv("UPTIME_INTERVAL", "40")
    overrides = {"targets.db.password": "f", "retries": "1"}
    with Reading(config, overrides) as reading:
        settings = reading.result()
    here = load_settings(config, overrides=overrides)
    assert settings == here
    web, other = settings.targets["web"], settings.targets["same"]
    assert isinstance(web, HttpTarget)
    assert isinstance(other, HttpTarget)
    assert [type(value) for value in (web.expect_json or {})["on"]] == [int, bool, bool, float]
    assert web.expect_json is other.expect_json, "what is equal takes its place once"
    assert web.interval is other.interval


def test_every_mistake_comes_over(config: Path) -> None:
    """In the same words and the same order."""
    config.write_text("interval: 1\ntargets:\n  db: {kind: mysql, prot: 3306}\n")
    with pytest.raises(SettingsError) as here:
        load_settings(config, overrides={"retries": "many"})
    with Reading(config, {"retries": "many"}) as reading, pytest.raises(SettingsError) as there:
        reading.result()
    assert there.value.mistakes == here.value.mistakes
    assert len(here.value.mistakes) > 1


def test_what_lies_in_the_working_directory_is_not_run(config: Path) -> None:
    """Somebody else may write there."""
    config.with_name("yaml.py").write_text("raise SystemExit(7)")
    with Reading(config, {}) as reading:
        assert reading.result().targets


def test_no_secret_is_on_its_command_line(config: Path) -> None:
    """Everybody on the machine can read that."""
    before = children()
    with Reading(config, {"targets.db.password": "hunter2"}) as reading:
        (process,) = children() - before
        assert b"hunter2" not in Path(f"/proc/{process}/cmdline").read_bytes()
        reading.result()


def test_signals_to_all_processes_leave_it_alone(config: Path) -> None:
    """A SIGHUP for the exporter asks for these settings, from their first moment on."""
    before, blocked = children(), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with Reading(config, {}) as reading:
        (process,) = children() - before
        for number in NOT_FOR_IT:
            os.kill(process, number)
        assert reading.result().targets
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == blocked, "nor is the exporter deaf afterwards"


@pytest.mark.parametrize(
    ("does", "how"),
    [
        ("kill -KILL $$", "was ended by signal 9 (Killed); if nobody sent it, there is too little memory"),
        ("echo half > /proc/self/fd/$4; exit 3", "ended with exit code 3; `uptime-exporter check` "),
        ("exit 0", "ended with exit code 0; `uptime-exporter check` "),
    ],
    ids=["killed", "failed", "silent"],
)
def test_a_process_that_ends_without_an_answer_is_a_mistake(tmp_path: Path, does: str, how: str) -> None:
    """It says how it ended and what to do."""
    with Reading(None, {}, python=program(tmp_path, does)) as reading, pytest.raises(SettingsError) as caught:
        reading.result()
    (said,) = caught.value.mistakes
    assert said.startswith(f"the settings were not read: the process that reads them {how}")


def test_an_exporter_that_was_upgraded_meanwhile_asks_to_be_restarted(tmp_path: Path) -> None:
    """The settings of another version may have other names, and other values under the same ones."""
    answer = "import os, pickle, sys; os.write(int(sys.argv[1]), pickle.dumps(('9.8.7', b'', ())))"
    python = program(tmp_path, f'exec {sys.executable} -c "{answer}" $4')
    with Reading(None, {}, python=python) as reading, pytest.raises(SettingsError) as caught:
        reading.result()
    (said,) = caught.value.mistakes
    assert said.endswith(f"9.8.7 is installed and {__version__} runs; start the exporter anew")


def test_where_no_process_can_be_begun_it_says_so(tmp_path: Path) -> None:
    """And leaves nothing open."""
    before = descriptors()
    with pytest.raises(SettingsError) as caught:
        Reading(None, {}, python=str(tmp_path / "none"))
    (said,) = caught.value.mistakes
    assert said.endswith(
        f"{tmp_path}/none cannot be started (no such file or directory); allow one process and four open files more"
    )
    assert descriptors() == before


def test_where_no_file_can_be_opened_it_says_so() -> None:
    """A thousand targets may have taken them all; a reload is then refused like any other."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = descriptors()
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(SettingsError, match="too many open files"):
            Reading(None, {})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert descriptors() == before


def test_at_the_end_of_the_block_nothing_is_left(tmp_path: Path) -> None:
    """Neither a process that nobody waits for, nor a dead one, nor a pipe."""
    before = children(), descriptors()
    with Reading(None, {}, python=program(tmp_path, "exec sleep 600")):
        assert len(children() - before[0]) == 1
    assert (children(), descriptors()) == before


def test_what_it_prints_is_not_lost(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A trace is all that there is to go by."""
    does = "echo trace >&2; exit 1"
    with Reading(None, {}, python=program(tmp_path, does)) as reading, pytest.raises(SettingsError):
        reading.result()
    assert capfd.readouterr().err == "trace\n"
