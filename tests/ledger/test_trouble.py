"""Whatever becomes of the file, the accounts go on, and what was written or is pending is not lost."""

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.ledgers import PROMISES, AtOnce, Desk, desk
from support.loop import FakeClock
from support.servers import need
from uptime_exporter.errors import LedgerError
from uptime_exporter.ledger import Account, Bookkeeper, State, Terms, read_history
from uptime_exporter.ledger.pending import Pending
from uptime_exporter.ledger.transfer import check

UP, DOWN, UNKNOWN = State.UP, State.DOWN, State.UNKNOWN
TWENTY_BEATS = {UP: 390, DOWN: 210, UNKNOWN: 0}


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "uptime.db"


async def through(now: Desk, break_it: Callable[[], object], mend_it: Callable[[], object]) -> str:
    """Live through an outage of web and one of the disk at once; return what was said to be wrong."""
    await now.beat(5)
    await now.beat(2, down="web")
    break_it()
    await now.beat(5, down="web")
    await now.beat(3)
    said = now.book.trouble or "nothing"
    assert now.book.write_failures == 8
    mend_it()
    assert await now.beat(5)
    await now.book.close()
    return said


def agrees(now: Desk) -> bool:
    """Tell whether the file holds twenty beats without a hole, and the log one line for each end of the trouble."""
    record = read_history(now.path).records["web"]
    lengths = [(span.length / 1000, span.state) for span in record.spans]
    return (
        check(now.path) == []
        and lengths == [(150, UP), (210, DOWN), (240, UP)]
        and now.book.trouble is None
        and {state: total / 1000 for state, total in record.totals.items()} == TWENTY_BEATS
    )


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().partition(";")[0] for record in caplog.records]


BEGINS_AND_ENDS = ["the ledger cannot be written", "the ledger is written again"]


async def test_a_directory_that_is_moved_away_and_back(
    clock: FakeClock, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is written into a file that is no longer at its place, and nothing is missing afterwards."""
    now, away = desk(clock, path), path.parent.with_name("away")
    said = await through(now, lambda: path.parent.rename(away), lambda: away.rename(path.parent))

    assert said == f"{path} cannot be opened: there is no directory {path.parent}; create it"
    assert agrees(now)
    assert lines(caplog) == BEGINS_AND_ENDS


async def test_a_file_that_somebody_deletes_begins_anew(clock: FakeClock, path: Path) -> None:
    """The totals are in the new file as they stand, with the spans that had not been written."""
    now = desk(clock, path)
    await now.beat(5)
    await now.beat(3, down="web")
    await now.beat(3)
    for file in path.parent.iterdir():
        file.unlink()
    assert not await now.beat()
    assert await now.beat(9)
    await now.book.close()
    record = read_history(path).records["web"]

    assert {state: total / 1000 for state, total in record.totals.items()} == {UP: 540, DOWN: 90, UNKNOWN: 0}
    assert [span.state for span in record.spans] == [UP]
    assert check(path) == []


async def test_an_older_copy_in_the_place_of_the_file(clock: FakeClock, path: Path) -> None:
    """Restored from a backup under a running exporter, it gets its totals, and a span that says what is lost."""
    now = desk(clock, path)
    await now.beat(5)
    await now.beat(3, down="web")
    await now.beat(3)
    with sqlite3.connect(path) as original, sqlite3.connect(path.with_name("copy")) as copy:
        original.backup(copy)
    original.close()
    copy.close()
    await now.beat(3, down="web")
    await now.beat(3)
    path.with_name("copy").rename(path)
    path.with_name("uptime.db-wal").unlink()
    path.with_name("uptime.db-shm").unlink()
    await now.beat()
    assert await now.beat(3, down="web")
    await now.book.close()
    record = read_history(path).records["web"]

    assert {state: total / 1000 for state, total in record.totals.items()} == {UP: 360, DOWN: 270, UNKNOWN: 0}
    assert [s.reason for s in record.spans] == ["", "connect", "not_kept", "", "connect"]
    assert check(path) == []


async def test_another_ledger_in_the_place_of_the_file(clock: FakeClock, path: Path) -> None:
    """A running exporter does not write into a ledger that it has not begun with."""
    other = desk(clock, path.with_name("other.db"))
    await other.beat(3)
    await other.book.close()
    now = desk(clock, path)
    await now.beat(3)
    shutil.move(path.with_name("other.db"), path)
    path.with_name("uptime.db-wal").unlink()
    path.with_name("uptime.db-shm").unlink()
    await now.beat(3)

    assert "another ledger has been put in the place" in str(now.book.trouble)
    assert {s / 1000 for s in read_history(path).records["web"].totals.values()} == {0, 90}


async def test_a_database_that_somebody_locks(
    clock: FakeClock, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forgotten sqlite3 shell costs no second of the account."""
    monkeypatch.setattr("uptime_exporter.ledger.store.PATIENCE", 0.0)
    now = desk(clock, path)
    shell = sqlite3.connect(path, isolation_level=None)
    said = await through(now, lambda: shell.execute("BEGIN IMMEDIATE"), lambda: shell.execute("ROLLBACK"))
    shell.close()

    assert said == f"{path} is locked by another program; end it, perhaps a forgotten sqlite3 shell"
    assert agrees(now)
    assert lines(caplog) == BEGINS_AND_ENDS


async def test_a_file_that_is_locked_at_the_start_is_merged_later(
    clock: FakeClock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be read at the start is put before what was accounted for since."""
    monkeypatch.setattr("uptime_exporter.ledger.store.PATIENCE", 0.0)
    before = desk(clock, path)
    await before.beat(5)
    await before.book.close()
    shell = sqlite3.connect(path, isolation_level=None)
    shell.execute("PRAGMA locking_mode = EXCLUSIVE")
    shell.execute("BEGIN EXCLUSIVE")
    clock.pass_time(600)
    clock.step_wall(3600)  # while nobody was there: it counts as a part of the gap
    now = desk(clock, path)
    await now.beat(5, down="web")
    assert now.book.write_failures == 6
    assert now.totals("web") == {UP: 0, DOWN: 120, UNKNOWN: 0}
    clock.step_wall(-1800)
    shell.execute("ROLLBACK")
    shell.close()
    await now.beat(5)
    await now.book.close()

    assert now.book.trouble is None
    assert now.totals("web") == {UP: 300, DOWN: 150, UNKNOWN: 4200}
    assert now.book.accounts["web"].down == 150_000
    assert [s.state for s in read_history(path).records["web"].spans] == [UP, UNKNOWN, DOWN, UP]
    assert now.book.timeline.unix(now.book.accounts["web"].settled) == clock.wall()
    assert check(path) == []


async def test_a_file_of_a_newer_version_is_left_alone(clock: FakeClock, path: Path) -> None:
    """An older exporter goes on without the file and says what to do."""
    before = desk(clock, path)
    await before.beat(5)
    await before.book.close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    content = path.read_bytes()
    now = desk(clock, path)
    await now.beat(5)
    await now.book.close()

    assert now.book.write_failures == 7
    assert "update uptime-exporter, or name another file" in str(now.book.trouble)
    assert now.totals() == {UP: 150, DOWN: 0, UNKNOWN: 0}
    assert path.read_bytes() == content
    with pytest.raises(LedgerError, match="update uptime-exporter"):
        read_history(path)


@pytest.mark.parametrize("content", [b"listen: 127.0.0.1:10999\n", b"x" * 8192])
async def test_a_file_that_was_never_a_ledger_is_left_alone(
    clock: FakeClock, path: Path, content: bytes
) -> None:
    """Who names the settings file as ledger by mistake finds it as it was."""
    path.write_bytes(content)
    now = desk(clock, path)
    await now.beat(3)

    assert now.book.trouble == f"{path} is no ledger; name another file as ledger"
    assert path.read_bytes() == content


async def test_another_programs_database_is_left_alone(clock: FakeClock, path: Path) -> None:
    """So is a database of somebody else's."""
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE dashboard (id)")
    other.close()
    now = desk(clock, path)
    await now.beat(3)

    assert now.book.trouble == f"{path} is another program's database; name another file as ledger"


async def test_two_exporters_on_one_file(clock: FakeClock, path: Path) -> None:
    """The second one is refused, told which process holds the file, and let in once that has gone."""
    first = desk(clock, path)
    second = Bookkeeper(path, clock, executor=AtOnce())
    with pytest.raises(LedgerError, match=rf"another exporter \(process {os.getpid()}\); stop that one"):
        second.open({"web": Terms(("web",))})
    await first.book.close()
    second.open({"web": Terms(("web",))})
    await second.close()


@pytest.mark.parametrize("damaged", [slice(5000, None), slice(4096), slice(4096, 6096)])
async def test_a_damaged_file_is_set_aside(
    clock: FakeClock, path: Path, caplog: pytest.LogCaptureFixture, damaged: slice
) -> None:
    """It keeps what it holds under another name, and a new ledger begins."""
    before = desk(clock, path)
    await before.beat(5)
    await before.book.close()
    broken = bytearray(path.read_bytes())
    broken[damaged] = bytes(len(broken[damaged])) if damaged.stop else b""
    path.write_bytes(broken)
    now = desk(clock, path)
    await now.beat(5)
    aside = path.with_name("uptime.db.corrupt-20260101T000230Z")

    assert aside.read_bytes() == broken
    assert now.book.trouble is None
    assert now.totals() == {UP: 120, DOWN: 0, UNKNOWN: 0}
    assert "uptime-exporter ledger import" in caplog.text


async def test_a_disk_that_comes_back_damaged(clock: FakeClock, path: Path) -> None:
    """The totals of the new file are those of the old one; only its spans are in the one that was set aside."""
    now, away = desk(clock, path), path.parent.with_name("away")
    await now.beat(5, down="web")
    await now.beat(5)
    path.parent.rename(away)
    await now.beat()
    file = away / "uptime.db"
    file.write_bytes(file.read_bytes()[:5000])
    away.rename(path.parent)
    assert await now.beat(4)
    await now.book.close()

    assert {s / 1000 for s in read_history(path).records["web"].totals.values()} == {150, 300, 0}
    assert check(path) == []


@given(st.data())
async def test_no_damage_stops_the_account(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Flipped bits and a lost end: either the file is read, set aside or left alone, and the exporter goes on."""
    clock, path = FakeClock(), tmp_path_factory.mktemp("ledger") / "uptime.db"
    before = desk(clock, path)
    await before.beat(3)
    await before.beat(3, down="web")
    await before.book.close()
    content = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
        content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)) | st.just(len(content)))])
    check_raises_nothing_else(path)
    now = desk(clock, path)
    await now.beat(3)
    await now.book.close()

    assert now.totals()[UP] >= 90
    if now.book.trouble is None:
        read_history(path)


EVENTS = st.one_of(
    st.tuples(st.just("beats"), st.integers(1, 4), st.sampled_from(["", "web", "db"])),
    st.tuples(st.sampled_from(["restart", "suspend", "step"]), st.integers(-3600, 3600), st.just("")),
    st.tuples(st.just("reload"), st.integers(0, 2), st.just("")),
    st.tuples(st.sampled_from(["away", "back"]), st.just(0), st.just("")),
)


@given(st.lists(EVENTS, max_size=15))
async def test_a_disk_that_comes_and_goes(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, str]]
) -> None:
    """Whatever happens meanwhile, restarts included, the file agrees with itself and no total in it goes down."""
    clock, folder = FakeClock(), tmp_path_factory.mktemp("ledger") / "folder"
    away, promises, seen = folder.with_name("away"), dict(PROMISES), dict[str, dict[State, int]]()
    folder.mkdir()
    now = desk(clock, folder / "uptime.db")
    for what, amount, down in [*events, ("back", 0, ""), ("beats", 1, "")]:
        if what == "beats":
            await now.beat(amount, down=down)
        elif what == "step":
            clock.step_wall(amount)
        elif what == "suspend":
            clock.suspend(abs(amount))
        elif what == "reload":
            promises = dict(list(PROMISES.items())[: amount + 1])
            now.book.apply(promises)
        elif what == "restart":
            await now.book.close()
            clock.pass_time(abs(amount))
            now = desk(clock, now.path, promises)
        elif what == "away" and not away.exists():
            folder.rename(away)
        elif what == "back" and away.exists():
            away.rename(folder)
        if await now.book.commit():
            totals = goes_on(now.path, seen)
            assert all(totals[name] == account.totals for name, account in now.book.accounts.items())
    assert now.book.trouble is None
    await now.book.close()


def goes_on(path: Path, seen: dict[str, dict[State, int]]) -> dict[str, dict[State, int]]:
    """Check the file and that its totals have not gone down since *seen*; return them."""
    assert check(path) == []
    totals = {name: dict(record.totals) for name, record in read_history(path).records.items()}
    for name, before in seen.items():
        assert all(totals[name][state] >= before[state] for state in State)
    seen |= totals
    return totals


def check_raises_nothing_else(path: Path) -> None:
    """Look at a file that may be damaged in any way."""
    try:
        check(path)
    except LedgerError:
        return


async def test_a_full_database(clock: FakeClock, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What did not fit is written once it does."""
    script = """
import asyncio, resource, signal, sys
from pathlib import Path
from support.ledgers import desk
from support.loop import FakeClock
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
async def main():
    now = desk(FakeClock(), path)
    await now.beat(5)
    await now.beat(2, down="web")
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, -1))
    await now.beat(5, down="web")
    await now.beat(3)
    assert now.book.write_failures == 8, now.book.write_failures
    print(now.book.trouble)
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    assert await now.beat(5), now.book.trouble
    await now.book.close()
asyncio.run(main())
"""
    said = in_a_process(script, path)

    assert "free some space" in said or "look at the disk" in said
    assert agrees(Desk(clock, path, Bookkeeper(path, clock, executor=AtOnce())))
    assert caplog.records == []


def in_a_process(script: str, *arguments: object) -> str:
    """Run a script that may limit its own process."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can be filled; root's business."""
    mount = tmp_path / "disk"
    mount.mkdir()
    done = subprocess.run(
        [need("mount"), "-t", "tmpfs", "-o", "size=512k", "tmpfs", mount], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


async def test_a_disk_that_is_really_full(
    clock: FakeClock, full_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, and what was pending is written when there is space again."""
    now, ballast = desk(clock, full_disk / "uptime.db"), full_disk / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                return

    # Two commits fit into what is there of the log already.
    said = await through(now, fill, ballast.unlink)

    assert said == f"the disk of {now.path} is full; free some space"
    assert agrees(now)
    assert lines(caplog) == BEGINS_AND_ENDS


@contextmanager
def unchangeable(folder: Path) -> Iterator[None]:
    """Make what is in a directory read-only, even for root."""
    files = [folder, *folder.iterdir()]
    if subprocess.run([need("chattr"), "+i", *files], capture_output=True, check=False).returncode:
        subprocess.run(["chattr", "-i", *files], capture_output=True, check=False)
        pytest.skip("chattr +i takes root and a file system that knows it")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


async def test_a_read_only_file_at_the_start(clock: FakeClock, path: Path) -> None:
    """The account is kept in memory, and merged when the file can be written to."""
    before = desk(clock, path)
    await before.beat(5)
    await before.book.close()
    with unchangeable(path.parent):
        now = desk(clock, path)
        await now.beat(5)
        assert "make the file and its directory writable" in str(now.book.trouble)
    await now.beat(5)
    await now.book.close()

    assert now.totals() == {UP: 450, DOWN: 0, UNKNOWN: 0}
    assert check(path) == []


async def test_a_file_that_can_only_be_read_is_read(clock: FakeClock, path: Path) -> None:
    """A report needs to write nothing, not even beside the file."""
    now = desk(clock, path)
    await now.beat(5)
    await now.book.close()
    with unchangeable(path.parent):
        assert {s / 1000 for s in read_history(path).records["web"].totals.values()} == {150, 0}


def test_only_so_much_waits_for_a_disk_to_come_back() -> None:
    """Beyond a bound, pending spans become one stretch a promise of which only the totals are known."""
    pending = Pending(most=4)
    account = restless_account()
    pending.take([account])
    pending.bound()

    assert [(name, s.start, s.end, s.reason) for name, s in pending.all()] == [("web", 0, 50, "not_kept")]


def restless_account() -> Account:
    account = Account("web", Terms(("web",)), 0)
    for moment in range(10, 70, 10):
        account.add(moment, DOWN if moment % 20 else UP)
    return account
