"""One target on the page."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from uptime_exporter.html import Html, element, join
from uptime_exporter.monitor import Circuit, Watch
from uptime_exporter.outcome import AppSeen, Outcome, OwnFault
from uptime_exporter.web.answers import State, state_of
from uptime_exporter.web.icons import icon
from uptime_exporter.web.strip import strip
from uptime_exporter.words import DAY, count, iso, moment, percent, spell, stopwatch

WORDS: dict[State, str] = {"up": "UP", "degraded": "DEGRADED", "down": "DOWN", "unknown": "UNKNOWN"}

MODELS_NAMED = 12
"""Model names in a list; more are counted."""

LONGEST = 240
"""Characters of a foreign sentence."""

SOON = 14
"""Days before its end from which a certificate stands out."""

Fact = tuple[str, str]

Seen = TypeVar("Seen")


def card(watch: Watch, *, now: float, budget: str | None) -> Html:
    """Return everything that is known of one target; one that is well keeps its details folded.

    Args:
        watch: The target.
        now: Unix time.
        budget: How its promise stands, in one sentence.

    """
    state = state_of(watch)
    ratio = watch.success_ratio
    facts = list(_facts(watch, now, ratio, budget))
    return element(
        "li",
        element(
            "div",
            element("h3", watch.name),
            element("p", icon(state), WORDS[state], class_="state"),
            class_="head",
        ),
        _since(watch, now),
        *(element("p", sentence, class_=css) for css, sentence in _why(watch, state, now)),
        strip(watch.history),
        _folded(watch, facts, now, ratio) if state == "up" else _list(facts),
        class_=f"card {state}",
    )


def time(unix: float, now: float) -> Html:
    """Return a moment, for people and for machines."""
    return element("time", moment(unix, now), datetime=iso(unix))


def quoted(sentence: str, longest: int = LONGEST) -> Html:
    """Return a foreign sentence, kept apart from ours and cut where it goes on for too long."""
    return element("bdi", sentence if len(sentence) <= longest else f"{sentence[: longest - 1].rstrip()}…")


def cause(outcome: Outcome, longest: int = LONGEST) -> Html:
    """Return why an outcome is not "up": the reason, and its detail in words."""
    word = element("b", "" if outcome.reason is None else outcome.reason.value.replace("_", " "))
    if not outcome.detail:
        return word
    return join([word, ": ", quoted(outcome.detail, longest)])


def since(watch: Watch) -> float:
    """Return the Unix time since which a target has been what it is now, degraded included."""
    degraded = watch.degraded_since
    return watch.since if degraded is None else degraded


def _since(watch: Watch, now: float) -> Html:
    if watch.latest is None:
        return element("p", "waiting for its first check", class_="since")
    begun = since(watch)
    return element("p", f"for {spell(now - begun)}, since ", time(begun, now), class_="since")


def _why(watch: Watch, state: State, now: float) -> Iterator[tuple[str, Html]]:
    """Yield what somebody should read without unfolding anything, each with its class."""
    known, latest = watch.known, watch.latest
    if known is not None and state == "down":
        yield "why", cause(known)
    if known is not None and known.seen.message and state != "up":
        yield "said", join(["it says: ", quoted(known.seen.message)])
    if latest is not None and isinstance(latest.reason, OwnFault):
        yield "said", join(["latest check inconclusive, a fault on our side: ", cause(latest)])
    if state == "up":
        yield from _cautions(watch, now)


def _cautions(watch: Watch, now: float) -> Iterator[tuple[str, Html]]:
    if watch.circuit.state.name != "closed":
        yield "said", join(["breaker ", breaker(watch.circuit, now)])
    if watch.certificate_expires is not None and watch.certificate_expires - now < SOON * DAY:
        yield "said", join(["certificate: ", certificate(watch.certificate_expires, now)])
    if not all(watch.models.values()):
        yield "said", join(["models: ", models(watch.models)])


def _folded(watch: Watch, facts: list[Fact], now: float, ratio: float | None) -> Html:
    latest = watch.latest
    parts = [] if ratio is None else [f"{percent(ratio)} up"]
    if latest is not None:
        parts += [stopwatch(latest.seconds), f"{spell(now - latest.at)} ago"]
    return element("details", element("summary", " · ".join(parts)), _list(facts))


def _list(facts: list[Fact]) -> Html:
    rows = [element("div", element("dt", term), element("dd", fact)) for term, fact in facts]
    return element("dl", *rows)


def _facts(watch: Watch, now: float, ratio: float | None, budget: str | None) -> Iterator[Fact]:
    if budget is not None:
        yield "Budget", budget
    if ratio is not None:
        yield "Checks", f"{percent(ratio)} of the last {len(watch.history)} up"
    if watch.latest is not None:
        yield "Latest", _latest(watch.latest, now)
    yield "Breaker", breaker(watch.circuit, now)
    if watch.certificate_expires is not None:
        yield "Certificate", certificate(watch.certificate_expires, now)
    if watch.models:
        yield "Models", models(watch.models)
    if watch.told is not None:
        yield from _told(watch.told)
    settings = watch.settings
    every = element("small", f"{settings.kind}, every {spell(settings.interval)}")
    yield "Address", join([settings.address, every])


def _told(application: AppSeen) -> Iterator[Fact]:
    """Yield what an application says of itself."""
    if application.circuits:
        yield "Its circuits", _well(application.circuits, lambda c: c.state == "closed", "closed")
    if application.checks:
        yield "Its checks", _well(application.checks, lambda c: c.healthy is True, "well")
    if application.in_flight is not None:
        now = "shutting down, " if application.shutting_down else ""
        yield "Its requests", f"{now}{application.in_flight} in flight"
    if application.lost:
        yield "Left out", join([quoted(each) for each in application.lost], "; ")


def _well(each: Mapping[str, Seen], is_well: Callable[[Seen], bool], word: str) -> Html:
    """Return how many are well, and which are not."""
    ill = [name for name, one in each.items() if not is_well(one)]
    head = f"{len(each) - len(ill)} of {len(each)} {word}"
    return join([head, ", ", element("strong", "not: ", _names(ill))]) if ill else join([head])


def _latest(latest: Outcome, now: float) -> Html:
    attempts = f", {count(latest.attempts, 'attempt')}" if latest.attempts != 1 else ""
    head = f"{stopwatch(latest.seconds)}{attempts}, {spell(now - latest.at)} ago"
    phases = [f"{name}\u00a0{stopwatch(seconds)}" for name, seconds in latest.phases.items()]
    return join([head, element("small", " · ".join(phases))]) if phases else join([head])


def breaker(circuit: Circuit, now: float) -> Html:
    """Return what a caller would meet, and when that changes."""
    state = element("strong", circuit.state.name.replace("_", "-"))
    match circuit.state.name:
        case "closed" if circuit.failures:
            return join(["closed, ", f"{circuit.failures} of {circuit.policy.threshold} failures in a row"])
        case "closed":
            return join(["closed"])
        case "open" if circuit.retry_in:
            return join(
                [state, f" for {spell(now - circuit.since)}, tries again in {spell(circuit.retry_in)}"]
            )
        case "open":
            return join([state, f" for {spell(now - circuit.since)}, tries again at the next check"])
        case _:
            return join([state, ", the next check decides"])


def certificate(expires: float, now: float) -> Html:
    """Return how long the certificate is still good."""
    days = int((expires - now) // DAY)
    when = time(expires, now)
    if expires <= now:
        return join([element("strong", f"expired {spell(now - expires)} ago"), ", ", when])
    left = f"{count(days, 'day')} left"
    return join([element("strong", left) if days < SOON else left, ", until ", when])


def models(loaded: Mapping[str, bool]) -> Html:
    """Return how many models are there and which are not."""
    missing = [name for name, there in loaded.items() if not there]
    present = [name for name, there in loaded.items() if there]
    head = f"{len(present)} of {len(loaded)} loaded"
    if missing:
        return join([head, ", ", element("strong", "missing: ", _names(missing))])
    return join([head, element("small", _names(present))])


def _names(names: list[str]) -> Html:
    named = [quoted(name, 60) for name in names[:MODELS_NAMED]]
    more = len(names) - len(named)
    return join([join(named, ", "), f" and {more} more" if more else ""])
