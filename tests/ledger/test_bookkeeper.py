"""The accounts go on across restarts, steps of the clock and reloads, and what was committed stays."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.ledgers import BEAT, DAY, PROMISES, Desk, copied, desk, seconds
from support.loop import FakeClock
from uptime_exporter.ledger import Bookkeeper, State, Terms, beat_of, read_history, terms_of
from uptime_exporter.ledger.transfer import check
from uptime_exporter.outcome import Outcome
from uptime_exporter.settings import Sla

UP, DOWN, UNKNOWN = State.UP, State.DOWN, State.UNKNOWN


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "uptime.db"


def story(path: Path, name: str = "system") -> list[tuple[float, State, str]]:
    """Return seconds, state and reason of each span that the file holds."""
    return [(s.length / 1000, s.state, s.reason) for s in read_history(path).records[name].spans]


async def test_what_was_accounted_for_is_in_the_file(clock: FakeClock, path: Path) -> None:
    """Up, down and up again are spans with their lengths and reasons."""
    now = desk(clock, path)
    await now.beat(4)
    await now.beat(3, down="web")
    await now.beat(2)
    await now.book.close()

    assert story(path) == [(120, UP, ""), (90, DOWN, "web: connect"), (60, UP, "")]
    assert check(path) == []


async def test_totals_go_on_after_a_restart_and_the_gap_is_unknown(clock: FakeClock, path: Path) -> None:
    """Twenty minutes without an exporter are twenty minutes unknown, and availability is what it was."""
    before = desk(clock, path)
    await before.beat(38)
    await before.beat(2, down="web")
    await before.book.close()
    clock.pass_time(1200)
    after = desk(clock, path)

    assert after.totals() == {UP: 1140, DOWN: 60, UNKNOWN: 1200}
    assert after.book.accounts["system"].availability == 1140 / 1200
    assert after.book.accounts["system"].coverage == 1200 / 2400


async def test_a_restart_without_a_close_loses_the_last_beat_at_most(clock: FakeClock, path: Path) -> None:
    """After a crash all up to the last settled moment stands, and unknown time follows."""
    before = desk(clock, path)
    await before.beat(10)
    clock.pass_time(60)
    after = desk(clock, copied(path, path.parent / "after"))

    assert after.totals() == {UP: 270, DOWN: 0, UNKNOWN: 90}


async def test_the_monotonic_clock_of_another_boot_does_not_matter(path: Path) -> None:
    """After a reboot the monotonic clock begins anew, and the ledger does not."""
    first, second = FakeClock(), FakeClock(wall=FakeClock().wall() + 330)
    before = desk(first, path)
    await before.beat(10)
    await before.book.close()
    after = desk(second, path)
    await after.beat(10)

    assert after.totals() == {UP: 570, DOWN: 0, UNKNOWN: 30}


@pytest.mark.parametrize("step", [3600.0, -3600.0, 1.0, -1.0])
async def test_a_step_of_the_wall_clock_changes_no_total(clock: FakeClock, path: Path, step: float) -> None:
    """Durations are the monotonic clock's, be it an hour or a leap second; each moment keeps the date it had."""
    now = desk(clock, path)
    began = clock.wall()
    await now.beat(10)
    clock.step_wall(step)
    await now.beat(10)
    await now.book.close()
    after = desk(clock, path)

    assert after.totals() == {UP: 600, DOWN: 0, UNKNOWN: 0}
    assert after.book.timeline.unix(after.book.accounts["system"].born) == began
    assert after.book.timeline.unix(after.book.accounts["system"].settled) == clock.wall()


async def test_drift_below_half_a_second_is_no_step(clock: FakeClock, path: Path) -> None:
    """What rounding and slewing do to the wall clock is not written down."""
    now = desk(clock, path)
    clock.step_wall(0.4)
    await now.beat()

    assert now.book.timeline.adjustments == []


async def test_a_clock_set_back_between_two_runs_takes_nothing_away(
    clock: FakeClock, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A start that is dated before the last commit counts no gap, and says so."""
    before = desk(clock, path)
    await before.beat(10)
    await before.book.close()
    clock.step_wall(-3600)
    after = desk(clock, path)
    await after.beat(10)

    assert after.totals() == {UP: 570, DOWN: 0, UNKNOWN: 0}
    assert after.book.timeline.unix(after.book.accounts["system"].settled) == clock.wall() - BEAT
    assert "the wall clock is behind" in caplog.text


async def test_a_suspended_machine_knows_nothing(clock: FakeClock, path: Path) -> None:
    """A verdict holds for 2.5 beats of a machine's sleep; the rest is unknown."""
    now = desk(clock, path)
    await now.beat(10)
    clock.suspend(7200)
    await now.beat(10)

    assert now.totals() == {UP: 615, DOWN: 0, UNKNOWN: 7155}


async def test_a_verdict_that_says_nothing_lets_the_one_before_stand(clock: FakeClock, path: Path) -> None:
    """Inconclusive probes cost nothing as long as the last verdict holds, and then give the reason."""
    now = desk(clock, path)
    await now.beat(4)
    await now.beat(4, faulty="web")
    await now.book.close()

    assert story(path, "web") == [(165, UP, ""), (75, UNKNOWN, "network")]


async def test_a_promise_that_comes_back_goes_on(clock: FakeClock, path: Path) -> None:
    """What the settings did not name for a while is unknown for that while; so it is across a restart."""
    now = desk(clock, path)
    await now.beat(4)
    now.book.apply({"db": PROMISES["db"]})
    await now.beat(4)
    now.book.apply(PROMISES)
    await now.beat(4)
    now.book.apply({"db": PROMISES["db"]})
    await now.beat(4)
    await now.book.close()
    again = desk(clock, path)
    await again.beat(4)
    await again.book.close()

    assert again.totals("db") == {UP: 600, DOWN: 0, UNKNOWN: 0}
    assert story(path, "web") == [
        *[(120, UP, ""), (120, UNKNOWN, "not_watched"), (120, UP, "")],
        *[(120, UNKNOWN, "not_watched"), (120, UP, "")],
    ]
    assert check(path) == []


async def test_a_promise_that_left_keeps_its_record(clock: FakeClock, path: Path) -> None:
    """A former promise stands in the file as it ended."""
    now = desk(clock, path)
    await now.beat(4)
    now.book.apply({"db": PROMISES["db"]})
    await now.beat(4)
    await now.book.close()

    assert seconds(read_history(path).records["web"].totals) == {UP: 120, DOWN: 0, UNKNOWN: 0}
    assert check(path) == []


async def test_a_longer_window_is_filled_from_the_file(clock: FakeClock, path: Path) -> None:
    """After a reload with another window the downtime is that of this window, outages before it included."""
    short = {"web": Terms(("web",), window=600_000)}
    now = desk(clock, path, short)
    await now.beat(5, down="web")
    await now.beat(40)
    assert now.book.accounts["web"].down == 0

    now.book.apply({"web": Terms(("web",), window=3_600_000)})
    await now.book.commit()
    assert now.book.accounts["web"].down == 150_000

    now.book.apply({"web": Terms(("web",), window=60_000)})
    await now.book.commit()
    assert now.book.accounts["web"].down == 0


async def test_a_window_that_changes_while_it_is_filled(clock: FakeClock, path: Path) -> None:
    """Of two reloads in a row the later one's window is filled."""
    book = Bookkeeper(path, clock)  # with a thread of its own
    book.open({"web": Terms(("web",), window=60_000)})
    now = Desk(clock, path, book)
    await now.beat()
    await now.beat(8, faulty="web")
    await now.beat(40)
    book.apply({"web": Terms(("web",), window=120_000)})
    commit = asyncio.create_task(book.commit())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    book.apply({"web": Terms(("web",), window=3_600_000)})
    await commit
    await book.commit()

    assert book.accounts["web"].unknown == 195_000
    await book.close()


async def test_another_window_at_the_start_is_filled_too(clock: FakeClock, path: Path) -> None:
    """It makes no difference whether terms change by a reload or by a restart."""
    now = desk(clock, path, {"web": Terms(("web",), window=60_000)})
    await now.beat(5, down="web")
    await now.beat(40)
    await now.book.close()
    after = desk(clock, path, {"web": Terms(("web",), window=3_600_000)})

    assert after.book.accounts["web"].down == 150_000


async def test_the_last_outages_are_known_after_a_restart(clock: FakeClock, path: Path) -> None:
    """The page shows them whether or not the window still touches them."""
    now = desk(clock, path, {"web": Terms(("web",), window=60_000)})
    for _ in range(12):
        await now.beat(3, down="web")
        await now.beat(3)
    before = list(now.book.accounts["web"].recent)
    await now.book.close()
    after = desk(clock, path, {"web": Terms(("web",), window=60_000)})

    assert list(after.book.accounts["web"].recent) == before


async def test_old_spans_go_and_totals_stay(clock: FakeClock, path: Path) -> None:
    """Spans are kept for as long as was asked for; what they added up to is kept for ever."""
    now = desk(clock, path, retention=2 * 86_400_000)
    for _ in range(6):
        await now.beat(3, down="web")
        clock.suspend(DAY)
        await now.beat(3)
    await now.book.close()
    record = read_history(path).records["web"]

    assert 2 * DAY < (record.settled - record.spans[0].start) / 1000 < 4 * DAY + 3600
    assert sum(record.totals.values()) == record.settled - record.born
    assert check(path) == []


async def test_a_clock_that_was_years_ahead_deletes_nothing(clock: FakeClock, path: Path) -> None:
    """Spans go by their date: a machine that believed for an hour to be in 2099 loses no history."""
    now = desk(clock, path)
    await now.beat(3, down="web")
    await now.beat(3)
    clock.step_wall(73 * 365 * DAY)
    await now.beat(120)
    clock.step_wall(-73 * 365 * DAY)
    clock.suspend(DAY)
    await now.beat(3)
    await now.book.close()

    assert story(path, "web")[0] == (90, DOWN, "connect")


async def test_closing_twice_does_nothing(clock: FakeClock, path: Path) -> None:
    """After a close neither outcomes nor another close change anything, and one file is left."""
    now = desk(clock, path)
    await now.beat(3)
    await now.book.close()
    now.hear(down="web")
    await now.book.close()

    assert sorted(file.name for file in path.parent.iterdir()) == ["uptime.db", "uptime.db.lock"]
    assert seconds(read_history(path).records["web"].totals) == {UP: 90, DOWN: 0, UNKNOWN: 0}


async def test_an_outcome_that_makes_no_sense_is_logged_and_that_is_all(
    clock: FakeClock, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The sink raises nothing, whatever it is given."""
    now = desk(clock, path)
    now.book.sink(Outcome("web", 0.0, float("nan"), BEAT, 0.0, None))

    assert "the ledger has a defect" in caplog.text


def test_it_commits_once_a_beat(clock: FakeClock, path: Path, run: object) -> None:
    """The task that `run` is writes by itself, and at once after a reload."""

    async def told() -> None:
        now = desk(clock, path)
        task = asyncio.create_task(now.book.run())
        now.hear()
        await asyncio.sleep(2 * BEAT + 1)
        assert seconds(read_history(path).records["web"].totals)[UP] == 30
        now.book.apply({"db": PROMISES["db"]})
        await asyncio.sleep(0.1)
        assert seconds(read_history(path).records["web"].totals)[UP] == 61
        task.cancel()
        await now.book.close()

    assert callable(run)
    run(told())


async def test_a_cancelled_caller_does_not_interrupt_a_commit(clock: FakeClock, path: Path) -> None:
    """The commit under way is finished, and closing waits for it instead of making a second one beside it."""
    book = Bookkeeper(path, clock)  # with a thread of its own
    book.open(PROMISES)
    now = Desk(clock, path, book)
    now.hear()
    clock.pass_time(60)
    caller = asyncio.create_task(book.commit())
    await asyncio.sleep(0)
    caller.cancel()
    await book.close()

    assert book.write_failures == 0
    assert seconds(read_history(path).records["web"].totals) == {UP: 60, DOWN: 0, UNKNOWN: 0}
    assert check(path) == []


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("beats"), st.integers(1, 6), st.sampled_from(["", "web", "db", "web db"])),
            st.tuples(
                st.sampled_from(["restart", "crash", "suspend", "step"]),
                st.integers(-7200, 7200),
                st.just(""),
            ),
            st.tuples(st.just("reload"), st.integers(0, 2), st.just("")),
        ),
        max_size=12,
    )
)
async def test_whatever_happens_totals_never_go_down(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, str]]
) -> None:
    """Restarts, crashes, sleep, steps of the clock and reloads in any order: the file agrees with itself."""
    clock, path = FakeClock(), tmp_path_factory.mktemp("ledger") / "uptime.db"
    now, promises, seen = desk(clock, path), PROMISES, dict[str, dict[State, float]]()
    for what, amount, down in events:
        if what == "beats":
            await now.beat(amount, down=down)
        elif what == "step":
            clock.step_wall(amount)
        elif what == "suspend":
            clock.suspend(abs(amount))
        elif what == "reload":
            promises = dict(list(PROMISES.items())[: amount + 1])
            now.book.apply(promises)
        else:
            if what == "crash":
                path = copied(path, path.parent / "after")
            await now.book.close()
            clock.pass_time(abs(amount))
            now = desk(clock, path, promises)
        await now.book.commit()
        assert check(path) == []
        for name, record in read_history(path).records.items():
            before = seen.get(name, dict.fromkeys(State, 0.0))
            seen[name] = seconds(record.totals)
            assert all(seen[name][state] >= before[state] for state in State)
    assert now.book.trouble is None
    await now.book.close()


def test_promises_of_the_settings_are_counted_in_milliseconds() -> None:
    """Targets, objective and window are those of the settings."""
    promises = {"system": Sla(targets=("web", "db"), objective=0.99, window=7 * 86_400.0)}

    assert terms_of(promises) == {"system": Terms(("web", "db"), 0.99, 7 * 86_400_000)}


@pytest.mark.parametrize(("intervals", "beat"), [([60.0, 15.0], 15), ([0.1], 1), ([300.0], 30), ([], 30)])
def test_the_shortest_interval_is_the_beat_within_reason(intervals: list[float], beat: float) -> None:
    """A commit costs a flush of the disk, and what is not committed is lost in a crash."""
    assert beat_of(intervals) == beat


def test_while_something_is_down_it_commits_soon(clock: FakeClock, path: Path, run: object) -> None:
    """The alerts stand on what is committed, so an outage is written within a second of each verdict."""

    async def told() -> None:
        now = desk(clock, path)
        task = asyncio.create_task(now.book.run())
        await asyncio.sleep(2)
        now.hear(down="web")
        await asyncio.sleep(10)
        now.hear(down="web")
        await asyncio.sleep(1.1)
        assert seconds(read_history(path).records["web"].totals)[DOWN] == 10
        task.cancel()
        await now.book.close()

    assert callable(run)
    run(told())


async def test_what_is_published_is_on_the_disk(clock: FakeClock, path: Path) -> None:
    """A counter shows what the last commit wrote, though the account may be further; a restart begins there."""
    now = desk(clock, path)
    assert now.book.totals("system") == dict.fromkeys(State, 0)
    await now.beat(3)
    now.hear()
    now.clock.pass_time(BEAT)
    now.book.apply(PROMISES)
    assert now.book.accounts["system"].totals[UP] > now.book.totals("system")[UP]
    assert now.book.totals("system") == read_history(path).records["system"].totals

    after_a_crash = desk(clock, copied(path, path.parent / "copy"))
    assert after_a_crash.book.totals("system") == {
        **now.book.totals("system"),
        UNKNOWN: after_a_crash.book.totals("system")[UNKNOWN],
    }


@pytest.mark.parametrize("folder_is_there", [True, False])
async def test_that_totals_may_have_changed_shows_in_one_number(
    clock: FakeClock,
    path: Path,
    folder_is_there: bool,  # noqa: FBT001
) -> None:
    """Of thousands of promises that a page is about, none has to be asked; a commit that fails counts too."""
    now = desk(clock, path)
    before = now.book.commits, now.book.totals("web")
    if not folder_is_there:
        path.parent.rename(path.parent.with_name(f"{path.parent.name}-gone"))
    await now.beat(2)
    assert now.book.totals("web") != before[1]
    assert now.book.commits > before[0]


async def test_trouble_with_the_file_does_not_stop_the_counters(clock: FakeClock, path: Path) -> None:
    """A full disk must not hide an outage from the alerts."""
    now = desk(clock, path)
    await now.beat()
    path.parent.rename(path.parent.with_name(f"{path.parent.name}-gone"))
    assert not await now.beat(3, down="web")
    assert now.book.totals("web")[DOWN] > 0
