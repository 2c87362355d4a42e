"""A snapshot as exposition; the only home of metric names."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from uptime_exporter import __version__
from uptime_exporter.ledger.account import Account
from uptime_exporter.ledger.span import State
from uptime_exporter.monitor import Histogram, Watch, together
from uptime_exporter.monitor.circuit import STATES

APP = "uptime-exporter"
"""The `app` label of what the exporter itself holds."""

_TIMES = {State.UP: "uptime", State.DOWN: "downtime", State.UNKNOWN: "unknown"}

Labels = tuple[str, ...]
Samples = Iterable[tuple[Labels, float | None]]


@dataclass(slots=True)
class Reloads:
    """What became of the latest reload of the settings."""

    successful: bool
    at: float
    """Unix time of the latest successful one, the start included."""


class Watching(Protocol):
    """The part of the monitor that is published."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        """Target → what is known of it."""

    @property
    def lateness(self) -> Histogram:
        """Seconds from when a probe was due to when it began."""


class Books(Protocol):
    """The part of the ledger that is published."""

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Promise → its account."""

    def totals(self, name: str) -> Mapping[State, int]:
        """Return a promise's totals in milliseconds, as they are on the disk."""

    @property
    def write_failures(self) -> int:
        """Commits that failed since the start."""


class Exposition:
    """Renders everything that is known, in whichever of Prometheus' formats is asked for."""

    def __init__(self, monitor: Watching, books: Books, reloads: Reloads, *, process: bool = True) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Snapshot(monitor, books, reloads))
        if process:
            ProcessCollector(registry=self._registry)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return body and content type for an ``Accept`` header; empty means the text format 0.0.4."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Snapshot(Collector):
    """Reads monitor and ledger at each scrape; holds no value of its own."""

    def __init__(self, monitor: Watching, books: Books, reloads: Reloads) -> None:
        self._monitor = monitor
        self._books = books
        self._reloads = reloads

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        watches = list(self._monitor.watches.values())
        yield from _targets(watches)
        yield from _probes(watches)
        yield from _circuits(watches)
        yield from _promises(self._books, self._monitor.watches)
        yield from _exporter(self._monitor, self._books, self._reloads)


def _targets(watches: Sequence[Watch]) -> Iterator[Metric]:
    yield _gauge(
        "uptime_target_up",
        "1 if the target is up, 0 if it is down, by the latest probe; absent while unknown.",
        ("target",),
        _each(watches, lambda w: w.up),
    )
    yield _gauge(
        "uptime_target_degraded",
        "1 while the target is up but says itself that it is degraded; absent while unknown.",
        ("target",),
        _each(watches, lambda w: None if w.up is None else w.degraded),
    )
    yield _gauge(
        "uptime_target_info",
        "What the target is; constant 1.",
        ("target", "kind", "address"),
        (((w.name, w.settings.kind, w.settings.address), 1.0) for w in watches),
    )
    yield _gauge(
        "uptime_target_interval_seconds",
        "Time from one probe to the next, as set: the beat.",
        ("target",),
        _each(watches, lambda w: w.settings.interval),
    )
    yield _gauge(
        "uptime_model_loaded",
        "1 if the model is loaded, 0 if not, from the body of the target's health check.",
        ("target", "model"),
        (((w.name, model), float(loaded)) for w in watches for model, loaded in w.models.items()),
    )


def _probes(watches: Sequence[Watch]) -> Iterator[Metric]:
    yield _counter(
        "uptime_probes_total",
        "Probes that gave a verdict.",
        ("target",),
        _each(watches, lambda w: w.probes),
    )
    yield _counter(
        "uptime_probe_failures_total",
        "Probes that found the target down, by reason.",
        ("target", "reason"),
        (((w.name, reason.value), float(n)) for w in watches for reason, n in w.failures.items()),
    )
    yield _counter(
        "uptime_probe_inconclusive_total",
        "Probes that failed for a cause on the exporter's own side, by reason.",
        ("target", "reason"),
        (((w.name, fault.value), float(n)) for w in watches for fault, n in w.inconclusive.items()),
    )
    yield _counter(
        "uptime_probe_attempts_total",
        "Attempts of all probes; those beyond one a probe confirmed or healed a failure.",
        ("target",),
        _each(watches, lambda w: w.attempts),
    )
    yield _histogram(
        "uptime_probe_duration_seconds",
        "Time from the start of a probe to its verdict, retries included.",
        ("target",),
        (((w.name,), w.durations) for w in watches),
    )
    yield _gauge(
        "uptime_probe_phase_seconds",
        "Time that each phase of the latest probe took, in its last attempt.",
        ("target", "phase"),
        (((w.name, phase), s) for w in watches if w.latest for phase, s in w.latest.phases.items()),
    )
    yield _gauge(
        "uptime_probe_last_run_timestamp_seconds",
        "Unix time at which the latest probe began.",
        ("target",),
        _each(watches, lambda w: w.last_run),
    )
    yield _gauge(
        "uptime_probe_last_success_timestamp_seconds",
        "Unix time at which the latest probe began that found the target up.",
        ("target",),
        _each(watches, lambda w: w.last_success),
    )
    yield _gauge(
        "uptime_probe_success_ratio",
        "Part of the last 100 checks that found the target up, 0 to 1; inconclusive ones don't count.",
        ("target",),
        _each(watches, lambda w: w.success_ratio),
    )
    yield _gauge(
        "uptime_probe_tls_not_after_timestamp_seconds",
        "Unix time at which the first certificate of the served chain runs out, refused ones included.",
        ("target",),
        _each(watches, lambda w: w.certificate_expires),
    )


def _circuits(watches: Sequence[Watch]) -> Iterator[Metric]:
    circuits = [w.circuit for w in watches]
    yield _gauge(
        "uptime_circuit_state",
        "1 for the circuit's present state, 0 for the others.",
        ("app", "circuit", "state"),
        (((APP, c.name, state), float(c.state.name == state)) for c in circuits for state in STATES),
    )
    yield _gauge(
        "uptime_circuit_state_since_timestamp_seconds",
        "Unix time since which the circuit has been in its present state.",
        ("app", "circuit"),
        (((APP, c.name), c.since) for c in circuits),
    )
    yield _counter(
        "uptime_circuit_transitions_total",
        "Changes of state, by the state that was entered.",
        ("app", "circuit", "to"),
        (((APP, c.name, to), float(n)) for c in circuits for to, n in c.transitions.items()),
    )
    yield _counter(
        "uptime_circuit_calls_total",
        "Calls through the circuit, by what became of them.",
        ("app", "circuit", "outcome"),
        (((APP, c.name, outcome), float(n)) for c in circuits for outcome, n in c.calls.items()),
    )


def _promises(books: Books, watches: Mapping[str, Watch]) -> Iterator[Metric]:
    accounts = books.accounts.values()

    def gauge(name: str, about: str, value: Callable[[Account], float | None]) -> Metric:
        return _gauge(name, about, ("sla",), (((a.name,), value(a)) for a in accounts))

    def seconds_total(state: State, about: str) -> Metric:
        name = f"uptime_sla_{_TIMES[state]}_seconds_total"
        return _counter(
            name, about, ("sla",), (((a.name,), books.totals(a.name)[state] / 1000) for a in accounts)
        )

    yield gauge("uptime_sla_objective_ratio", "What is promised, 0 to 1.", lambda a: a.terms.objective)
    yield gauge(
        "uptime_sla_window_seconds",
        "Over which rolling time it is promised.",
        lambda a: a.terms.window / 1000,
    )
    yield _gauge(
        "uptime_sla_target_info",
        "Which targets the promise is about; constant 1.",
        ("sla", "target"),
        (((a.name, target), 1.0) for a in accounts for target in a.terms.targets if target in watches),
    )
    yield gauge(
        "uptime_sla_up",
        "1 while all targets of the promise are up, 0 while one is down; absent while unknown.",
        lambda a: together(a.terms.targets, watches),
    )
    yield seconds_total(State.UP, "Time in which the promise was kept, since the ledger began.")
    yield seconds_total(State.DOWN, "Time in which it was broken, since the ledger began.")
    yield seconds_total(State.UNKNOWN, "Time of which nobody knows, since the ledger began.")
    yield gauge(
        "uptime_sla_availability_ratio",
        "Uptime of what was seen in the rolling window, 0 to 1.",
        lambda a: a.availability,
    )
    yield gauge(
        "uptime_sla_error_budget_seconds",
        "Downtime that the whole window allows.",
        lambda a: a.terms.budget / 1000,
    )
    yield gauge(
        "uptime_sla_error_budget_remaining_seconds",
        "Downtime that is left of it; negative when the promise is broken.",
        lambda a: a.budget_remaining / 1000,
    )
    yield gauge(
        "uptime_sla_error_budget_remaining_ratio",
        "The same as a part of the budget; 1 when nothing is spent.",
        lambda a: a.budget_remaining / a.terms.budget,
    )
    yield gauge(
        "uptime_sla_coverage_ratio",
        "Part of the rolling window, or of the time since the ledger began, of which something is known.",
        lambda a: a.coverage,
    )


def _exporter(monitor: Watching, books: Books, reloads: Reloads) -> Iterator[Metric]:
    yield _gauge(
        "uptime_exporter_build_info",
        "Which exporter this is; constant 1.",
        ("version", "python"),
        [((__version__, platform.python_version()), 1.0)],
    )
    yield _gauge(
        "uptime_exporter_config_last_reload_successful",
        "1 if the latest reload of the settings succeeded, or none was asked for.",
        (),
        [((), float(reloads.successful))],
    )
    yield _gauge(
        "uptime_exporter_config_last_reload_success_timestamp_seconds",
        "Unix time of the latest successful reload of the settings, the start included.",
        (),
        [((), reloads.at)],
    )
    yield _counter(
        "uptime_exporter_ledger_write_failures_total",
        "Times that the ledger could not be written; what was pending is kept and written later.",
        (),
        [((), float(books.write_failures))],
    )
    yield _histogram(
        "uptime_exporter_probe_lateness_seconds",
        "Time from when a probe was due to when it began.",
        (),
        [((), monitor.lateness)],
    )


def _each(watches: Sequence[Watch], value: Callable[[Watch], float | None]) -> Samples:
    return (((w.name,), value(w)) for w in watches)


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
