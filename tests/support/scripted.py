"""Probes that do as they are told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from support.configured import made
from uptime_exporter.errors import Inconclusive, ProbeFailure
from uptime_exporter.outcome import OwnFault, Reason, Seen
from uptime_exporter.probes.protocol import Phases, Probe
from uptime_exporter.settings import Target, TcpTarget

Behaviour = Callable[[], None]


def refuse() -> None:
    """Behave as a server that is gone."""
    raise ProbeFailure(Reason.CONNECT, "connection refused")


def lose_descriptors() -> None:
    """Behave as an exporter that can open no socket."""
    raise Inconclusive(OwnFault.RESOURCES, "too many open files")


def break_down() -> None:
    """Behave as a probe with a defect."""
    raise ZeroDivisionError


def answer() -> None:
    """Behave as a server that is well."""


@dataclass
class ScriptedProbe:
    """Answers as its present behaviour says, after `lasts` seconds, having entered `phase`."""

    behaviour: Behaviour = answer
    lasts: float = 0.0
    phase: str = "connect"
    seen: Seen = field(default_factory=Seen)
    next: list[Behaviour] = field(default_factory=list)
    """Behaviours for the next attempts, before `behaviour` applies."""
    asked: int = 0
    running: int = 0
    most_running: int = 0

    async def check(self, phases: Phases) -> Seen:
        self.asked += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            with phases.phase(self.phase):
                await asyncio.sleep(self.lasts)
            (self.next.pop(0) if self.next else self.behaviour)()
        finally:
            self.running -= 1
        return self.seen


class Hanging(ScriptedProbe):
    """Never answers."""

    def __init__(self, phase: str = "processing") -> None:
        super().__init__(lasts=1e9, phase=phase)


def target(**settings: object) -> Target:
    """Return the settings of a target that a scripted probe stands for."""
    return made(TcpTarget, **{"host": "target.test", "port": 1, **settings})


class Probes:
    """Hands out scripted probes by the host of the target they are built for."""

    def __init__(self, **probes: ScriptedProbe) -> None:
        self.of = probes

    def build(self, settings: Target) -> Probe:
        assert isinstance(settings, TcpTarget)
        return self.of[settings.host]
