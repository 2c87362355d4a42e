"""The numbers of the alert rules, read from them: a panel turns red where an alert would fire."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parents[2] / "alerts" / "rules"

TARGET_CHECK_SUCCESS = 0.99
TARGET_CHECK_FAILURES = 0.01
TARGET_REQUEST_FAILURES = 0.001
TARGET_SHUTDOWN_SECONDS = 30.0
"""What the five key metrics aim at; an alert fires only further away. No rule says these."""


class MissingLimitError(LookupError):
    """A rule no longer says the number that a panel is to show."""


@cache
def rules() -> tuple[dict[str, Any], ...]:
    """Return every rule of every file."""
    return tuple(
        rule
        for path in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    )


def number(alert: str, pattern: str, **labels: str) -> float:
    """Return the number that *pattern* captures in an alert's expression.

    Args:
        alert: Its name.
        pattern: A regular expression with one group.
        labels: Those that tell it from others of the same name.

    Raises:
        MissingLimitError: No such alert, or it says no such thing.

    """
    for rule in rules():
        if rule.get("alert") == alert and labels.items() <= rule["labels"].items():
            found = re.search(pattern, rule["expr"])
            if found:
                return float(found[1])
    raise MissingLimitError(
        f"alerts/rules: {alert} {labels or ''} says nothing like {pattern}; see grafana/build/limits.py"
    )


def runbook(alert: str) -> str:
    """Return the address of an alert's runbook, `${…}` allowed for its name."""
    known = next(rule for rule in rules() if "alert" in rule)
    address: str = known["annotations"]["runbook_url"]
    return address.replace(known["alert"], alert)


BURN_TIERS = {
    tier: (window, number("UptimeErrorBudgetBurn", rf"burn{window} > ([\d.]+)", burn_tier=tier))
    for tier, window in (("fast", "1h"), ("slow", "6h"), ("trickle", "1d"), ("drip", "3d"))
}
"""Tier → its long window and its factor."""
BUDGET_LOW = number("UptimeErrorBudgetLow", r"remaining_ratio\[1h\]\) < ([\d.]+)")
CHECK_FAILURES = number("UptimeCheckSuccessLow", r"ratio1h > ([\d.]+)")
REQUEST_FAILURES = number("UptimeRequestFailureRateHigh", r"ratio5m > ([\d.]+)")
CERTIFICATE_SOON_DAYS = number("UptimeCertificateExpiring", r"< (\d+) \* 86400", severity="warning")
CERTIFICATE_LAST_DAYS = number("UptimeCertificateExpiring", r"< (\d+) \* 86400", severity="critical")
STALE_BEATS = number("UptimeProbesStale", r"> (\d+) \* uptime_target_interval_seconds")
CIRCUIT_OPEN_MINUTES = number("UptimeCircuitOpen", r"offset (\d+)m")
DOWN_SECONDS = number("UptimeTargetDown", r"> (\d+)\n")
LEDGER_FAILURES = number("UptimeLedgerFailing", r">= (\d+)")
BLIND_SECONDS = number("UptimeMonitorBlind", r"\[30m\]\)\s+> (\d+)")
