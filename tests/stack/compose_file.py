"""The compose file, read as compose reads it: merged, and with its variables filled in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text()
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+):-((?:[^${}]|\$\{\w+:-[^{}]*\})*)\}")
"""``${NAME:-default}``, whose default may hold another one; compose knows more, this file uses no more."""

Service = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Compose:
    """What it says under given variables."""

    document: Mapping[str, Any]

    @classmethod
    def under(cls, environ: Mapping[str, str]) -> "Compose":
        """Read it with *environ* as the only variables."""
        return cls(yaml.safe_load(_filled(TEXT, environ)))

    @property
    def services(self) -> Mapping[str, Service]:
        """Return all of them, those of a profile too."""
        services: Mapping[str, Service] = self.document["services"]
        return services

    def behind(self, service: str, path: str) -> Path:
        """Return the file of the project that *service* sees at *path*."""
        for mount in self.services[service]["volumes"]:
            source, target, *_ = str(mount).split(":")
            if source.startswith("./") and Path(path).is_relative_to(target):
                return ROOT / source / Path(path).relative_to(target)
        raise LookupError(f"{service} has nothing of the project mounted at {path}")

    def acquainted(self) -> set[frozenset[str]]:
        """Return the pairs of services that share a network."""
        members = {
            name: set(service["networks"]) for name, service in self.services.items() if service["networks"]
        }
        return {frozenset((a, b)) for a in members for b in members if a < b and members[a] & members[b]}


def variables() -> Mapping[str, str]:
    """Return name → default of every variable that it reads."""
    found = dict(_VARIABLE.findall(TEXT))
    for default in list(found.values()):
        found.update(_VARIABLE.findall(default))
    return found


def _filled(text: str, environ: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return environ.get(match[1]) or _filled(match[2], environ)

    return _VARIABLE.sub(value, text).replace("$$", "$")
