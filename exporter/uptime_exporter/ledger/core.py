"""Outcomes in, seconds out: the state of every target and every promise as a step function of time.

A verdict holds from the start of its probe to the start of the next, at most 2.5 beats; then nobody knows. Late by
half a beat at both ends, so that the length of an outage is unbiased. A promise is broken while one of its targets
is down, unknown while none is down and one unknown. Nothing that is settled ever changes.
"""

from collections.abc import Collection, Iterable, Mapping
from heapq import heappop, heappush

from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.span import NOT_ASKED, Millis, State

HOLDS = 2.5
"""Beats for which a verdict stands."""

NAMED = 3
"""Targets that the reason of a promise names before it counts the others."""

Change = tuple[Millis, State, str]
"""From when on a target is in which state, and why."""


class _Track:
    """One target's state, settled up to the start of its latest probe."""

    def __init__(self, name: str, now: Millis) -> None:
        self.name = name
        self.settled = now
        self.interval: Millis = 0
        self._state = State.UNKNOWN
        self._reason = NOT_ASKED
        self._holds_until: Millis = now
        self._doubt = NOT_ASKED
        self.listeners: list[_Composite] = []

    def record(self, at: Millis, interval: Millis, state: State, reason: str) -> None:
        """Take in a probe that began at *at*; unknown means that it gave no verdict."""
        at = max(at, self.settled)
        self.settle(at)
        self.interval = interval
        if state is State.UNKNOWN:
            self._doubt = reason
            return
        self._doubt = NOT_ASKED
        self._holds_until = at + int(HOLDS * interval)
        self._enter(at, state, reason)

    def settle(self, to: Millis) -> None:
        """Let time pass up to *to* with no news."""
        if to <= self.settled:
            return
        if self._holds_until < to:
            self._enter(max(self._holds_until, self.settled), State.UNKNOWN, self._doubt)
        self.settled = to

    def tell(self, composite: "_Composite") -> None:
        """Have *composite* follow from now on."""
        self.listeners.append(composite)
        composite.follow(self.name, (self.settled, self._state, self._reason))

    def _enter(self, at: Millis, state: State, reason: str) -> None:
        if (state, reason) == (self._state, self._reason):
            return
        self._state, self._reason = state, reason
        for composite in self.listeners:
            composite.follow(self.name, (at, state, reason))


class _Composite:
    """Adds up the states of several targets into one account, a change at a time."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._alone = len(account.terms.targets) == 1
        self._coming: list[tuple[Millis, int, str, State, str]] = []
        self._arrived = 0
        self._not_up: dict[State, dict[str, str]] = {State.DOWN: {}, State.UNKNOWN: {}}

    def follow(self, target: str, change: Change) -> None:
        """Take in what is to happen to one of the targets."""
        at, state, reason = change
        self._arrived += 1  # of two changes in the same millisecond the later one counts
        heappush(self._coming, (at, self._arrived, target, state, reason))

    def settle(self, to: Millis) -> None:
        """Account for everything up to *to*; all changes before it must have come in."""
        while self._coming and self._coming[0][0] < to:
            at, _, target, state, reason = heappop(self._coming)
            self._pass(at)
            for others in self._not_up.values():
                others.pop(target, None)
            if state is not State.UP:
                self._not_up[state][target] = reason
        self._pass(to)

    def _pass(self, to: Millis) -> None:
        for state, targets in self._not_up.items():
            if targets:
                self.account.add(to, state, self._why(targets))
                return
        self.account.add(to, State.UP)

    def _why(self, targets: Mapping[str, str]) -> str:
        if self._alone:
            return next(iter(targets.values()))
        named = [f"{target}: {targets[target]}" for target in sorted(targets)[:NAMED]]
        more = len(targets) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


class Ledger:
    """The account of every promise.

    It knows no clock and no file: whoever calls it says what time it is, and makes `accounts` last.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._tracks: dict[str, _Track] = {}
        self._composites: dict[str, _Composite] = {}

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Promise → its account; those of the present terms."""
        return self._accounts

    def apply(self, promises: Mapping[str, Terms], now: Millis, known: Iterable[Account] = ()) -> None:
        """Account for these promises from *now* on.

        Promises that stay go on; under other targets or another window from now on, not backwards.

        Args:
            promises: Name → terms.
            now: What lies before is settled, by the verdicts that still hold.
            known: Accounts of promises that come back, settled up to *now*.

        """
        self.close(now)
        restored = {account.name: account for account in known}
        old, self._accounts = self._accounts, {}
        for name, terms in promises.items():
            account = old.get(name) or restored.get(name) or Account(name, terms, now)
            account.terms = terms
            self._accounts[name] = account
        self._follow(now)

    def record(self, target: str, at: Millis, interval: Millis, state: State, reason: str = "") -> None:
        """Take in what became of a probe.

        Args:
            target: Ignored if no promise is about it any more.
            at: When it began.
            interval: One beat.
            state: Unknown if it gave no verdict: the one before stands as long as it holds.
            reason: Why it is not up.

        """
        track = self._tracks.get(target)
        if track is not None:
            track.record(at, interval, state, reason)

    def settle(self, now: Millis) -> None:
        """Account for everything that no news can change any more.

        A probe lasts less than a beat, so nothing that comes in later can have begun more than a beat ago.
        """
        for track in self._tracks.values():
            track.settle(now - track.interval if track.interval else now)
        for composite in self._composites.values():
            composite.settle(self._settled(composite.account.terms.targets))

    def close(self, now: Millis) -> None:
        """Account for everything up to *now*, by the verdicts that still hold."""
        for track in self._tracks.values():
            track.settle(now)
        for composite in self._composites.values():
            composite.settle(now)

    def _settled(self, targets: Collection[str]) -> Millis:
        return min(self._tracks[target].settled for target in targets)

    def _follow(self, now: Millis) -> None:
        names = dict.fromkeys(
            target for account in self._accounts.values() for target in account.terms.targets
        )
        self._tracks = {name: self._tracks.get(name) or _Track(name, now) for name in names}
        for track in self._tracks.values():
            track.listeners.clear()
        self._composites = {name: _Composite(account) for name, account in self._accounts.items()}
        for composite in self._composites.values():
            for target in composite.account.terms.targets:
                self._tracks[target].tell(composite)
