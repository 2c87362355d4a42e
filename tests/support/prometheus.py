"""A real Prometheus for the time of a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.badservers import closed_port
from support.process import eventually
from support.servers import need

_ALERTING = "alerting: {{alertmanagers: [{{static_configs: [{{targets: [{}]}}]}}]}}\n"

Vector = list[tuple[dict[str, str], float]]


@dataclass
class Prometheus:
    """A running server."""

    url: str
    log_file: Path

    def log(self) -> str:
        return self.log_file.read_text()

    async def query(self, expression: str, at: float | None = None) -> Vector:
        """Return the answer to an instant query, now or *at* a Unix time; an error fails the test."""
        params = {"query": expression} | ({} if at is None else {"time": str(at)})
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            answer = (await client.get("/api/v1/query", params=params)).json()
        assert answer["status"] == "success", answer
        return [(item["metric"], float(item["value"][1])) for item in answer["data"]["result"]]

    async def vector(self, expression: str, *, at_least: int) -> Vector | None:
        """Return the answer once it has so many elements; for `eventually`."""
        answer = await self.query(expression)
        return answer if len(answer) >= at_least else None

    async def ready(self) -> bool | None:
        """Return True once it answers."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            try:
                return True if (await client.get("/-/ready")).status_code == 200 else None
            except httpx.TransportError:
                return None

    @staticmethod
    async def check(config: Path) -> str:
        """Return what promtool has against a configuration; nothing if it is fine."""
        process = await asyncio.create_subprocess_exec(
            need("promtool"),
            "check",
            "config",
            str(config),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return said.decode() if process.returncode else ""


@asynccontextmanager
async def prometheus(
    folder: Path,
    *targets: str,
    retention: str = "15d",
    rules: Path | None = None,
    alertmanager: str | None = None,
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes *targets* and looks at *rules* each second, with its data in *folder*.

    Args:
        folder: Of the test.
        targets: Host and port each.
        retention: As Prometheus takes it.
        rules: Rule files, with a wildcard.
        alertmanager: The URL of whom it tells.

    """
    program = need("prometheus")
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: {[str(rules)] if rules else []}\n"
        f"scrape_configs: [{{job_name: uptime, static_configs: [{{targets: {list(targets)}}}]}}]\n"
        + (_ALERTING.format(alertmanager.removeprefix("http://")) if alertmanager else "")
    )
    address = f"127.0.0.1:{closed_port()}"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--storage.tsdb.retention.time={retention}",
            f"--web.listen-address={address}",
            "--rules.alert.resend-delay=1s",  # an alert that fires before Alertmanager is known is told again
            stdout=out,
            stderr=out,
        )
    try:
        server = Prometheus(f"http://{address}", log)
        await eventually(server.ready)
        yield server
    finally:
        process.terminate()
        await process.wait()
