"""The ledger once more, by brute force: what every second was, in plain lists.

Written from the definition, not from the code; slow, and with nothing kept as it goes. All times in whole seconds.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from uptime_exporter.ledger.span import EXPORTER_DOWN, NOT_ASKED, NOT_WATCHED, Span, State

Second = tuple[State, str]
"""What a second was, and why."""

NEVER_ASKED: Second = (State.UNKNOWN, NOT_ASKED)


@dataclass(frozen=True)
class Probe:
    """What became of a probe."""

    began: int
    counts_from: int
    interval: int
    state: State
    reason: str

    @property
    def verdict(self) -> bool:
        return self.state is not State.UNKNOWN


@dataclass
class Target:
    """Every second of a target, from when it was first watched up to where nothing changes any more."""

    first: int
    beat: int = 0
    seconds: list[Second] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)

    @property
    def settled(self) -> int:
        return self.first + len(self.seconds)

    def settle(self, to: int) -> None:
        while self.settled < to:
            self.seconds.append(self.at(self.settled))

    def at(self, second: int) -> Second:
        """The latest verdict, for 2.5 beats; then unknown, by the fault of the latest probe if it had one."""
        begun = [probe for probe in self.probes if probe.counts_from <= second]
        verdicts = [probe for probe in begun if probe.verdict]
        if verdicts and second < verdicts[-1].began + 2.5 * verdicts[-1].interval:
            return verdicts[-1].state, verdicts[-1].reason
        if begun and not begun[-1].verdict:
            return State.UNKNOWN, begun[-1].reason
        return NEVER_ASKED

    def record(self, began: int, interval: int, state: State, reason: str) -> None:
        """Settled up to the start of its latest probe; a probe that was overtaken by a later one is no news."""
        if self.probes and began < self.probes[-1].began:
            return
        self.beat = interval
        self.settle(began)
        self.probes.append(Probe(began, self.settled, interval, state, reason))


@dataclass
class Promise:
    """Every second of a promise since its account began."""

    targets: Sequence[str]
    window: int
    objective: float
    born: int
    seconds: list[Second] = field(default_factory=list)

    @property
    def settled(self) -> int:
        return self.born + len(self.seconds)

    def settle(self, to: int, targets: Mapping[str, Target]) -> None:
        for second in range(self.settled, to):
            states = {name: targets[name].seconds[second - targets[name].first] for name in self.targets}
            self.seconds.append(together(states))

    def fill(self, to: int, reason: str) -> None:
        while self.settled < to:
            self.seconds.append((State.UNKNOWN, reason))

    def within(self, state: State) -> int:
        return [known for known, _ in self.seconds[-self.window :]].count(state)

    @property
    def elapsed(self) -> int:
        return len(self.seconds[-self.window :])

    @property
    def totals(self) -> Mapping[State, int]:
        counted = Counter(state for state, _ in self.seconds)
        return {state: counted[state] for state in State}

    @property
    def spans(self) -> list[Span]:
        """As the ledger's, in milliseconds."""
        spans = []
        start = self.born
        for (state, reason), seconds in groupby(self.seconds):
            end = start + len(list(seconds))
            spans.append(Span(start * 1000, end * 1000, state, reason))
            start = end
        return spans


def together(states: Mapping[str, Second]) -> Second:
    """Down if one is down, unknown if none is down and one unknown, else up."""
    for worst in (State.DOWN, State.UNKNOWN):
        reasons = {name: reason for name, (state, reason) in sorted(states.items()) if state is worst}
        if reasons and len(states) == 1:
            return worst, next(iter(reasons.values()))
        if reasons:
            named = ", ".join(f"{name}: {reason}" for name, reason in list(reasons.items())[:3])
            return worst, named + (" and others" if len(reasons) > 3 else "")
    return State.UP, ""


@dataclass
class Model:
    """What the ledger should say."""

    targets: dict[str, Target] = field(default_factory=dict)
    promises: dict[str, Promise] = field(default_factory=dict)
    former: dict[str, Promise] = field(default_factory=dict)

    def record(self, target: str, began: int, interval: int, state: State, reason: str) -> None:
        if target in self.targets:
            self.targets[target].record(began, interval, state, reason)

    def settle(self, now: int) -> None:
        """Nothing that comes in later can have begun more than a beat ago."""
        for target in self.targets.values():
            target.settle(now - target.beat)
        self._settle_promises()

    def close(self, now: int) -> None:
        for target in self.targets.values():
            target.settle(now)
        self._settle_promises()

    def apply(
        self, promises: Mapping[str, tuple[Sequence[str], int, float]], now: int, beats: Mapping[str, int]
    ) -> None:
        """Settle what was, and begin anew with what is to be; whoever comes back was not watched meanwhile."""
        self.close(now)
        self.former |= self.promises
        self.promises = {
            name: self._promise(name, targets, window, objective, now)
            for name, (targets, window, objective) in promises.items()
        }
        self._watch({name for promise in self.promises.values() for name in promise.targets}, now, beats)

    def restart(self, now: int) -> None:
        """Nobody was there from the last settled second on; no verdict survives."""
        for promise in self.promises.values():
            promise.fill(now, EXPORTER_DOWN)
        self.targets = {name: Target(now) for name in self.targets}

    def _settle_promises(self) -> None:
        for promise in self.promises.values():
            promise.settle(min(self.targets[name].settled for name in promise.targets), self.targets)

    def _promise(self, name: str, targets: Sequence[str], window: int, objective: float, now: int) -> Promise:
        promise = self.former.pop(name, None) or Promise(targets, window, objective, now)
        promise.targets, promise.window, promise.objective = targets, window, objective
        promise.fill(now, NOT_WATCHED)
        return promise

    def _watch(self, names: Collection[str], now: int, beats: Mapping[str, int]) -> None:
        self.targets = {name: self.targets.get(name) or Target(now) for name in names}
        for name, target in self.targets.items():
            target.beat = beats.get(name, target.beat)
