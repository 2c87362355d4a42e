"""The probe of files, such as backups."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from uptime_exporter.errors import Inconclusive, ProbeFailure
from uptime_exporter.outcome import OwnFault, Reason
from uptime_exporter.probes.file import FileProbe, Found, newest
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.settings import FileTarget

NOW = 1_800_000_000.0
HOUR = 3600


def written(path: Path, *, hours_ago: float, size: int = 10) -> Path:
    """Write a file of *size* bytes that has been left alone since then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - hours_ago * HOUR,) * 2)
    return path


def probe(pattern: Path | str, look: Callable[[str], Found | None] | None = None) -> FileProbe:
    target = FileTarget(path=str(pattern), younger_than=7 * HOUR, min_bytes=5)
    return FileProbe(target, look=look, wall=lambda: NOW)


async def test_a_fresh_file_is_up(tmp_path: Path) -> None:
    """And it says which, how large and how old."""
    written(tmp_path / "b-1.gz", hours_ago=12)
    written(tmp_path / "b-2.gz", hours_ago=1.5)
    phases = Phases()

    seen = await probe(tmp_path / "b-*.gz").check(phases)

    assert seen.message == "b-2.gz (10 bytes, 1 h 30 min old)"
    assert list(phases.seconds) == ["look"]


@pytest.mark.parametrize(
    ("hours_ago", "size", "says"),
    [
        (7.001, 10, "b.gz (10 bytes, 7 h 0 min old) must be younger than 7h"),
        (1, 4, "b.gz (4 bytes, 1 h 0 min old) is smaller than 5 bytes"),
        (-8, 10, "b.gz (10 bytes, 8 h 0 min in the future) must be younger than 7h"),
        (None, 0, "no file matches {}/*.gz"),
    ],
)
async def test_what_is_not_fresh_is_down(
    tmp_path: Path, hours_ago: float | None, size: int, says: str
) -> None:
    """Too old, too small, from a future that no clock explains, or not there."""
    if hours_ago is not None:
        written(tmp_path / "b.gz", hours_ago=hours_ago, size=size)

    with pytest.raises(ProbeFailure) as caught:
        await probe(tmp_path / "*.gz").check(Phases())

    assert (caught.value.reason, caught.value.detail) == (Reason.STALE, says.format(tmp_path))


@pytest.mark.parametrize("hours_ago", [7, -7])
async def test_just_young_enough_is_up(tmp_path: Path, hours_ago: float) -> None:
    """Clocks of two machines may differ; that is no failure of a backup."""
    written(tmp_path / "b.gz", hours_ago=hours_ago, size=5)
    await probe(tmp_path / "b.gz").check(Phases())


async def test_a_newer_file_that_is_broken_off_is_down(tmp_path: Path) -> None:
    """The older good one does not make up for it: the newest is what would be restored."""
    written(tmp_path / "1.gz", hours_ago=3)
    written(tmp_path / "2.gz", hours_ago=1, size=0)
    with pytest.raises(ProbeFailure, match=r"^2\.gz \(0 bytes"):
        await probe(tmp_path / "*.gz").check(Phases())


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.gz", "new.gz"),
        ("new.gz", "new.gz"),
        ("[no]??.gz", "new.gz"),
        (".*.gz", ".part.gz"),
        ("2026/*/b.gz", "2026/11/b.gz"),
        ("*/*/*.gz", "2026/11/b.gz"),
        ("link.txt", "link.txt"),
        ("folder*", None),
        ("nowhere/*.gz", None),
        ("new.gz/*.gz", None),
        ("new.gz/b", None),
        ("dangling", None),
        ("./2026//11/./*.gz", "2026/11/b.gz"),
    ],
)
def test_wildcards_are_those_of_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, found: str | None
) -> None:
    """They match within one folder and nothing hidden; only regular files count, links are followed."""
    written(tmp_path / "old.gz", hours_ago=2)
    written(tmp_path / "new.gz", hours_ago=1)
    written(tmp_path / ".part.gz", hours_ago=0)
    written(tmp_path / "2026/11/b.gz", hours_ago=1)
    written(tmp_path / "2026/10/b.gz", hours_ago=24)
    (tmp_path / "folder.gz").mkdir()
    (tmp_path / "link.txt").symlink_to("old.gz")
    (tmp_path / "dangling").symlink_to("gone")
    monkeypatch.chdir(tmp_path)

    for each in (pattern, f"{tmp_path}/{pattern}"):
        match = newest(each)
        assert (match and Path(match.path).resolve()) == (found and (tmp_path / found).resolve()), each


@pytest.mark.parametrize(
    ("error", "fault", "says"),
    [
        (PermissionError(13, "", "/b"), OwnFault.UNREADABLE, f"by user {os.geteuid()} (Permission denied)"),
        (OSError(5, "", "/b"), OwnFault.UNREADABLE, "/b cannot be looked at (Input/output error)"),
        (OSError(116, "", "/b"), OwnFault.UNREADABLE, "(Stale file handle)"),
        (OSError(24, "", "/b"), OwnFault.RESOURCES, "(Too many open files)"),
    ],
)
async def test_what_cannot_be_looked_at_says_nothing(error: OSError, fault: OwnFault, says: str) -> None:
    """Nobody knows whether the backup is fresh."""

    def look(_pattern: str) -> Found | None:
        raise error

    with pytest.raises(Inconclusive) as caught:
        await probe("/b/*", look).check(Phases())

    assert caught.value.fault is fault
    assert says in caught.value.detail


def test_a_folder_that_another_user_may_not_read_is_unreadable(tmp_path: Path) -> None:
    """Rather than empty: a missing right is no missing backup."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    written(tmp_path / "closed" / "b.gz", hours_ago=1)
    (tmp_path / "closed").chmod(0o700)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    program = (
        "import os, sys; from uptime_exporter.probes.file import newest; os.setuid(65534)\n"
        "try: print(newest(sys.argv[1]))\nexcept PermissionError as error: print('may not', error.filename)"
    )

    for pattern in ("closed/*.gz", "closed/b.gz"):
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path / pattern], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith(f"may not {tmp_path}/closed"), pattern


async def test_a_file_system_that_hangs_costs_one_thread() -> None:
    """However often its probe is given up; once it answers, the next probe knows."""
    asked, free = [], threading.Event()

    def look(pattern: str) -> Found | None:
        asked.append(pattern)
        free.wait()
        return Found("/b/b.gz", NOW, 10)

    hanging = probe("/b/*", look)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await hanging.check(Phases())
    assert len(asked) == 1

    free.set()
    assert (await hanging.check(Phases())).message.startswith("b.gz")
    assert (await hanging.check(Phases())).message.startswith("b.gz")
    assert 2 <= len(asked) <= 3


def test_the_process_ends_while_a_file_system_hangs() -> None:
    """Nobody waits for a thread that may never come back."""
    program = """if True:
        import asyncio, threading
        from uptime_exporter.probes.file import FileProbe
        from uptime_exporter.probes.protocol import Phases
        from uptime_exporter.settings import FileTarget

        async def main():
            hanging = lambda pattern: threading.Event().wait()
            task = asyncio.create_task(
                FileProbe(FileTarget(path="/b", younger_than=1), look=hanging).check(Phases())
            )
            await asyncio.sleep(0)
            task.cancel()

        asyncio.run(main())
    """
    subprocess.run([sys.executable, "-c", program], timeout=20, check=True)
