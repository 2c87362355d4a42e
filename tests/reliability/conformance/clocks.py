"""Makes other people's breakers go by a test's clock, whose wall can be set without an hour passing."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from types import ModuleType, SimpleNamespace
from typing import Any

from support.loop import FakeClock


@contextmanager
def replaced(module: ModuleType, **names: Any) -> Iterator[None]:
    """Let the module see other objects under these names; their breakers take no clock as an argument."""
    before = {name: getattr(module, name) for name in names}
    vars(module).update(names)
    try:
        yield
    finally:
        vars(module).update(before)


def time_module(clock: FakeClock) -> SimpleNamespace:
    """Return what a module finds that imports ``time``."""
    return SimpleNamespace(time=clock.wall, monotonic=clock.monotonic, perf_counter=clock.monotonic)


def datetime_class(clock: FakeClock) -> type[datetime]:
    """Return what a module finds that imports ``datetime`` from ``datetime``."""

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.fromtimestamp(clock.wall(), tz or UTC).replace(tzinfo=tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now()

    return Datetime
