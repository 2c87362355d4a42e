"""One probe: as many attempts as it takes to be sure, each under its deadline, one verdict."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from uptime_exporter import logs
from uptime_exporter.clock import Clock
from uptime_exporter.errors import Inconclusive, ProbeFailure
from uptime_exporter.outcome import UNSEEN, AppSeen, Outcome, OwnFault, Reason, Seen
from uptime_exporter.probes.protocol import Phases, Probe
from uptime_exporter.settings import Target

log = logs.get("probe")

OVERRUN = 1.0
"""Seconds past its deadline at which an attempt proves that the exporter itself stood still."""

_MILLIS, _MICROS = 3, 6
"""Digits of seconds: more mean nothing, and take room on the page and in Prometheus."""

SlotSource = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of asking once."""

    reason: Reason | OwnFault | None
    detail: str
    seen: Seen
    phases: Phases


class Asker:
    """Asks one target, and confirms a failure before it believes it."""

    def __init__(self, name: str, target: Target, probe: Probe, clock: Clock, slot: SlotSource) -> None:
        self._name = name
        self._target = target
        self._probe = probe
        self._clock = clock
        self._slot = slot

    async def ask(self, started: Callable[[], None]) -> Outcome:
        """Ask until the target answers well or every retry is used up; return the verdict.

        It is up if one attempt found it up, down if every one found it down, and anything else is inconclusive.

        Args:
            started: Called when the first attempt begins, after any wait for a slot.

        """
        async with self._slot():
            started()
            at, monotonic = self._clock.wall(), self._clock.monotonic()
            attempts = [await self.attempt()]
        for pause in self._target.retry_policy.pauses():
            if attempts[-1].reason is None:
                break
            await asyncio.sleep(pause)
            async with self._slot():
                attempts.append(await self.attempt())
        deciding = _deciding(attempts)
        return Outcome(
            target=self._name,
            at=round(at, _MILLIS),
            monotonic=monotonic,
            interval=self._target.interval,
            seconds=round(self._clock.monotonic() - monotonic, _MICROS),
            reason=deciding.reason,
            detail=deciding.detail,
            attempts=len(attempts),
            phases={name: round(seconds, _MICROS) for name, seconds in deciding.phases.seconds.items()},
            seen=deciding.seen,
        )

    async def attempt(self) -> Attempt:
        """Ask once, under the deadline; never raise."""
        phases = Phases()
        began = self._clock.monotonic()
        reason, detail, seen = await self._check(phases)
        overrun = self._clock.monotonic() - began - self._target.timeout
        if reason is not None and overrun > OVERRUN:
            reason = OwnFault.STARVED
            detail = f"the exporter stood still: {overrun:.1f} s past the deadline when it noticed ({detail})"
        return Attempt(reason, logs.redacted(detail), _redacted(seen), phases)

    async def _check(self, phases: Phases) -> tuple[Reason | OwnFault | None, str, Seen]:
        deadline = asyncio.timeout(self._target.timeout)
        try:
            async with deadline:
                return None, "", await self._probe.check(phases)
        except ProbeFailure as failure:
            return failure.reason, failure.detail, failure.seen
        except Inconclusive as doubt:
            return doubt.fault, doubt.detail, UNSEEN
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                return *self._too_late(phases), UNSEEN
            log.exception("a probe has a defect; its target counts as unknown", target=self._name)
            return OwnFault.INTERNAL, f"{type(error).__name__} in the probe; the log has the trace", UNSEEN

    def _too_late(self, phases: Phases) -> tuple[Reason | OwnFault, str]:
        if phases.current == "resolve":
            return OwnFault.RESOLVER, f"the resolver did not answer within {self._target.timeout:g} s"
        where = f" (in phase {phases.current})" if phases.current else ""
        return phases.on_timeout, f"no complete answer within {self._target.timeout:g} s{where}"


def _redacted(seen: Seen) -> Seen:
    """Blot out secrets that a target has sent back: what is seen here ends on a page."""
    message = logs.redacted(seen.message)
    models = {logs.redacted(model): loaded for model, loaded in seen.models.items()}
    application = None if seen.application is None else _redacted_application(seen.application)
    if message == seen.message and models == seen.models and application is None:
        return seen
    return replace(seen, message=message, models=models, application=application)


def _redacted_application(said: AppSeen) -> AppSeen:
    return replace(
        said,
        circuits={logs.redacted(name): circuit for name, circuit in said.circuits.items()},
        checks={logs.redacted(name): check for name, check in said.checks.items()},
        lost=tuple(map(logs.redacted, said.lost)),
    )


def _deciding(attempts: list[Attempt]) -> Attempt:
    """Return the attempt that gives the verdict: a success, else our own fault, else the last failure."""
    last = attempts[-1]
    if last.reason is None:
        return last
    return next((a for a in reversed(attempts) if isinstance(a.reason, OwnFault)), last)
