"""An event loop on which time passes only when nothing else can happen, and a clock that goes by it."""

import asyncio
import selectors


class FakeClock:
    """Wall and monotonic time that a test moves.

    Waiting on a `FakeLoop` moves everything; `step_wall` sets the wall clock alone, as an operator or NTP would;
    `suspend` closes the lid: the loop's own timers stand still meanwhile.
    """

    def __init__(self, wall: float = 1_767_225_600.0) -> None:
        self._wall = wall
        self._monotonic = 1000.0
        self._awake = 0.0

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def awake(self) -> float:
        """Seconds in which the machine ran: what an event loop goes by."""
        return self._awake

    def pass_time(self, seconds: float) -> None:
        """Let time go by while the machine runs."""
        self.suspend(seconds)
        self._awake += seconds

    def suspend(self, seconds: float) -> None:
        """Let time go by while nothing runs."""
        self._wall += seconds
        self._monotonic += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock, forward or back."""
        self._wall += seconds


class _ImpatientSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the clock to where the waiting would have ended."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer is set: only another thread or a socket can go on
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self._clock.pass_time(timeout)
        return ready


class FakeLoop(asyncio.SelectorEventLoop):
    """Runs ``asyncio.sleep(3600)`` at once. Not for sockets: it never waits for one."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        super().__init__(_ImpatientSelector(clock))

    def time(self) -> float:
        return self.clock.awake()
