"""Grafana's own code, run by Node: what a value shows, and what a dashboard looks like."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from support.servers import missing, need

FOLDER = Path(__file__).parents[1] / "grafana" / "render"


def ready(*programs: str) -> str:
    """Return the path of Node if there is all that its scripts need, and these programs; else see `missing`."""
    for program in programs:
        need(program)
    node = need("node")
    if not (FOLDER / "node_modules" / ".package-lock.json").exists():
        missing("what tests/grafana/render/package-lock.json names (make node)")
    return node


async def said(jobs: Iterable[Any]) -> list[Any]:
    """Return what each panel shows; see tests/grafana/render/values.mjs for a job."""
    return await _run("say.mjs", list(jobs))


async def drawn(jobs: Iterable[Any]) -> list[Any]:
    """Return what was seen of each dashboard; see tests/grafana/render/draw.mjs for a job."""
    return await _run("draw.mjs", list(jobs))


async def _run(script: str, jobs: list[Any]) -> list[Any]:
    process = await asyncio.create_subprocess_exec(
        ready(),
        str(FOLDER / script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complained = await process.communicate(json.dumps(jobs).encode())
    assert process.returncode == 0, complained.decode()
    answer: list[Any] = json.loads(told)
    return answer
