"""Whose turn it is: on time, or a little sooner where somebody is awake."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.loop import FakeClock, FakeLoop
from uptime_exporter.monitor.agenda import Agenda

Run = Callable[[Coroutine[Any, Any, None]], None]

AHEAD = 0.1


class Begun:
    """An agenda, and what it has begun: name → seconds after the start."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self.at: dict[str, float] = {}
        self.agenda: Agenda[str] = Agenda(clock, self._begin)

    def _begin(self, name: str) -> None:
        self.at[name] = round(self._clock.monotonic() - self._start, 6)

    def put(self, **due: float) -> None:
        for name, seconds in due.items():
            self.agenda.put(name, self._start + seconds, AHEAD)


def test_each_begins_when_it_is_due(clock: FakeClock, run: Run) -> None:
    """In whatever order they were put."""

    async def scenario() -> None:
        begun = Begun(clock)
        begun.put(late=5, early=1, never=9)
        await asyncio.sleep(6)
        assert begun.at == {"early": 1, "late": 5}

    run(scenario())


def test_one_that_is_overdue_begins_at_once(clock: FakeClock, run: Run) -> None:
    """As after a suspend."""

    async def scenario() -> None:
        begun = Begun(clock)
        begun.put(overdue=-3, later=1)
        await asyncio.sleep(0.5)
        assert begun.at == {"overdue": 0}

    run(scenario())


def test_who_ends_lets_the_next_one_go_that_would_soon_begin_anyway(clock: FakeClock, run: Run) -> None:
    """One of them: the others would disturb its measurement."""

    async def scenario() -> None:
        begun = Begun(clock)
        begun.put(first=AHEAD / 2, second=AHEAD * 0.9, third=AHEAD * 3)
        begun.agenda.pass_on()
        assert begun.at == {"first": 0}
        begun.agenda.pass_on()
        assert begun.at == {"first": 0, "second": 0}
        begun.agenda.pass_on()
        assert begun.at == {"first": 0, "second": 0}
        await asyncio.sleep(1)
        assert begun.at["third"] == round(AHEAD * 3, 6)

    run(scenario())


def test_nothing_begins_while_the_loops_clock_runs_ahead(clock: FakeClock, run: Run) -> None:
    """The machine's own clock counts; the loop's is only asked to wake us up."""

    async def scenario() -> None:
        begun = Begun(clock)
        begun.put(one=10)
        clock.suspend(-1)
        await asyncio.sleep(10)
        assert begun.at == {}
        await asyncio.sleep(1)
        assert begun.at == {"one": 10}

    run(scenario())


def test_what_is_struck_out_never_begins(clock: FakeClock, run: Run) -> None:
    """And what stays does so in time."""

    async def scenario() -> None:
        begun = Begun(clock)
        begun.put(gone=1, stays=2)
        begun.agenda.keep(lambda name: name == "stays")
        await asyncio.sleep(3)
        assert begun.at == {"stays": 2}

    run(scenario())


@given(
    st.lists(
        st.tuples(st.floats(0, 20), st.floats(0, AHEAD)),
        max_size=30,
    )
)
def test_nobody_begins_late_or_sooner_than_allowed(entries: list[tuple[float, float]]) -> None:
    """However many there are, and whoever ends in between."""
    clock = FakeClock()

    async def scenario() -> None:
        begun = Begun(clock)
        for place, (due, ahead) in enumerate(entries):
            begun.agenda.put(str(place), clock.monotonic() + due, ahead)
        start = clock.monotonic()
        while clock.monotonic() < start + 21:
            begun.agenda.pass_on()
            await asyncio.sleep(0.05)
        assert sorted(begun.at) == sorted(map(str, range(len(entries))))
        for place, (due, ahead) in enumerate(entries):
            assert due - ahead - 1e-6 <= begun.at[str(place)] <= due + 1e-6

    with asyncio.Runner(loop_factory=lambda: FakeLoop(clock)) as runner:
        runner.run(scenario())
