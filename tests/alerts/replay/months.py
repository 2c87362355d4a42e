"""False pages in quiet times: the burn conditions over single, independent failures, a thousand years in seconds.

Exact, not sampled: every condition is "at least so many failed probes are seen in a window", so it holds on
intervals that follow from the failures' times alone. A test holds it against Prometheus, evaluation by evaluation.
Single failures are what it knows: of two in a row each counts as one.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import merge
from random import Random

from alerts.replay.exporter import BEAT, REFUSED
from alerts.replay.incidents import DAY, HOUR, MINUTE
from alerts.replay.rules import OURS

MONTH = 30 * DAY
SCRAPE, PHASE = 15.0, 7.0
BOOKED = BEAT + REFUSED.seconds + 0.01
"""Seconds from the start of a failed probe until its downtime is committed."""
WAIT = 15.0
"""Seconds of `group_wait`: what is over by then wakes nobody."""

Spans = list[tuple[float, float]]
"""First and last evaluation at which something holds; ascending, apart from each other."""


Failures = Sequence[Sequence[float]]
"""Of each target, when its failed probes began; ascending."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Somebody's pages."""

    name: str
    fires: Callable[[Failures], Spans]
    """Of the alerts that page, from when to when one fires."""


def seen(failures: Sequence[float], after: float, window: float, every: float) -> Spans:
    """Return for each failure at which evaluations `increase` over a window has it."""
    spans = []
    for began in failures:
        scraped = _scraped(began + after)
        before = scraped - SCRAPE  # without this sample in the window, the counter has not risen
        spans.append((math.ceil(scraped / every) * every, math.floor((before + window) / every) * every))
    return spans


def _scraped(after: float) -> float:
    """Return the first scrape at or after a moment."""
    return math.ceil((after - PHASE) / SCRAPE) * SCRAPE + PHASE


def at_least(number: int, spans: Spans) -> Spans:
    """Return when so many of equally long spans hold at once."""
    firsts = spans[number - 1 :]
    return union(
        [(late[0], early[1]) for early, late in zip(spans, firsts, strict=False) if late[0] <= early[1]]
    )


def union(*lists: Spans) -> Spans:
    out: Spans = []
    for begin, end in merge(*lists):
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((begin, end))
    return out


def both(one: Spans, other: Spans) -> Spans:
    out: Spans = []
    i = j = 0
    while i < len(one) and j < len(other):
        begin, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if begin <= end:
            out.append((begin, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return out


def without(spans: Spans) -> Spans:
    """Return when none holds."""
    begins = [-math.inf, *(end + SCRAPE for _, end in spans)]
    ends = [*(begin - SCRAPE for begin, _ in spans), math.inf]
    return [(begin, end) for begin, end in zip(begins, ends, strict=True) if begin <= end]


def lasting(spans: Spans, seconds: float) -> Spans:
    """Apply `for`."""
    return [(begin + seconds, end) for begin, end in spans if end - begin >= seconds]


def kept(spans: Spans, seconds: float) -> Spans:
    """Apply `keep_firing_for`."""
    return union([(begin, end + seconds) for begin, end in spans])


def _counted(failures: Sequence[float], number: int, window: float, every: float = SCRAPE) -> Spans:
    return at_least(number, seen(failures, REFUSED.seconds, window, every))


def _booked(failures: Sequence[float], number: int, window: float) -> Spans:
    return at_least(number, seen(failures, BOOKED, window, SCRAPE))


def _burning(failures: Sequence[float], short: float) -> Spans:
    """Return when downtime is booked in the short window, or the promise is broken just now."""
    now = [(first, _scraped(began + BEAT) - PHASE) for began, (first, _) in _firsts(failures)]
    return union(_booked(failures, 1, short), union(now))


def _sparse(failures: Sequence[float]) -> Spans:
    """Return when downtime is booked in the last two hours, and in six never three beats of ten."""
    dense = [(begin, end + 6 * HOUR) for begin, end in _booked(failures, 3, 5 * MINUTE)]
    return both(_booked(failures, 1, 2 * HOUR), without(union(dense)))


def _firsts(failures: Sequence[float]) -> Iterable[tuple[float, tuple[float, float]]]:
    return zip(failures, seen(failures, REFUSED.seconds, HOUR, SCRAPE), strict=True)


@cache
def floor(window: str) -> int:
    """Return how many failed probes of one target the rules ask for within a window."""
    found = re.search(rf"max_increase{window} >= ([0-9]+)", (OURS / "promises.yaml").read_text())
    assert found, window
    return int(found[1])


def ours(targets: Failures) -> Spans:
    """Return when `UptimeErrorBudgetBurn` fires, fast or slow, for a target's promise or, of several, for all."""
    promises = [_ours((target,), target) for target in targets]
    if len(targets) > 1:
        promises.append(_ours(targets, list(merge(*targets))))
    return union(*promises)


def _ours(targets: Failures, together: Sequence[float]) -> Spans:
    """Return when it fires for one promise.

    14.4 over an hour of 99.9 % is more than 51.84 s, two booked beats; 6 over 6 hours more than 129.6 s, five. Both
    want some failures of one and the same target.
    """
    hour = union(*(_counted(target, floor("1h"), HOUR) for target in targets))
    six = union(*(_counted(target, floor("6h"), 6 * HOUR) for target in targets))
    fast = both(both(hour, _booked(together, 2, HOUR)), _burning(together, 5 * MINUTE))
    now = union(_burning(together, 30 * MINUTE), _sparse(together))
    slow = both(both(six, _booked(together, 5, 6 * HOUR)), now)
    return union(kept(fast, 5 * MINUTE), kept(slow, 5 * MINUTE))


def sloth(targets: Failures) -> Spans:
    """Return when Sloth's pages fire: 1.44 % of 120 probes are two, 0.6 % of 720 are five."""
    return union(*(_sloth(target, 2, 5, 1) for target in targets))


def sloth_pooled(targets: Failures) -> Spans:
    """Return the same of one SLO about three targets: six of 360, 13 of 2160, two of the short 180."""
    return _sloth(list(merge(*targets)), 6, 13, 2)


def _sloth(failures: Sequence[float], hour: int, six: int, short: int) -> Spans:
    fast = both(_counted(failures, hour, HOUR), _counted(failures, 1, 5 * MINUTE))
    slow = both(_counted(failures, six, 6 * HOUR), _counted(failures, short, 30 * MINUTE))
    return union(fast, slow)


def pyrra(targets: Failures) -> Spans:
    """Return when Pyrra's critical alerts fire: 1.4 % of 128 probes are two, 0.7 % of 772 are six."""
    return union(*(_pyrra(target, 2, 6, 1) for target in targets))


def pyrra_pooled(targets: Failures) -> Spans:
    """Return the same of one objective about three targets: six of 384, 17 of 2316, two of the short 192."""
    return _pyrra(list(merge(*targets)), 6, 17, 2)


def _pyrra(failures: Sequence[float], hour: int, six: int, short: int) -> Spans:
    fast = both(_counted(failures, hour, 64 * MINUTE, 30), _counted(failures, 1, 5 * MINUTE, 30))
    slow = both(_counted(failures, six, 386 * MINUTE, 30), _counted(failures, short, 32 * MINUTE, 30))
    return union(lasting(fast, 2 * MINUTE), lasting(slow, 16 * MINUTE))


ALL = (Rules("ours", ours), Rules("Sloth", sloth), Rules("Pyrra", pyrra))
POOLED = (Rules("Sloth, pooled", sloth_pooled), Rules("Pyrra, pooled", pyrra_pooled))


def failures(availability: float, seconds: float, luck: Random) -> Iterator[float]:
    """Yield when failed probes begin: one of many, independent of each other."""
    beat, none = -1, math.log(availability)
    while True:
        beat += 1 + int(math.log(1 - luck.random()) / none)
        if beat * BEAT >= seconds:
            return
        yield beat * BEAT


def pages(spans: Iterable[tuple[float, float]]) -> int:
    """Return how often the phone rings."""
    return sum(1 for begin, end in spans if end - begin >= WAIT)


@dataclass(frozen=True, slots=True)
class Rate:
    """False pages of somebody's rules."""

    pages: int
    months: float

    @property
    def monthly(self) -> float:
        return self.pages / self.months

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, pages taken for a Poisson process (Byar's approximation; Breslow and Day 1987, page 69)."""
        return _byar(self.pages, -1.96) / self.months, _byar(self.pages + 1, 1.96) / self.months


def _byar(n: int, z: float) -> float:
    return n * (1 - 1 / (9 * n) + z / (3 * math.sqrt(n))) ** 3 if n else 0.0


def rate(rules: Rules, availability: float, years: float, *, targets: int = 1, seed: int = 4) -> Rate:
    """Return the false pages about targets of that availability over so many years."""
    seconds = years * 365.25 * DAY
    lost = [list(failures(availability, seconds, Random(seed + place))) for place in range(targets)]
    return Rate(pages(rules.fires(lost)), seconds / MONTH)


def rings(rules: Rules, availability: float, seconds: float, runs: int) -> float:
    """Return how often the phone rings on average while one target's probes fail now and then for so long."""
    lost = [list(failures(availability, seconds, Random(run))) for run in range(runs)]
    return sum(pages(rules.fires([each])) for each in lost) / runs
