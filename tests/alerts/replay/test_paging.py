"""When the phone rings, given alerts and a configuration."""

from alerts.replay.firing import Spell
from alerts.replay.paging import PAGE, Alertmanager

BY_TIER = Alertmanager(
    {
        "route": {
            "receiver": "chat",
            "routes": [
                {
                    "matchers": ['severity="critical"'],
                    "receiver": PAGE,
                    "group_by": ["sla"],
                    "group_wait": "15s",
                    "routes": [{"matchers": ['alertname=~"Quiet.*"'], "receiver": "chat"}],
                }
            ],
        },
        "inhibit_rules": [
            {"source_matchers": ['tier="fast"'], "target_matchers": ['tier!="fast"'], "equal": ["sla"]}
        ],
    }
)


def spell(begins: float, ends: float, **labels: str) -> Spell:
    every = {"alertname": "Burn", "severity": "critical", "sla": "system"} | labels
    return Spell(frozenset(every.items()), begins, ends)


def rings(*spells: Spell) -> list[tuple[float, float]]:
    return [(page.begins, page.ends) for page in BY_TIER.pages(spells)]


def test_a_group_rings_once_while_it_is_open() -> None:
    """What joins it is an update; after it was empty it rings again."""
    assert rings(spell(0, 100), spell(90, 200, pod="b"), spell(300, 400)) == [(15, 200), (315, 400)]


def test_groups_ring_apart() -> None:
    """By the labels of `group_by`."""
    assert rings(spell(0, 100), spell(0, 100, sla="mysql")) == [(15, 100), (15, 100)]


def test_what_is_over_within_the_wait_rings_nobody() -> None:
    """It was never sent."""
    assert rings(spell(0, 15)) == []


def test_other_receivers_wake_nobody() -> None:
    """Neither by severity nor by a route below."""
    assert rings(spell(0, 100, severity="warning"), spell(0, 100, alertname="QuietOne")) == []


def test_an_inhibited_alert_is_heard_when_its_source_is_over() -> None:
    """The group stays open meanwhile, so that nothing rings; without a common label nothing is inhibited."""
    fast, slow = spell(50, 100, tier="fast"), spell(60, 300, tier="slow")
    assert rings(fast, slow) == [(65, 300)]
    assert rings(spell(50, 100, tier="fast", sla="mysql"), slow) == [(65, 100), (75, 300)]
    assert rings(spell(50, 200, tier="fast"), spell(60, 150, tier="slow")) == [(65, 200)]
