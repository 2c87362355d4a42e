"""The demo's two servers on free ports, without its database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from uptime_exporter.demo import Demo, stand_ins
from uptime_exporter.demo.mysql import Database
from uptime_exporter.errors import UptimeError


@asynccontextmanager
async def two_servers() -> AsyncIterator[Demo]:
    """Run a model server and an ASR/OCR server until the end of the block."""
    async with stand_ins(
        model_port=0, asr_port=0, mysql_port=0, control_port=0, open_database=_no_database
    ) as demo:
        yield demo


@asynccontextmanager
async def _no_database(*, port: int, password: str) -> AsyncIterator[Database]:
    raise UptimeError(f"no database at port {port}" if password else "no database")
    yield
