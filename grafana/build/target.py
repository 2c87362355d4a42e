"""One target: what it is now, what it was, why it failed, and how long it takes to answer."""

from grafana.build import limits, look
from grafana.build.board import HERE, TARGET, Board, Row, Variable
from grafana.build.look import Look
from grafana.build.parts import Column, Panel, Query, lines, rows, single, text, timeline

IT = f'{HERE}, target="$target"'
CIRCUIT = f'{HERE}, circuit="$target"'
STEP = "[$__rate_interval]"
QUANTILES = ((0.5, look.SKY), (0.9, look.SOON), (0.99, look.BAD))


def now() -> list[Panel]:
    """Return what is known at this moment."""
    left = f"min(uptime_probe_tls_not_after_timestamp_seconds{{{IT}}}) - time()"
    day = 86_400
    return [
        single(
            "Now",
            "By the latest probe. Down: the failures by reason below say why, and the runbook of UptimeTargetDown what "
            "to do about each. Unknown: it was not asked for two and a half beats; see the exporter's dashboard.",
            Look("none", words=look.TARGET_WORDS, nothing="? unknown"),
            f"min(2 * uptime_target_up{{{IT}}} - uptime_target_degraded{{{IT}}})",
        ),
        single(
            "Last 100 checks",
            "Part of them that found it up; those that say nothing do not count. Red: fewer than "
            f"{1 - limits.CHECK_FAILURES:.0%}; orange: fewer than the aim of {limits.TARGET_CHECK_SUCCESS:.0%}. See "
            "failures by reason.",
            Look("percentunit", 1, look.at_least(1 - limits.CHECK_FAILURES, limits.TARGET_CHECK_SUCCESS)),
            f"min(uptime_probe_success_ratio{{{IT}}})",
        ),
        single(
            "Error budget left",
            "Of the promise about this target alone. Red: overspent, the promise is broken; orange: less than "
            f"{limits.BUDGET_LOW:.0%} is left. Change nothing about it that is not needed until budget has grown back.",
            Look("percentunit", 1, look.at_least(0.0, limits.BUDGET_LOW), nothing="no promise seen"),
            f'min(uptime_sla_error_budget_remaining_ratio{{{HERE}, sla="$target"}})',
        ),
        single(
            "Circuit",
            "What a caller with this target's settings would meet. Open: it would fail fast, and so do the "
            "applications that use the same settings; mend the target, the circuit closes by itself.",
            Look("none", words=look.CIRCUIT_WORDS),
            f'max(2 * uptime_circuit_state{{{CIRCUIT}, state="open"}} or uptime_circuit_state{{{CIRCUIT}, state="half_open"}})',
        ),
        single(
            "Certificate runs out in",
            "Until the first certificate of its chain runs out. Orange: less than "
            f"{limits.CERTIFICATE_SOON_DAYS:g} days, renew it; red: less than {limits.CERTIFICATE_LAST_DAYS:g}, or it "
            "has run out: renew it now, clients refuse the connection.",
            Look(
                "d",
                1,
                look.at_least(limits.CERTIFICATE_LAST_DAYS, limits.CERTIFICATE_SOON_DAYS),
                nothing="no TLS seen",
            ),
            f"({left}) / {day}",
        ),
        text(
            "What it is",
            "Kind and address, as in the settings. Not what you expected: the exporter runs on other settings; see "
            "config reloads on its dashboard.",
            f"uptime_target_info{{{IT}}}",
            "{{kind}} {{address}}",
        ),
    ]


def why() -> list[Panel]:
    """Return failures by reason."""
    failed = f"uptime_probe_failures_total{{{IT}}}"
    latest = (
        f"max by (reason) (max_over_time((time() * (sum by (reason) (increase({failed}{STEP})) > bool 0))"
        "[$__range:$__interval])) * 1000 > 0"
    )
    counted = f"round(sum by (reason) (increase({failed}[$__range]))) > 0"
    return [
        rows(
            "Failures by reason",
            "Every reason in the range shown, the latest first: that is what the last failure was. Follow the link: "
            "the runbook has a next step for each reason.",
            Column(
                "Reason",
                label="reason",
                link=limits.runbook("UptimeTargetDown"),
                link_title="What to do about it",
            ),
            Column("Probes", counted, width=90),
            Column("Latest", latest, look=Look("dateTimeAsIso"), width=190),
            sort="Latest",
            descending=True,
            span=8,
            nothing="no failure seen",
        ),
        lines(
            "Failures over time",
            "Probes that found it down, by reason. Bars that go on: it is down; single ones: it is overloaded, or the "
            "way to it loses packets.",
            Look("none", 0, lowest=0, nothing="no failure seen"),
            Query(f"sum by (reason) (increase({failed}{STEP})) > 0", "{{reason}}"),
            span=8,
            bars=True,
            stacked=True,
        ),
        lines(
            "Check success, last hour",
            "Part of each hour's probes that found it up. Below the dashed limit UptimeCheckSuccessLow fires: see the "
            "reasons beside this.",
            Look("percentunit", 1, look.at_least(1 - limits.CHECK_FAILURES), highest=1),
            Query(
                f"1 - max(max_over_time(target:uptime_probe_failures:ratio1h{{{IT}}}{STEP}))",
                "success",
                look.BLUE,
            ),
            span=8,
        ),
    ]


def history() -> list[Panel]:
    """Return the states it was in."""
    return [
        timeline(
            "Up, degraded, down",
            "The worst of each step; nothing where nobody knows. Down now: see the reasons below. Degraded now: it "
            "says of itself that it is not at its best; its own log says why.",
            look.TARGET_WORDS,
            Query(
                f"min(clamp_min(2 * min_over_time(uptime_target_up{{{IT}}}{STEP})"
                f" - max_over_time(uptime_target_degraded{{{IT}}}{STEP}), 0))",
                "$target",
            ),
            span=24,
            height=4,
        ),
        timeline(
            "Circuits of this name",
            "The worst of each step, of every program that has a circuit named like this target. Open: its calls to "
            "the target are refused.",
            look.CIRCUIT_WORDS,
            Query(
                f'max by (app) (2 * max_over_time(uptime_circuit_state{{{CIRCUIT}, state="open"}}{STEP})'
                f' or max_over_time(uptime_circuit_state{{{CIRCUIT}, state="half_open"}}{STEP}))',
                "{{app}}",
            ),
            span=12,
            height=5,
        ),
        timeline(
            "Models",
            "Models that its health check names. Missing: the server answers, but cannot do that work; load the model "
            "or free memory for it.",
            {1: ("✓ loaded", look.GOOD), 0: ("✗ MISSING", look.BAD)},
            Query(f"min by (model) (min_over_time(uptime_model_loaded{{{IT}}}{STEP}))", "{{model}}"),
            span=12,
            height=5,
        ),
    ]


def latency() -> list[Panel]:
    """Return how long probes take."""
    buckets = f"sum by (le) (rate(uptime_probe_duration_seconds_bucket{{{IT}}}{STEP}))"
    return [
        lines(
            "Duration of probes",
            "From the start of a probe to its verdict, retries included, by percentile. Rising: it is overloaded long "
            "before it fails; the phases beside this say where the time goes.",
            look.SECONDS,
            *(
                Query(f"histogram_quantile({part:g}, {buckets})", f"{part:.0%}", colour)
                for part, colour in QUANTILES
            ),
            span=8,
        ),
        lines(
            "Phases, on average",
            "Where the time of the latest attempt goes: resolve, connect, tls, processing, transfer; for MySQL "
            "connect, auth, query. Long connect: the network or a full backlog; long processing or query: the server.",
            look.SECONDS,
            Query(f"avg by (phase) (avg_over_time(uptime_probe_phase_seconds{{{IT}}}{STEP}))", "{{phase}}"),
            span=8,
            stacked=True,
        ),
        lines(
            "Phases, the slowest",
            "The longest that each phase took in each step. One phase alone: that part is slow; all: the machine is.",
            look.SECONDS,
            Query(f"max by (phase) (max_over_time(uptime_probe_phase_seconds{{{IT}}}{STEP}))", "{{phase}}"),
            span=8,
        ),
    ]


def probing() -> list[Panel]:
    """Return how well it can be asked."""
    return [
        lines(
            "Attempts beyond the first",
            "Attempts that confirmed or healed a failure. Many, but few failures: single attempts are lost on the way; "
            "look at the network.",
            Look("none", 0, lowest=0),
            Query(
                f"sum(increase(uptime_probe_attempts_total{{{IT}}}{STEP}))"
                f" - sum(increase(uptime_probe_duration_seconds_count{{{IT}}}{STEP}))",
                "attempts",
                look.BLUE,
            ),
            span=8,
            bars=True,
            height=6,
        ),
        lines(
            "Probes that say nothing",
            "They failed for a cause on the exporter's own side, so they count as neither. Any that go on: see the "
            "reason in the exporter's dashboard; meanwhile nobody knows of this target.",
            Look("none", 0, lowest=0, nothing="none seen"),
            Query(
                f"sum by (reason) (increase(uptime_probe_inconclusive_total{{{IT}}}{STEP})) > 0", "{{reason}}"
            ),
            span=8,
            bars=True,
            stacked=True,
            height=6,
        ),
        lines(
            "Calls through the circuit",
            "By what became of them. Rejected: an expensive probe was held back because the circuit is open; it counts "
            "as down.",
            look.RATE,
            Query(f"sum by (outcome) (rate(uptime_circuit_calls_total{{{CIRCUIT}}}{STEP}))", "{{outcome}}"),
            span=8,
            height=6,
        ),
    ]


BOARD = Board(
    uid=TARGET,
    title="Uptime / Target",
    about="One target: what it is now, what it was, why it failed, and how long it takes to answer.",
    shows="uptime_target_info",
    variables=(
        Variable("target", "Target", f"label_values(uptime_target_info{{{HERE}}}, target)", several=False),
    ),
    rows=(
        Row("Now", now()),
        Row("What it was", history()),
        Row("Why it failed", why()),
        Row("How long it takes", latency()),
        Row("How it is asked", probing()),
    ),
)
