"""The record of drains: it lasts, it is shared, and it says when a process was killed."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from uptime_exporter.reliability.drain import GracefulShutdown
from uptime_exporter.reliability.record import Record, Tally

HOLDS_ON = """
import sys
from pathlib import Path
from uptime_exporter.reliability.record import Record
record = Record(Path(sys.argv[1]))
record.begin(30.0)
print("begun", flush=True)
sys.stdin.read()
record.end("clean", 1.5)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the record of a test is."""
    return tmp_path / "shutdowns.json"


def draining(path: Path) -> subprocess.Popen[str]:
    """Return another process whose drain has begun and ends when its input does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ON, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=30)


def test_without_a_drain_there_is_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A first start has no file yet, and nothing to warn of."""
    drain = GracefulShutdown(record=path)

    assert dict(drain.shutdowns) == {"clean": 0, "timeout": 0}
    assert drain.last_seconds is None
    assert caplog.text == ""


def test_results_outlive_the_process(path: Path) -> None:
    """The next one goes on where the last one stopped; the file is plain JSON, and alone in its folder."""
    for result, seconds in (("clean", 0.25), ("clean", 2.0), ("timeout", 30.0)):
        record = Record(path)
        record.begin(30.0)
        record.end("clean" if result == "clean" else "timeout", seconds)

    assert Record(path).read() == Tally(clean=2, timeout=1, last_seconds=30.0)
    assert json.loads(path.read_text()) == {"clean": 2, "timeout": 1, "last_seconds": 30.0}
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_without_a_path_results_last_as_long_as_the_process() -> None:
    """Nothing has to be configured."""
    record = Record()
    record.begin(30.0)
    record.end("timeout", 30.0)

    assert record.read() == Tally(timeout=1, last_seconds=30.0)


def test_a_drain_under_way_is_not_counted_yet(path: Path) -> None:
    """A new process that starts while the old one drains must not see a timeout that will not have been."""
    other = draining(path)
    record = Record(path)

    assert record.read() == Tally()
    end(other)
    assert record.read() == Tally(clean=1, last_seconds=1.5)


def test_a_killed_drain_is_a_timeout(path: Path) -> None:
    """Also where the process that finds it runs already; it is counted once."""
    other = draining(path)
    record = Record(path)
    assert record.read().timeout == 0
    other.kill()
    end(other)

    assert record.read() == Tally(timeout=1, last_seconds=30.0)
    assert Record(path).read() == Tally(timeout=1, last_seconds=30.0)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_ones_own_drain_is_not_taken_for_a_dead_one(path: Path) -> None:
    """Metrics are read while it drains too."""
    record = Record(path)
    record.begin(30.0)
    record.begin(30.0)
    assert record.read() == Tally()
    record.end("clean", 0.5)

    assert record.read() == Tally(clean=1, last_seconds=0.5)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_processes_that_end_together_are_all_counted(path: Path) -> None:
    """No worker's result overwrites another's."""
    others = [draining(path) for _ in range(4)]
    for other in others:
        assert other.stdin
        other.stdin.close()
    for other in others:
        other.wait(30)
        assert other.stdout
        other.stdout.close()

    assert Record(path).read() == Tally(clean=4, last_seconds=1.5)


def test_a_name_with_a_wildcard_in_it_is_only_a_name(tmp_path: Path) -> None:
    """What belongs to another record is left alone."""
    other = draining(tmp_path / "ab.json")
    other.kill()
    end(other)

    assert Record(tmp_path / "[ab]?.json").read() == Tally()
    assert Record(tmp_path / "a*.json").read() == Tally()
    assert Record(tmp_path / "ab.json").read().timeout == 1


DAMAGED = (
    "",
    "{",
    "[]",
    "null",
    '{"clean": 1}',
    '{"clean": "1", "timeout": 0, "last_seconds": 1}',
    '{"clean": -1, "timeout": 0, "last_seconds": null}',
    '{"clean": 0, "timeout": 0, "last_seconds": "x"}',
    "\x00" * 40,
)


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_is_said_once_and_replaced(
    content: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no reason not to start; the next drain writes a good one."""
    path.write_text(content)
    record = Record(path)
    assert record.read() == Tally()
    assert record.read() == Tally()
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert str(path) in caplog.text
    record.begin(30.0)
    record.end("clean", 0.5)

    assert Record(path).read() == Tally(clean=1, last_seconds=0.5)


def test_a_record_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says where and what to do, and the figures last as long as the process."""
    record = Record(tmp_path / "missing" / "shutdowns.json")
    record.begin(30.0)
    record.end("timeout", 30.0)

    assert record.read() == Tally(timeout=1, last_seconds=30.0)
    assert "missing/shutdowns.json" in caplog.text
    assert "let this user write" in caplog.text
    assert len(caplog.records) == 1


def test_a_removed_record_begins_again(path: Path) -> None:
    """Who deletes the file wants the figures gone."""
    record = Record(path)
    record.end("clean", 0.5)
    path.unlink()

    assert record.read() == Tally()
