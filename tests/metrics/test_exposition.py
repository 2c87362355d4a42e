"""What a page costs: as much as has changed, and never more than a moment at a time."""

import asyncio
import gzip
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest

from support.loop import FakeClock
from support.published import Situation
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.metrics.exposition import SLICE
from uptime_exporter.metrics.family import Kind, Pace, counter, gauge, gauges
from uptime_exporter.metrics.sheet import Sheet
from uptime_exporter.metrics.subjects import Stamp
from uptime_exporter.settings import TcpTarget

DOOR = TcpTarget(host="door.test", port=1)

Run = Callable[[Coroutine[Any, Any, None]], None]

MOMENT = 1e-6
"""Seconds; shorter than any step of a page."""


class Shelf:
    """A source whose subjects are numbers; it notes which of them are read."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self.numbers = dict(numbers)
        self.read: list[str] = []
        self.rarity = 0

    def items(self) -> Sequence[str]:
        return list(self.numbers)

    def labels(self, item: str) -> tuple[str]:
        return (item,)

    def mark(self, item: str) -> tuple[int, int]:
        return self.rarity, self.numbers[item]

    def stamp(self, _item: str, mark: tuple[int, int]) -> Stamp:
        return mark[0], None, mark[1]

    def subject(self, item: str, _stamp: object) -> int:
        self.read.append(item)
        return self.numbers[item]


KIND: Kind[int] = Kind(
    ("name",),
    (
        counter("number_total", "It.", lambda n: n),
        gauges("digits", "Its last and its first digit.", ("which",), lambda n: {"last": n % 10, "first": n}),
        gauge("rarely", "How it was.", lambda n: n, pace=Pace.RARE),
    ),
)
LINES = (
    ('number_total{name="\0000\0"} \0001\0\n',),
    ('digits{name="\0000\0",which="\0001\0"} \0002\0\n',),
    ('rarely{name="\0000\0"} \0001\0\n',),
)


def text(sheet: Sheet) -> str:
    for _ in sheet.refresh():
        pass
    return b"".join(part for place in range(3) for part in sheet.samples(place)).decode()


def test_only_what_has_changed_is_read() -> None:
    """A subject whose stamp is the same keeps its text."""
    shelf = Shelf({"a": 1, "b": 2})
    sheet = Sheet(KIND, shelf, LINES)
    text(sheet)
    shelf.read.clear()
    shelf.numbers["b"] = 30

    assert text(sheet) == (
        'number_total{name="a"} 1.0\n'
        'number_total{name="b"} 30.0\n'
        'digits{name="a",which="last"} 1.0\n'
        'digits{name="a",which="first"} 1.0\n'
        'digits{name="b",which="last"} 0.0\n'
        'digits{name="b",which="first"} 30.0\n'
        'rarely{name="a"} 1.0\n'
        'rarely{name="b"} 2.0\n'
    )
    assert shelf.read == ["b"]


def test_what_changes_rarely_is_read_when_it_may_have() -> None:
    """Each pace has its part of the stamp."""
    shelf = Shelf({"a": 1})
    sheet = Sheet(KIND, shelf, LINES)
    text(sheet)
    shelf.numbers["a"] = 2
    assert 'rarely{name="a"} 1.0\n' in text(sheet)
    shelf.rarity = 1
    assert 'rarely{name="a"} 2.0\n' in text(sheet)


def test_subjects_come_and_go() -> None:
    """None leaves its samples to another one."""
    shelf = Shelf({"a": 1, "b": 2, "c": 3})
    sheet = Sheet(KIND, shelf, LINES)
    text(sheet)
    del shelf.numbers["a"]

    assert text(sheet).startswith('number_total{name="b"} 2.0\nnumber_total{name="c"} 3.0\ndigits{name="b"')


def crowd(number: int, turn: float = SLICE) -> tuple[Situation, Exposition]:
    situation = Situation(FakeClock())
    for n in range(number):
        situation.watch(f"t{n}", DOOR)
    reloads = Reloads(successful=True, at=0.0)
    return situation, Exposition(situation, situation, reloads, process=False, turn=turn)


async def test_a_long_page_lets_others_go_on() -> None:
    """While it is made, the event loop turns: a probe that is due begins."""
    _, page = crowd(500, turn=0)
    making = asyncio.create_task(page.serve(""))
    turns = 0
    while not making.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


@pytest.mark.parametrize("busy", [True, False])
def test_a_long_page_leaves_time_to_a_probe(run: Run, busy: bool) -> None:  # noqa: FBT001
    """At each pause as much as the page had itself, for a probe needs several turns; to nobody, none."""

    async def story() -> None:
        situation, page = crowd(500, turn=MOMENT)
        situation.busy = busy
        loop = asyncio.get_running_loop()
        began = loop.time()
        await page.serve("")
        assert (loop.time() - began > 10 * MOMENT) is busy

    run(story())


async def test_pages_that_are_asked_for_at_once_are_whole() -> None:
    """What changes while one of them is made is in it altogether or not at all."""
    situation, page = crowd(50, turn=0)
    asked: list[asyncio.Task[tuple[Sequence[bytes], str]]] = []
    while len(asked) < 4 or not all(task.done() for task in asked):
        if len(asked) < 4:
            asked.append(asyncio.create_task(page.serve("", gzip=len(asked) % 2 == 0)))
        for _ in range(20):
            await asyncio.sleep(0)
        situation.happen("t49")
        situation.clock.pass_time(-30)

    for number, task in enumerate(asked):
        parts, _ = await task
        body = b"".join(parts) if number % 2 else gzip.decompress(b"".join(parts))
        said = dict(line.rsplit(" ", 1) for line in body.decode().splitlines() if not line.startswith("#"))
        probes = said['uptime_probes_total{target="t49"}']
        assert said['uptime_probe_attempts_total{target="t49"}'] == probes
        assert said['uptime_probe_duration_seconds_count{target="t49"}'] == probes
