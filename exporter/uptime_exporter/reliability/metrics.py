"""What an application publishes of itself: the only home of its metric names."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from uptime_exporter.reliability.breaker import CircuitBreaker
from uptime_exporter.reliability.checkout import Use
from uptime_exporter.reliability.drain import GracefulShutdown
from uptime_exporter.reliability.health import Check, HealthMonitor
from uptime_exporter.reliability.histogram import Histogram
from uptime_exporter.reliability.requests import RequestAccounting
from uptime_exporter.reliability.retry import Retry
from uptime_exporter.reliability.states import StateName

STATES: tuple[StateName, ...] = get_args(StateName)

Labels = tuple[str, ...]
Samples = Iterable[tuple[Labels, float | None]]


class Pool(Protocol):
    """The part of a pool that is published."""

    @property
    def use(self) -> Use:
        """What is used of it."""

    @property
    def idle(self) -> int:
        """How many connections wait to be used."""

    async def disconnect(self) -> None:
        """Close all connections; the next use opens new ones."""


class Parts(Protocol):
    """What an application has of the toolkit."""

    @property
    def app(self) -> str:
        """The application's name; a label."""

    @property
    def breakers(self) -> Mapping[str, CircuitBreaker]:
        """Name → breaker."""

    @property
    def retries(self) -> Mapping[str, Retry]:
        """Name → retry."""

    @property
    def pools(self) -> Mapping[str, Pool]:
        """Name → pool."""

    @property
    def checks(self) -> HealthMonitor:
        """The application's own checks."""

    @property
    def requests(self) -> RequestAccounting:
        """What it was asked."""

    @property
    def drain(self) -> GracefulShutdown:
        """How it stops."""


class Toolkit(Collector):
    """Reads an application's parts at each scrape; holds no value of its own."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """Yield every family, those without a sample too."""
        parts, app = self._parts, self._parts.app
        yield from _circuits(app, list(parts.breakers.values()))
        yield from _retries(app, list(parts.retries.values()))
        yield from _requests(app, parts.requests)
        yield from _shutdowns(app, parts.drain)
        yield from _checks(app, list(parts.checks.checks.values()))
        yield from _pools(app, list(parts.pools.values()))


def _circuits(app: str, circuits: Sequence[CircuitBreaker]) -> Iterator[Metric]:
    yield _gauge(
        "uptime_circuit_state",
        "1 for the circuit's present state, 0 for the others.",
        ("app", "circuit", "state"),
        (((app, c.name, state), float(c.state == state)) for c in circuits for state in STATES),
    )
    yield _gauge(
        "uptime_circuit_state_since_timestamp_seconds",
        "Unix time since which the circuit has been in its present state.",
        ("app", "circuit"),
        (((app, c.name), c.since) for c in circuits),
    )
    yield _counter(
        "uptime_circuit_transitions_total",
        "Changes of state, by the state that was entered.",
        ("app", "circuit", "to"),
        (((app, c.name, to), n) for c in circuits for to, n in c.transitions.items()),
    )
    yield _counter(
        "uptime_circuit_calls_total",
        "Calls through the circuit, by what became of them.",
        ("app", "circuit", "outcome"),
        (((app, c.name, outcome), n) for c in circuits for outcome, n in c.calls.items()),
    )


def _retries(app: str, retries: Sequence[Retry]) -> Iterator[Metric]:
    yield _counter(
        "uptime_retries_total",
        "Retries, by what became of them.",
        ("app", "policy", "outcome"),
        (((app, r.name, outcome), n) for r in retries for outcome, n in r.retries.items()),
    )


def _requests(app: str, requests: RequestAccounting) -> Iterator[Metric]:
    yield _counter(
        "uptime_requests_total",
        "Requests that were answered, or not, by route template and status code.",
        ("app", "method", "route", "code"),
        (((app, *key), n) for key, n in requests.requests.items()),
    )
    yield _counter(
        "uptime_request_failures_total",
        "Requests that failed: 5xx and unhandled exceptions.",
        ("app",),
        [((app,), requests.failures)],
    )
    yield _histogram(
        "uptime_request_duration_seconds",
        "Time from a request's arrival to the last byte of its answer.",
        ("app", "route"),
        (((app, route), seconds) for route, seconds in requests.durations.items()),
    )
    yield _gauge(
        "uptime_requests_in_flight",
        "Requests that are being answered, this scrape's included.",
        ("app",),
        [((app,), requests.in_flight)],
    )


def _shutdowns(app: str, drain: GracefulShutdown) -> Iterator[Metric]:
    yield _gauge(
        "uptime_shutdown_in_progress",
        "1 while the application drains.",
        ("app",),
        [((app,), drain.is_shutting_down)],
    )
    yield _gauge(
        "uptime_shutdown_seconds",
        "Time that the latest drain took, also that of an earlier process; absent before the first.",
        ("app",),
        [((app,), drain.last_seconds)],
    )
    yield _counter(
        "uptime_shutdowns_total",
        "Drains, by how they ended; those of earlier processes included.",
        ("app", "result"),
        (((app, result), n) for result, n in drain.shutdowns.items()),
    )


def _checks(app: str, checks: Sequence[Check]) -> Iterator[Metric]:
    yield _gauge(
        "uptime_check_up",
        "1 if the application's own check is well, 0 if not, by its latest answer; absent while unknown.",
        ("app", "check"),
        (((app, c.name), None if c.state == "unknown" else c.healthy) for c in checks),
    )
    yield _counter(
        "uptime_checks_total",
        "Answers of the application's own checks, by result.",
        ("app", "check", "result"),
        (((app, c.name, result), n) for c in checks for result, n in c.results.items()),
    )
    yield _gauge(
        "uptime_check_last_run_timestamp_seconds",
        "Unix time at which the check was made last.",
        ("app", "check"),
        (((app, c.name), c.last_check) for c in checks),
    )


def _pools(app: str, pools: Sequence[Pool]) -> Iterator[Metric]:
    yield _gauge(
        "uptime_pool_connections",
        "Connections of the pool, by whether they are in use.",
        ("app", "pool", "state"),
        (
            ((app, p.use.name, state), n)
            for p in pools
            for state, n in (("idle", p.idle), ("in_use", p.use.in_use))
        ),
    )
    yield _gauge(
        "uptime_pool_limit",
        "How many connections may be in use at a time.",
        ("app", "pool"),
        (((app, p.use.name), p.use.limit) for p in pools),
    )
    yield _histogram(
        "uptime_pool_checkout_seconds",
        "Time that it took to be lent a connection, or to run out of time.",
        ("app", "pool"),
        (((app, p.use.name), p.use.checkouts) for p in pools),
    )
    yield _counter(
        "uptime_pool_checkout_timeouts_total",
        "Checkouts that ran out of time.",
        ("app", "pool"),
        (((app, p.use.name), p.use.timeouts) for p in pools),
    )


def _gauge(name: str, about: str, labels: Labels, samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family


def _counter(name: str, about: str, labels: Labels, samples: Samples) -> Metric:
    family = CounterMetricFamily(name, about, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family


def _histogram(name: str, about: str, labels: Labels, samples: Iterable[tuple[Labels, Histogram]]) -> Metric:
    family = HistogramMetricFamily(name, about, labels=labels)
    for values, histogram in samples:
        buckets = [(_bound(le), float(n)) for le, n in histogram.cumulative()]
        family.add_metric(values, buckets, histogram.sum)
    return family


def _bound(le: float) -> str:
    return "+Inf" if le == float("inf") else str(le)
