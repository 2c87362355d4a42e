"""What the stack's servers say on their ports."""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

COUNTERS = ("uptime", "downtime", "unknown")
_SAMPLE = re.compile(r'^(uptime_\w+)\{(?:target|sla)="(\w+)"\} (\S+)$', flags=re.MULTILINE)


class UnexpectedError(Exception):
    """Something is not as it should be; the message says what was seen."""


def eventually(look: Callable[[], T | None], what: str, *, within: float) -> T:
    """Return what *look* sees once it sees something.

    Args:
        look: May be called often; no answer, or a bad one, is nothing yet.
        what: For the message, if it never happens.
        within: Seconds.

    Raises:
        UnexpectedError: It does not happen.

    """
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if (seen := look()) is not None:
                return seen
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise UnexpectedError(f"not within {within:g} s: {what}")


def get(url: str, auth: tuple[str, str] | None = None) -> httpx.Response:
    """Return the answer to a GET; one that is not 2xx raises an error of httpx."""
    return httpx.get(url, auth=auth, trust_env=False, timeout=5).raise_for_status()


def api(prometheus: str, path: str) -> Any:
    """Return the data of an answer of Prometheus' API."""
    return json.loads(get(f"{prometheus}/api/v1/{path}").text)["data"]


class Account:
    """One reading of the exporter's metrics: what the ledger says of each target.

    Attributes:
        totals: Target → seconds by counter.
        since: Target → the Unix time at which its account began, if not a second of it was lost: the latest
            probe's start less all that is accounted for.

    """

    def __init__(self, metrics: str) -> None:
        samples = {(name, of): float(value) for name, of, value in _SAMPLE.findall(metrics)}
        self.totals = {
            target: {kind: samples[f"uptime_sla_{kind}_seconds_total", target] for kind in COUNTERS}
            for name, target in samples
            if name == "uptime_probe_last_run_timestamp_seconds"
            and ("uptime_sla_uptime_seconds_total", target) in samples
        }
        self.since = {
            target: samples["uptime_probe_last_run_timestamp_seconds", target] - sum(kinds.values())
            for target, kinds in self.totals.items()
        }
        self.up = {
            of
            for (name, of), value in samples.items()
            if name == "uptime_target_up" and value and of in self.totals
        }

    @classmethod
    def read(cls, exporter: str) -> "Account":
        """Ask the exporter."""
        return cls(get(f"{exporter}/metrics").text)

    def began(self) -> float:
        """Return the sum of `since`; of two readings, that with the lesser one lags less."""
        return sum(self.since.values())

    def goes_on_from(self, earlier: "Account", *, tolerance: float) -> bool:
        """Return whether nothing that *earlier* had accounted for is gone, and no time is missing between them."""
        return self.since.keys() == earlier.since.keys() and all(
            abs(self.since[target] - earlier.since[target]) <= tolerance
            and all(self.totals[target][kind] >= earlier.totals[target][kind] for kind in COUNTERS)
            for target in earlier.since
        )

    def spent_since(self, earlier: "Account") -> Mapping[str, float]:
        """Return the seconds by counter that all targets together have spent since then."""
        return {
            kind: sum(kinds[kind] - earlier.totals[target][kind] for target, kinds in self.totals.items())
            for kind in COUNTERS
        }
