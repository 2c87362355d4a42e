"""The incidents: what happens, how long, and whether anybody should be woken by it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from alerts.replay.exporter import BEAT, REFUSED, SILENT, TARGETS, WELL, Fate
from uptime_exporter.outcome import Seen

BEGIN = 1_767_225_600.0
"""When every incident begins: 2026-01-01."""
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

ONE = "mysql"
"""The target that fails where one does."""

Extra = Callable[[float], Mapping[str, float]]
"""Seconds since the incident began → series of somebody else and their values."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What happens from `BEGIN` on."""

    name: str
    lasts: float
    """Seconds until all is well again."""
    fate: Callable[[str, float], Fate] = field(default=lambda _target, _since: WELL)
    """What becomes of a probe of a target so many seconds after the beginning; otherwise all is well."""
    wakes: bool | None = True
    """Whether somebody should be woken; None: either is right."""
    after: float = 2 * HOUR
    """Seconds that are watched after the end."""
    age: float = 5 * DAY
    """Seconds that the service and its monitor have run before."""
    gone: tuple[float, float] | None = None
    """Seconds from and to which the exporter does not run."""
    ledger_lost: bool = False
    """It comes back without its ledger."""
    earlier: float = 0.0
    """Seconds of an outage five hours before."""
    restarts: Sequence[tuple[float, float]] = ()
    """Seconds from and to which Prometheus does not run."""
    extra: Extra | None = None
    late: float = 0.0
    """Seconds after `BEGIN` at which it begins: another phase of beats, scrapes and evaluations."""

    def story(self, target: str, at: float) -> Fate:
        """Return what becomes of a probe that begins at a Unix time."""
        since = at - BEGIN
        if -5 * HOUR <= since < -5 * HOUR + self.earlier:
            return REFUSED
        since -= self.late
        return self.fate(target, since) if 0 <= since < self.lasts else WELL


def everything(fate: Fate = REFUSED) -> Callable[[str, float], Fate]:
    return lambda _target, _since: fate


def one(fate: Fate = REFUSED) -> Callable[[str, float], Fate]:
    return lambda target, _since: fate if target == ONE else WELL


def flapping(down: float, up: float) -> Callable[[str, float], Fate]:
    return lambda target, since: REFUSED if target == ONE and since % (down + up) < down else WELL


def beats(*failing: int) -> Callable[[str, float], Fate]:
    """Lose these beats of one target, counted from 0."""
    return lambda target, since: REFUSED if target == ONE and int(since // BEAT) in failing else WELL


def now_and_then(rate: float, seed: int) -> Callable[[str, float], Fate]:
    """Let probes of one target fail independently."""

    def fate(target: str, since: float) -> Fate:
        luck = Random(f"{seed} {target} {int(since // BEAT)}").random()
        return REFUSED if target == ONE and luck < rate else WELL

    return fate


def falling(apart: float, lasts: float) -> Callable[[str, float], Fate]:
    """Let the targets fall one after the other, and come back in that order."""

    def fate(target: str, since: float) -> Fate:
        falls = TARGETS.index(target) * apart
        return (
            REFUSED if falls <= since < lasts - (len(TARGETS) - 1 - TARGETS.index(target)) * apart else WELL
        )

    return fate


def drain(since: float) -> Mapping[str, float]:
    """Return what an application publishes whose drain reached its limit a minute in."""
    app = 'app="backend",instance="127.0.0.1:8000",job="backend"'
    return {
        f'uptime_shutdowns_total{{{app},result="clean"}}': 3.0,
        f'uptime_shutdowns_total{{{app},result="timeout"}}': float(since >= MINUTE),
        f"uptime_shutdown_in_progress{{{app}}}": float(MINUTE - 30 <= since < MINUTE),
    }


DEGRADED = Fate(seen=Seen(degraded=True))
RUNNING_OUT = Fate(seen=Seen(certificate_expires=BEGIN + 10 * DAY))

ALL: tuple[Incident, ...] = (
    Incident("everything down for 1 minute", MINUTE, everything(), wakes=None),
    Incident("everything down for 2 minutes", 2 * MINUTE, everything(), wakes=None),
    Incident("everything down for 5 minutes", 5 * MINUTE, everything()),
    Incident("everything down for 45 minutes", 45 * MINUTE, everything()),
    Incident("everything silent (timeouts) for 5 minutes", 5 * MINUTE, everything(SILENT)),
    Incident("one target down for 45 minutes", 45 * MINUTE, one()),
    Incident("one target after the other down, 5 minutes apart, 1 hour", HOUR, falling(5 * MINUTE, HOUR)),
    Incident("10 % of one target's probes fail for 6 hours", 6 * HOUR, now_and_then(0.1, 1)),
    Incident("1 % of one target's probes fail for 12 hours", 12 * HOUR, now_and_then(0.01, 2)),
    Incident("flapping: 2 minutes down, 3 up, for 1 hour", HOUR, flapping(2 * MINUTE, 3 * MINUTE)),
    Incident("two lost probes, 20 minutes apart", 21 * MINUTE, beats(0, 40), wakes=False),
    Incident("two lost probes in a row", MINUTE, beats(0, 1), wakes=False),
    Incident("one target degraded for 2 hours", 2 * HOUR, one(DEGRADED), wakes=False, after=HOUR),
    Incident(
        "Prometheus restarted 90 s into 45 minutes down", 45 * MINUTE, everything(), restarts=((90.0, 150.0),)
    ),
    Incident(
        "Prometheus restarted 20 minutes into 45 minutes down",
        45 * MINUTE,
        everything(),
        restarts=((20 * MINUTE, 21 * MINUTE),),
    ),
    Incident("the exporter gone for 20 minutes", 20 * MINUTE, gone=(0.0, 20 * MINUTE)),
    Incident(
        "the exporter gone for 20 minutes while everything is down for 45",
        45 * MINUTE,
        everything(),
        gone=(10 * MINUTE, 30 * MINUTE),
    ),
    Incident("one lost probe of a service two hours old", MINUTE, beats(0), wakes=False, age=2 * HOUR),
    Incident(
        "the ledger lost: totals begin at 0",
        MINUTE,
        gone=(0.0, 20.0),
        ledger_lost=True,
        earlier=10 * MINUTE,
        wakes=False,
    ),
    Incident("a certificate that runs out in 10 days", HOUR, one(RUNNING_OUT), wakes=False, after=HOUR),
    Incident("a drain that times out", HOUR, wakes=False, after=HOUR, extra=drain),
)


def named(name: str) -> Incident:
    return next(incident for incident in ALL if incident.name == name)
