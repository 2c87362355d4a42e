"""Moments at which the answer to every key question is known: well, warned, at a limit, broken, no number."""

from collections.abc import Iterator

NAN = float("nan")
NOW = 1_767_269_400  # 2026-01-01T12:10:00Z
HOUR, DAY = 3600, 86_400
BEAT = 30

CASES = ("healthy", "low", "limit", "breached", "nan", "nothing")
"""Each ten days before the one ahead of it; `low` is where a warning begins, `limit` exactly an alarm's limit."""

LABELS = {
    "job": "uptime",
    "instance": "exporter:10999",
    "app": "main-backend",
    "sla": "mysql",
    "target": "mysql",
    "circuit": "mysql",
}

# fmt: off
SAID: dict[str, tuple[float | None, ...]] = {
    # what it is about                                          healthy   low    limit  breached nan
    "uptime_sla_objective_ratio{sla}":                          (0.999,  0.999,  0.999,  0.999, NAN),
    "uptime_sla_up{sla}":                                       (1,      1,      1,      0,     NAN),
    "uptime_sla_availability_ratio{sla}":                       (0.9999, 0.99925, 0.999, 0.998, NAN),
    "uptime_sla_error_budget_remaining_seconds{sla}":           (2332.8, 648,    0,      -2592, NAN),
    "uptime_sla_error_budget_remaining_ratio{sla}":             (0.9,    0.25,   0,      -1,    NAN),
    "uptime_sla_coverage_ratio{sla}":                           (1,      0.9,    0.9,    0.5,   NAN),
    "sla:uptime_sla_error_budget:burn1h{sla}":                  (0,      1,      14.4,   100,   NAN),
    "uptime_target_info{target,kind=mysql,address=db:3306}":    (1,      1,      1,      1,     1),
    "uptime_target_info{target=new,kind=http,address=http://new/}": (None, None, None, 1, None),
    "uptime_target_interval_seconds{target}":                   (BEAT,   BEAT,   BEAT,   BEAT,  NAN),
    "uptime_target_up{target}":                                 (1,      1,      1,      0,     NAN),
    "uptime_target_degraded{target}":                           (0,      1,      1,      0,     NAN),
    "uptime_probe_success_ratio{target}":                       (1,      0.99,   0.95,   0.5,   NAN),
    "target:uptime_probe_failures:ratio1h{target}":             (0,      0.01,   0.05,   0.2,   NAN),
    "uptime_probe_failures_total{target,reason=connect}":       (0,      1,      6,      24,    NAN),
    "target:uptime_probe_failures:sum{target}":                 (0,      1,      6,      24,    NAN),
    "uptime_probe_inconclusive_total{target,reason=starved}":   (0,      1,      6,      24,    NAN),
    "uptime_probe_last_run_timestamp_seconds{target}":          (0, -BEAT, -3 * BEAT, -20 * BEAT, NAN),
    "uptime_probe_tls_not_after_timestamp_seconds{target}":     (60 * DAY, 14 * DAY, 3 * DAY, -DAY, NAN),
    "uptime_circuit_state{app,circuit,state=closed}":           (1,      1,      0,      0,     NAN),
    "uptime_circuit_state{app,circuit,state=open}":             (0,      0,      1,      1,     NAN),
    "uptime_circuit_state{app,circuit,state=half_open}":        (0,      0,      0,      0,     NAN),
    "app:uptime_request_failures:ratio5m{app}":                 (0.0001, 0.001,  0.01,   0.05,  NAN),
    "uptime_requests_total{app,route=/,method=GET,code=200}":   (6000,   6000,   6000,   6000,  NAN),
    "uptime_requests_in_flight{app}":                           (3,      3,      3,      40,    NAN),
    "uptime_shutdown_in_progress{app}":                         (0,      0,      0,      1,     NAN),
    "uptime_shutdown_seconds{app}":                             (4.2,    29.9,   30,     30,    NAN),
    "ALERTS{alertname=UptimeShutdownTimeout,severity=warning,alertstate=firing,app}": (None, None, None, 1, None),
    "up{}":                                                     (1,      1,      1,      0,     NAN),
    "uptime_exporter_build_info{version=0.1.0}":                (1,      1,      1,      1,     1),
    "uptime_exporter_config_last_reload_successful{}":          (1,      1,      1,      0,     NAN),
    "uptime_exporter_ledger_write_failures_total{}":            (0,      1,      3,      20,    NAN),
    "process_start_time_seconds{}":                             (-2 * DAY, -2 * DAY, -2 * DAY, -60, NAN),
}
"""Gauges as they are, times in seconds from the moment, counters by what ten minutes brought; None: no series."""
# fmt: on


def moment(case: str) -> int:
    """Return when a case is to be looked at."""
    return NOW - CASES.index(case) * 10 * DAY


def moments() -> Iterator[str]:
    """Yield two hours up to each moment, in OpenMetrics' notation."""
    for series, values in SAID.items():
        name, _, wanted = series.rstrip("}").partition("{")
        for case, value in reversed(list(zip(CASES, values, strict=False))):
            if value is None:
                continue
            now = moment(case)
            for at in range(now - 2 * HOUR, now + 1, 60):
                yield f"{name}{{{_labels(wanted)}}} {_at(name, value, case, now - at)!r} {at}"


def _labels(wanted: str) -> str:
    pairs = {"job": LABELS["job"], "instance": LABELS["instance"]}
    for label in filter(None, wanted.split(",")):
        key, _, value = label.partition("=")
        pairs[key] = value or LABELS[key]
    return ",".join(f'{key}="{value}"' for key, value in pairs.items())


def _at(name: str, value: float, case: str, ago: int) -> float:
    if name.endswith("_timestamp_seconds") or name == "process_start_time_seconds":
        return moment(case) + value
    if name.endswith(("_total", ":sum")):
        return 1000 + value * max(0.0, 1 - ago / 600)
    if name == "uptime_circuit_state" and case == "limit" and ago > 4 * 60:  # it opened four minutes ago
        return 1 - value
    return float(value)
