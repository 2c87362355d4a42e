"""What has become of the promises: how much budget is left, and where it went."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from uptime_exporter.html import Html, element, join
from uptime_exporter.ledger.account import Account
from uptime_exporter.ledger.span import Millis, Span, State
from uptime_exporter.words import DAY, HOUR, iso, moment, spell

Date = Callable[[Millis], float]
"""Ledger time → Unix time in seconds."""

OUTAGES = 10
"""On the page; the report has all of them."""


SECOND: Millis = 1000
"""Less is what a start takes, and not worth a word."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a promise was not kept."""

    promise: str
    begin: float
    """Unix time."""
    seconds: float
    reason: str
    over: bool
    """Whether it has ended, as far as everything is settled."""

    def as_json(self) -> Mapping[str, object]:
        """Return what the status routes say of it."""
        end = iso(self.begin + self.seconds) if self.over else None
        return {"begin": iso(self.begin), "end": end, "seconds": self.seconds, "reason": self.reason}


def outages(account: Account, date: Date) -> list[Outage]:
    """Return the last outages of one promise, the latest first, one that goes on included."""
    spans = list(account.recent)
    if account.open is not None and account.open.state is State.DOWN:
        spans.append(_continued(spans, account.open))
    under_way = account.open is not None and account.open.state is State.DOWN
    return [
        Outage(account.name, date(span.start), span.length / 1000, span.reason, not (under_way and at == 0))
        for at, span in enumerate(reversed(spans))
    ]


def _continued(ended: list[Span], going_on: Span) -> Span:
    """Join what goes on to what ended where it began: an outage whose reason changed is still one."""
    if ended and ended[-1].end == going_on.start:
        before = ended.pop()
        return Span(before.start, going_on.end, State.DOWN, before.reason)
    return going_on


def as_json(account: Account, date: Date, *, up: bool | None) -> Mapping[str, object]:
    """Return how one promise stands; times in seconds, ratios 0 to 1, None where nobody knows."""
    terms = account.terms
    return {
        "targets": list(terms.targets),
        "objective_ratio": terms.objective,
        "window_seconds": terms.window / 1000,
        "state": _state(up=up),
        "availability_ratio": account.availability,
        "coverage_ratio": account.coverage,
        "downtime_seconds": account.down / 1000,
        "unknown_seconds": account.unknown / 1000,
        "error_budget_seconds": round(terms.budget / 1000, 3),
        "error_budget_remaining_seconds": round(account.budget_remaining / 1000, 3),
        "error_budget_remaining_ratio": account.budget_remaining / terms.budget,
        "outages": [outage.as_json() for outage in outages(account, date)],
    }


def _state(*, up: bool | None) -> str:
    return "unknown" if up is None else "up" if up else "down"


def sentence(account: Account) -> str:
    """Return how the budget stands, for people: what is left first, then what was kept."""
    left, whole = account.budget_remaining / 1000, account.terms.budget / 1000
    if left < 0:
        budget = f"BROKEN: {spell(-left)} over the {spell(whole)} of downtime allowed in {_window(account)}"
    else:
        budget = f"{spell(left)} of {spell(whole)} of downtime left in {_window(account)}"
    parts = [budget]
    if account.availability is not None:
        parts.append(
            f"{_kept(account.availability)} kept of {account.terms.objective * 100:g}\u00a0% promised"
        )
    if account.unknown >= SECOND:
        parts.append(f"{spell(account.unknown / 1000)} unknown")
    return "; ".join(parts)


def _window(account: Account) -> str:
    seconds = account.terms.window / 1000
    return f"{seconds / DAY:g}\u00a0days" if seconds > DAY else f"{seconds / HOUR:g}\u00a0hours"


def _kept(ratio: float) -> str:
    """Return an availability to a thousandth of a percent, never rounded up."""
    return f"{int(ratio * 100_000 + 1e-9) / 1000:.3f}\u00a0%"


def section(accounts: Collection[Account], date: Date, now: float) -> Html:
    """Return the promises with their last outages, as a part of the page; nothing without promises.

    Args:
        accounts: Those that are about no single target; a target's own stands with it.
        date: From ledger time.
        now: Unix time.

    """
    if not accounts:
        return Html("")
    rows = [element("div", element("dt", a.name), element("dd", sentence(a))) for a in accounts]
    budgets = (element("h2", "Promises"), element("dl", *rows))
    return element("section", *budgets, *_table(accounts, date, now), class_="promises")


def _table(accounts: Collection[Account], date: Date, now: float) -> Iterator[Html]:
    found = sorted((o for a in accounts for o in outages(a, date)), key=lambda o: -o.begin)[:OUTAGES]
    if not found:
        return
    several = len(accounts) > 1
    yield element("h3", "Last outages")
    yield element(
        "ul", *(_row(outage, now, named=several) for outage in found), class_="outages", role="list"
    )


def _row(outage: Outage, now: float, *, named: bool) -> Html:
    begin = element("time", moment(outage.begin, now), datetime=iso(outage.begin))
    # What goes on is accounted for a beat later; the verdict holds all the same, and the target's card says so.
    seconds = outage.seconds if outage.over else max(outage.seconds, now - outage.begin)
    lasted = join([spell(seconds), "" if outage.over else ", going on"])
    whose = f"{outage.promise}: " if named else ""
    return element("li", begin, ", for ", element("b", lasted), " · ", whose, element("bdi", outage.reason))
