"""What is known of one target."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar, get_args

from uptime_exporter.clock import Clock
from uptime_exporter.monitor.application import Application
from uptime_exporter.monitor.circuit import Circuit
from uptime_exporter.outcome import (
    FAULTS,
    HOLDS,
    NO_MODELS,
    REASONS,
    AppSeen,
    Look,
    Outcome,
    OwnFault,
    Reason,
)
from uptime_exporter.reliability.histogram import Histogram
from uptime_exporter.reliability.states import BreakerPolicy
from uptime_exporter.settings import ReliabilityTarget, Target

HISTORY = 100
"""Outcomes kept: the seed's history of 100 checks."""

LOOKS: Sequence[Look] = get_args(Look)
_CODES: Mapping[Look, bytes] = {look: bytes([code]) for code, look in enumerate(LOOKS)}

CAUSE = TypeVar("CAUSE", Reason, OwnFault)

DURATIONS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 20.0)
"""Upper bounds in seconds; each costs Prometheus one series a target. The last holds three attempts of 5 s each."""


class Watch:
    """One target: its settings, its circuit, its last outcomes and its counts.

    Attributes:
        latest: The last outcome, whatever it was.
        probes: Probes that gave a verdict.
        attempts: Attempts of all probes.
        failures: Reason → probes that found the target down; every reason is there that it may give, and any other
            that was counted all the same.
        inconclusive: Own fault → probes that say nothing; in the same way.
        durations: Of whole probes.
        last_run, last_success: Unix times at which such a probe began; None before the first.
        certificate_expires: Unix time, as last seen.
        address: Where it is, as it may be shown.
        application: What the target tells of itself, if it is asked for that.
        changes: How often anything of this has changed; that a verdict gets stale is not counted.
        upsets: How often anything has changed that stays the same while all is well.

    """

    __slots__ = (
        *("_clock", "_degraded_since", "_history", "_known", "_recent_down", "_recent_up", "_spell_began"),
        *("address", "application", "attempts", "began", "certificate_expires", "changes", "circuit"),
        *("durations", "failures", "inconclusive", "last_run", "last_success", "latest", "name", "probes"),
        *("settings", "upsets"),
    )

    def __init__(self, name: str, settings: Target, clock: Clock) -> None:
        self.name = name
        self.settings = settings
        self.address = settings.address
        self._clock = clock
        self.began = clock.wall()
        self.circuit = Circuit(name, _policy(settings), clock)
        self._history = b""  # whole outcomes would be 50 KB a target, their looks in a list 1 KB
        self.latest: Outcome | None = None
        self.probes = 0
        self.attempts = 0
        reasons, faults = _causes(settings)
        self.failures, self.inconclusive = _nothing(reasons), _nothing(faults)
        self.durations = Histogram(DURATIONS)
        self.last_run: float | None = None
        self.last_success: float | None = None
        self.certificate_expires: float | None = None
        self.application = _application(settings)
        self.changes = self.upsets = 0
        self._recent_up = self._recent_down = 0
        self._known: Outcome | None = None
        self._spell_began: float | None = None
        self._degraded_since: float | None = None

    def adopt(self, settings: Target) -> None:
        """Go on under new settings, with all that is known."""
        if settings.kind != self.settings.kind:
            self.application = _application(settings)
        reasons, faults = _causes(settings)
        self.failures = _counted_on(self.failures, reasons)
        self.inconclusive = _counted_on(self.inconclusive, faults)
        self.settings = settings
        self.address = settings.address
        self.changes += 1
        self.upsets += 1
        self.circuit.policy = _policy(settings)

    @property
    def history(self) -> Sequence[Look]:
        """How the last 100 outcomes looked, oldest first, inconclusive ones included."""
        return [LOOKS[code] for code in self._history]

    @property
    def known(self) -> Outcome | None:
        """The last outcome with a verdict, while it stands; None when nobody knows."""
        known = self._known
        if known is None or self._clock.monotonic() - known.monotonic > HOLDS * known.interval:
            return None
        return known

    @property
    def up(self) -> bool | None:
        """Whether the target is up; None while unknown."""
        known = self.known
        return None if known is None else known.reason is None

    @property
    def degraded(self) -> bool:
        """Whether it is up, but says itself that it is not at its best."""
        known = self.known
        return known is not None and known.look == "degraded"

    @property
    def degraded_since(self) -> float | None:
        """Unix time of the first of the verdicts in a row that saw it degraded; None if it is not."""
        return self._degraded_since if self.degraded else None

    @property
    def models(self) -> Mapping[str, bool]:
        """Model → loaded, as the last verdict saw it."""
        known = self.known
        return NO_MODELS if known is None else known.seen.models

    @property
    def told(self) -> AppSeen | None:
        """What the target tells of itself; None while nobody knows, or if it is not asked for that."""
        known = self.known
        return None if known is None else known.seen.application

    @property
    def since(self) -> float:
        """Unix time since which the target has been what it is now: up, down or unknown."""
        if self._known is None or self._spell_began is None:
            return self.began
        if self.known is None:
            return self._known.at + HOLDS * self._known.interval
        return self._spell_began

    @property
    def success_ratio(self) -> float | None:
        """Part of the verdicts among the last 100 outcomes that were "up", 0 to 1; None without any."""
        verdicts = self._recent_up + self._recent_down
        return self._recent_up / verdicts if verdicts else None

    def record(self, outcome: Outcome) -> None:
        """Take in what became of a probe."""
        stands = self.known
        self.changes += 1
        if not self._is_well(outcome):
            self.upsets += 1
        self._remember(outcome)
        self.attempts += outcome.attempts
        self.last_run = outcome.at
        self.durations.observe(outcome.seconds)
        if outcome.seen.certificate_expires is not None:
            self.certificate_expires = outcome.seen.certificate_expires
        if self.application is not None:
            self.application.take(outcome)
        if isinstance(outcome.reason, OwnFault):
            self.inconclusive = _one_more(self.inconclusive, outcome.reason)
            return
        self.probes += 1
        if outcome.reason is None:
            self.last_success = outcome.at
        else:
            self.failures = _one_more(self.failures, outcome.reason)
        if outcome.look != "degraded":
            self._degraded_since = None
        elif self._degraded_since is None:
            self._degraded_since = outcome.at
        if stands is None or stands.verdict is not outcome.verdict:
            self._spell_began = outcome.at
        self._known = outcome

    def _is_well(self, outcome: Outcome) -> bool:
        """Return whether all is well, and just as it was before."""
        last, now = self.latest, outcome.seen
        return (
            last is not None
            and last.reason is None is outcome.reason
            and not self._recent_down
            and last.seen.degraded is now.degraded
            and last.seen.models == now.models
            and now.certificate_expires in (None, self.certificate_expires)
        )

    def _remember(self, outcome: Outcome) -> None:
        """Put it behind the last ones, and the first of a full history away."""
        self.latest = outcome
        if len(self._history) == HISTORY:
            self._count(LOOKS[self._history[0]], -1)
        look = outcome.look
        self._history = self._history[1 - HISTORY :] + _CODES[look]
        self._count(look, 1)

    def _count(self, look: Look, number: int) -> None:
        if look == "down":
            self._recent_down += number
        elif look != "inconclusive":
            self._recent_up += number


def together(targets: Iterable[str], watches: Mapping[str, Watch]) -> bool | None:
    """Return whether all *targets* are up: False if one is down, else None if nobody knows of one."""
    return all_up(watches[target].up if target in watches else None for target in targets)


def all_up(verdicts: Iterable[bool | None]) -> bool | None:
    """Return False if one of them is, else None if one of them is unknown, else True."""
    every: bool | None = True
    for up in verdicts:
        if up is False:
            return False
        if up is None:
            every = None
    return every


def _application(settings: Target) -> Application | None:
    return Application() if isinstance(settings, ReliabilityTarget) else None


def _policy(settings: Target) -> BreakerPolicy:
    return _same_policy(settings.failure_threshold, settings.recovery_timeout)


_same_policy = lru_cache(BreakerPolicy)
"""Most circuits have the same."""


def _causes(settings: Target) -> tuple[Sequence[Reason], Sequence[OwnFault]]:
    """Return why a probe of it may find it down, and why it may say nothing."""
    kind, impossible = settings.kind, settings.impossible
    held_back = (Reason.CIRCUIT_OPEN,) if settings.expensive else ()
    reasons = [reason for reason in REASONS[kind] if reason not in impossible]
    return (*reasons, *held_back), tuple(fault for fault in FAULTS[kind] if fault not in impossible)


@lru_cache
def _nothing(causes: Sequence[CAUSE]) -> Mapping[CAUSE, int]:
    """Return the counts of a new target; shared by all that may meet the same."""
    return MappingProxyType(dict.fromkeys(causes, 0))


def _one_more(counts: Mapping[CAUSE, int], cause: CAUSE) -> Mapping[CAUSE, int]:
    return {**counts, cause: counts.get(cause, 0) + 1}


def _counted_on(counts: Mapping[CAUSE, int], causes: Sequence[CAUSE]) -> Mapping[CAUSE, int]:
    """Return *counts* as they are once *causes* may be met: what was counted stays."""
    nothing = _nothing(causes)
    if counts.keys() == nothing.keys():
        return counts
    return {**nothing, **{cause: number for cause, number in counts.items() if number}}
