"""Who is told of the drill's alert, and by what, as Alertmanager's own configuration says."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_SUFFIX = "_configs"


@dataclass(frozen=True, slots=True)
class Channels:
    """All names as in the configuration."""

    receivers: frozenset[str]
    """Who is told."""
    kinds: frozenset[str]
    """By what: webhook, pagerduty, …; none where no channel is switched on."""
    others: frozenset[str]
    """Who else is told by one of these, of other alerts: by its counters alone, a message may have been theirs."""


def channels(configuration: str, receivers: Collection[str]) -> Channels:
    """Return what a configuration, as Alertmanager shows it, says about *receivers*."""
    document = yaml.safe_load(configuration)
    kinds = {receiver["name"]: _kinds(receiver) for receiver in document["receivers"]}
    ours = {kind for name in receivers for kind in kinds[name]}
    others = {name for name in _routed(document["route"]) if kinds[name] & ours}
    return Channels(frozenset(receivers), frozenset(ours), frozenset(others.difference(receivers)))


def _kinds(receiver: Mapping[str, Any]) -> set[str]:
    return {key.removesuffix(_SUFFIX) for key, value in receiver.items() if key.endswith(_SUFFIX) and value}


def _routed(route: Mapping[str, Any]) -> Iterator[str]:
    if "receiver" in route:
        yield route["receiver"]
    for inner in route.get("routes") or ():
        yield from _routed(inner)
