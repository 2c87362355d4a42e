"""The drill, step by step."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import httpx

from uptime_exporter.clock import stopwatch
from uptime_exporter.drill.channels import Channels
from uptime_exporter.drill.inbox import Inbox, inbox
from uptime_exporter.drill.options import Options
from uptime_exporter.drill.progress import Progress
from uptime_exporter.drill.servers import ALERT, Alertmanager, Counter, Fault, Prometheus, Server, Told
from uptime_exporter.errors import DrillError

LOOK = 0.5
"""Seconds between two looks."""
SETTLED = 60.0
"""Seconds in which a Prometheus that has just started scrapes everybody and finds its Alertmanagers, at most."""
ATTEMPTS = 3
"""Of Alertmanager to deliver one message, without success, that are enough."""
_ANSWER = 10.0

Holds = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that must come to be."""

    what: str
    holds: Holds
    patience: float
    otherwise: str
    """What is missing if it does not, and what to do."""


async def rehearse(options: Options, progress: Progress) -> bool:
    """Switch a fault on, follow it until it is told, switch it off, follow that; return whether all came to be.

    Whatever happens, an interruption included, the fault is switched off.
    """
    try:
        async with _met(options) as drill:
            await drill.look()
            await _follow(drill.until_met(), progress)
            await drill.count()
            try:
                await drill.fault.switch_on()
                await _follow(drill.until_told(), progress)
                progress.say(drill.witness())
            finally:
                await _undone(drill.fault, progress)
            await _follow(drill.until_over(), progress)
    except DrillError as error:
        progress.failed(str(error))
        return False
    progress.say("A fault is told, and so is its end.")
    return True


@contextlib.asynccontextmanager
async def _met(options: Options) -> AsyncIterator["_Drill"]:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=_ANSWER))
        box = await stack.enter_async_context(inbox(options.inbox)) if options.inbox else None
        yield _Drill(options, client, box)


async def _undone(fault: Fault, progress: Progress) -> None:
    began = stopwatch()
    try:
        await asyncio.shield(fault.switch_off())
    except DrillError as error:
        raise DrillError(f"the fault may still be on: {error}") from error
    progress.done("the fault is switched off", stopwatch() - began)


async def _follow(steps: list[Step], progress: Progress) -> None:
    for step in steps:
        began = stopwatch()
        async with progress.waiting(step.what, step.patience):
            try:
                async with asyncio.timeout(step.patience):
                    while not await step.holds():  # noqa: ASYNC110 - other programs set no event here
                        await asyncio.sleep(LOOK)
            except TimeoutError as error:
                raise DrillError(f"not within {step.patience:g} s: {step.what}. {step.otherwise}") from error
        progress.done(step.what, stopwatch() - began)


class _Drill:
    def __init__(self, options: Options, client: httpx.AsyncClient, box: Inbox | None) -> None:
        self.fault = Fault(options, client)
        self._options = options
        self._exporter = Server("exporter", options.exporter, client)
        self._prometheus = Prometheus("prometheus", options.prometheus, client)
        self._alertmanager = Alertmanager("alertmanager", options.alertmanager, client)
        self._box = box
        self._before: Sequence[Counter] = ()
        self._through = Channels(frozenset(), frozenset(), frozenset())

    async def look(self) -> None:
        """Make sure that exporter and Alertmanager answer, and that no alert could be taken for the drill's."""
        await self._exporter.ask("/-/ready")
        if await self._alertmanager.alerts(self._options.target):
            raise DrillError(
                f"an alert about {self._options.target} is open already: wait until it is over, or mend it"
            )

    def until_met(self) -> list[Step]:
        """Return what must be so before anything is broken: everybody knows the next one."""
        patience = min(SETTLED, self._options.patience)
        return [
            Step(
                "Prometheus scrapes the exporter",
                self._is_scraped,
                patience,
                "Add the job of alerts/prometheus.yaml.",
            ),
            Step(
                f"Prometheus has the rule {ALERT}",
                self._prometheus.knows_the_rule,
                patience,
                "Name alerts/rules/*.yaml under rule_files.",
            ),
            Step(
                "Prometheus knows an Alertmanager",
                self._prometheus.tells_somebody,
                patience,
                "Name one under alerting.alertmanagers.",
            ),
        ]

    async def count(self) -> None:
        """Take down what Alertmanager has sent so far."""
        self._before = await self._alertmanager.counters()

    def until_told(self) -> list[Step]:
        """Return what follows when the fault is on."""
        target, patience = self._options.target, self._options.patience
        return [
            Step(
                f"Prometheus sees that {target} is down",
                self._is_seen,
                patience,
                "Does it scrape this exporter? Look at its page /targets.",
            ),
            Step(
                f"{ALERT} fires",
                lambda: self._prometheus.fires(target),
                patience,
                "Do the rules evaluate? Look at Prometheus' page /rules.",
            ),
            Step(
                "Alertmanager has the alert",
                self._is_taken,
                patience,
                "Can Prometheus reach it? Its log and its page /status say so.",
            ),
            Step("somebody is told", self._is_told, patience, self._deaf()),
        ]

    def until_over(self) -> list[Step]:
        """Return what follows when the fault is off."""
        target, patience = self._options.target, self._options.patience_at_end
        return [
            Step(
                f"{ALERT} fires no more",
                self._is_quiet,
                patience,
                f"Is {target} up again? Look at the exporter's page.",
            ),
            Step("somebody is told that it is over", self._is_over, patience, self._deaf()),
        ]

    def witness(self) -> str:
        """Return who says that somebody is told, and of whom it can be said."""
        if self._box:
            return "The message itself has come in here."
        by, to = _listed(self._through.kinds), _listed(self._through.receivers)
        named = any(counter.receiver is not None for counter in self._before)
        if named or not self._through.others:
            return f"Alertmanager says that it has told {to}, by {by}."
        others = _listed(self._through.others)
        return f"Alertmanager says that it has told {to}, or {others}, by {by}: to be sure, take it with --inbox."

    async def _is_scraped(self) -> bool:
        return await self._prometheus.value("max(uptime_exporter_build_info)") is not None

    async def _is_seen(self) -> bool:
        return await self._prometheus.value(f'uptime_target_up{{target="{self._options.target}"}} == 0') == 0

    async def _is_taken(self) -> bool:
        alerts = await self._alertmanager.alerts(self._options.target)
        for status in (alert["status"] for alert in alerts):
            if status["state"] == "suppressed":
                by = "silenced" if status["silencedBy"] else "inhibited"
                raise DrillError(f"Alertmanager keeps the alert back, it is {by}: see its page")
        if alerts:
            self._through = await self._alertmanager.channels(alerts)
            if not self._through.kinds:
                receivers = _listed(self._through.receivers)
                raise DrillError(f"Alertmanager tells nobody: no channel is switched on under {receivers}")
        return bool(alerts)

    async def _is_told(self) -> bool:
        return await self._is_sent("firing")

    async def _is_quiet(self) -> bool:
        return not await self._prometheus.fires(self._options.target)

    async def _is_over(self) -> bool:
        # It keeps the alert until that has ended, and tells of the end afterwards.
        return not await self._alertmanager.alerts(self._options.target) and await self._is_sent("resolved")

    async def _is_sent(self, status: str) -> bool:
        if self._box:
            return self._box.heard(status, self._options.target)
        counters = await self._alertmanager.counters()
        before, now = Told.by(self._before, self._through), Told.by(counters, self._through)
        if now.delivered > before.delivered:
            self._before = counters
            return True
        if now.failed >= before.failed + ATTEMPTS:
            raise DrillError("Alertmanager cannot deliver its message: its log says why")
        return False

    def _deaf(self) -> str:
        if self._box:
            return "Does a webhook in Alertmanager's configuration lead to --inbox, and may it connect?"
        return f"Alertmanager's log says what became of its message to {_listed(self._through.receivers)}."


def _listed(names: Collection[str]) -> str:
    return " and ".join(sorted(names))
