"""Everybody on the way from a fault to a message, asked over HTTP."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from uptime_exporter.drill.channels import Channels, channels
from uptime_exporter.drill.options import Options
from uptime_exporter.errors import DrillError

ALERT = "UptimeErrorBudgetBurn"
_COUNTER = re.compile(
    r"^alertmanager_notification_requests_(failed_)?total\{([^}]*)\} (\S+)$", flags=re.MULTILINE
)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Counter:
    """One of Alertmanager's: how often it has tried to send something."""

    kind: str
    receiver: str | None
    """None: it does not say to whom (it does with --enable-feature=receiver-name-in-metrics)."""
    failed: bool
    """Only the attempts that failed, which the other one counts too."""
    value: float

    def counts(self, through: Channels) -> bool:
        """Return whether messages that go that way are among them."""
        return self.kind in through.kinds and (self.receiver is None or self.receiver in through.receivers)


@dataclass(frozen=True, slots=True)
class Told:
    """How many messages Alertmanager has delivered, and how many attempts failed."""

    delivered: float
    failed: float

    @classmethod
    def by(cls, counters: Sequence[Counter], through: Channels) -> "Told":
        """Return what they say of messages that go that way."""
        ours = [counter for counter in counters if counter.counts(through)]
        failed = sum(counter.value for counter in ours if counter.failed)
        return cls(sum(counter.value for counter in ours if not counter.failed) - failed, failed)


class Server:
    """One of them, by its address."""

    def __init__(self, name: str, url: str, client: httpx.AsyncClient) -> None:
        self.name = name
        self.url = url
        self._client = client

    async def ask(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        """Return the answer.

        Raises:
            DrillError: There is none, or it is a refusal.

        """
        try:
            answer = await self._client.request(method, f"{self.url}{path}", **options)
        except httpx.HTTPError as error:
            raise DrillError(
                f"{self.name} does not answer at {self.url} ({type(error).__name__}); "
                f"start it, or say where it is with --{self.name}"
            ) from error
        if answer.is_error:
            raise DrillError(
                f"{self.name} says {answer.status_code} to {method} {path}: {_first_line(answer)}"
            )
        return answer

    async def data(self, path: str, **options: Any) -> Any:
        """Return the JSON of an answer.

        Raises:
            DrillError: As `ask`, or it is none.

        """
        answer = await self.ask(path, **options)
        try:
            return answer.json()
        except ValueError as error:
            raise DrillError(f"{self.url}{path} is not {self.name}: it answers without JSON") from error


class Prometheus(Server):
    """Sees the fault, and fires."""

    async def value(self, query: str) -> float | None:
        """Return the first value of an instant query, if any."""
        found = (await self.data("/api/v1/query", params={"query": query}))["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    async def knows_the_rule(self) -> bool:
        """Return whether the alert's rule is loaded."""
        groups = (await self.data("/api/v1/rules", params={"type": "alert"}))["data"]["groups"]
        return any(rule["name"] == ALERT for group in groups for rule in group["rules"])

    async def tells_somebody(self) -> bool:
        """Return whether it knows an Alertmanager."""
        return bool((await self.data("/api/v1/alertmanagers"))["data"]["activeAlertmanagers"])

    async def fires(self, sla: str) -> bool:
        """Return whether the alert about that promise fires."""
        alerts = (await self.data("/api/v1/alerts"))["data"]["alerts"]
        return any(alert["state"] == "firing" and concerns(alert["labels"], sla) for alert in alerts)


class Alertmanager(Server):
    """Takes the alert, and tells people."""

    async def alerts(self, sla: str) -> Sequence[Mapping[str, Any]]:
        """Return what it has of the alert about that promise."""
        alerts = await self.data("/api/v2/alerts")
        return [alert for alert in alerts if concerns(alert["labels"], sla)]

    async def channels(self, alerts: Iterable[Mapping[str, Any]]) -> Channels:
        """Return who is told of *alerts*, and by what."""
        names = {receiver["name"] for alert in alerts for receiver in alert["receivers"]}
        status = await self.data("/api/v2/status")
        return channels(status["config"]["original"], names)

    async def counters(self) -> Sequence[Counter]:
        """Return what it says of its messages so far."""
        found = _COUNTER.findall((await self.ask("/metrics")).text)
        return [_counter(bool(failed), labels, float(value)) for failed, labels, value in found]


class Fault:
    """What is switched on and off."""

    def __init__(self, options: Options, client: httpx.AsyncClient) -> None:
        self._demo = Server("demo", options.demo, client) if options.demo else None
        self._exporter = Server("exporter", options.exporter, client)
        self._limit = 2 * options.patience + options.patience_at_end
        self._headers = {"Authorization": f"Bearer {options.token}"} if options.token else {}

    async def switch_on(self) -> None:
        """Let the target fail; raise DrillError if it cannot be made to."""
        if self._demo:
            await self._demo.ask("/down", "POST")
        else:
            params = {"seconds": str(self._limit)}
            await self._exporter.ask("/-/drill", "POST", headers=self._headers, params=params)

    async def switch_off(self) -> None:
        """Let it be well again; raise DrillError if it cannot be made to."""
        if self._demo:
            await self._demo.ask("/up", "POST")
        else:
            await self._exporter.ask("/-/drill", "DELETE", headers=self._headers)


def concerns(labels: Labels, sla: str) -> bool:
    """Return whether the labels of an alert are those that the drill waits for."""
    return labels.get("alertname") == ALERT and labels.get("sla") == sla


def _counter(failed: bool, text: str, value: float) -> Counter:  # noqa: FBT001 - as the pattern finds it
    labels = dict(_LABEL.findall(text))
    return Counter(labels["integration"], labels.get("receiver_name"), failed, value)


def _first_line(answer: httpx.Response) -> str:
    try:
        text = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        text = answer.text
    return " ".join(text.split())[:200]
