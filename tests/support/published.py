"""What monitor and ledger would publish, as a test tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from support.loop import FakeClock
from uptime_exporter.ledger.account import Account
from uptime_exporter.ledger.span import State
from uptime_exporter.monitor import Histogram, Watch
from uptime_exporter.outcome import Outcome, OwnFault, Reason
from uptime_exporter.settings import Target


@dataclass
class Situation:
    """What the monitor would know, without one."""

    clock: FakeClock
    watches: dict[str, Watch] = field(default_factory=dict)
    lateness: Histogram = field(default_factory=lambda: Histogram((0.01, 0.1, 1.0)))
    accounts: dict[str, Account] = field(default_factory=dict)
    write_failures: int = 2
    busy: bool = False
    commits: int = 0
    committed: Mapping[str, Mapping[State, int]] = field(default_factory=dict)

    def commit(self) -> None:
        """Write the ledger: from now on totals are what they are now, until the next time."""
        self.commits += 1
        self.committed = {name: account.totals for name, account in self.accounts.items()}

    def totals(self, name: str) -> Mapping[State, int]:
        """Return what was committed; before the first time, what is known."""
        return self.committed[name] if name in self.committed else self.accounts[name].totals

    def watch(self, name: str, target: Target) -> None:
        self.watches[name] = Watch(name, target, self.clock)

    def happen(self, name: str, reason: Reason | OwnFault | None = None, **fields: Any) -> None:
        """Let a beat pass in which the target is probed."""
        watch = self.watches[name]
        fields = {"interval": 30.0, "seconds": 0.004, **fields}
        at = self.clock.wall()
        outcome = Outcome(name, at, self.clock.monotonic(), reason=reason, **fields)
        watch.circuit.beat()
        watch.record(outcome)
        watch.circuit.feed(outcome)
        self.lateness.observe(0.002)
        self.clock.pass_time(30)
