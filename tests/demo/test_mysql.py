"""The database part takes its server from one condition to another, always by way of a well one."""

import asyncio

import pytest

from demo.fakes import FakeDatabase
from uptime_exporter.demo.mysql import MEANINGS, DatabasePart
from uptime_exporter.errors import UptimeError


@pytest.mark.parametrize(
    ("words", "done"),
    [
        (["down", "up"], ["kill", "start"]),
        (["paused", "up"], ["pause", "resume"]),
        (["read_only", "up"], ["read_only=True", "read_only=False"]),
        (["paused", "down", "up"], ["pause", "resume", "kill", "start"]),
        (["up"], []),
        (["down", "down"], ["kill"]),
    ],
)
async def test_each_fault_is_undone_before_the_next(words: list[str], done: list[str]) -> None:
    """A stopped server is not killed while it is stopped, and nothing happens twice."""
    database = FakeDatabase()
    part = DatabasePart(database)

    for word in words:
        await part.switch(word)

    assert database.done == done
    assert part.present == words[-1]


async def test_a_server_that_does_not_come_back_is_still_down() -> None:
    """What is shown is what is."""
    part = DatabasePart(FakeDatabase(comes_back=False))
    await part.switch("down")

    with pytest.raises(UptimeError, match="does not come back"):
        await part.switch("read_only")

    assert part.present == "down"


async def test_switches_take_turns() -> None:
    """Two people at once do not start a server twice."""
    database = FakeDatabase()
    part = DatabasePart(database)
    await part.switch("down")

    await asyncio.gather(part.switch("up"), part.switch("up"), part.switch("read_only"))

    assert database.done == ["kill", "start", "read_only=True"]


def test_each_switch_says_what_it_does() -> None:
    """No switch is without words for people."""
    assert list(DatabasePart(FakeDatabase()).switches) == ["up", "down", "paused", "read_only"]
    assert all(MEANINGS.values())
