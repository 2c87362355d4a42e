"""The rules: right in every case, and in step with what they read and who reads them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts import mutate, pack
from support.servers import need

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOLDEN = ROOT / "tests" / "golden" / "metrics.txt"

APPLICATION = {
    "uptime_requests_total",
    "uptime_request_failures_total",
    "uptime_request_duration_seconds",
    "uptime_requests_in_flight",
    "uptime_retries_total",
    "uptime_shutdown_in_progress",
    "uptime_shutdown_seconds",
    "uptime_shutdowns_total",
}
"""What the toolkit publishes in an application."""

OTHERS = {"up", "ALERTS", "process_start_time_seconds", "api_requests_total"}
"""What Prometheus, client libraries and the watched backend publish."""

PROMISED = {
    "UptimeSLABreached",
    "UptimeCircuitOpen",
    "UptimeCheckSuccessLow",
    "UptimeRequestFailureRateHigh",
    "UptimeShutdownTimeout",
    "UptimeErrorBudgetBurn",
    "UptimeErrorBudgetLow",
    "UptimeTargetDown",
    "UptimeTargetDegraded",
    "UptimeCertificateExpiring",
    "UptimeMonitorBlind",
    "UptimeProbesStale",
    "UptimeLedgerFailing",
    "UptimeConfigReloadFailed",
    "UptimeBackupStale",
    "UptimeWatchdog",
}
"""The alerts that the public interface names."""

METRIC = re.compile(r"\b(?:\w+:\w+:\w+|uptime_\w+|api_\w+|process_\w+|up\b(?=\[)|ALERTS)")


def promtool(*arguments: str | Path) -> str:
    """Return what promtool has to say against something; nothing if it is fine."""
    ran = subprocess.run(
        [need("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return ran.stdout + ran.stderr if ran.returncode else ""


@pytest.mark.parametrize("file", sorted(HERE.glob("*.test.yaml")), ids=lambda path: path.name)
def test_alerts_fire_when_they_should_and_only_then(file: Path, generation: str) -> None:
    """Every alert fires, stays silent one step short of it, and ends; in Prometheus 2 and 3 alike."""
    assert generation
    assert not promtool("test", "rules", file)


def test_rules_and_configuration_are_valid(generation: str) -> None:
    """Lint has nothing to say either."""
    assert generation
    assert not promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted(pack.RULES.glob("*.yaml")))
    assert not promtool("check", "config", pack.ALERTS / "prometheus.yaml")


def test_vmalert_takes_the_rules() -> None:
    """Who outgrows one Prometheus keeps the rules."""
    ran = subprocess.run(
        [need("vmalert"), "-dryRun", f"-rule={pack.RULES}/*.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_groups_are_small_enough_for_everybody() -> None:
    """Mimir takes at most 20 rules a group."""
    assert {group["name"]: len(group["rules"]) for group in pack.groups() if len(group["rules"]) > 20} == {}


def test_recorded_names_say_what_they_are() -> None:
    """Level, metric, operations."""
    names = [rule["record"] for rule in pack.rules() if "record" in rule]
    assert all(
        re.fullmatch(r"(target|sla|app|job):(uptime|api)_[a-z_]+:[a-z_]+(\d+[mhd])?", name) for name in names
    )


def test_what_prometheus_is_told_to_do_suits_the_rules() -> None:
    """It scrapes at least as often as the beat, and the rules' steps are those of the scrapes."""
    told = yaml.safe_load((pack.ALERTS / "prometheus.yaml").read_text(encoding="utf-8"))
    assert told["global"] == {"scrape_interval": "15s", "evaluation_interval": "15s"}
    assert told["rule_files"] == ["rules/*.yaml"]


@pytest.mark.parametrize("rule", pack.alerts(), ids=mutate.title)
def test_every_alert_says_who_is_woken_and_what_to_read(rule: dict[str, Any]) -> None:
    """Severity and the four annotations; the summary is constant, because it groups."""
    assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "{{" not in rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"].endswith(f"/alerts/runbooks/{rule['alert']}.md")


@pytest.mark.parametrize("rule", pack.alerts(), ids=mutate.title)
def test_nothing_waits_in_a_way_that_a_restart_forgets(rule: dict[str, Any]) -> None:
    """Prometheus forgets a `for` of less than 10 minutes when it restarts, so there is none."""
    assert "for" not in rule


def test_rules_name_only_what_exists() -> None:
    """Metrics, recorded series, alerts and runbooks are the same set wherever they are named."""
    published = set(re.findall(r"^# TYPE (\w+)", GOLDEN.read_text(encoding="utf-8"), re.MULTILINE))
    recorded = {rule["record"] for rule in pack.rules() if "record" in rule}
    read = {name for rule in pack.rules() for name in METRIC.findall(mutate.bare(rule["expr"]))}
    assert read - recorded <= published | APPLICATION | OTHERS
    assert {rule["alert"] for rule in pack.alerts()} == PROMISED
    assert {path.stem for path in (pack.ALERTS / "runbooks").glob("*.md")} == PROMISED


def test_every_alert_has_a_case_in_which_it_must_not_fire() -> None:
    """The watchdog has none: it always fires."""
    cases = [case for file in HERE.glob("*.test.yaml") for case in _cases(file)]
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert silent == PROMISED - {"UptimeWatchdog"}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == PROMISED


def _cases(file: Path) -> list[dict[str, Any]]:
    tests = yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
    return [case for test in tests for case in test.get("alert_rule_test", ())]


def test_what_is_generated_is_current() -> None:
    """`python tests/alerts/pack.py` would change nothing."""
    assert pack.MANIFEST.read_text(encoding="utf-8") == pack.manifest()
    text = pack.README.read_text(encoding="utf-8")
    assert text == pack.with_table(text)
