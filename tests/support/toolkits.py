"""An application's toolkit in a known situation."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

from support.loop import FakeClock
from uptime_exporter.reliability import Reliability
from uptime_exporter.reliability.checkout import Use


@dataclass
class FakePool:
    """A pool without connections."""

    use: Use
    idle: int = 0
    disconnected: list[str] = field(default_factory=list)

    async def disconnect(self) -> None:
        self.disconnected.append(self.use.name)


async def busy(clock: FakeClock) -> Reliability:
    """Return a toolkit of which every part has something to tell."""
    toolkit = Reliability("main-backend", wall=clock.wall)
    hands: Any = {"clock": clock.monotonic, "wall": clock.wall}
    failing, _ = toolkit.breaker("model_server", **hands), toolkit.breaker("asr_ocr_server", **hands)
    toolkit.retry("model_server", backoff=0.001)
    toolkit.monitor({"model_server": lambda: False, "asr_ocr_server": lambda: True, "database": lambda: None})
    pool = toolkit.pool(FakePool(Use("mysql", 15, 5.0, clock.monotonic), idle=2))
    clock.pass_time(30.25)
    for _ in range(6):
        with contextlib.suppress(Exception):
            failing.call(_refuse)
        clock.pass_time(0.5)
    await pool.use.take(lambda: asyncio.sleep(0))
    for name in ("model_server", "asr_ocr_server"):
        await toolkit.checks.checks[name].ask()
    clock.pass_time(3)
    return toolkit


def _refuse() -> None:
    raise ConnectionRefusedError
