"""All that one application has of the toolkit: made by name, published together, told as JSON."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from uptime_exporter.reliability import shapes
from uptime_exporter.reliability.breaker import CircuitBreaker
from uptime_exporter.reliability.drain import GracefulShutdown
from uptime_exporter.reliability.health import Check, HealthMonitor, Question
from uptime_exporter.reliability.metrics import Pool, Toolkit
from uptime_exporter.reliability.requests import RequestAccounting
from uptime_exporter.reliability.retry import Retry
from uptime_exporter.reliability.shapes import Json

Named = TypeVar("Named")
AnyPool = TypeVar("AnyPool", bound=Pool)
Status = Literal["healthy", "degraded", "unhealthy"]


class Reliability:
    """The toolkit of one application.

    ::

        reliability = Reliability("main-backend")
        model_server = reliability.breaker("model_server")
        install(app, reliability)

    Attributes:
        app: The application's name; the metrics' label.
        breakers: Name → breaker.
        retries: Name → retry.
        pools: Name → pool.
        checks: The application's own checks; none before `monitor`.
        drain: How it stops.
        requests: What it was asked.
        collector: All that is published; for a registry of prometheus_client's.

    """

    def __init__(
        self,
        app: str,
        *,
        objective: float = 0.999,
        shutdown_timeout: float = 30.0,
        shutdown_record: Path | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Begin with nothing but the drain and the count of requests.

        Args:
            app: Tells this application from others in the same Prometheus.
            objective: What is promised of its uptime, 0 to 1; `/reliability` says it in words.
            shutdown_timeout: Seconds that requests in flight get at the end.
            shutdown_record: The file in which the results of shutdowns outlive the process; None: they do not.
            wall: Where Unix time comes from.

        Raises:
            ValueError: The name is empty, or the objective is not between 0 and 1.

        """
        if not app:
            raise ValueError("an application needs a name: it is the label `app` of its metrics")
        if not 0 < objective < 1:
            raise ValueError(f"objective ({objective:g}) must be between 0 and 1, such as 0.999")
        self.app = app
        self.breakers: dict[str, CircuitBreaker] = {}
        self.retries: dict[str, Retry] = {}
        self.pools: dict[str, Pool] = {}
        self.checks = HealthMonitor({}, wall=wall)
        self.drain = GracefulShutdown(shutdown_timeout, record=shutdown_record)
        self.requests = RequestAccounting()
        self.collector = Toolkit(self)
        self._objective = objective
        self._wall = wall

    def breaker(self, name: str, **options: Any) -> CircuitBreaker:
        """Return a new breaker, published under *name*; *options* are `CircuitBreaker`'s.

        Raises:
            ValueError: There is one of that name, or an option makes no sense.

        """
        if not name or "/" in name:
            raise ValueError(f"a circuit cannot be called {name!r}: its name is a part of a path")
        return _added(self.breakers, name, CircuitBreaker(name, **options), "circuit")

    def retry(self, name: str, **options: Any) -> Retry:
        """Return a new retry, published under *name*; *options* are `Retry`'s.

        Raises:
            ValueError: There is one of that name, or an option makes no sense.

        """
        return _added(self.retries, name, Retry(name, **options), "retry")

    def pool(self, pool: AnyPool) -> AnyPool:
        """Return *pool*, published under its name, and disconnected when the application has ended.

        Raises:
            ValueError: There is one of that name.

        """
        return _added(self.pools, pool.use.name, pool, "pool")

    def monitor(self, checks: Mapping[str, Question], **options: Any) -> HealthMonitor:
        """Return what asks *checks* while the application runs; *options* are `HealthMonitor`'s.

        Raises:
            ValueError: There is a monitor already, or an option makes no sense.

        """
        if self.checks.checks:
            raise ValueError(f"{self.app} has a monitor already: give it all checks at once")
        self.checks = HealthMonitor(checks, **{"wall": self._wall, **options})
        return self.checks

    async def start(self) -> None:
        """Begin with what goes on in the background."""
        await self.checks.start()

    async def stop(self) -> None:
        """End it."""
        await self.checks.stop()

    async def disconnect(self) -> None:
        """Close the connections of every pool."""
        for pool in list(self.pools.values()):
            await pool.disconnect()

    @property
    def status(self) -> Status:
        """Unhealthy if a check is down; degraded if one is unknown, or a circuit is not closed."""
        checks = [check.state for check in self.checks.checks.values()]
        if "down" in checks:
            return "unhealthy"
        circuits = [breaker.state for breaker in self.breakers.values()]
        return "healthy" if {*checks, *circuits} <= {"up", "closed"} else "degraded"

    def health(self) -> Json:
        """Return the body of `/health`."""
        return {"status": self.status, "timestamp": shapes.iso(self._wall()), "reliability": self._parts()}

    def report(self) -> Json:
        """Return the body of `/reliability`."""
        promise = shapes.promise(self._objective)
        return {"timestamp": shapes.iso(self._wall()), **self._parts(), **promise}

    def reset(self, name: str) -> Json:
        """Close the circuit *name*; return what answers it.

        Raises:
            KeyError: There is none.

        """
        breaker = self.breakers[name]
        breaker.reset()
        return shapes.after_reset(name, _circuit(breaker))

    def _parts(self) -> Json:
        return shapes.parts(
            map(_circuit, list(self.breakers.values())),
            shapes.shutdown(
                is_shutting_down=self.drain.is_shutting_down,
                active_requests=self.drain.active_requests,
                timeout=self.drain.shutdown_timeout,
            ),
            map(_check, self.checks.checks.values()),
            healthy=self.checks.overall_healthy,
        )


def _circuit(breaker: CircuitBreaker) -> Json:
    return shapes.circuit(
        breaker.name,
        breaker.state,
        failures=breaker.failure_count,
        last_failure=breaker.last_failure,
        threshold=breaker.failure_threshold,
        recovery=breaker.recovery_timeout,
        since=breaker.since,
    )


def _check(check: Check) -> Json:
    old_clients_read = shapes.check(
        check.name,
        healthy=check.healthy,
        last_check=check.last_check,
        success_ratio=check.success_ratio,
        history_size=check.history_size,
    )
    more = {"state": check.state, "since": shapes.iso(check.since), "reason": check.reason or None}
    return {**old_clients_read, **more}


def _added(known: dict[str, Any], name: str, new: Named, what: str) -> Named:
    if name in known:
        raise ValueError(
            f"there is a {what} {name!r} already: names are labels, and every {what} needs its own"
        )
    known[name] = new
    return new
