"""What a Prometheus has of an installation that had its troubles for a month, and of one with a hundred targets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from uptime_exporter.outcome import OwnFault, Reason

END = 1_767_269_400  # 2026-01-01T12:10:00Z
HOUR, DAY, MONTH = 3600, 86_400, 30 * 86_400
BEAT = 30
OBJECTIVE = 0.999
BUDGET = (1 - OBJECTIVE) * MONTH

Stretch = tuple[float, float]
"""From when until when, in Unix seconds."""
Value = Callable[[float], float | None]
"""What a series says at a time, if anything."""

TARGETS = ("asr_ocr_server", "model_server", "mysql")
OUTAGE = END - 13 * 60
"""Since when the database is down at the end of the history; an hour before all is well."""
WELL = END - HOUR
DOWN: Mapping[str, Sequence[Stretch]] = {
    "model_server": ((END - 20 * DAY, END - 20 * DAY + 9 * 60), (END - 4 * HOUR, END - 4 * HOUR + 90)),
    "asr_ocr_server": ((END - 10 * DAY, END - 10 * DAY + 150),),
    "mysql": ((OUTAGE, END + DAY),),
}
DEGRADED = {"model_server": ((END - 5 * HOUR, END - 4.5 * HOUR), (END - 20 * 60, END + DAY))}
OPEN = {
    "model_server": ((END - 20 * DAY + 150, END - 20 * DAY + 600),),
    "asr_ocr_server": ((END - 10 * DAY + 30, END - 10 * DAY + 150),),  # two minutes
    "mysql": ((OUTAGE + 150, END + DAY),),
}
BLIND = ((END - 6 * DAY, END - 6 * DAY + 3 * HOUR), (END - 3 * HOUR, END - 3 * HOUR + 300))
RESTART = END - 3 * HOUR + 300
BIRTH = END - 2 * MONTH


def overlap(stretches: Sequence[Stretch], until: float, since: float = BIRTH) -> float:
    """Return how many seconds of the stretches lie in between."""
    return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in stretches)


def inside(stretches: Sequence[Stretch], now: float) -> bool:
    return any(begin <= now < end for begin, end in stretches)


def together(names: Sequence[str], of: Mapping[str, Sequence[Stretch]]) -> list[Stretch]:
    """Return the stretches of all of these."""
    return [stretch for name in names for stretch in of.get(name, ())]


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its name, its labels and what it says."""

    name: str
    labels: Mapping[str, str]
    value: Value

    def samples(self, times: Sequence[int]) -> Iterator[str]:
        """Yield its samples in OpenMetrics' notation."""
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        for now in times:
            value = self.value(now)
            if value is not None:
                yield f"{self.name}{{{labels}}} {value!r} {now}"


def history() -> Iterator[str]:
    """Yield a month of job `uptime`: by ten minutes what promises are about, the last hours by the scrape."""
    here = {"job": "uptime", "instance": "exporter:10999"}
    late = range(END - 7 * HOUR, END + 1, 30)
    long = sorted({*range(END - MONTH - HOUR, END - 7 * HOUR, 600), *around(together(TARGETS, DOWN)), *late})
    app = {"job": "main-backend", "instance": "api:8000", "app": "main-backend"}
    for series in (*promises(here, TARGETS), *circuits(here, TARGETS), *dependencies(app)):
        yield from series.samples(long)
    for series in (*targets(here, TARGETS), *exporter(here), *application(app)):
        yield from series.samples(late)


def around(stretches: Sequence[Stretch]) -> Iterator[int]:
    """Yield the times of scrapes in the neighbourhood of what happened."""
    for begin, end in stretches:
        yield from range(int(begin) // 30 * 30 - 300, int(min(end, END)) + 300, 30)


def hundred() -> Iterator[str]:
    """Yield an hour of job `hundred`: a hundred targets, of which what is amiss with `mysql` is amiss with four."""
    here = {"job": "hundred", "instance": "exporter:10999"}
    names = [f"{TARGETS[number % 25] if number % 25 < 3 else 'service'}_{number:03}" for number in range(100)]
    times = range(END - 2 * HOUR, END + 1, 60)
    for series in (
        *promises(here, names),
        *circuits(here, names),
        *targets(here, names, every=False),
        *exporter(here),
    ):
        yield from series.samples(times)


def kind(name: str) -> str:
    """Return after whom a target is named whose troubles it shares."""
    return next((known for known in TARGETS if name.startswith(known)), "")


def promises(here: Mapping[str, str], names: Sequence[str]) -> Iterator[Series]:
    """Yield what the ledger says of each target's promise and of the system's."""
    for sla, members in (*((name, (name,)) for name in names), ("system", tuple(names))):
        down = together(sorted({kind(name) for name in members}), DOWN)
        yield from promise({**here, "sla": sla}, down)


def promise(labels: Mapping[str, str], down: Sequence[Stretch]) -> Iterator[Series]:
    def lost(now: float) -> float:
        return overlap(down, now, now - MONTH)

    def unseen(now: float) -> float:
        return overlap(BLIND, now, now - MONTH)

    def up(now: float) -> float | None:
        return None if inside(BLIND, now) else float(not inside(down, now))

    said: dict[str, Value] = {
        "objective_ratio": lambda _: OBJECTIVE,
        "window_seconds": lambda _: float(MONTH),
        "up": up,
        "uptime_seconds_total": lambda now: now - BIRTH - overlap(down, now) - overlap(BLIND, now),
        "downtime_seconds_total": lambda now: overlap(down, now),
        "unknown_seconds_total": lambda now: overlap(BLIND, now),
        "availability_ratio": lambda now: 1 - lost(now) / (MONTH - unseen(now)),
        "error_budget_seconds": lambda _: BUDGET,
        "error_budget_remaining_seconds": lambda now: BUDGET - lost(now),
        "error_budget_remaining_ratio": lambda now: 1 - lost(now) / BUDGET,
        "coverage_ratio": lambda now: 1 - unseen(now) / MONTH,
    }
    for word, value in said.items():
        yield Series(f"uptime_sla_{word}", labels, value)
    for word, window in (("1h", HOUR), ("6h", 6 * HOUR), ("1d", DAY), ("3d", 3 * DAY)):
        yield Series(f"sla:uptime_sla_error_budget:burn{word}", labels, burn(down, window))


def burn(down: Sequence[Stretch], window: int) -> Value:
    """Return how many times faster than allowed the budget was spent over a window."""
    return lambda now: overlap(down, now, now - window) / window / (1 - OBJECTIVE)


def circuits(here: Mapping[str, str], names: Sequence[str]) -> Iterator[Series]:
    """Yield the exporter's own breakers."""
    for name in names:
        opened = OPEN.get(kind(name), ())
        labels = {**here, "app": "uptime-exporter", "circuit": name}
        for state, wanted in (("closed", False), ("open", True)):
            yield Series("uptime_circuit_state", {**labels, "state": state}, is_open(opened, wanted=wanted))
        yield Series("uptime_circuit_state", {**labels, "state": "half_open"}, lambda _: 0.0)
        for outcome, share in (("success", 1.0), ("failure", 0.002), ("rejected", 0.0)):
            yield Series("uptime_circuit_calls_total", {**labels, "outcome": outcome}, rising(share / BEAT))
        yield Series("uptime_circuit_transitions_total", {**labels, "to": "open"}, started(opened))


def is_open(opened: Sequence[Stretch], *, wanted: bool) -> Value:
    return lambda now: float(inside(opened, now) is wanted)


def started(stretches: Sequence[Stretch]) -> Value:
    return lambda now: float(sum(begin <= now for begin, _ in stretches))


def rising(per_second: float) -> Value:
    return lambda now: (now - BIRTH) * per_second


def flat(value: float) -> Value:
    return lambda _: value


def targets(here: Mapping[str, str], names: Sequence[str], *, every: bool = True) -> Iterator[Series]:
    """Yield what is said of each target; histograms and phases only of *every* one if that is wanted."""
    for name in names:
        yield from target({**here, "target": name}, DOWN.get(kind(name), ()), DEGRADED.get(kind(name), ()))
        if every or name == names[0]:
            yield from timings({**here, "target": name})


def target(
    labels: Mapping[str, str], down: Sequence[Stretch], degraded: Sequence[Stretch]
) -> Iterator[Series]:
    name = labels["target"]
    asks = "mysql" if name.startswith("mysql") else "http"
    address = "localhost:3306" if asks == "mysql" else "http://localhost:8001/health"

    def failed(now: float) -> float:
        return overlap(down, now) // BEAT

    def probed(now: float) -> float:
        return (now - BIRTH - overlap(BLIND, now)) // BEAT

    def known(value: Value) -> Value:
        return lambda now: None if inside(BLIND, now) else value(now)

    yield Series("uptime_target_info", {**labels, "kind": asks, "address": address}, flat(1.0))
    yield Series("uptime_target_interval_seconds", labels, flat(float(BEAT)))
    yield Series("uptime_target_up", labels, known(lambda now: float(not inside(down, now))))
    yield Series(
        "uptime_target_degraded",
        labels,
        known(lambda now: float(inside(degraded, now) and not inside(down, now))),
    )
    yield Series("uptime_probes_total", labels, probed)
    for reason in Reason:
        counts = failed if reason is Reason.CONNECT else flat(0.0)
        yield Series("uptime_probe_failures_total", {**labels, "reason": reason}, counts)
    yield Series("target:uptime_probe_failures:sum", labels, failed)
    for fault in OwnFault:
        unseen = (lambda now: overlap(BLIND, now) // BEAT) if fault is OwnFault.STARVED else flat(0.0)
        yield Series("uptime_probe_inconclusive_total", {**labels, "reason": fault}, unseen)
    yield Series("uptime_probe_attempts_total", labels, lambda now: probed(now) + 2 * failed(now))
    yield Series(
        "uptime_probe_success_ratio",
        labels,
        lambda now: 1 - overlap(down, now, now - 100 * BEAT) / 100 / BEAT,
    )
    yield Series("uptime_probe_last_run_timestamp_seconds", labels, lambda now: now - now % BEAT)
    hour = "target:uptime_probe_failures:ratio1h"
    yield Series(hour, labels, lambda now: overlap(down, now, now - HOUR) / HOUR)
    if asks == "http":
        yield Series("uptime_probe_tls_not_after_timestamp_seconds", labels, flat(END + 61.5 * DAY))
        for model, loaded in (("llm", True), ("summary", False)):
            gone = DEGRADED.get(kind(name), ()) if not loaded else ()
            yield Series("uptime_model_loaded", {**labels, "model": model}, is_open(gone, wanted=False))


def timings(labels: Mapping[str, str]) -> Iterator[Series]:
    yield from histogram(
        "uptime_probe_duration_seconds", labels, 1 / BEAT, {"0.005": 0.2, "0.01": 0.8, "0.05": 0.97}
    )
    phases = {"connect": 0.0004, "auth": 0.0012, "query": 0.0006}
    if not labels["target"].startswith("mysql"):
        phases = {
            "resolve": 0.0002,
            "connect": 0.0004,
            "tls": 0.0016,
            "processing": 0.0031,
            "transfer": 0.0002,
        }
    for phase, typical in phases.items():
        yield Series("uptime_probe_phase_seconds", {**labels, "phase": phase}, wave(typical))


def wave(typical: float) -> Value:
    """Return something that goes up and down a little."""
    return lambda now: typical * (1 + 0.2 * ((now // 60) % 7 - 3) / 3)


def histogram(
    name: str, labels: Mapping[str, str], rate: float, shares: Mapping[str, float]
) -> Iterator[Series]:
    """Yield a histogram of which these shares lie below these limits, and everything below a second."""
    for limit, share in (*shares.items(), ("1.0", 1.0), ("+Inf", 1.0)):
        yield Series(f"{name}_bucket", {**labels, "le": limit}, rising(rate * share))
    yield Series(f"{name}_count", labels, rising(rate))
    yield Series(f"{name}_sum", labels, rising(rate * 0.02))


def exporter(here: Mapping[str, str]) -> Iterator[Series]:
    """Yield what the exporter says of itself, and Prometheus of it."""
    said: dict[str, Value] = {
        "up": lambda now: float(not inside(BLIND, now)),
        "scrape_duration_seconds": wave(0.0042),
        "scrape_samples_scraped": flat(312.0),
        "uptime_exporter_config_last_reload_successful": flat(1.0),
        "uptime_exporter_ledger_write_failures_total": started(((WELL - 40 * 60, WELL),)),
        "process_start_time_seconds": lambda now: float(RESTART if now >= RESTART else BIRTH),
        "process_resident_memory_bytes": wave(58e6),
        "process_cpu_seconds_total": rising(0.004),
        "process_open_fds": flat(17.0),
        "process_max_fds": flat(1024.0),
    }
    for name, value in said.items():
        yield Series(name, here, value)
    yield Series("uptime_exporter_build_info", {**here, "version": "0.1.0"}, flat(1.0))
    lateness = {"0.001": 0.5, "0.01": 0.98, "0.1": 0.999}
    yield from histogram("uptime_exporter_probe_lateness_seconds", here, 3 / BEAT, lateness)


def application(labels: Mapping[str, str]) -> Iterator[Series]:
    """Yield what an application with the toolkit says; a third of its calls fail while the database is down."""
    down = DOWN["mysql"]

    def failures(now: float) -> float:
        return 4 * overlap(down, now) + 0.0002 * (now - BIRTH)

    for route, rate in (("/api/documents", 8.0), ("/api/transcribe", 1.5), ("/health", 0.1)):
        where = {**labels, "route": route}
        served = {**where, "method": "GET", "code": "200"}
        yield Series("uptime_requests_total", served, rising(rate))
        yield from histogram("uptime_request_duration_seconds", where, rate, {"0.05": 0.6, "0.25": 0.95})
    broken = {**labels, "route": "/api/documents", "method": "GET", "code": "503"}
    yield Series("uptime_requests_total", broken, failures)
    yield Series("uptime_request_failures_total", labels, failures)
    ratio = "app:uptime_request_failures:ratio5m"
    yield Series(
        ratio,
        {"job": labels["job"], "app": labels["app"]},
        lambda now: (failures(now) - failures(now - 300)) / 3000,
    )
    yield Series("uptime_requests_in_flight", labels, lambda now: 40.0 if inside(down, now) else 3.0)
    yield Series("uptime_shutdown_in_progress", labels, flat(0.0))
    yield Series("uptime_shutdown_seconds", labels, flat(4.2))
    for result, count in (("clean", 7.0), ("timeout", 0.0)):
        yield Series("uptime_shutdowns_total", {**labels, "result": result}, flat(count))


def dependencies(labels: Mapping[str, str]) -> Iterator[Series]:
    """Yield the application's breakers, retries and pool."""
    down = DOWN["mysql"]
    for name in ("model_server", "asr_ocr_server"):
        circuit = {**labels, "circuit": name}
        opened = OPEN[name]
        for state, wanted in (("closed", False), ("open", True)):
            yield Series("uptime_circuit_state", {**circuit, "state": state}, is_open(opened, wanted=wanted))
        yield Series("uptime_circuit_state", {**circuit, "state": "half_open"}, flat(0.0))
        for outcome, rate in (("success", 1.5), ("failure", 0.01), ("rejected", 0.0)):
            yield Series("uptime_circuit_calls_total", {**circuit, "outcome": outcome}, rising(rate))
    for outcome, rate in (("success", 0.02), ("exhausted", 0.001)):
        yield Series(
            "uptime_retries_total", {**labels, "policy": "model_server", "outcome": outcome}, rising(rate)
        )
    pool = {**labels, "pool": "mysql"}
    yield Series(
        "uptime_pool_connections", {**pool, "state": "in_use"}, lambda now: 15.0 if inside(down, now) else 4.0
    )
    yield Series(
        "uptime_pool_connections", {**pool, "state": "idle"}, lambda now: 0.0 if inside(down, now) else 11.0
    )
    yield Series("uptime_pool_limit", pool, flat(15.0))
    yield from histogram("uptime_pool_checkout_seconds", pool, 8.0, {"0.001": 0.9, "0.1": 0.99})
    yield Series("uptime_pool_checkout_timeouts_total", pool, lambda now: overlap(down, now) // 10)


def alerts() -> Iterator[str]:
    """Yield what fires at the end of the history."""
    firing = (
        {"alertname": "UptimeTargetDown", "severity": "critical", "target": "mysql"},
        {"alertname": "UptimeErrorBudgetBurn", "severity": "critical", "sla": "mysql", "burn_tier": "fast"},
        {"alertname": "UptimeErrorBudgetBurn", "severity": "critical", "sla": "system", "burn_tier": "fast"},
        {
            "alertname": "UptimeCircuitOpen",
            "severity": "critical",
            "circuit": "mysql",
            "app": "uptime-exporter",
        },
        {"alertname": "UptimeTargetDegraded", "severity": "warning", "target": "model_server"},
        {"alertname": "UptimeWatchdog", "severity": "none"},
    )
    for labels in firing:
        since = OUTAGE + 360 if labels["alertname"] == "UptimeCircuitOpen" else OUTAGE + 120
        yield from Series("ALERTS", {**labels, "alertstate": "firing"}, flat(1.0)).samples(
            range(int(since), END + 1, 30)
        )
