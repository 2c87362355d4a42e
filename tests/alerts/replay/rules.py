"""Rule files as questions that a Prometheus can be asked afterwards: what is recorded stands in place of its name."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from uptime_exporter.settings.values import seconds_in

ROOT = Path(__file__).parents[3]
OURS = ROOT / "alerts" / "rules"
RIVALS = Path(__file__).parents[1] / "rivals"

EVERY = 15.0
"""Seconds between two evaluations, where a group says nothing else."""

_COMMENT = re.compile(r"(^|\s)#[^\n]*")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_DURATION = r"(?:[0-9]+[smhdwy])+"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule that stands for itself."""

    name: str
    expr: str
    labels: Mapping[str, str]
    lasting: float
    """Seconds of `for`."""
    keep: float
    """Seconds of `keep_firing_for`."""
    every: float
    """Seconds between two evaluations."""


@dataclass(frozen=True, slots=True)
class Pack:
    """What somebody's rules amount to."""

    name: str
    alerts: tuple[Alert, ...]

    @property
    def reads(self) -> frozenset[str]:
        """Every word of the expressions; the names of metrics are among them."""
        return frozenset(word for alert in self.alerts for word in _NAME.findall(alert.expr))


def load(name: str, paths: Iterable[Path], edit: Callable[[str], str] = str) -> Pack:
    """Return the alerts of these files, each expression after *edit*."""
    recorded: dict[str, str] = {}
    alerts = []
    for group in (group for path in sorted(paths) for group in yaml.safe_load(path.read_text())["groups"]):
        for rule in group["rules"]:
            expr = _inlined(edit(_COMMENT.sub(r"\1", rule["expr"])).strip(), recorded)
            if "record" in rule:
                recorded[rule["record"]] = _labelled(expr, rule.get("labels", {}))
            else:
                alerts.append(_alert(rule, expr, _seconds(group.get("interval", EVERY))))
    return Pack(name, tuple(alerts))


def ours() -> Pack:
    return load("ours", OURS.glob("*.yaml"))


def sloth() -> Pack:
    return load("Sloth", [RIVALS / "sloth.yaml"])


def pyrra() -> Pack:
    return load("Pyrra", [RIVALS / "pyrra.yaml"])


def pooled(pack: Pack) -> Pack:
    """Return a rival's rules as one objective about the probes of all targets together."""
    of_all = (alert.expr.replace("sum by (target)", "sum") for alert in pack.alerts)
    alerts = (
        Alert(a.name, expr, a.labels, a.lasting, a.keep, a.every)
        for a, expr in zip(pack.alerts, of_all, strict=True)
    )
    return Pack(f"{pack.name}, pooled", tuple(alerts))


def _alert(rule: Mapping[str, Any], expr: str, every: float) -> Alert:
    return Alert(
        name=rule["alert"],
        expr=expr,
        labels={key: str(value) for key, value in rule.get("labels", {}).items()},
        lasting=_seconds(rule.get("for", 0)),
        keep=_seconds(rule.get("keep_firing_for", 0)),
        every=every,
    )


def _seconds(text: str | float) -> float:
    seconds = seconds_in(str(text))
    assert seconds is not None, text
    return seconds


def _labelled(expr: str, labels: Mapping[str, str]) -> str:
    for name, value in labels.items():
        expr = f'label_replace({expr}, "{name}", "{value}", "", "")'
    return expr


def _inlined(expr: str, recorded: Mapping[str, str]) -> str:
    for name, means in recorded.items():
        word = rf"(?<![a-zA-Z0-9_:]){re.escape(name)}(?![a-zA-Z0-9_:])"
        assert not re.search(word + r"\s*{", expr), f"{name} is recorded: a matcher cannot be put on its expression"
        expr = re.sub(word + rf"\s*\[({_DURATION})\]", lambda m, e=means: f"({e})[{m[1]}:15s]", expr)  # type: ignore[misc]
        expr = re.sub(
            word + rf"\s+offset\s+({_DURATION})",
            lambda m, e=means: f"last_over_time(({e})[30s:15s] offset {m[1]})",  # type: ignore[misc]
            expr,
        )
        expr = re.sub(word, lambda _, e=means: f"({e})", expr)  # type: ignore[misc]
    return expr
