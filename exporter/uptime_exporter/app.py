"""The only module that knows all the others: settings in, probes, outcomes, metrics and pages out."""

import asyncio
import gc
import os
import resource
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from uptime_exporter import __version__, logs
from uptime_exporter.clock import Clock
from uptime_exporter.errors import SettingsError
from uptime_exporter.ledger import Bookkeeper, Terms, terms_of
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.monitor import Asker, Attempt, Monitor
from uptime_exporter.outcome import Outcome
from uptime_exporter.probes.build import build_probe
from uptime_exporter.reliability.drain import GracefulShutdown
from uptime_exporter.settings import LONGEST, Settings, Target, drilling, secrets_of
from uptime_exporter.settings.apart import Reading
from uptime_exporter.web import Backend, Listener, Server, create_app, listen

if TYPE_CHECKING:
    from asyncio import new_event_loop
else:
    try:
        from uvloop import new_event_loop
    except ImportError:  # the extra `speed` is not installed
        from asyncio import new_event_loop

__all__ = ["App", "ask_once", "collect_rarely", "new_event_loop"]

log = logs.get("app")

LAST_RESORT = 5.0
"""Seconds past the time limit of a drain after which the process ends whatever still holds it."""

AT_ONCE = 1.0
"""Seconds that a second signal leaves for closing."""

COLLECTED = (50_000, 10, 20)
"""New objects, collections of the young, and of the older, after which Python looks for circles of garbage.

With the usual 700, 10 and 10 it stopped 5000 targets for half a second every few seconds, and found hardly any.
"""

FIXED_AT_START = ("listen", "ledger", "shutdown_timeout")
"""What only a restart changes."""


class App:
    """The exporter: asks by the beat, answers over HTTP, until it is told to stop."""

    def __init__(self, settings: Settings, reading: Callable[[], Reading], clock: Clock) -> None:
        """Go by *settings*, and after each reload by those of a new *reading*."""
        self._settings = settings
        self._reading = reading
        self._clock = clock
        self._reloads = Reloads(successful=True, at=clock.wall())
        self._reloading = asyncio.Lock()
        self._stop = asyncio.Event()
        self._forced = False
        self._end_of_drill: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._drain = GracefulShutdown(
            self._settings.shutdown_timeout, record=self._settings.ledger.with_suffix(".shutdowns.json")
        )
        self._books = Bookkeeper(self._settings.ledger, clock)
        self._monitor = Monitor(clock, build_probe, self._take)

    async def run(self, ready: Callable[[str], None] | None = None) -> int:
        """Work until SIGTERM or SIGINT; return the exit code.

        Args:
            ready: Called with the address of the page once it answers.

        Raises:
            ListenError: The listen address cannot be had.

        """
        self._speak()
        _allow_many_sockets()
        listener = listen(self._settings.listen)
        server = Server(create_app(self._backend(listener)), listener, self._drain)
        with self._signals(server):
            self._books.open(*_kept(self._settings))
            await self._watch(self._settings)
            gc.collect()
            gc.freeze()  # targets stay: no collection has to look at them again
            keeping = asyncio.create_task(self._books.run(), name="ledger")
            await server.start()
            loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
            targets = len(self._settings.targets)
            log.info("watching", version=__version__, url=listener.url, targets=targets, loop=loop)
            if ready is not None:
                ready(listener.url)
            await self._stop.wait()
            await self._leave(server, keeping)
        return 1 if self._forced else 0

    async def reload(self) -> None:
        """Read the settings again and go by them; targets that stay keep what is known of them.

        Raises:
            SettingsError: They cannot be used; nothing was changed.

        """
        async with self._reloading:
            try:
                with self._reading() as reading:
                    settings = await asyncio.to_thread(reading.result)
                await self._watch(settings)
            except SettingsError as error:
                self._reloads.successful = False
                for mistake in error.mistakes:
                    log.warning("settings not reloaded, nothing was changed", mistake=mistake)
                raise
            for name in FIXED_AT_START:
                if getattr(settings, name) != getattr(self._settings, name):
                    log.warning("a new value takes effect at the next start only", setting=name)
            self._settings = settings
            self._reloads.successful, self._reloads.at = True, self._clock.wall()
            self._speak()
            log.info("settings reloaded", targets=len(settings.targets))

    async def drill(self, seconds: float) -> None:
        """Watch a target that is down, for so many seconds; none: no more.

        Raises:
            SettingsError: There is a target or a promise of that name.

        """
        async with self._reloading:
            if seconds:
                drilling(self._settings)
            if self._end_of_drill is not None:
                self._end_of_drill.cancel()
                self._end_of_drill = None
            if seconds:
                loop = asyncio.get_running_loop()
                self._end_of_drill = loop.call_later(min(seconds, LONGEST), lambda: self._do(self.drill(0)))
            await self._watch(self._settings)
            log.info("drill", on=bool(seconds))

    async def _watch(self, settings: Settings) -> None:
        if self._end_of_drill is not None:
            settings = drilling(settings)
        await self._monitor.apply(settings.targets)
        self._books.apply(*_kept(settings))

    def _take(self, outcome: Outcome) -> None:
        log.debug("probed", target=outcome.target, verdict=outcome.verdict, seconds=round(outcome.seconds, 6))
        self._books.sink(outcome)

    def _backend(self, listener: Listener) -> Backend:
        return Backend(
            monitor=self._monitor,
            drain=self._drain,
            clock=self._clock,
            render=Exposition(self._monitor, self._books, self._reloads, drain=self._drain).serve,
            reload=self.reload,
            drill=self.drill,
            admin_token=lambda: self._settings.admin_token,
            loopback_only=listener.loopback_only,
            objective=lambda: _objective(self._settings),
            ledger=self._books,
        )

    def _speak(self) -> None:
        logs.redact(secrets_of(self._settings))
        logs.configure(self._settings.log_format, self._settings.log_level)

    async def _leave(self, server: Server, keeping: asyncio.Task[None]) -> None:
        began = self._clock.monotonic()
        log.info("stopping", requests_in_flight=self._drain.active_requests)
        result, _ = await asyncio.gather(server.drain_and_stop(), self._monitor.stop())
        keeping.cancel()
        await self._books.close()
        log.info("stopped", result=result, seconds=round(self._clock.monotonic() - began, 3))

    @contextmanager
    def _signals(self, server: Server) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(logs.loop_exception_handler)
        handlers = {
            signal.SIGTERM: lambda: self._told_to_stop(server),
            signal.SIGINT: lambda: self._told_to_stop(server),
            signal.SIGHUP: self._told_to_reload,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def _told_to_stop(self, server: Server) -> None:
        loop = asyncio.get_running_loop()
        if self._stop.is_set():
            log.warning("told a second time: stopping at once")
            self._forced = True
            server.force()
            loop.call_later(AT_ONCE, os._exit, 1)
        else:
            loop.call_later(self._settings.shutdown_timeout + LAST_RESORT, os._exit, 1)
        self._stop.set()

    def _told_to_reload(self) -> None:
        self._do(self._reload_quietly())

    def _do(self, something: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(something)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except SettingsError:
            return  # the log has every mistake


def _kept(settings: Settings) -> tuple[Mapping[str, Terms], Mapping[str, float]]:
    """Return what the ledger keeps: the promises, and the targets' beats in seconds."""
    return terms_of(settings.promises), {name: target.interval for name, target in settings.targets.items()}


def _objective(settings: Settings) -> float:
    """Return what `/reliability` calls the uptime target: the strictest promise that the settings name."""
    return max(sla.objective for sla in settings.slas.values())


async def ask_once(name: str, target: Target, clock: Clock) -> Attempt:
    """Ask one target once, under its deadline and without retries."""
    return await Asker(name, target, build_probe(target), clock, nullcontext).attempt()


def collect_rarely() -> None:
    """Have the garbage collector run for what only it can free, which is little, and not for every few probes."""
    gc.set_threshold(*COLLECTED)
    gc.enable()


def _allow_many_sockets() -> None:
    """Raise the soft limit of open files to the hard one: a thousand silent targets hold a thousand sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
