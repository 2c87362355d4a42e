"""A stretch of one state, and the whole milliseconds in which the ledger counts."""

from enum import StrEnum
from typing import NamedTuple

Millis = int
"""Milliseconds of ledger time: an axis of its own that starts at the Unix time of the ledger's first start and
goes by the monotonic clock from then on, so that no step of the wall clock lengthens or shortens anything."""


class State(StrEnum):
    """What a target or a promise is in at a moment; there is no fourth."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


EXPORTER_DOWN = "exporter_down"
"""Nobody was there to ask: from the last settled moment to the next start."""
NOT_ASKED = "not_asked"
"""No verdict yet, or the last one is older than 2.5 beats."""
NOT_WATCHED = "not_watched"
"""The settings did not name it for a while."""


class Span(NamedTuple):
    """A stretch of one state, from `start` up to but not including `end`."""

    start: Millis
    end: Millis
    state: State
    reason: str = ""
    """Why it is not up: a reason or own fault, with the targets' names before it where several are meant."""

    @property
    def length(self) -> Millis:
        """How long it lasts."""
        return self.end - self.start
