"""When alerts fire: expressions asked of a real Prometheus, `for` and `keep_firing_for` applied as it does.

Prometheus 2.42, rules/alerting.go: an element of the answer is pending from its first evaluation, fires at the
first evaluation that is `for` later, and is forgotten at the first evaluation without it, unless it fires and
`keep_firing_for` has not passed since. What a restart leaves: nothing, but the pending time of alerts whose `for`
is at least ten minutes (--rules.alert.for-grace-period), of which at least these ten are waited for again.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import httpx

from alerts.replay.rules import Alert, Pack

Labels = frozenset[tuple[str, str]]

STALE = "20s"
"""A scrape that brings a series no more ends it at once; a backfilled block cannot say so, so samples hold no
longer than this."""

MOST_STEPS = 10_000
"""Prometheus answers with at most 11 000 points a series."""

GRACE = 600.0
"""Seconds of `for` below which a restart forgets that an alert was pending."""

RESENT = 60.0
"""Seconds after which Prometheus repeats to Alertmanager that an alert fires."""
EXPIRES = 4 * RESENT
"""Seconds after which Alertmanager takes an alert for resolved that is not repeated."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Prometheus is away: it neither scrapes nor evaluates, and forgets."""

    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class Spell:
    """One alert, from when it fires until Alertmanager takes it for resolved; Unix times."""

    labels: Labels
    begins: float
    ends: float

    def says(self, name: str) -> str:
        return dict(self.labels).get(name, "")


async def spells(
    url: str, pack: Pack, start: float, end: float, restarts: Sequence[Restart] = ()
) -> list[Spell]:
    """Return when which alerts of *pack* fire, evaluated from *start* to *end*."""
    found: list[Spell] = []
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=300) as client:
        for alert in pack.alerts:
            found += apply(alert, await _answers(client, alert, start, end), start, end, restarts)
    return sorted(joined(found), key=lambda spell: spell.begins)


def steps(start: float, end: float, every: float) -> list[float]:
    return [start + n * every for n in range(math.floor((end - start) / every) + 1)]


async def _answers(
    client: httpx.AsyncClient, alert: Alert, start: float, end: float
) -> dict[Labels, set[float]]:
    """Return each element's labels and the evaluations that have it."""
    found: dict[Labels, set[float]] = {}
    for begin in steps(start, end, MOST_STEPS * alert.every):
        params = {
            "query": alert.expr,
            "start": f"{begin:.3f}",
            "end": f"{min(end, begin + (MOST_STEPS - 1) * alert.every):.3f}",
            "step": f"{alert.every:g}",
            "lookback_delta": STALE,
        }
        answer = (await client.post("/api/v1/query_range", data=params)).json()
        assert answer["status"] == "success", (alert.name, answer)
        for element in answer["data"]["result"]:
            labels = {k: v for k, v in element["metric"].items() if k != "__name__"}
            own = {k: v for k, v in alert.labels.items() if "{{" not in v}
            key = frozenset((labels | own | {"alertname": alert.name}).items())
            found.setdefault(key, set()).update(round(at, 3) for at, _ in element["values"])
    return found


def apply(
    alert: Alert,
    answers: dict[Labels, set[float]],
    start: float,
    end: float,
    restarts: Sequence[Restart] = (),
) -> Iterable[Spell]:
    """Yield when each element fires, given the evaluations at which the expression has it."""
    moments = [round(at, 3) for at in steps(start, end, alert.every)]
    for labels, present in answers.items():
        yield from _one(alert, labels, moments, present, restarts)


def _one(
    alert: Alert, labels: Labels, moments: Sequence[float], present: set[float], restarts: Sequence[Restart]
) -> Iterable[Spell]:
    state = _State(alert, labels)
    coming = list(restarts)
    for at in moments:
        if coming and coming[0].begins <= at:
            yield from state.forget(coming.pop(0))
        if not any(restart.begins <= at < restart.ends for restart in restarts):
            yield from state.evaluate(at, active=at in present)
    yield from state.finish(moments[-1])


class _State:
    """One element of one rule."""

    def __init__(self, alert: Alert, labels: Labels) -> None:
        self._alert = alert
        self._labels = labels
        self._since: float | None = None
        self._fired: float | None = None
        self._gone: float | None = None

    def evaluate(self, at: float, *, active: bool) -> Iterable[Spell]:
        if active:
            self._gone = None
            self._since = at if self._since is None else self._since
            if self._fired is None and at - self._since >= self._alert.lasting:
                self._fired = at
        elif self._since is not None:
            self._gone = at if self._gone is None else self._gone
            if self._fired is None or at - self._gone >= self._alert.keep:
                yield from self.finish(at)

    def finish(self, at: float) -> Iterable[Spell]:
        if self._fired is not None:
            yield Spell(self._labels, self._fired, at)
        self._since = self._fired = self._gone = None

    def forget(self, restart: Restart) -> Iterable[Spell]:
        """Begin anew; Alertmanager goes by what it was told last."""
        if self._fired is not None:
            told = self._fired + (restart.begins - self._fired) // RESENT * RESENT
            yield Spell(self._labels, self._fired, told + EXPIRES)
        self._since = self._restored(restart)
        self._fired = self._gone = None

    def _restored(self, restart: Restart) -> float | None:
        """Return since when it counts as pending after a restart."""
        if self._since is None or self._alert.lasting < GRACE:
            return None
        left = self._alert.lasting - (restart.begins - self._since)
        return self._since if left <= 0 else restart.ends + max(left, GRACE) - self._alert.lasting


def joined(found: Iterable[Spell]) -> list[Spell]:
    """Return the spells with those of one alert that touch or overlap made one."""
    by_alert: dict[Labels, Spell] = {}
    done = []
    for spell in sorted(found, key=lambda spell: spell.begins):
        before = by_alert.get(spell.labels)
        if before is not None and spell.begins <= before.ends:
            by_alert[spell.labels] = Spell(spell.labels, before.begins, max(before.ends, spell.ends))
            continue
        if before is not None:
            done.append(before)
        by_alert[spell.labels] = spell
    return [*done, *by_alert.values()]
