"""The page, which holds what it wrote before, beside the client library's rendering, which holds nothing."""

import gzip
from collections.abc import Callable, Sequence
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.configured import made
from support.loop import FakeClock
from support.published import Situation
from support.stock import Stock
from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.span import Span, State
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.monitor import Watch
from uptime_exporter.outcome import OwnFault, Reason, Seen
from uptime_exporter.settings import HttpTarget, MysqlTarget, Target, TcpTarget

ACCEPTED = [
    "",
    "*/*",
    "text/plain; version=0.0.4",
    "application/openmetrics-text",
    "application/openmetrics-text; version=1.0.0",
    "application/openmetrics-text; version=0.0.1, text/plain; version=0.0.4",
    *(
        f"{kind}; version={version}; escaping={escaping}"
        for kind, version in (
            ("text/plain", "1.0.0"),
            ("application/openmetrics-text", "1.0.0"),
            ("application/openmetrics-text", "2.0.0"),
        )
        for escaping in ("underscores", "allow-utf-8", "dots", "values", "of its own")
    ),
]

TARGETS: Sequence[Target] = (
    HttpTarget(url="https://a.test/health?key=hidden", interval=30),
    made(HttpTarget, url="http://b.test:8000/%7B0%7D%s", interval=86_400),
    MysqlTarget(host="::1"),
    TcpTarget(host="d.test", port=6379),
)
NAMES = ("model_server", "mysql", "new", "é-名")

Step = Callable[[Situation], None]

names = st.sampled_from(NAMES)
numbers = st.one_of(
    st.floats(min_value=0, allow_infinity=False),
    st.sampled_from([0.0, 0.1, 999_999.0, 999_999.5, 1e6, 1_234_567.25, 1e16, 1e21, 1e-7, inf, nan]),
    st.sampled_from([999_999_999.5, 1e9, 1_767_225_600.0, 1_767_225_600.125, 9_999_999_999.999, 1e10]),
    st.floats(1e9, 1e10),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(
    ['"', "\\n", "\n", "\0000\0", "\0", "%s", "%", "{0}", "{", "ÿ0", "\x85", "\u2028"]
)
seen = st.builds(
    Seen,
    degraded=st.booleans(),
    models=st.dictionaries(texts, st.booleans(), max_size=3),
    certificate_expires=st.none() | numbers,
)
reasons = st.one_of(st.none(), st.sampled_from(Reason), st.sampled_from(OwnFault))


def watch(name: str, target: Target) -> Step:
    def step(now: Situation) -> None:
        if name in now.watches:
            now.watches[name].adopt(target)
        else:
            now.watch(name, target)

    return step


def leave(name: str) -> Step:
    def step(now: Situation) -> None:
        now.watches.pop(name, None)

    return step


def happen(
    name: str, reason: Reason | OwnFault | None, seconds: float, phases: dict[str, float], seen: Seen
) -> Step:
    def step(now: Situation) -> None:
        if name in now.watches:
            now.happen(name, reason, seconds=seconds, phases=phases, seen=seen)

    return step


def probe_often(name: str, seconds: float) -> Step:
    def step(now: Situation) -> None:
        for _ in range(120 if name in now.watches else 0):
            now.happen(name, None, seconds=seconds)

    return step


def reset(name: str) -> Step:
    def step(now: Situation) -> None:
        if name in now.watches:
            now.watches[name].circuit.reset()

    return step


def call_a_million(name: str) -> Step:
    """Count what years of probes count up to."""

    def step(now: Situation) -> None:
        if name in now.watches:
            watched = now.watches[name]
            watched.probes += 1_000_000
            watched.durations._counts[2] += 1_000_000
            watched.changes += 1

    return step


def promise(name: str, targets: Sequence[str], objective: float) -> Step:
    def step(now: Situation) -> None:
        terms = Terms(tuple(targets), objective)
        if name in now.accounts:
            now.accounts[name].terms = terms
        else:
            now.accounts[name] = Account(name, terms, born=0)

    return step


def settle(name: str, millis: int, state: State) -> Step:
    def step(now: Situation) -> None:
        if name in now.accounts:
            account = now.accounts[name]
            account.add(account.settled + millis, state)

    return step


def forget(name: str) -> Step:
    return lambda now: now.accounts[name].rewind([]) if name in now.accounts else None


def commit(now: Situation) -> None:
    now.commit()


def wait(seconds: float) -> Step:
    return lambda now: now.clock.pass_time(seconds)


steps = st.one_of(
    st.builds(watch, names, st.sampled_from(TARGETS)),
    st.builds(leave, names),
    st.builds(
        happen,
        names,
        reasons,
        numbers,
        st.dictionaries(st.sampled_from(["resolve", "connect", "tls"]), numbers, max_size=3),
        seen,
    ),
    st.builds(probe_often, names, numbers),
    st.builds(reset, names),
    st.builds(call_a_million, names),
    st.builds(promise, names, st.lists(names, max_size=3, unique=True), st.floats(0.5, 1.0)),
    st.builds(settle, names, st.integers(0, 10**11), st.sampled_from(State)),
    st.builds(forget, names),
    st.just(commit),
    st.builds(wait, st.floats(0, 100)),
)


def exposition(situation: Situation) -> Exposition:
    return Exposition(situation, situation, Reloads(successful=True, at=1_767_225_600.0), process=False)


@given(st.lists(st.tuples(st.lists(steps, max_size=4), st.sampled_from(ACCEPTED)), max_size=8))
def test_whatever_happens_the_page_is_what_the_client_library_would_write(
    story: list[tuple[list[Step], str]],
) -> None:
    """After each change, in each format that is asked for, byte by byte."""
    situation = Situation(FakeClock())
    for name, target in zip(NAMES[:2], TARGETS, strict=False):
        situation.watch(name, target)
        situation.accounts[name] = Account(name, Terms((name,)), born=0)
    page = exposition(situation)
    stock = Stock(page)
    for changes, accept in story:
        for change in changes:
            change(situation)
        assert page.render(accept) == stock.render(accept)


@pytest.mark.parametrize("accept", ACCEPTED)
async def test_every_way_of_asking_gets_the_same_page(accept: str) -> None:
    """At once or in parts, plain or compressed, it is what the client library would have sent."""
    situation = Situation(FakeClock())
    for name, target in zip(NAMES, TARGETS, strict=True):
        situation.watch(name, target)
        situation.accounts[name] = Account(name, Terms(tuple(situation.watches)), born=0)
        situation.accounts[name].add(10_000, State.DOWN)
        situation.happen(name, None, phases={"connect": 0.00012}, seen=Seen(models={'"%s"\n': True}))
    page = exposition(situation)
    body, content_type = Stock(page).render(accept)

    assert page.render(accept) == (body, content_type)
    parts, served_as = await page.serve(accept)
    assert (b"".join(parts), served_as) == (body, content_type)
    packed, served_as = await page.serve(accept, gzip=True)
    assert (gzip.decompress(b"".join(packed)), served_as) == (body, content_type)


def open_circuit(now: Situation) -> None:
    for _ in range(5):
        now.happen("mysql", Reason.QUERY)


def wait_until_a_trial(now: Situation) -> None:
    now.clock.pass_time(60)
    now.watches["mysql"].circuit.beat()


def come_back_elsewhere(now: Situation) -> None:
    now.watches["mysql"] = Watch("mysql", TARGETS[0], now.clock)


def account_for_more(now: Situation) -> None:
    now.commit()
    now.accounts["mysql"].add(200_000, State.DOWN)
    exposition(now).render("")


def lose_what_is_past(now: Situation) -> None:
    now.accounts["mysql"].rewind([Span(0, 1000, State.DOWN)])


@pytest.mark.parametrize(
    ("before", "change"),
    [
        (open_circuit, reset("mysql")),
        (open_circuit, wait_until_a_trial),
        (wait(0), come_back_elsewhere),
        (settle("mysql", 100_000, State.UP), lose_what_is_past),
        (account_for_more, commit),
        (wait(0), watch("mysql", TARGETS[0])),
        (wait(0), watch("another", TARGETS[0])),
        (wait(0), leave("mysql")),
    ],
)
def test_what_happens_without_a_probe_is_seen_too(before: Step, change: Step) -> None:
    """An operator, the settings or the time that passes may change what is said."""
    situation = Situation(FakeClock())
    situation.watch("mysql", TARGETS[2])
    situation.accounts["mysql"] = Account("mysql", Terms(("mysql", "another")), born=0)
    before(situation)
    page = exposition(situation)
    former, _ = page.render("")
    change(situation)

    assert page.render("")[0] != former
    assert page.render("") == Stock(page).render("")


def answers(*reasons: Reason | OwnFault | None, interval: float = 30.0, **seen: Any) -> Step:
    def step(now: Situation) -> None:
        for reason in reasons:
            now.happen("mysql", reason, interval=interval, seen=Seen(**seen))

    return step


@pytest.mark.parametrize(
    ("before", "change"),
    [
        (answers(None, models={"a": True}), answers(None, models={"a": False})),
        (answers(None), answers(None, degraded=True)),
        (answers(None, degraded=True), answers(None)),
        (answers(None, certificate_expires=1.0), answers(None, certificate_expires=2.0)),
        (answers(Reason.QUERY, None), answers(None)),
        (answers(Reason.QUERY, *[None] * 99), answers(None)),
        (answers(None, *[OwnFault.NETWORK] * 100, interval=86_400), answers(None)),
    ],
)
def test_what_another_good_answer_changes_is_seen(before: Step, change: Step) -> None:
    """Most of them change nothing but counts and times; a page is written anew where one does."""
    situation = Situation(FakeClock())
    situation.watch("mysql", TARGETS[2])
    before(situation)
    page = exposition(situation)
    page.render("")
    change(situation)

    assert page.render("") == Stock(page).render("")


def test_half_a_surrogate_pair_does_not_cost_the_page() -> None:
    """A target may call its models what it likes; the client library would answer with an error."""
    situation = Situation(FakeClock())
    situation.watch("mysql", TARGETS[0])
    situation.happen("mysql", None, seen=Seen(models={"a\ud800b": True}))

    assert b'uptime_model_loaded{model="a?b",target="mysql"} 1.0\n' in exposition(situation).render("")[0]
