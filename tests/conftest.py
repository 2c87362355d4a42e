"""What every test may ask for."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from support.loop import FakeClock, FakeLoop

settings.register_profile(
    "default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


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
