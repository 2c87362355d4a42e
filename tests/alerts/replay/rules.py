"""Rule files as questions that a Prometheus can be asked afterwards: for each recorded name what it means."""

import re
from collections.abc import Iterable, Mapping
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


def load(name: str, paths: Iterable[Path]) -> Pack:
    """Return the alerts of these files."""
    alerts, _ = _read(paths)
    return Pack(name, tuple(alerts))


def recorded(paths: Iterable[Path]) -> Mapping[str, str]:
    """Return the recorded series of these files, by what each is computed from."""
    return _read(paths)[1]


def _read(paths: Iterable[Path]) -> tuple[list[Alert], dict[str, str]]:
    alerts, means = [], dict[str, str]()
    for group in (group for path in sorted(paths) for group in yaml.safe_load(path.read_text())["groups"]):
        for rule in group["rules"]:
            expr = _inlined(_COMMENT.sub(r"\1", rule["expr"]).strip(), means)
            if "record" in rule:
                means[rule["record"]] = _labelled(expr, rule.get("labels", {}))
            else:
                alerts.append(_alert(rule, expr, seconds(group.get("interval", EVERY))))
    return alerts, means


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
        lasting=seconds(rule.get("for", 0)),
        keep=seconds(rule.get("keep_firing_for", 0)),
        every=every,
    )


def seconds(text: str | float) -> float:
    """Return what a duration of Prometheus says."""
    duration = seconds_in(str(text))
    assert duration is not None, text
    return duration


def _labelled(expr: str, labels: Mapping[str, str]) -> str:
    for name, value in labels.items():
        expr = f'label_replace({expr}, "{name}", "{value}", "", "")'
    return expr


def _inlined(expr: str, means: Mapping[str, str]) -> str:
    """Put for each recorded name what it means; over a range a subquery, which is evaluated as the rule was."""
    for name, meant in means.items():
        word = rf"(?<![a-zA-Z0-9_:]){re.escape(name)}(?![a-zA-Z0-9_:])"
        assert not re.search(word + r"\s*{", expr), (
            f"{name} is recorded: a matcher cannot be put on its expression"
        )
        for form, by in (
            (rf"\s*\[({_DURATION})\]", r"({})[\1:15s]"),
            (rf"\s+offset\s+({_DURATION})", r"last_over_time(({})[30s:15s] offset \1)"),
            ("", "({})"),
        ):
            expr = re.sub(word + form, by.replace("{}", meant.replace("\\", r"\\")), expr)
    return expr
