"""A backup that gets too old, through the exporter and a real Prometheus, at a quicker pace."""

import json
import os
from pathlib import Path

import pytest

from alerts.test_live import rules
from support.badservers import response, saying, serving
from support.process import eventually, exporter
from support.prometheus import Prometheus, prometheus

pytestmark = pytest.mark.timeout(180)


async def firing(server: Prometheus) -> set[tuple[str, str]]:
    """Return name and target of what fires, without the watchdog."""
    found = await server.query('ALERTS{alertstate="firing", alertname!="UptimeWatchdog"}')
    return {(labels["alertname"], labels.get("target", "")) for labels, _ in found}


async def test_a_stale_backup_is_told_as_that_and_as_nothing_else(tmp_path: Path) -> None:
    """Neither as an outage nor as an open circuit, which would page; a new backup ends it."""
    backup = tmp_path / "backend-1.sql.gz"
    backup.write_text("x")
    os.utime(backup, (1e9, 1e9))
    file = {"kind": "file", "path": str(tmp_path / "*.sql.gz"), "younger_than": "7h", "failure_threshold": 1}
    async with serving(saying(response())) as web:
        settings = {
            "targets": {"web": {"kind": "http", "url": web.url()}, "backup": file},
            "slas": {"system": {"objective": 0.9999}},
            "interval": 1,
            "timeout": 0.4,
            "retries": 0,
        }
        (tmp_path / "uptime.yaml").write_text(json.dumps(settings))
        async with (
            exporter("--config", str(tmp_path / "uptime.yaml")) as watching,
            prometheus(
                tmp_path, watching.url.removeprefix("http://"), rules=rules(tmp_path / "rules")
            ) as server,
        ):

            async def stale() -> bool | None:
                return True if ("UptimeBackupStale", "backup") in await firing(server) else None

            async def over() -> bool | None:
                return None if await stale() else True

            await eventually(stale)
            # As many as the alert for what fails often wants; five seconds of them would break a promise.
            await eventually(lambda: server.vector('uptime_probes_total{target="backup"} >= 10', at_least=1))
            assert await firing(server) - {("UptimeCheckSuccessLow", "backup")} == {
                ("UptimeBackupStale", "backup")
            }
            assert await server.query('uptime_circuit_state{circuit="backup", state="closed"} == 1')
            assert await server.query('uptime_sla_downtime_seconds_total{sla="backup"}') == []

            (tmp_path / "backend-2.sql.gz").write_text("x")
            await eventually(over)
