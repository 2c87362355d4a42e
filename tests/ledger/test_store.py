"""The file holds what was committed, whole batches only, and grows with outages instead of probes."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.ledgers import copied, desk, seconds
from support.loop import FakeClock
from uptime_exporter.errors import LedgerError
from uptime_exporter.ledger import History, State, Terms, Timeline, read_history
from uptime_exporter.ledger.schema import APPLICATION_ID, VERSION
from uptime_exporter.ledger.store import LOG_LIMIT, Store
from uptime_exporter.ledger.transfer import check

UP, DOWN, UNKNOWN = State.UP, State.DOWN, State.UNKNOWN


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "uptime.db"


async def test_what_a_power_cut_leaves_after_a_commit(clock: FakeClock, path: Path, tmp_path: Path) -> None:
    """The copy that is taken between two commits holds the first of them."""
    now = desk(clock, path)
    for number in range(20):
        await now.beat(down="web" if number % 3 == 0 else "")
        copy = copied(path, tmp_path / str(number))
        assert check(copy) == []
        assert seconds(read_history(copy).records["web"].totals) == now.totals("web")


@given(st.data())
async def test_what_a_power_cut_leaves_within_a_commit(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A log that ends anywhere, or in garbage, is as far as whole commits go."""
    clock, folder = FakeClock(), tmp_path_factory.mktemp("ledger")
    now = desk(clock, folder / "uptime.db")
    stood = [{UP: 0.0, DOWN: 0.0, UNKNOWN: 0.0}]
    for number in range(6):
        await now.beat(down="web" if number % 2 else "")
        stood.append(now.totals("web"))
    copy = copied(now.path, folder / "copy")
    log = copy.with_name("uptime.db-wal")
    content = log.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    log.write_bytes(content[:cut] + data.draw(st.binary(max_size=100)))
    after = desk(clock, copy, retention=1)
    await after.book.close()

    assert check(copy) == []
    totals = seconds(read_history(copy).records["web"].totals)
    assert any(totals[UP] == before[UP] and totals[DOWN] == before[DOWN] for before in stood)
    assert after.book.trouble is None


async def test_the_file_grows_with_outages_and_not_with_probes(clock: FakeClock, path: Path) -> None:
    """A thousand quiet beats add no page, and the log is taken in again and again."""
    now = desk(clock, path)
    await now.beat(3, down="web")
    await now.beat(500)
    before = path.stat().st_size
    await now.beat(500)

    assert path.stat().st_size == before
    assert path.with_name("uptime.db-wal").stat().st_size < LOG_LIMIT
    assert len(read_history(path).records["web"].spans) == 2


async def test_reading_goes_on_beside_an_exporter(clock: FakeClock, path: Path) -> None:
    """Readers see whole commits, and hold up nobody."""
    now = desk(clock, path)
    await now.beat(3)
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM ledger").fetchall()
    assert await now.beat(3)
    reader.close()

    assert seconds(read_history(path).records["web"].totals) == {UP: 150, DOWN: 0, UNKNOWN: 0}


def test_a_ledger_of_an_older_version_can_be_read(path: Path) -> None:
    """It is brought up to date in memory, and left as it is."""
    oldest = sqlite3.connect(path)
    oldest.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    oldest.close()
    content = path.read_bytes()

    assert read_history(path) == History({}, Timeline())
    assert path.read_bytes() == content


async def test_a_ledger_of_an_older_version_is_migrated(clock: FakeClock, path: Path) -> None:
    """The first start of a newer exporter brings the file up to date."""
    oldest = sqlite3.connect(path)
    oldest.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    oldest.close()
    now = desk(clock, path)
    await now.beat(3)
    await now.book.close()
    current = sqlite3.connect(path)

    assert current.execute("PRAGMA user_version").fetchone() == (VERSION,)
    current.close()


def test_a_ledger_that_is_not_there_cannot_be_read(path: Path) -> None:
    """Reading makes no file, and says which one is missing."""
    with pytest.raises(LedgerError, match=f"there is no ledger {path}; name the file"):
        read_history(path)
    assert not path.exists()


async def test_terms_are_written_as_they_change(clock: FakeClock, path: Path) -> None:
    """The file says what is promised now, to the last digit."""
    now = desk(clock, path)
    await now.beat()
    terms = Terms(("web", "db"), 0.1 + 0.2, 604_800_001)
    now.book.apply({"system": terms})
    await now.book.commit()

    assert read_history(path).records["system"].terms == terms


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE span SET until = until + 1 WHERE id = 1", "web: a span ends at"),
        ("UPDATE span SET state = 0, reason = '' WHERE id = 3", "web: two spans of the same state"),
        ("DELETE FROM span WHERE id = 3", "web: a span ends at"),
        (
            "UPDATE account SET up = up - 1, down = down + 1 WHERE id = 1",
            "web: 89999 ms up in all, but 90000 ms",
        ),
        ("UPDATE promise SET born = born + 1, name = 'x' WHERE id = 1", "holds what no exporter has written"),
        ("UPDATE account SET state = 7", "holds what no exporter has written"),
        ("UPDATE promise SET targets = 'web'", "holds what no exporter has written"),
        ("UPDATE ledger SET moment = 1", "later than the last commit"),
        ("INSERT INTO adjustment VALUES (5, 5), (4, 4)", "the adjustment at 4 follows the one at 5"),
        ("DROP TABLE adjustment", "lacks what every ledger has"),
    ],
)
async def test_check_tells_what_does_not_agree(
    clock: FakeClock, path: Path, statement: str, problem: str
) -> None:
    """Each in words, with the account that it is about."""
    now = desk(clock, path)
    await now.beat(2)
    await now.beat(2, down="web")
    await now.beat(1)
    await now.beat(1, down="web")
    await now.book.close()
    assert check(path) == []
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()

    assert problem in "\n".join(check(path))


def test_a_file_that_a_crash_left_halfway_is_tidied_up(tmp_path: Path) -> None:
    """Killed in its very first moments, it has a journal to be played back, which reading alone must not do."""
    path, crashed = tmp_path / "uptime.db", tmp_path / "crashed.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA cache_size = 1")  # so that it writes before the commit
        connection.execute("CREATE TABLE half AS SELECT randomblob(100000) AS written")
        shutil.copy(path, crashed)
        shutil.copy(f"{path}-journal", f"{crashed}-journal")
        connection.execute("ROLLBACK")
    reader = sqlite3.connect(f"file:{crashed}?mode=ro", uri=True)
    with closing(reader), pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("PRAGMA application_id")

    assert check(crashed) == []
    Store(crashed).close()
    assert check(crashed) == []
