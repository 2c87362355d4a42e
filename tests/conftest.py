"""What every test may ask for."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from support.loop import FakeClock, FakeLoop
from support.servers import newer

settings.register_profile(
    "default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo what a test has told the whole process about its log."""
    root, own = logging.getLogger(), logging.getLogger("uptime_exporter")
    handlers, level, own_level = root.handlers[:], root.level, own.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    own.setLevel(own_level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)


@pytest.fixture
def clock() -> FakeClock:
    """Time that passes only when a test lets it."""
    return FakeClock()


@pytest.fixture
def run(clock: FakeClock) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine on a loop that never really waits."""

    def run(story: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: FakeLoop(clock)) as runner:
            runner.run(story)

    return run


@pytest.fixture(params=["installed", "newer"])
def generation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Put Prometheus, Alertmanager and their tools of each generation first on PATH."""
    before = os.environ["PATH"]
    if request.param == "newer":
        os.environ["PATH"] = f"{Path(newer('promtool')).parent}:{before}"
    yield request.param
    os.environ["PATH"] = before
