"""What the runbooks ask, asked in the situation that each is about: every query finds something."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from alerts.replay import rules
from alerts.replay.exporter import Fate
from alerts.replay.incidents import (
    BEGIN,
    DEGRADED,
    HOUR,
    MINUTE,
    RUNNING_OUT,
    Extra,
    Incident,
    drain,
    everything,
)
from alerts.replay.replay import play
from alerts.replay.samples import SCRAPED, store
from support.alertmanager import PACK
from support.prometheus import prometheus
from uptime_exporter.outcome import OwnFault, Seen

PROMQL = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"[a-zA-Z_:]\w*")


@dataclass(frozen=True, slots=True)
class Situation:
    """When somebody reads runbooks."""

    incident: Incident
    asked: float
    """Seconds since the incident began."""
    alerts: frozenset[str]
    """That fire by then, and whose runbooks are read."""


def situation(asked: float, *alerts: str, fate: Fate | None = None, extra: Extra | None = None) -> Situation:
    incident = Incident("it", asked + MINUTE, after=0, age=HOUR, extra=extra)
    if fate is not None:
        incident = replace(incident, fate=everything(fate))
    return Situation(incident, asked, frozenset(alerts))


def drained(since: float) -> Mapping[str, float]:
    """Return an application whose drain ran out of time, and how long it took."""
    return {
        **drain(since),
        'uptime_shutdown_seconds{app="backend",instance="127.0.0.1:8000",job="backend"}': 30.0,
    }


def requests(since: float) -> Mapping[str, float]:
    """Return two applications of which one request in ten fails; one counts by the toolkit, one by itself."""
    whole, failed = since, since // 10
    backend, other = 'instance="127.0.0.1:8000",job="backend"', 'instance="127.0.0.1:9000",job="other"'
    return {
        f'api_requests_total{{endpoint="/ask",method="POST",status="200",{backend}}}': whole - failed,
        f'api_requests_total{{endpoint="/ask",method="POST",status="503",{backend}}}': failed,
        f'uptime_requests_total{{app="other",code="200",method="GET",route="/",{other}}}': whole,
        f'uptime_request_failures_total{{app="other",{other}}}': failed,
    }


def half_alive(since: float) -> Mapping[str, float]:
    """Return what exporters say: one asks a target no more and finds no backup, one cannot write its ledger."""
    backup = f'target="backup",{SCRAPED}'
    return {
        f'uptime_probe_last_run_timestamp_seconds{{target="stuck",{SCRAPED}}}': BEGIN,
        f'uptime_target_interval_seconds{{target="stuck",{SCRAPED}}}': 30.0,
        'uptime_exporter_ledger_write_failures_total{instance="j",job="uptime"}': since // 60,
        f"uptime_target_up{{{backup}}}": 0.0,
        f'uptime_target_info{{address="/backup",kind="file",{backup}}}': 1.0,
        f"uptime_probe_last_success_timestamp_seconds{{{backup}}}": BEGIN - 2 * HOUR,
    }


REFUSED = everything()("", 0)
SITUATIONS = {
    "outage": situation(
        20 * MINUTE,
        *("UptimeErrorBudgetBurn", "UptimeTargetDown", "UptimeCircuitOpen", "UptimeCheckSuccessLow"),
        *("UptimeRequestFailureRateHigh", "UptimeWatchdog"),
        fate=REFUSED,
        extra=requests,
    ),
    "budget low": situation(41 * MINUTE, "UptimeErrorBudgetLow", fate=REFUSED),
    "promise broken": situation(46 * MINUTE, "UptimeSLABreached", fate=REFUSED),
    "degraded": situation(
        15 * MINUTE,
        "UptimeTargetDegraded",
        fate=replace(DEGRADED, seen=Seen(degraded=True, models={"llm": False})),
    ),
    "certificate": situation(5 * MINUTE, "UptimeCertificateExpiring", fate=RUNNING_OUT),
    "drain": situation(5 * MINUTE, "UptimeShutdownTimeout", extra=drained),
    "knows nothing": situation(35 * MINUTE, "UptimeMonitorBlind", fate=Fate(OwnFault.RESOLVER)),
    "half alive": situation(
        8 * MINUTE, "UptimeProbesStale", "UptimeLedgerFailing", "UptimeBackupStale", extra=half_alive
    ),
}
WITHOUT_QUERY = {"UptimeConfigReloadFailed"}
"""Its only step is a command."""


def queries(alert: str) -> list[str]:
    return PROMQL.findall((PACK / "runbooks" / f"{alert}.md").read_text())


def test_every_query_is_asked_somewhere() -> None:
    """No runbook with a query is left out."""
    asked = {alert for each in SITUATIONS.values() for alert in each.alerts}
    assert asked == {path.stem for path in (PACK / "runbooks").glob("*.md") if queries(path.stem)}
    assert not any(queries(alert) for alert in WITHOUT_QUERY)


@pytest.mark.parametrize("name", SITUATIONS)
async def test_every_query_finds_something_where_its_alert_fires(name: str, tmp_path: Path) -> None:
    """Whoever pastes it at night sees what it is about."""
    now, pack = SITUATIONS[name], rules.ours()
    asked = {alert: queries(alert) for alert in now.alerts}
    words = {word for every in asked.values() for query in every for word in NAME.findall(query)}
    await store(play(now.incident, pack.reads | words).samples, tmp_path)
    async with prometheus(tmp_path, retention="10y") as server:
        at = BEGIN + now.asked
        for alert, every in asked.items():
            expressions = [rule.expr for rule in pack.alerts if rule.name == alert]
            assert any([await server.query(expr, at=at) for expr in expressions]), f"{alert} does not fire"
            for query in every:
                assert await server.query(query, at=at), f"{alert}: nothing is found by {query}"
