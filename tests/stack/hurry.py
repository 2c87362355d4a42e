"""The stack's own settings at a pace at which a drill is over within a minute."""

import re
import shutil
from pathlib import Path

from alerts.test_live import shortened
from stack.engine import ROOT
from support.alertmanager import impatient, switched_on

HOST = "host.docker.internal"
"""What Alertmanager's container calls this machine."""


def write(folder: Path, inbox: int) -> None:
    """Write to *folder* what ``drill.yaml`` mounts; whoever is paged is told at port *inbox* of this machine."""
    shutil.copytree(ROOT / "exporter" / "stack" / "prometheus", folder / "prometheus")
    _rewrite(folder / "prometheus" / "prometheus.yaml", (r"_interval: 15s", "_interval: 1s"))
    shutil.copytree(ROOT / "alerts", folder / "alerts")
    for file in (folder / "alerts" / "rules").glob("*.yaml"):
        file.write_text(shortened(file.read_text()))
    file = folder / "alerts" / "alertmanager.yaml"
    file.write_text(switched_on(impatient(file.read_text()), "page", "webhook"))
    _rewrite(
        file,
        (r"url: https://hooks.example.org/alerts", f"url: http://{HOST}:{inbox}/"),
        (r"\n +http_config: .*webhook_token.*", ""),
    )


def _rewrite(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text()
    for pattern, instead in changes:
        text, found = re.subn(pattern, instead, text)
        if not found:
            raise LookupError(f"{file.name} has nothing like {pattern}")
    file.write_text(text)
