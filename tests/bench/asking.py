"""Probes one target as the monitor does, as often as the line read says; answers with the CPU seconds of it."""

import asyncio
import json
import sys
import time
from collections.abc import Callable

import uvloop

from uptime_exporter import logs
from uptime_exporter.clock import SystemClock
from uptime_exporter.monitor import Asker, Watch
from uptime_exporter.monitor.slots import Slots
from uptime_exporter.probes.build import build_probe
from uptime_exporter.settings.checked import checked_as
from uptime_exporter.settings.model import KINDS

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


async def probes(asker: Asker, watch: Watch, number: int) -> float:
    """Return the CPU seconds of so many."""
    began = time.process_time()
    for _ in range(number):
        watch.circuit.beat()
        outcome = await asker.ask(_nothing)
        assert outcome.reason is None, outcome
        watch.record(outcome)
        watch.circuit.feed(outcome)
    return time.process_time() - began


def _nothing() -> None:
    """Stand for the observation of the lateness."""


def main(new: Callable[[], asyncio.AbstractEventLoop], settings: str) -> None:
    """Probe and answer until there is no line any more."""
    logs.configure("logfmt", "error")
    values = json.loads(settings)
    clock, target = SystemClock(), checked_as(KINDS[values["kind"]], values)
    with asyncio.Runner(loop_factory=new) as runner:
        runner.get_loop()
        asker = Asker("t", target, build_probe(target), clock, Slots().slot)
        watch = Watch("t", target, clock)
        for line in sys.stdin:
            sys.stdout.write(f"{runner.run(probes(asker, watch, int(line)))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(LOOPS[sys.argv[1]], sys.argv[2])
