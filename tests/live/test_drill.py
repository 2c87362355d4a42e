"""A drill through a real Prometheus and a real Alertmanager, at a quicker pace."""

import io
import json
import re
from argparse import ArgumentParser
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from alerts.test_live import OBJECTIVE, WINDOW, rules
from support.alertmanager import (
    SHIPPED,
    Alertmanager,
    alertmanager,
    impatient,
    switched_on,
    with_secrets,
)
from support.badservers import closed_port, response, saying, serving
from support.process import Exporter, eventually, exporter
from support.prometheus import Prometheus, prometheus
from uptime_exporter.drill import Progress, add_arguments, options, rehearse

STEPS = [
    "Prometheus scrapes the exporter",
    "Prometheus has the rule UptimeErrorBudgetBurn",
    "Prometheus knows an Alertmanager",
    "Prometheus sees that drill is down",
    "UptimeErrorBudgetBurn fires",
    "Alertmanager has the alert",
    "somebody is told",
    "the fault is switched off",
    "UptimeErrorBudgetBurn fires no more",
    "somebody is told that it is over",
]

pytestmark = pytest.mark.timeout(240)


@dataclass
class System:
    """A target that is well, everybody who watches, and a port at which a drill can listen."""

    exporter: Exporter
    prometheus: Prometheus
    alertmanager: Alertmanager
    port: int

    async def drill(self, *words: str) -> tuple[bool, str]:
        """Return whether it went well, and what it said."""
        parser, out = ArgumentParser(), io.StringIO()
        add_arguments(parser)
        given = [
            f"--exporter={self.exporter.url}",
            f"--prometheus={self.prometheus.url}",
            f"--alertmanager={self.alertmanager.url}",
        ]
        asked = options(parser.parse_args([*given, "--patience=40s", "--patience-at-end=40s", *words]), {})
        return await rehearse(asked, Progress(out)), out.getvalue()


def receivers(folder: Path, page: str) -> str:
    """Return the shipped configuration with webhooks, without long waits and without a sign of life."""
    config = with_secrets(impatient(SHIPPED.read_text()), folder / "secrets", {"webhook_token": "x"})
    config = switched_on(config, "page", "webhook")
    return config.replace("https://hooks.example.org/alerts", page)


@pytest.fixture
async def system(generation: str, tmp_path: Path) -> AsyncIterator[System]:
    """A target that is well, watched by a Prometheus and an Alertmanager of each generation."""
    assert generation
    port = closed_port()
    async with serving(saying(response())) as web:
        settings = {
            "targets": {"web": {"kind": "http", "url": web.url()}},
            "slas": {"system": {"objective": OBJECTIVE, "window": WINDOW}},
            "interval": 2,
            "timeout": 0.5,
            "retry_backoff": 0.05,
        }
        (tmp_path / "uptime.yaml").write_text(json.dumps(settings))
        async with (
            exporter("--config", str(tmp_path / "uptime.yaml")) as watching,
            alertmanager(tmp_path, receivers(tmp_path, f"http://127.0.0.1:{port}/")) as manager,
            prometheus(
                tmp_path,
                watching.url.removeprefix("http://"),
                rules=rules(tmp_path / "rules"),
                alertmanager=manager.url,
            ) as server,
        ):
            await eventually(lambda: server.vector("uptime_sla_uptime_seconds_total > 0", at_least=2))
            yield System(watching, server, manager, port)


async def test_a_drill_is_told_from_beginning_to_end(system: System) -> None:
    """At a receiver of its own; nobody's promise has lost a second, and nothing of it stays."""
    well, said = await system.drill(f"--inbox=127.0.0.1:{system.port}")

    assert well, said
    assert re.findall(r"ok      (.*) \(\d+\.\d s\)$", said, flags=re.MULTILINE) == STEPS
    async with system.exporter.client() as http:
        metrics = (await http.get("/metrics")).text
    assert 'target="drill"' not in metrics
    assert 'uptime_sla_downtime_seconds_total{sla="system"} 0.0\n' in metrics


async def test_a_message_that_nobody_takes_fails_the_drill(system: System) -> None:
    """Without an inbox, Alertmanager's own word counts: here it cannot deliver what it has."""
    well, said = await system.drill()

    assert not well
    assert "FAILED  Alertmanager cannot deliver its message" in said
    assert "the fault is switched off" in said
    async with system.exporter.client() as http:
        assert 'target="drill"' not in (await http.get("/metrics")).text
