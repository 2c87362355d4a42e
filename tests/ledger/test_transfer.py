"""A ledger can leave its file as lines of JSON and come back from them the same."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.ledgers import desk
from support.loop import FakeClock
from uptime_exporter.errors import LedgerError
from uptime_exporter.ledger import read_history
from uptime_exporter.ledger.transfer import check, export, import_


@pytest.fixture
async def path(clock: FakeClock, tmp_path: Path) -> Path:
    """A ledger with an outage, a step of the clock and a former promise."""
    now = desk(clock, tmp_path / "uptime.db")
    await now.beat(2)
    clock.step_wall(3600)
    await now.book.commit()
    await now.beat(2, down="web")
    now.book.apply({"web": now.book.accounts["web"].terms})
    await now.beat(2)
    await now.book.close()
    return now.path


def exported(path: Path) -> str:
    stream = io.StringIO()
    export(path, stream)
    return stream.getvalue()


async def test_there_and_back_again(path: Path, tmp_path: Path) -> None:
    """What was exported, imported and exported again is the same to the last character, and an exporter goes on."""
    new = tmp_path / "new.db"
    text = exported(path)
    import_(io.StringIO(text), new)

    assert exported(new) == text
    assert read_history(new) == read_history(path)
    assert check(new) == []
    assert not [file for file in tmp_path.iterdir() if "import-" in file.name]


async def test_an_exporter_goes_on_with_what_was_imported(
    clock: FakeClock, path: Path, tmp_path: Path
) -> None:
    """Totals stand where they stood, the gap added."""
    import_(io.StringIO(exported(path)), tmp_path / "new.db")
    clock.pass_time(30)
    now, same = desk(clock, tmp_path / "new.db"), desk(clock, path)

    assert now.totals("web") == same.totals("web")
    assert list(now.book.accounts["web"].recent) == list(same.book.accounts["web"].recent)


@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "web", "db"]), st.integers(-9, 9)), max_size=8)
)
async def test_any_history_comes_back(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, str, int]]
) -> None:
    """Whatever has happened, it survives the way out and in."""
    clock, folder = FakeClock(), tmp_path_factory.mktemp("ledger")
    now = desk(clock, folder / "uptime.db")
    for beats, down, step in history:
        await now.beat(beats, down=down)
        clock.step_wall(step)
    await now.book.close()
    text = exported(now.path)
    import_(io.StringIO(text), folder / "new.db")

    assert exported(folder / "new.db") == text


async def test_dates_stand_beside_the_numbers(path: Path) -> None:
    """Whoever reads an export sees when an outage was, by the clock of that time."""
    spans = [json.loads(line)["span"] for line in exported(path).splitlines() if line.startswith('{"span"')]
    outage = next(span for span in spans if span["reason"] == "connect")

    assert outage["start_date"] == "2026-01-01T01:01:00.000+00:00"


async def test_a_file_is_never_written_over(path: Path) -> None:
    """An import makes a new file; who wants to replace one moves it away first."""
    with pytest.raises(LedgerError, match="exists; move it away"):
        import_(io.StringIO(exported(path)), path)


async def test_an_old_log_is_in_the_way(path: Path, tmp_path: Path) -> None:
    """SQLite would play it into the new file."""
    tmp_path.joinpath("new.db-wal").write_bytes(b"x")
    with pytest.raises(LedgerError, match=r"new\.db-wal exists; move it away"):
        import_(io.StringIO(exported(path)), tmp_path / "new.db")


async def test_an_empty_file_may_be_filled(path: Path, tmp_path: Path) -> None:
    """Such as one that was made for its owner and mode."""
    new = tmp_path / "new.db"
    new.touch()
    import_(io.StringIO(exported(path)), new)

    assert check(new) == []


def with_field(line: int, *way: str, value: object) -> Callable[[list[str]], None]:
    """Return what changes one field of one line."""

    def change(lines: list[str]) -> None:
        fields: dict[str, Any] = json.loads(lines[line - 1])
        inner = fields
        for step in way[:-1]:
            inner = inner[step]
        inner[way[-1]] = value
        lines[line - 1] = json.dumps(fields)

    return change


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (
            with_field(1, "uptime_ledger", value=2),
            "line 1: no header of an export, or of another version than 1",
        ),
        (with_field(1, "moment", value="1"), "line 1: moment must be a whole number"),
        (with_field(2, "adjustment", "at", value=1.5), "line 2: at must be a whole number"),
        (
            with_field(3, "account", "up", value=7),
            "line 3: the totals of 'web' do not add up to settled - born",
        ),
        (with_field(3, "account", "targets", value=[]), "line 3: targets must be names, at least one"),
        (
            with_field(3, "account", "objective", value=1.5),
            "line 3: objective must be more than 0 and at most 1",
        ),
        (with_field(3, "account", "window", value=0), "line 3: window must be more than 0 ms"),
        (with_field(3, "account", "watched", value=1), "line 3: watched must be true or false"),
        (with_field(4, "account", "name", value="web"), "line 4: a second account 'web'"),
        (with_field(6, "span", "state", value="asleep"), "line 6: state must be one of up, down, unknown"),
        (with_field(6, "span", "account", value="mail"), "line 6: no line before it has an account 'mail'"),
        (with_field(6, "span", "reason", value="\ud800"), "line 6: reason must be text"),
        (with_field(6, "span", "end", value=0), "line 6: it ends at 0, not after its start at 1767225600000"),
        (lambda lines: lines.insert(5, "{}"), "line 6: it holds no adjustment, account, span"),
        (lambda lines: lines.insert(5, "[]"), "line 6: no JSON object"),
        (lambda lines: lines.insert(5, "{"), "line 6: Expecting property name"),
        (lambda lines: lines.insert(5, '{"span": {}}'), "line 6: account is missing"),
        (lambda lines: lines.clear(), "line 1: there is none; an export begins with a header"),
        (lambda lines: lines.pop(), "but the open span of web starts at"),
        (with_field(1, "moment", value=1), "later than the last commit at 1"),
    ],
)
async def test_every_mistake_has_its_line(
    path: Path, tmp_path: Path, change: Callable[[list[str]], None], mistake: str
) -> None:
    """And leaves no file behind."""
    lines = exported(path).splitlines()
    change(lines)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(LedgerError) as caught:
        import_(lines, tmp_path / "new.db")

    assert mistake in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


async def test_all_mistakes_are_told_at_once(path: Path, tmp_path: Path) -> None:
    """Up to a number that fits a screen."""
    lines = exported(path).splitlines()
    with pytest.raises(LedgerError) as caught:
        import_([*lines, *["{}"] * 25], tmp_path / "new.db")

    assert len(str(caught.value).splitlines()) == 21
    assert str(caught.value).endswith("and 5 more")


async def test_an_import_into_a_directory_that_is_not_there(path: Path, tmp_path: Path) -> None:
    """The message names the directory."""
    with pytest.raises(LedgerError, match="nowhere must be a directory that can be written to"):
        import_(io.StringIO(exported(path)), tmp_path / "nowhere" / "new.db")
