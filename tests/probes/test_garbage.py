"""What a probe leaves behind: nothing that takes the garbage collector, whose pauses make other probes late."""

import gc
from contextlib import nullcontext

import pytest

from support.badservers import Behaviour, closed_port, response, saying, serving, silent
from uptime_exporter.clock import SystemClock
from uptime_exporter.monitor import Asker
from uptime_exporter.outcome import Reason
from uptime_exporter.probes.build import build_probe
from uptime_exporter.settings import HttpTarget

PROBES = 20


async def circles(url: str) -> tuple[int, object]:
    """Return how many objects only the garbage collector can free after so many probes, and what they said."""
    target = HttpTarget(url=url, timeout=0.02 if "silent" in url else 2, interval=10)
    asker = Asker("target", target, build_probe(target), SystemClock(), nullcontext)
    await asker.attempt()
    gc.collect()
    gc.disable()
    try:
        reasons = {(await asker.attempt()).reason for _ in range(PROBES)}
        return gc.collect(), reasons.pop()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("behaviour", "path", "reason"),
    [
        (saying(response()), "/health", None),
        (saying(b"nonsense\r\n\r\n"), "/health", Reason.PROTOCOL),
        (silent, "/silent", Reason.TIMEOUT),
    ],
    ids=["up", "protocol", "timeout"],
)
async def test_a_probe_leaves_no_circles(behaviour: Behaviour, path: str, reason: Reason | None) -> None:
    """However it ends, what it made goes when it does."""
    async with serving(behaviour) as server:
        left, said = await circles(server.url(path))

    assert said is reason
    assert left < PROBES


async def test_a_probe_that_finds_nobody_leaves_no_circles() -> None:
    """An outage of thousands is no time for pauses."""
    left, said = await circles(f"http://127.0.0.1:{closed_port()}/health")

    assert said is Reason.CONNECT
    assert left < PROBES
