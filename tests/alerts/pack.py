"""The alert pack as data, and what is generated from it.

    python tests/alerts/pack.py

rewrites ``alerts/prometheusrule.yaml`` and the table of alerts in ``alerts/README.md``.
"""

import re
from pathlib import Path
from typing import Any

import yaml

ALERTS = Path(__file__).parents[2] / "alerts"
RULES = ALERTS / "rules"
MANIFEST = ALERTS / "prometheusrule.yaml"
README = ALERTS / "README.md"
BEGIN, END = "<!-- alerts: begin -->", "<!-- alerts: end -->"

Rule = dict[str, Any]
Group = dict[str, Any]


class _Block(yaml.SafeDumper):
    """Writes what has several lines as lines."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Block.add_representer(str, _text)


def groups() -> list[Group]:
    """Return every rule group, file by file."""
    files = sorted(RULES.glob("*.yaml"))
    return [group for path in files for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]


def rules() -> list[Rule]:
    """Return every rule."""
    return [rule for group in groups() for rule in group["rules"]]


def alerts() -> list[Rule]:
    """Return every alerting rule."""
    return [rule for rule in rules() if "alert" in rule]


def manifest() -> str:
    """Return the rules as the Prometheus Operator takes them."""
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "uptime", "labels": {"app.kubernetes.io/name": "uptime-exporter"}},
        "spec": {"groups": groups()},
    }
    head = "# The rules of rules/ for the Prometheus Operator, written by tests/alerts/pack.py.\n"
    return head + yaml.dump(resource, Dumper=_Block, sort_keys=False, width=120, allow_unicode=True)


def table() -> str:
    """Return one line for each alert and severity."""
    head = ["| alert | severity | says |", "|---|---|---|"]
    return "\n".join([*head, *(_line(rule) for rule in alerts())])


def _line(rule: Rule) -> str:
    name, labels = rule["alert"], rule["labels"]
    tier = f", `burn_tier` {labels['burn_tier']}" if "burn_tier" in labels else ""
    return f"| [{name}](runbooks/{name}.md) | {labels['severity']}{tier} | {rule['annotations']['summary']} |"


def with_table(text: str) -> str:
    """Return a text with the present table between its marks."""
    marked = re.compile(f"(?<={BEGIN}\n).*?(?=\n{END})", re.DOTALL)
    if not marked.search(text):
        message = f"alerts/README.md has no part between {BEGIN} and {END}"
        raise ValueError(message)
    return marked.sub(lambda _: table(), text, count=1)


if __name__ == "__main__":
    MANIFEST.write_text(manifest(), encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
