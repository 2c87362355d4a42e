"""Asks the main backend as its users do, and counts what they see of it."""

import asyncio
import contextlib
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import httpx

from uptime_exporter import logs
from uptime_exporter.demo.backend import ROUTES
from uptime_exporter.reliability import RetryPolicy

PROMISED = 0.999
"""Part of the requests that must be answered."""

AGAIN = frozenset({429, 500, 502, 503, 504})
"""Statuses after which a client asks again: what it asks changes nothing."""

LONGEST_WAIT = 10.0
"""Seconds that a user waits at most because a server says so (``Retry-After``)."""

REMEMBERED = 100_000
"""Latest requests of which the duration is kept."""

BAR = 30
"""Characters of the progress bar."""

_log = logs.get("demo")


@dataclass(slots=True)
class Tally:
    """What users saw."""

    asked: int = 0
    """Requests of users that have come to an end."""
    answered: int = 0
    """Those of them that got an answer, in however many attempts."""
    degraded: int = 0
    """Those of them whose answer was not all that it could be, because something else was down."""
    attempts: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """What the last attempt of the others met → how many."""
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """From a user's asking to the answer or the giving up, pauses included."""

    @property
    def uptime(self) -> float | None:
        """Part of the requests that were answered, 0 to 1; None without any."""
        return self.answered / self.asked if self.asked else None

    @property
    def kept(self) -> bool:
        """Whether that is what is promised."""
        return self.uptime is not None and self.uptime >= PROMISED

    def told(self, seconds: float) -> str:
        """Return what was seen in that time, for people."""
        lines = [
            f"{self.asked} requests in {seconds:.1f} s",
            f"  answered  {self.answered}, {self.degraded} of them with less than all: something else was down",
            f"  failed    {self.asked - self.answered}{_named(self.failures)}",
            f"  attempts  {self.attempts}: {self.attempts - self.asked} were made again",
            f"  latency   {_latency(sorted(self.seconds))}",
        ]
        return "\n".join([*lines, self._verdict()])

    def _verdict(self) -> str:
        if self.uptime is None:
            return "NOT KEPT: nothing was asked"
        tenths = int(self.uptime * 100_000 + 1e-6) / 1000  # never rounded up to what it is not
        word = "KEPT" if self.kept else "NOT KEPT"
        return f"{word}: uptime under load {tenths:.3f} %, promised {PROMISED * 100:g} %"


class _NoAnswer(Exception):  # noqa: N818 - named after what the user got
    """An attempt was in vain.

    Attributes:
        wait: Seconds after which the server wishes to be asked again; None: that would be in vain too.

    """

    def __init__(self, why: str, wait: float | None = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class Load:
    """So many users a second, who come whether or not others have been answered.

    Attributes:
        tally: What they saw so far.

    """

    def __init__(
        self,
        url: str,
        *,
        rate: float,
        policy: RetryPolicy | None = None,
        timeout: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Get ready.

        Args:
            url: Of the backend.
            rate: Users a second.
            policy: How they try again.
            timeout: Seconds that an attempt may take.
            transport: How they reach it; None: over the network.

        """
        self.tally = Tally()
        self._url = url.rstrip("/")
        self._rate = rate
        self._policy = policy or RetryPolicy(retries=4, backoff=0.25)
        self._timeout = timeout
        self._transport = transport
        self._paths = cycle(ROUTES)

    async def run(
        self, seconds: float | None = None, progress: Callable[[Tally, float], None] = lambda *_: None
    ) -> Tally:
        """Ask for so many seconds, or until cancelled; return what was seen once everybody has left.

        Args:
            seconds: How long users come.
            progress: Told of the tally and the seconds so far, as users come.

        """
        now = asyncio.get_running_loop().time
        began, came = now(), 0
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        async with (
            httpx.AsyncClient(
                base_url=self._url,
                timeout=self._timeout,
                trust_env=False,
                limits=limits,
                transport=self._transport,
            ) as client,
            asyncio.TaskGroup() as users,
        ):
            while seconds is None or came < self._rate * seconds:
                users.create_task(self._user(client, next(self._paths)))
                came += 1
                progress(self.tally, now() - began)
                await asyncio.sleep(began + came / self._rate - now())
        return self.tally

    async def _user(self, client: httpx.AsyncClient, path: str) -> None:
        began = time.perf_counter()
        failure = await self._served(client, path)
        self.tally.asked += 1
        self.tally.seconds.append(time.perf_counter() - began)
        if failure is None:
            self.tally.answered += 1
        else:
            self.tally.failures[failure] += 1

    async def _served(self, client: httpx.AsyncClient, path: str) -> str | None:
        """Ask until there is an answer or no more patience; return what the last attempt met, None if an answer."""
        pauses = self._policy.pauses()
        while True:
            try:
                await self._attempt(client, path)
            except _NoAnswer as error:
                pause = next(pauses, None)
                if pause is None or error.wait is None:
                    return str(error)
                await asyncio.sleep(max(pause, error.wait))
            else:
                return None

    async def _attempt(self, client: httpx.AsyncClient, path: str) -> None:
        self.tally.attempts += 1
        try:
            async with asyncio.timeout(self._timeout):
                answer = await client.get(path)
        except (httpx.TransportError, TimeoutError) as error:
            raise _NoAnswer(type(error).__name__) from error
        if answer.status_code in AGAIN:
            raise _NoAnswer(str(answer.status_code), _wished(answer))
        if not answer.is_success or not isinstance(said := _json(answer), dict):
            raise _NoAnswer(f"{answer.status_code}, which is no answer", wait=None)
        self.tally.degraded += bool(said.get("degraded"))


async def ask_endlessly(users: Load, pulse: Path | None = None) -> None:
    """Let users come until SIGTERM or SIGINT; log then what they saw.

    Args:
        users: Who comes, and how many.
        pulse: A file that is touched as they come, so that somebody else sees that they do.

    """

    def beat(*_: object) -> None:
        if pulse is not None:
            pulse.touch()

    asking = asyncio.create_task(users.run(progress=beat))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asking.cancel)
    _log.info("users come")
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    tally = users.tally
    _log.info("users gone", asked=tally.asked, answered=tally.answered, degraded=tally.degraded)


def bar(tally: Tally, passed: float, seconds: float) -> str:
    """Return a line that says how far it is; it overwrites the line before."""
    done = min(BAR, int(BAR * passed / seconds))
    failed = tally.asked - tally.answered
    return f"\r[{'#' * done:{BAR}}] {passed:5.1f} of {seconds:g} s, {tally.asked} asked, {failed} failed"


def _wished(answer: httpx.Response) -> float:
    """Return the seconds of ``Retry-After``, never more than a user's patience; a date counts as none."""
    said = answer.headers.get("retry-after", "")
    return min(float(said), LONGEST_WAIT) if said.isascii() and said.isdigit() else 0.0


def _json(answer: httpx.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None


def _named(failures: Counter[str]) -> str:
    return f": {', '.join(f'{number} {why}' for why, number in failures.most_common(5))}" if failures else ""


def _latency(seconds: Sequence[float]) -> str:
    if not seconds:
        return "nothing was asked"
    parts = [f"p{part} {seconds[len(seconds) * part // 100] * 1000:.0f} ms" for part in (50, 95, 99)]
    return f"{', '.join(parts)}, longest {seconds[-1] * 1000:.0f} ms"
