"""Watches with a past, and a backend around them, for whoever shows them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from gzip import compress

from support.loop import FakeClock
from uptime_exporter.errors import SettingsError
from uptime_exporter.ledger.account import Account, Terms
from uptime_exporter.ledger.span import State
from uptime_exporter.ledger.timeline import Timeline
from uptime_exporter.monitor import Watch
from uptime_exporter.outcome import UNSEEN, Outcome, OwnFault, Reason, Seen
from uptime_exporter.reliability.drain import GracefulShutdown
from uptime_exporter.settings import HttpTarget, MysqlTarget, Secret, Target, TcpTarget
from uptime_exporter.web import Backend

BEAT = 30.0
DAY = 86_400.0

MODEL_SERVER = HttpTarget(url="http://localhost:8001/health")
ASR_OCR_SERVER = HttpTarget(url="http://localhost:8002/health")
MYSQL = MysqlTarget(host="localhost", user="uptime", password=Secret("hunter2"))
DOOR = TcpTarget(host="::1", port=6379)

WELL = Seen(models={"llm": True, "summary": True})


@dataclass(slots=True)
class FakeMonitor:
    """What is watched, without a beat."""

    watches: dict[str, Watch]
    stopped: list[str] = field(default_factory=list)

    @property
    def everything_down(self) -> bool:
        return len(self.watches) > 1 and all(w.up is False for w in self.watches.values())

    def stalled(self) -> list[str]:
        return self.stopped

    def reset(self, circuit: str) -> Watch:
        watch = self.watches[circuit]
        watch.circuit.reset()
        return watch


@dataclass(slots=True)
class Past:
    """One target's checks, told one beat after the other."""

    watch: Watch
    clock: FakeClock

    def beat(
        self,
        reason: Reason | OwnFault | None = None,
        detail: str = "",
        seen: Seen = UNSEEN,
        *,
        seconds: float = 0.0143,
        attempts: int = 1,
        phases: Mapping[str, float] | None = None,
    ) -> None:
        """Let one outcome become known, at the present time."""
        outcome = Outcome(
            target=self.watch.name,
            at=self.clock.wall(),
            monotonic=self.clock.monotonic(),
            interval=self.watch.settings.interval,
            seconds=seconds,
            reason=reason,
            detail=detail,
            attempts=attempts,
            phases=phases or {},
            seen=seen,
        )
        self.watch.circuit.beat()
        self.watch.record(outcome)
        self.watch.circuit.feed(outcome)


@dataclass
class FakeLedger:
    """Accounts as a test tells them, in ledger time that is Unix time."""

    accounts: dict[str, Account]
    timeline: Timeline = field(default_factory=Timeline)
    trouble: str | None = None

    def account(
        self, name: str, *spans: tuple[float, State, str], until: float, targets: Sequence[str] = ()
    ) -> None:
        """Add an account whose last so many seconds before *until*, in Unix time, were like this."""
        length = sum(seconds for seconds, _, _ in spans)
        begin = round((until - length) * 1000)
        account = Account(name, Terms(tuple(targets) or (name,)), begin)
        for seconds, state, reason in spans:
            account.add(account.settled + round(seconds * 1000), state, reason)
        self.accounts[name] = account


class Scene:
    """A backend whose targets' pasts a test tells."""

    def __init__(self, targets: Mapping[str, Target] | None = None, wall: float = 1_767_272_400.0) -> None:
        self.clock = FakeClock(wall)
        named: Mapping[str, Target] = {
            "model_server": MODEL_SERVER,
            "asr_ocr_server": ASR_OCR_SERVER,
            "mysql": MYSQL,
        }
        chosen = named if targets is None else targets
        self.monitor = FakeMonitor({name: Watch(name, chosen[name], self.clock) for name in chosen})
        self.drain = GracefulShutdown(timeout=30.0)
        self.token: Secret | None = None
        self.mistakes: list[str] = []
        self.reloads = 0
        self.drills: list[float] = []
        self.exposition = b"uptime_target_up 1\n"
        self.ledger = FakeLedger({})

    def past(self, name: str) -> Past:
        """Return what one target's past is told with."""
        return Past(self.monitor.watches[name], self.clock)

    def everybody(self, beats: int, *, but: Iterable[str] = ()) -> None:
        """Let so many beats go by in which all targets, but some, are well."""
        for _ in range(beats):
            self.clock.pass_time(BEAT)
            for name in self.monitor.watches:
                if name not in but:
                    self.past(name).beat(seen=WELL if name == "model_server" else UNSEEN)

    def backend(self, *, loopback_only: bool = True, objective: float = 0.999) -> Backend:
        """Return the backend, which goes on to see what the scene becomes."""
        return Backend(
            drill=self._drill,
            monitor=self.monitor,
            drain=self.drain,
            clock=self.clock,
            render=self._render,
            reload=self._reload,
            admin_token=lambda: self.token,
            loopback_only=loopback_only,
            objective=lambda: objective,
            ledger=self.ledger,
        )

    async def _render(self, accept: str, *, gzip: bool) -> tuple[list[bytes], str]:
        body = compress(self.exposition, 1, mtime=0) if gzip else self.exposition
        half = len(body) // 2
        return [body[:half], body[half:]], f"text/plain; asked={accept}"

    async def _reload(self) -> None:
        if self.mistakes:
            raise SettingsError(self.mistakes)
        self.reloads += 1

    async def _drill(self, seconds: float) -> None:
        if self.mistakes:
            raise SettingsError(self.mistakes)
        self.drills.append(seconds)
