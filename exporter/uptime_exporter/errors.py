"""Every exception that is raised on purpose.

UptimeError
├── SettingsError   the settings cannot be used; says every mistake at once
├── LedgerError     the ledger file cannot be used; says what to do
├── ListenError     the listen address cannot be had
├── ReportError     what was asked for cannot be reported; says what can
├── DrillError      a drill cannot go on; says what is missing and what to do
├── ProbeFailure    the target is down, and why
└── Inconclusive    a fault on the exporter's own side: nothing is known about the target
"""

from collections.abc import Sequence

from uptime_exporter.outcome import UNSEEN, OwnFault, Reason, Seen


class UptimeError(Exception):
    """The root of the tree."""


class SettingsError(UptimeError):
    """The settings cannot be used.

    Attributes:
        mistakes: One line each, with its place; never empty, never with a secret.

    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class LedgerError(UptimeError):
    """The ledger file cannot be used; the message says why and what to do."""


class ListenError(UptimeError):
    """The listen address cannot be had; the message says why and what to do."""


class ReportError(UptimeError):
    """What was asked for cannot be reported; the message says why and what can."""


class DrillError(UptimeError):
    """A drill cannot go on; the message says what is missing and what to do."""


class ProbeFailure(UptimeError):
    """The target is down.

    Attributes:
        reason: From the closed set.
        detail: One line for people, without secrets.
        seen: What was learnt all the same.

    """

    def __init__(self, reason: Reason, detail: str, seen: Seen = UNSEEN) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.seen = seen


class Inconclusive(UptimeError):
    """The attempt failed for a cause on the exporter's own side.

    Attributes:
        fault: From the closed set.
        detail: One line for people, without secrets.

    """

    def __init__(self, fault: OwnFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail
