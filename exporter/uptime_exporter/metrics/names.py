"""The only home of metric names: each family is one entry, in the order of the page."""

from uptime_exporter.metrics.family import Kind, Pace, counter, counters, gauge, gauges, histogram
from uptime_exporter.metrics.subjects import (
    AnyApplication,
    AnyCircuit,
    CheckNow,
    Exporter,
    Promise,
)
from uptime_exporter.monitor import Watch
from uptime_exporter.outcome import NOTHING

RARE, SELDOM = Pace.RARE, Pace.SELDOM

TARGETS: Kind[Watch] = Kind(
    ("target",),
    (
        gauge(
            "uptime_target_up",
            "1 if the target is up, 0 if it is down, by the latest probe; absent while unknown.",
            lambda w: w.up,
            pace=SELDOM,
        ),
        gauge(
            "uptime_target_degraded",
            "1 while the target is up but says itself that it is degraded; absent while unknown.",
            lambda w: None if (known := w.known) is None else known.look == "degraded",
            pace=SELDOM,
        ),
        gauges(
            "uptime_target_info",
            "What the target is; constant 1.",
            ("kind", "address"),
            lambda w: {(w.settings.kind, w.address): 1.0},
            pace=RARE,
        ),
        gauge(
            "uptime_target_interval_seconds",
            "Time from one probe to the next, as set: the beat.",
            lambda w: w.settings.interval,
            pace=RARE,
        ),
        gauges(
            "uptime_model_loaded",
            "1 if the model is loaded, 0 if not, from the body of the target's health check.",
            ("model",),
            lambda w: w.models,
            pace=SELDOM,
        ),
        counter("uptime_probes_total", "Probes that gave a verdict.", lambda w: w.probes),
        counters(
            "uptime_probe_failures_total",
            "Probes that found the target down, by reason.",
            ("reason",),
            lambda w: w.failures,
            pace=SELDOM,
        ),
        counters(
            "uptime_probe_inconclusive_total",
            "Probes that failed for a cause on the exporter's own side, by reason.",
            ("reason",),
            lambda w: w.inconclusive,
            pace=SELDOM,
        ),
        counter(
            "uptime_probe_attempts_total",
            "Attempts of all probes; those beyond one a probe confirmed or healed a failure.",
            lambda w: w.attempts,
        ),
        histogram(
            "uptime_probe_duration_seconds",
            "Time from the start of a probe to its verdict, retries included.",
            lambda w: w.durations,
        ),
        gauges(
            "uptime_probe_phase_seconds",
            "Time that each phase of the latest probe took, in its last attempt.",
            ("phase",),
            lambda w: w.latest.phases if w.latest else NOTHING,
        ),
        gauge(
            "uptime_probe_last_run_timestamp_seconds",
            "Unix time at which the latest probe began.",
            lambda w: w.last_run,
        ),
        gauge(
            "uptime_probe_last_success_timestamp_seconds",
            "Unix time at which the latest probe began that found the target up.",
            lambda w: w.last_success,
        ),
        gauge(
            "uptime_probe_success_ratio",
            "Part of the last 100 checks that found the target up, 0 to 1; inconclusive ones don't count.",
            lambda w: w.success_ratio,
            pace=SELDOM,
        ),
        gauge(
            "uptime_probe_tls_not_after_timestamp_seconds",
            "Unix time at which the first certificate of the served chain runs out, refused ones included.",
            lambda w: w.certificate_expires,
            pace=SELDOM,
        ),
    ),
)

CIRCUITS: Kind[AnyCircuit] = Kind(
    ("app", "circuit"),
    (
        gauges(
            "uptime_circuit_state",
            "1 for the circuit's present state, 0 for the others.",
            ("state",),
            lambda c: c.states,
            pace=SELDOM,
        ),
        gauge(
            "uptime_circuit_state_since_timestamp_seconds",
            "Unix time since which the circuit has been in its present state.",
            lambda c: c.since,
            pace=SELDOM,
        ),
        counters(
            "uptime_circuit_transitions_total",
            "Changes of state, by the state that was entered.",
            ("to",),
            lambda c: c.transitions,
            pace=SELDOM,
        ),
        counters(
            "uptime_circuit_calls_total",
            "Calls through the circuit, by what became of them.",
            ("outcome",),
            lambda c: c.calls,
        ),
    ),
)

APPLICATIONS: Kind[AnyApplication] = Kind(
    ("app",),
    (
        gauge(
            "uptime_requests_in_flight",
            "Requests that are being answered, by the application's own word.",
            lambda a: a.in_flight,
        ),
        gauge(
            "uptime_shutdown_in_progress",
            "1 while the application drains.",
            lambda a: a.shutting_down,
        ),
        gauge(
            "uptime_shutdown_seconds",
            "Time that the latest drain took, also that of an earlier process; absent before the first.",
            lambda a: a.last_shutdown,
        ),
        counters(
            "uptime_shutdowns_total",
            "Drains, by how they ended; those of earlier processes included.",
            ("result",),
            lambda a: a.shutdowns,
        ),
    ),
)

CHECKS: Kind[CheckNow] = Kind(
    ("app", "check"),
    (
        gauge(
            "uptime_check_up",
            "1 if the application's own check is well, 0 if not, by its latest answer; absent while unknown.",
            lambda c: c.healthy,
        ),
        gauge(
            "uptime_check_last_run_timestamp_seconds",
            "Unix time at which the check was made last.",
            lambda c: c.last_check,
        ),
    ),
)

PROMISES: Kind[Promise] = Kind(
    ("sla",),
    (
        gauge(
            "uptime_sla_objective_ratio",
            "What is promised, 0 to 1.",
            lambda p: p.terms.objective,
            pace=RARE,
        ),
        gauge(
            "uptime_sla_window_seconds",
            "Over which rolling time it is promised.",
            lambda p: p.terms.window / 1000,
            pace=RARE,
        ),
        gauges(
            "uptime_sla_target_info",
            "Which targets the promise is about; constant 1.",
            ("target",),
            lambda p: {target: 1.0 for target in p.terms.targets if target not in p.unwatched},
            pace=RARE,
        ),
        gauge(
            "uptime_sla_up",
            "1 while all targets of the promise are up, 0 while one is down; absent while unknown.",
            lambda p: p.up,
            pace=SELDOM,
        ),
        counter(
            "uptime_sla_uptime_seconds_total",
            "Time in which the promise was kept, since the ledger began.",
            lambda p: p.uptime / 1000,
        ),
        counter(
            "uptime_sla_downtime_seconds_total",
            "Time in which it was broken, since the ledger began.",
            lambda p: p.downtime / 1000,
            pace=SELDOM,
        ),
        counter(
            "uptime_sla_unknown_seconds_total",
            "Time of which nobody knows, since the ledger began.",
            lambda p: p.unknown / 1000,
            pace=SELDOM,
        ),
        gauge(
            "uptime_sla_availability_ratio",
            "Uptime of what was seen in the rolling window, 0 to 1.",
            lambda p: p.availability,
            pace=SELDOM,
        ),
        gauge(
            "uptime_sla_error_budget_seconds",
            "Downtime that the whole window allows.",
            lambda p: p.terms.budget / 1000,
            pace=RARE,
        ),
        gauge(
            "uptime_sla_error_budget_remaining_seconds",
            "Downtime that is left of it; negative when the promise is broken.",
            lambda p: p.budget_remaining / 1000,
            pace=SELDOM,
        ),
        gauge(
            "uptime_sla_error_budget_remaining_ratio",
            "The same as a part of the budget; 1 when nothing is spent.",
            lambda p: p.budget_remaining / p.terms.budget,
            pace=SELDOM,
        ),
        gauge(
            "uptime_sla_coverage_ratio",
            "Part of the rolling window, or of the time since the ledger began, of which something is known.",
            lambda p: p.coverage,
        ),
    ),
)

EXPORTER: Kind[Exporter] = Kind(
    (),
    (
        gauges(
            "uptime_exporter_build_info",
            "Which exporter this is; constant 1.",
            ("version", "python"),
            lambda e: {e.build: 1.0},
            pace=RARE,
        ),
        gauge(
            "uptime_exporter_config_last_reload_successful",
            "1 if the latest reload of the settings succeeded, or none was asked for.",
            lambda e: e.reloads.successful,
        ),
        gauge(
            "uptime_exporter_config_last_reload_success_timestamp_seconds",
            "Unix time of the latest successful reload of the settings, the start included.",
            lambda e: e.reloads.at,
        ),
        counter(
            "uptime_exporter_ledger_write_failures_total",
            "Times that the ledger could not be written; what was pending is kept and written later.",
            lambda e: e.books.write_failures,
        ),
        histogram(
            "uptime_exporter_probe_lateness_seconds",
            "Time from when a probe was due to when it began.",
            lambda e: e.monitor.lateness,
        ),
    ),
)
