"""What takes long and is looked at by several tests, made once, whichever worker of xdist comes first."""

import asyncio
import fcntl
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest


def once(places: pytest.TempPathFactory, name: str, make: Callable[[Path], Awaitable[Any]]) -> Any:
    """Return what *make* makes, given a folder to work in; it has to be JSON."""
    base = places.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    made = base / f"{name}.json"
    with (base / f"{name}.lock").open("w") as lock, TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            made.write_text(json.dumps(asyncio.run(_wait(make(Path(folder))))), encoding="utf-8")
    return json.loads(made.read_text(encoding="utf-8"))


async def _wait(making: Awaitable[Any]) -> Any:
    return await making
