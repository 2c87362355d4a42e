"""The measured table of alerts/README.md: how it reads, and what it was measured with."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import yaml

from alerts.replay import incidents, months, rules
from alerts.replay.cost import EVALUATIONS, Cost, asked
from alerts.replay.paging import CONFIGURATION
from alerts.replay.replay import Measured

README = rules.ROOT / "alerts" / "README.md"
BEGIN, END = "<!-- measured", "<!-- end of measured -->"
COSTED = 12
"""Targets whose 30-day figures are computed: one alone is too quick for its time to mean anything."""
RUNS = 400
PACKS = ("ours", "Sloth", "Pyrra")

_TOLD = re.compile(rf"{BEGIN} with ([0-9a-f]+) -->")
_PART = re.compile(rf"{BEGIN} with .*?{END}\n", re.DOTALL)


def fingerprint() -> str:
    """Return what stands for the rules, the rivals, the routes and the incidents; annotations don't count."""
    alertmanager = yaml.safe_load(CONFIGURATION.read_text())
    packs = [[asdict(alert) for alert in pack().alerts] for pack in (rules.ours, rules.sloth, rules.pyrra)]
    stories = [(i.name, i.lasts, i.after, i.age, i.gone, i.restarts, i.wakes) for i in incidents.ALL]
    all_of_it = (packs, asked(), alertmanager["route"], alertmanager["inhibit_rules"], stories)
    return hashlib.sha256(json.dumps(all_of_it, sort_keys=True).encode()).hexdigest()[:12]


def told(readme: str) -> str | None:
    """Return what the table in *readme* was measured with."""
    found = _TOLD.search(readme)
    return found[1] if found else None


def put(readme: str, part: str, measured_with: str) -> str:
    """Return *readme* with its measured part replaced, at the end where it has none."""
    part = f"{BEGIN} with {measured_with} -->\n{part}\n{END}\n"
    return (
        _PART.sub(lambda _: part, readme) if _PART.search(readme) else f"{readme.rstrip()}\n\n{part}".lstrip()
    )


def replayed(measured: Mapping[str, Mapping[str, Measured]]) -> list[str]:
    """Return the rows of incident → pack → what became of it."""
    head = [f"| incident | {' | '.join(PACKS)} |", "|---|" + "---|" * len(PACKS)]
    return head + [
        f"| {name} | {' | '.join(cell(by[pack], told=pack == 'ours') for pack in PACKS)} |"
        for name, by in measured.items()
    ]


def cell(measured: Measured, *, told: bool) -> str:
    """Return one incident under somebody's rules."""
    if not measured.pages:
        others = " ".join(f"`{name}`" for name in sorted(measured.others)) if told else "a ticket"
        return f"no page; {others}" if measured.others else "no page"
    words = []
    if measured.page_after is not None:
        words.append(f"paged after {clock(measured.page_after)}")
    if measured.resolved_after is not None and measured.resolved_after >= 0:
        words.append(f"resolved {clock(measured.resolved_after)} after the end")
    if measured.pages > 1:
        words.append(f"**{measured.pages} pages**")
    if measured.midway:
        words.append("**resolved in between**")
    if measured.false:
        words.append(f"**{measured.false} false**")
    return ", ".join(words)


def clock(seconds: float) -> str:
    """Return minutes and seconds, as on a stopwatch."""
    sign, whole = "-" if seconds < 0 else "", round(abs(seconds))
    return (
        f"{sign}{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
        if whole >= 3600
        else f"{sign}{whole // 60}:{whole % 60:02}"
    )


def quiet(rates: Mapping[str, Sequence[months.Rate]]) -> list[str]:
    """Return the rows of a quiet time → false pages of each pack."""
    head = [f"| false pages a month | {' | '.join(PACKS)} |", "|---|" + "---|" * len(PACKS)]
    return head + [f"| {what} | {' | '.join(_rate(each) for each in row)} |" for what, row in rates.items()]


def _rate(rate: months.Rate) -> str:
    low, high = rate.interval
    return f"{rate.monthly:.3f} ({low:.3f} to {high:.3f})"


def losses(pages: Sequence[float], what: str) -> list[str]:
    """Return the row of how often the phone rings in a slow loss."""
    head = [f"| pages, mean of {RUNS} runs | {' | '.join(PACKS)} |", "|---|" + "---|" * len(PACKS)]
    return [*head, f"| {what} | {' | '.join(f'{each:.1f}' for each in pages)} |"]


def cost(ours: Cost, sloths: Cost) -> list[str]:
    """Return the rows of what the 30-day figure costs."""
    once, often = EVALUATIONS
    rows = [("ours: `x - x offset 30d`", ours, once), ("Sloth: average of recorded ratios", sloths, often)]
    head = [
        f"| 30-day figure of {COSTED} targets | samples read | ms, median (quartiles) | ms a minute |",
        "|---|---|---|---|",
    ]
    body = [
        f"| {what} | {each.samples:,} | {_took(each)} | {times * each.milliseconds:.2f} |".replace(",", " ")
        for what, each, times in rows
    ]
    part = ours.milliseconds / sloths.milliseconds
    return [
        *head,
        *body,
        f"| part | {ours.samples / sloths.samples:.2%} | {part:.1%} | {part * once / often:.1%} |",
    ]


def _took(cost: Cost) -> str:
    low, middle, high = cost.took
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
