"""The page for people: what is down, since when and why, at a glance and without a script."""

import asyncio
import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files

from uptime_exporter import __version__
from uptime_exporter.html import Html, element, join
from uptime_exporter.ledger.account import Account
from uptime_exporter.monitor import Watch
from uptime_exporter.web import promises
from uptime_exporter.web.answers import State, ailment, state_of
from uptime_exporter.web.backend import Backend
from uptime_exporter.web.card import card, cause, quoted, since, time
from uptime_exporter.web.icons import definitions, favicon, icon
from uptime_exporter.words import count, spell

REFRESH = 30
"""Seconds."""

STYLE = Html(files(__package__).joinpath("page.css").read_text(encoding="utf-8"))

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

ORDER: tuple[State, ...] = ("down", "degraded", "unknown", "up")
"""What needs somebody comes first."""

HEADLINE = 120
"""Characters of a foreign sentence in it."""

AT_A_TIME = 20
"""Targets between which other tasks get their turn."""

NOTHING = Html("")

NAMED = 3
"""Targets that the headline names; more are counted."""


async def render_page(backend: Backend) -> str:
    """Return the whole page as it is now.

    Many targets are rendered a few at a time, so that no probe is late for it; what is said of all of them
    together is said at one instant, before that.
    """
    now = backend.clock.wall()
    watches = sorted(backend.monitor.watches.values(), key=lambda watch: ORDER.index(state_of(watch)))
    state = state_of(watches[0]) if watches else "unknown"
    accounts = backend.ledger.accounts
    whole = [account for name, account in accounts.items() if name not in backend.monitor.watches]
    head, tally = _head(watches, state), _tally(watches)
    glance = [*_banners(backend), _headline(watches, state, now)]
    glance.append(promises.section(whole, backend.ledger.timeline.unix, now))
    main = element("main", *glance, _targets(tally, await _cards(watches, accounts, now)))
    body = element("body", definitions(), _header(now), main, _footer())
    return "<!doctype html>\n" + element("html", head, body, lang="en")


async def _cards(watches: Iterable[Watch], accounts: Mapping[str, Account], now: float) -> list[Html]:
    cards: list[Html] = []
    for watch in watches:
        account = accounts.get(watch.name)
        cards.append(card(watch, now=now, budget=None if account is None else promises.sentence(account)))
        if len(cards) % AT_A_TIME == 0:
            await asyncio.sleep(0)
    return cards


def _head(watches: Sequence[Watch], state: State) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="refresh", content=str(REFRESH)),
        element("title", f"{_claim(watches, state)} · uptime"),
        element("link", rel="icon", href=favicon(state)),
        element("style", STYLE),
    )


def _header(now: float) -> Html:
    when = element("p", "as of ", time(now, now))
    return element("header", element("p", "uptime-exporter", class_="brand"), when)


def _banners(backend: Backend) -> Iterator[Html]:
    if ailing := ailment(backend):
        word, sentence = ailing
        active = backend.drain.active_requests
        rest = (
            f"{count(active, 'request')} still in flight"
            if word == "draining"
            else "what stands here may be out of date"
        )
        yield _banner(f"{sentence[0].upper()}{sentence[1:]}: {rest}.")
    if trouble := backend.ledger.trouble:
        yield _banner(f"The ledger cannot be written: {trouble}")
    if backend.monitor.everything_down:
        yield _banner("Every target fails at once: look at this machine's own network first.")


def _banner(sentence: str) -> Html:
    return element("p", icon("degraded"), element("span", sentence), class_="banner", role="status")


def _headline(watches: Sequence[Watch], state: State, now: float) -> Html:
    concerned = [watch for watch in watches if state_of(watch) == state]
    because = _because(concerned, state, now)
    return element(
        "section",
        element(
            "h1",
            icon(state),
            element("span", _claim(watches, state), ": " if because else "", class_="claim"),
            element("span", because, class_="because") if because else "",
        ),
        class_=f"headline {state}",
    )


def _claim(watches: Sequence[Watch], state: State) -> str:
    total, number = len(watches), sum(state_of(watch) == state for watch in watches)
    match state:
        case "unknown" if not total:
            return "No targets are set"
        case "unknown":
            return f"Nothing is known of {_of(number, total, 'any target')}"
        case "down":
            return f"{_are(number, total)} DOWN"
        case _:
            return f"{_are(number, total)} {state}"


def _of(number: int, total: int, all_of_them: str) -> str:
    if total == 1:
        return "the target"
    return all_of_them if number == total else f"{number} of {total} targets"


def _are(number: int, total: int) -> str:
    who = _of(number, total, f"all {total} targets")
    return f"{who[0].upper()}{who[1:]} {'is' if number == 1 else 'are'}"


def _because(concerned: Sequence[Watch], state: State, now: float) -> Html | None:
    if state == "up" or not concerned:
        return None
    if len(concerned) == 1:
        return _one(concerned[0], state, now)
    if all(watch.latest is None for watch in concerned):
        return join(["waiting for the first checks"])
    named = [join([watch.name, " (", _briefly(watch, now), ")"]) for watch in concerned[:NAMED]]
    more = len(concerned) - len(named)
    return join([join(named, ", "), f" and {more} more" if more else ""])


def _one(watch: Watch, state: State, now: float) -> Html:
    told = watch.known or watch.latest
    if told is None:
        return join([watch.name, ", waiting for its first check"])
    begun = since(watch)
    start = [watch.name, f", for {spell(now - begun)}, since ", time(begun, now)]
    if state == "degraded":
        return join([*start, ": ", quoted(told.seen.message, HEADLINE)] if told.seen.message else start)
    return join([*start, ": ", cause(told, HEADLINE)] if told.reason else start)


def _briefly(watch: Watch, now: float) -> str:
    told = watch.known or watch.latest
    if told is None:
        return "waiting for its first check"
    reason = f"{told.reason.value.replace('_', ' ')}, " if told.reason else ""
    return f"{reason}for {spell(now - since(watch))}"


def _tally(watches: Sequence[Watch]) -> Html:
    numbers = Counter(state_of(watch) for watch in watches)
    if len(numbers) < 2:  # noqa: PLR2004 - the headline has said it
        return NOTHING
    return element(
        "ul", *(element("li", icon(s), f"{numbers[s]} {s}") for s in ORDER if numbers[s]), class_="tally"
    )


def _targets(tally: Html, cards: Sequence[Html]) -> Html:
    head = element("div", element("h2", "Targets"), tally, class_="row")
    return element("section", head, element("ul", *cards, class_="cards", role="list")) if cards else NOTHING


def _footer() -> Html:
    links = {"metrics": "Metrics", "reliability": "Reliability (JSON)", "health": "Health (JSON)"}
    return element(
        "footer",
        element(
            "p", "Bars: the last 100 checks, newest at the right; the higher a bar, the worse the check."
        ),
        element("nav", *(element("a", label, href=path) for path, label in links.items()), aria_label="Data"),
        element("p", f"uptime-exporter {__version__} · renews itself every {REFRESH} s"),
    )
