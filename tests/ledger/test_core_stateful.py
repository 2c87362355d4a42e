"""The pure core against a model that holds every second, through whatever may happen to an exporter."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ledger.model import Model, Promise
from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.core import Ledger
from uptime_exporter.ledger.span import EXPORTER_DOWN, NOT_WATCHED, Span, State

START = 1_700_000_000
TARGETS = ("ada", "bob", "cyd", "dan", "eve", "flo")
BEATS = (2, 6, 10, 30)  # even, so that 2.5 of them are whole seconds

Offer = tuple[tuple[str, ...], int, float]

windows = st.sampled_from([7, 60, 61, 300, 3600])
several = st.lists(st.sampled_from(TARGETS), min_size=1, max_size=len(TARGETS), unique=True).map(tuple)
offers = st.dictionaries(
    st.sampled_from(["system", "half", "ada", "bob"]),
    st.tuples(several, windows, st.sampled_from([0.5, 0.9, 0.999, 1.0])),
    max_size=4,
)
beats = st.dictionaries(st.sampled_from(TARGETS), st.sampled_from(BEATS))
verdicts = st.one_of(
    st.just((State.UP, "")),
    st.tuples(st.just(State.DOWN), st.sampled_from(["timeout", "connect"])),
    st.tuples(st.just(State.UNKNOWN), st.sampled_from(["resolver", "starved"])),
)


class Kept:
    """What a store would hold of one promise."""

    def __init__(self, born: int) -> None:
        self.born = born
        self.settled = born
        self.totals: dict[State, int] = {}
        self.last: Span | None = None
        self.past: list[Span] = []

    def write(self, account: Account) -> None:
        self.past += account.take_closed()
        self.settled, self.totals, self.last = account.settled, account.totals, account.open

    def read(self, name: str, terms: Terms) -> Account:
        account = Account(name, terms, self.born)
        account.restore(self.settled, self.totals, self.last, self.past)
        return account


class Watched(RuleBasedStateMachine):
    """Whatever happens, every second is what the definition says, and stays so."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.ledger = Ledger()
        self.model = Model()
        self.kept: dict[str, Kept] = {}
        self.before: dict[str, dict[State, int]] = {}

    @initialize(offers=offers, beats=beats)
    def begin(self, offers: dict[str, Offer], beats: dict[str, int]) -> None:
        """Start with some promises."""
        self.reload(offers, beats)

    @rule(seconds=st.one_of(st.integers(1, 12), st.integers(13, 400)))
    def wait(self, seconds: int) -> None:
        """Let time go by, with nobody looking."""
        self.now += seconds

    @rule(
        name=st.sampled_from(TARGETS),
        ago=st.one_of(st.integers(0, 5), st.integers(0, 90)),
        beat=st.sampled_from(BEATS),
        verdict=verdicts,
    )
    def probe(self, name: str, ago: int, beat: int, verdict: tuple[State, str]) -> None:
        """Let one target's probe answer, be it late."""
        began = self.now - ago
        self.ledger.record(name, began * 1000, beat * 1000, *verdict)
        self.model.record(name, began, beat, *verdict)

    @rule(
        beat=st.sampled_from(BEATS), answers=st.lists(verdicts, min_size=len(TARGETS), max_size=len(TARGETS))
    )
    def probe_all(self, beat: int, answers: list[tuple[State, str]]) -> None:
        """Let all probes of a beat begin at the same instant."""
        for target, verdict in zip(TARGETS, answers, strict=True):
            self.probe(target, 0, beat, verdict)

    @rule(
        beat=st.sampled_from(BEATS),
        answers=st.lists(st.tuples(st.sampled_from(TARGETS[:3]), verdicts), min_size=3, max_size=20),
    )
    def live(self, beat: int, answers: list[tuple[str, tuple[State, str]]]) -> None:
        """Keep the beat for a while."""
        for target, verdict in answers:
            self.now += beat // 2
            self.probe(target, 1, beat, verdict)
            self.settle()

    @rule()
    def settle(self) -> None:
        """Settle what no news can change; a second time changes nothing."""
        for _ in range(2):
            self.ledger.settle(self.now * 1000)
            self.model.settle(self.now)
            self.compare()

    @rule()
    def close(self) -> None:
        """Settle everything."""
        for _ in range(2):
            self.ledger.close(self.now * 1000)
            self.model.close(self.now)
            self.compare()

    @rule(offers=offers, beats=beats)
    def reload(self, offers: dict[str, Offer], beats: dict[str, int]) -> None:
        """Promise other things."""
        leaving = self.ledger.accounts
        windows = {name: account.terms.window for name, account in leaving.items()}
        self.ledger.close(self.now * 1000)
        self.write()
        wanted = {name: terms(offer) for name, offer in offers.items()}
        back = [
            self.kept[name].read(name, wanted[name])
            for name in wanted
            if name in self.kept and name not in leaving
        ]
        for account in back:
            account.add(self.now * 1000, State.UNKNOWN, NOT_WATCHED)
        self.ledger.apply(wanted, self.now * 1000, back, {name: 1000 * beat for name, beat in beats.items()})
        self.write()
        for name, account in self.ledger.accounts.items():
            if account.terms.window != windows.get(name, account.terms.window):
                account.rewind(self.kept[name].past)
        self.model.apply(offers, self.now, beats)
        self.compare()

    @rule(seconds=st.integers(0, 600), last=st.sampled_from(["close", "settle"]))
    def restart(self, seconds: int, last: str) -> None:
        """Die, in order or not, and come back later."""
        self.close() if last == "close" else self.settle()
        self.now += seconds
        accounts = [
            self.kept[name].read(name, account.terms) for name, account in self.ledger.accounts.items()
        ]
        for account in accounts:
            account.add(self.now * 1000, State.UNKNOWN, EXPORTER_DOWN)
        self.ledger = Ledger()
        self.ledger.apply({account.name: account.terms for account in accounts}, self.now * 1000, accounts)
        self.model.restart(self.now)
        self.compare()

    def compare(self) -> None:
        """Hold every figure of every account against the model's."""
        self.write()
        assert self.ledger.accounts.keys() == self.model.promises.keys()
        for name, account in self.ledger.accounts.items():
            check(account, self.kept[name].past, self.model.promises[name])
            assert all(account.totals[state] >= past for state, past in self.before.get(name, {}).items())
            self.before[name] = account.totals

    def write(self) -> None:
        """Make it last, as a store would."""
        for name, account in self.ledger.accounts.items():
            self.kept.setdefault(name, Kept(account.born)).write(account)


def terms(offer: Offer) -> Terms:
    """Return what was offered, in milliseconds."""
    targets, window, objective = offer
    return Terms(targets, objective, window * 1000)


def check(account: Account, past: list[Span], promise: Promise) -> None:
    """Compare one account, to the second and exactly."""
    assert account.settled == promise.settled * 1000
    assert account.totals == {state: 1000 * seconds for state, seconds in promise.totals.items()}
    assert sum(account.totals.values()) == account.settled - account.born
    assert [*past, *([account.open] if account.open else [])] == promise.spans
    assert account.elapsed == 1000 * promise.elapsed
    up, down, unknown = (promise.within(state) for state in State)
    assert (account.up, account.down, account.unknown) == (1000 * up, 1000 * down, 1000 * unknown)
    assert account.availability == (up / (up + down) if up + down else None)
    assert account.coverage == ((up + down) / promise.elapsed if promise.elapsed else None)
    budget = (1 - promise.objective) * promise.window
    assert account.budget_remaining == pytest.approx(1000 * (budget - down), abs=1)


TestWatched = Watched.TestCase
TestWatched.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
