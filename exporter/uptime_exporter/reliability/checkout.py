"""The door of a pool: so many at a time, in the order in which they came, and nobody waits without end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from uptime_exporter.reliability.histogram import Histogram

CHECKOUT_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds: a free connection takes microseconds, a new one milliseconds."""

Connection = TypeVar("Connection")


class CheckoutTimeoutError(TimeoutError):
    """No connection of the pool was to be had in time; the message says why and what to do."""


class Use:
    """What is used of one pool, and what it cost to be let in.

    Attributes:
        name: Of the pool; a label.
        limit: How many connections may be in use at a time.
        in_use: How many are.
        checkouts: Seconds that checkouts took, those that ran out of time included.
        timeouts: How many ran out of time.

    """

    def __init__(
        self, name: str, limit: int, checkout_timeout: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if limit < 1 or checkout_timeout <= 0:
            raise ValueError(
                f"pool {name}: limit ({limit}) and checkout_timeout ({checkout_timeout:g}s) must be above 0"
            )
        self.name = name
        self.limit = limit
        self.checkout_timeout = checkout_timeout
        self.in_use = 0
        self.checkouts = Histogram(CHECKOUT_BOUNDS)
        self.timeouts = 0
        self._clock = clock
        self._places = asyncio.Semaphore(limit)

    async def take(self, connect: Callable[[], Awaitable[Connection]]) -> Connection:
        """Wait for a place, then for *connect*; whoever waits longest is next.

        Raises:
            CheckoutTimeoutError: Both together took too long.

        """
        began, admitted = self._clock(), False
        limit = asyncio.timeout(self.checkout_timeout)
        try:
            async with limit:
                await self._places.acquire()
                admitted = True
                self.in_use += 1
                taken = await connect()
        except BaseException as error:
            if admitted:
                self.give_back()
            if isinstance(error, TimeoutError) and limit.expired():
                raise self._too_late(began, admitted=admitted) from error
            raise
        self.checkouts.observe(self._clock() - began)
        return taken

    def give_back(self) -> None:
        """Free a place."""
        self.in_use -= 1
        self._places.release()

    def renew(self) -> None:
        """Let go of the event loop that was waited on, for the next one; nothing happens while it is in use."""
        if not self.in_use:
            self._places = asyncio.Semaphore(self.limit)

    def _too_late(self, began: float, *, admitted: bool) -> CheckoutTimeoutError:
        self.timeouts += 1
        self.checkouts.observe(self._clock() - began)
        cause = (
            f"the server does not answer ({self.in_use} of {self.limit} are in use)"
            if admitted
            else f"all {self.limit} are in use: hold them for less time, or raise the limit"
        )
        return CheckoutTimeoutError(
            f"pool {self.name}: no connection within {self.checkout_timeout:g} s; {cause}"
        )
