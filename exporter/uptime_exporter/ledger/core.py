"""Outcomes in, seconds out: the state of every target and every promise as a step function of time.

A verdict holds from the start of its probe to the start of the next, at most 2.5 beats; then nobody knows. Late by
half a beat at both ends, so that the length of an outage is unbiased. A promise is broken while one of its targets
is down, unknown while none is down and one unknown. Nothing that is settled ever changes: an outcome that comes in
too late counts from where its target is settled.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Protocol

from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.span import NOT_ASKED, NOT_WATCHED, Millis, State
from uptime_exporter.outcome import HOLDS

NAMED = 3
"""Targets that the reason of a promise names; of the others it says only that there are some, so that it does not
change with every one of a thousand that fall one after the other."""

BITE = 512
"""Targets or promises that are settled at once: a tenth of a millisecond."""

UNCHANGED: Mapping[str, Millis] = {}
"""No target has another beat than before."""


class _Follower(Protocol):
    """Whoever wants to know of every change of a target, before it happens."""

    def follow(self, track: "_Track", at: Millis, state: State, reason: str) -> None:
        """Take in that *track* is to be in another state from *at* on."""

    def settle(self) -> None:
        """Account for everything up to where all that it follows is settled."""


class _Track:
    """One target's state, settled up to the start of its latest probe, and as far as none can reach back."""

    __slots__ = (
        *("_asked", "_doubt", "_holds_until", "followers", "interval", "name", "reason", "settled", "state"),
    )

    def __init__(self, name: str, now: Millis) -> None:
        self.name = name
        self.interval: Millis = 0
        self.settled = now
        self.state = State.UNKNOWN
        self.reason = NOT_ASKED
        self.followers: tuple[_Follower, ...] = ()
        self._asked: Millis = 0
        self._holds_until = now
        self._doubt = NOT_ASKED

    def record(self, at: Millis, interval: Millis, state: State, reason: str) -> None:
        """Take in a probe that began at *at*; unknown means that it gave no verdict."""
        if at < self._asked:
            return  # overtaken: a later probe has answered already
        self._asked, self.interval = at, interval
        self.settle(at)
        if state is State.UNKNOWN:
            self._doubt = reason
            return
        self._doubt = NOT_ASKED
        self._holds_until = at + int(HOLDS * interval)
        self._enter(self.settled, state, reason)

    def settle(self, to: Millis) -> None:
        """Let time pass up to *to* with no news."""
        if to <= self.settled:
            return
        if self._holds_until < to:
            self._enter(max(self._holds_until, self.settled), State.UNKNOWN, self._doubt)
        self.settled = to

    def _enter(self, at: Millis, state: State, reason: str) -> None:
        if state is self.state and reason == self.reason:
            return
        for follower in self.followers:
            follower.follow(self, at, state, reason)
        self.state, self.reason = state, reason


class _One:
    """Keeps the account of a promise about one target, which needs no adding up."""

    __slots__ = ("_account", "_track")

    def __init__(self, account: Account, track: _Track) -> None:
        self._account = account
        self._track = track

    def follow(self, track: _Track, at: Millis, _state: State, _reason: str) -> None:
        """Account for the state that ends at *at*."""
        self._account.add(at, track.state, track.reason)

    def settle(self) -> None:
        """Account for the present state, as far as it is settled."""
        self._account.add(self._track.settled, self._track.state, self._track.reason)


class _Several:
    """Adds up the states of several targets into one account, a change at a time."""

    def __init__(self, account: Account, tracks: Sequence[_Track]) -> None:
        self._account = account
        self._tracks = tracks
        self._coming: list[tuple[Millis, str, State, str]] = []
        self._lost = {State.DOWN: _Roll(), State.UNKNOWN: _Roll()}
        for track in tracks:
            self._call(track.name, track.state, track.reason)
        self._state, self._reason = self._sum()

    def follow(self, track: _Track, at: Millis, state: State, reason: str) -> None:
        """Keep the change until those of the other targets before it are known."""
        self._coming.append((at, track.name, state, reason))

    def settle(self) -> None:
        """Account for everything up to where the last of the targets is settled."""
        to = min([track.settled for track in self._tracks])
        self._coming.sort(key=itemgetter(0))  # stable: of two changes at once the later one counts
        due = bisect_left(self._coming, to, key=itemgetter(0))
        for at, name, state, reason in self._coming[:due]:
            self._account.add(at, self._state, self._reason)
            self._call(name, state, reason)
            self._state, self._reason = self._sum()
        del self._coming[:due]
        self._account.add(to, self._state, self._reason)

    def _call(self, name: str, state: State, reason: str) -> None:
        for roll in self._lost.values():
            roll.strike(name)
        if state is not State.UP:
            self._lost[state].enter(name, reason)

    def _sum(self) -> tuple[State, str]:
        for state, roll in self._lost.items():
            if roll:
                return state, str(roll)
        return State.UP, ""


class _Roll:
    """The targets that are down, or unknown; in order of their names, so that few comings and goings show."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._reasons: dict[str, str] = {}

    def enter(self, name: str, reason: str) -> None:
        insort(self._names, name)
        self._reasons[name] = reason

    def strike(self, name: str) -> None:
        if self._reasons.pop(name, None) is not None:
            del self._names[bisect_left(self._names, name)]

    def __len__(self) -> int:
        return len(self._names)

    def __str__(self) -> str:
        named = ", ".join([f"{name}: {self._reasons[name]}" for name in self._names[:NAMED]])
        return f"{named} and others" if len(self) > NAMED else named


class Ledger:
    """The account of every promise.

    It knows no clock and no file: whoever calls it says what time it is, and makes `accounts` last.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._tracks: dict[str, _Track] = {}
        self._followers: list[_Follower] = []

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Promise → its account; those of the present terms."""
        return self._accounts

    def apply(
        self,
        promises: Mapping[str, Terms],
        now: Millis,
        known: Iterable[Account] = (),
        beats: Mapping[str, Millis] = UNCHANGED,
    ) -> None:
        """Account for these promises from *now* on.

        Promises that stay go on; under other targets or another window from now on, not backwards. After a change
        to a longer window `Account.rewind` makes it know again what lies further back.

        Args:
            promises: Name → terms.
            now: What lies before is settled, by the verdicts that still hold.
            known: Accounts of promises that come back. Their time up to *now* is for the caller to settle; what is
                left of it is unknown.
            beats: Target → one beat, which is how far back its next outcome may reach. Of a target that is neither
                here nor was ever asked nothing is held back: it is unknown until its first outcome comes in.

        """
        self.close(now)
        kept = {account.name: account for account in known} | self._accounts
        self._accounts = {
            name: kept.get(name) or Account(name, terms, now) for name, terms in promises.items()
        }
        for name, account in self._accounts.items():
            account.terms = promises[name]
            account.add(now, State.UNKNOWN, NOT_WATCHED)
        self._watch(now, beats)

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
        """Account for everything that no news can change any more."""
        for _ in self.settling(now):
            pass

    def settling(self, now: Millis) -> Iterator[None]:
        """Account for the same a bite at a time; between two of them there may be news.

        A probe lasts less than a beat, so nothing that comes in later can have begun more than a beat ago.
        """
        for number, track in enumerate(self._tracks.values()):
            track.settle(now - track.interval)
            if number % BITE == 0:
                yield
        for number, follower in enumerate(self._followers):
            follower.settle()
            if number % BITE == 0:
                yield

    def close(self, now: Millis) -> None:
        """Account for everything up to *now*, by the verdicts that still hold."""
        for track in self._tracks.values():
            track.settle(now)
        for follower in self._followers:
            follower.settle()

    def _watch(self, now: Millis, beats: Mapping[str, Millis]) -> None:
        names = dict.fromkeys(name for account in self._accounts.values() for name in account.terms.targets)
        self._tracks = {name: self._tracks.get(name) or _Track(name, now) for name in names}
        for name, track in self._tracks.items():
            track.interval = beats.get(name, track.interval)
            track.followers = ()
        self._followers = [self._follower(account) for account in self._accounts.values()]

    def _follower(self, account: Account) -> _Follower:
        tracks = [self._tracks[name] for name in dict.fromkeys(account.terms.targets)]
        follower = _One(account, tracks[0]) if len(tracks) == 1 else _Several(account, tracks)
        for track in tracks:
            track.followers += (follower,)
        return follower
