"""From alerts to pages, as the Alertmanager configuration says: routes, groups and inhibition.

How is counted: a page is a group of the receiver `page` that becomes non-empty, since that is when the phone
rings. What joins a group while it is open, or leaves it, is an update of the same incident. A group is open while
one of its alerts fires that no other inhibits. The page leaves `group_wait` after the group's first alert, or never
where all is over by then.

The rivals ship no configuration. Theirs is the kindest: everything that pages is one group, after the same wait.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from alerts.replay.firing import Spell
from alerts.replay.rules import ROOT, seconds

CONFIGURATION = ROOT / "alerts" / "alertmanager.yaml"
PAGE = "page"

_MATCHER = re.compile(r'^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*$')

Stretch = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Page:
    """From when the phone rings until all is well again; Unix times."""

    begins: float
    ends: float
    alerts: frozenset[str]
    """Their names."""


class Alertmanager:
    """Routes, groups and inhibits as a configuration says."""

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self._route = configuration["route"]
        self._inhibitions = configuration.get("inhibit_rules", [])

    @classmethod
    def of(cls, path: Path = CONFIGURATION) -> "Alertmanager":
        return cls(yaml.safe_load(path.read_text()))

    def pages(self, spells: Sequence[Spell]) -> list[Page]:
        """Return when somebody is woken."""
        groups: dict[tuple[object, ...], list[tuple[Stretch, str]]] = {}
        waits: dict[tuple[object, ...], float] = {}
        for spell in spells:
            route = self._routed(dict(spell.labels), self._route, {})
            if route["receiver"] != PAGE:
                continue
            key = (id(route["own"]), *(spell.says(label) for label in route.get("group_by", ())))
            waits[key] = seconds(route.get("group_wait", "30s"))
            groups.setdefault(key, []).extend(
                (stretch, spell.says("alertname")) for stretch in self._heard(spell, spells)
            )
        pages = (page for key, group in groups.items() for page in _opened(group, waits[key]))
        return sorted(pages, key=lambda page: page.begins)

    def wakes(self, spell: Spell) -> bool:
        """Return whether an alert goes to the receiver `page`, inhibited or not."""
        return bool(self._routed(dict(spell.labels), self._route, {})["receiver"] == PAGE)

    def _routed(self, labels: Mapping[str, str], route: Any, above: Mapping[str, Any]) -> Mapping[str, Any]:
        merged = {**above, **route, "own": route}
        for child in route.get("routes", ()):
            if _matches(child.get("matchers", ()), labels):
                return self._routed(labels, child, merged)
        return merged

    def _heard(self, spell: Spell, spells: Sequence[Spell]) -> list[Stretch]:
        """Return when *spell* is not inhibited."""
        left = [(spell.begins, spell.ends)]
        for rule in self._inhibitions:
            if not _matches(rule["target_matchers"], dict(spell.labels)):
                continue
            for source in spells:
                equal = all(source.says(label) == spell.says(label) for label in rule.get("equal", ()))
                if source is not spell and equal and _matches(rule["source_matchers"], dict(source.labels)):
                    left = [
                        part for stretch in left for part in _without(stretch, (source.begins, source.ends))
                    ]
        return left


def _matches(matchers: Iterable[str], labels: Mapping[str, str]) -> bool:
    return all(_match(matcher, labels) for matcher in matchers)


def _match(matcher: str, labels: Mapping[str, str]) -> bool:
    found = _MATCHER.match(matcher)
    assert found, matcher
    name, operator, value = found.groups()
    is_it: Callable[[str], bool] = {
        "=": lambda has: has == value,
        "!=": lambda has: has != value,
        "=~": lambda has: re.fullmatch(value, has) is not None,
        "!~": lambda has: re.fullmatch(value, has) is None,
    }[operator]
    return is_it(labels.get(name, ""))


def _without(stretch: Stretch, cut: Stretch) -> list[Stretch]:
    parts = [(stretch[0], min(stretch[1], cut[0])), (max(stretch[0], cut[1]), stretch[1])]
    return [(begin, end) for begin, end in parts if begin < end]


def _opened(group: Iterable[tuple[Stretch, str]], wait: float) -> Iterable[Page]:
    open_: list[tuple[float, float, frozenset[str]]] = []
    for (begins, ends), name in sorted(group):
        if open_ and begins <= open_[-1][1]:
            first, last, names = open_.pop()
            open_.append((first, max(last, ends), names | {name}))
        else:
            open_.append((begins, ends, frozenset({name})))
    return [Page(begins + wait, ends, names) for begins, ends, names in open_ if ends - begins > wait]


RIVALS = Alertmanager(
    {
        "route": {
            "receiver": "chat",
            "routes": [
                {"matchers": ['sloth_severity="page"'], "receiver": PAGE, "group_wait": "15s"},
                {"matchers": ['severity="critical"'], "receiver": PAGE, "group_wait": "15s"},
            ],
        }
    }
)
"""For Sloth and Pyrra."""
