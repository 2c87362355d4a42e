"""The front door: whether each promise is kept, what is left of its budget, and what is wrong now."""

from grafana.build import limits, look
from grafana.build.board import ALERTS, APPLICATION, HERE, OVERVIEW, TARGET, Board, Row, Variable, to
from grafana.build.look import Look
from grafana.build.parts import Column, Panel, Query, events, lines, rows, timeline, verdict

SLA = f'{HERE}, sla=~"$sla"'
PROMISE = "on (job, instance, sla)"
LEFT = f"uptime_sla_error_budget_remaining_ratio{{{SLA}}}"
FEW = f"on (sla) bottomk(20, min by (sla) (last_over_time({LEFT}[1d] @ end())))"
"""The promises that are worst off: as many as curves can be told apart."""
WORST = f"bottomk(1, {LEFT})"
SEEN = f"uptime_sla_availability_ratio{{{SLA}}}"
DOWNTIME = f"uptime_sla_downtime_seconds_total{{{SLA}}}"
OBJECTIVE = f"uptime_sla_objective_ratio{{{SLA}}}"

NOT_CLOSED = f'max by (app, circuit) (uptime_circuit_state{{{HERE}, state=~"open|half_open"}}) == 1'
LONG_OPEN = (
    f'max by (app, circuit) (max_over_time(uptime_circuit_state{{{HERE}, state="closed"}}[5m])) == 0'
    f' and max by (app, circuit) (last_over_time(uptime_circuit_state{{{HERE}, state="closed"}}[5m] offset 5m)) == 0'
)
FAILED_CHECKS = f"max(target:uptime_probe_failures:ratio1h{{{HERE}}})"
FAILED_REQUESTS = (
    'max(app:uptime_request_failures:ratio5m{job=~"$job"} or job:api_request_failures:ratio5m{job=~"$job"})'
)
CIRCUITS = f'max by (app, circuit) (max_over_time(uptime_circuit_state{{{HERE}, state=~"open|half_open"}}[$__range] @ end()))'
SHOWN_CIRCUITS = f"({CIRCUITS} > 0 or {CIRCUITS} and on () (count({CIRCUITS}) <= 10))"
"""Of many circuits only those that opened: the others say nothing, and fill pages."""

DRAIN = f"uptime_shutdown_seconds{{{HERE}}}"
DRAIN_TIMEOUT = 'ALERTS{alertname="UptimeShutdownTimeout", alertstate="firing"}'

PERCENT = Look("percentunit", 3)


def five() -> list[Panel]:
    """Return the seed's five key metrics as verdicts."""
    return [
        verdict(
            "1 Uptime, worst promise",
            "Availability over the promise's rolling window. Red: the error budget is overspent and UptimeSLABreached "
            "fires; follow its runbook, and stop risky changes until budget has grown back. Orange: below the "
            "objective in the time seen so far, though the whole window's budget is not spent.",
            PERCENT,
            good=Query(f"{SEEN} >= {PROMISE} {OBJECTIVE} and {PROMISE} ({WORST} >= 0)", "kept: {{sla}}"),
            soon=Query(
                f"{SEEN} < {PROMISE} {OBJECTIVE} and {PROMISE} ({WORST} >= 0)", "below so far: {{sla}}"
            ),
            bad=Query(f"{SEEN} and {PROMISE} ({WORST} < 0)", "BROKEN: {{sla}}"),
            span=6,
        ),
        verdict(
            "2 Circuits not closed",
            "Circuits that refuse or test calls now. Red: one has not been closed for more than "
            f"{limits.CIRCUIT_OPEN_MINUTES:g} minutes (UptimeCircuitOpen): what it calls is failing; look at the "
            "target of that name before resetting the circuit.",
            Look("none"),
            good=Query(
                f'sum(0 * uptime_circuit_state{{{HERE}, state="closed"}}) unless on () ({NOT_CLOSED})',
                "all closed",
            ),
            soon=Query(f"count({NOT_CLOSED}) unless on () ({LONG_OPEN})", "not for long yet"),
            bad=Query(f"count({LONG_OPEN})", f"OPEN for > {limits.CIRCUIT_OPEN_MINUTES:g} min"),
            span=4,
        ),
        verdict(
            "3 Check success, 1 h",
            "Part of the last hour's probes that found the worst target up. Red: below "
            f"{1 - limits.CHECK_FAILURES:.0%} (UptimeCheckSuccessLow); orange: below the aim of "
            f"{limits.TARGET_CHECK_SUCCESS:.0%}. Open the target's dashboard: failures by reason say what to do.",
            Look("percentunit", 2),
            good=Query(
                f"1 - ({FAILED_CHECKS} < {limits.TARGET_CHECK_FAILURES:g})",
                "enough",
            ),
            soon=Query(
                f"1 - ({FAILED_CHECKS} >= {limits.TARGET_CHECK_FAILURES:g} <= {limits.CHECK_FAILURES:g})",
                "below the aim",
            ),
            bad=Query(f"1 - ({FAILED_CHECKS} > {limits.CHECK_FAILURES:g})", "TOO LOW"),
            link=to(TARGET),
            span=4,
        ),
        verdict(
            "4 Request failures, 5 min",
            "Part of the requests that failed, in the application that is worst off. Red: more than "
            f"{limits.REQUEST_FAILURES:.0%} (UptimeRequestFailureRateHigh fires from five failures on); orange: more "
            f"than the aim of {limits.TARGET_REQUEST_FAILURES:.1%}. Open the application's dashboard for the route.",
            Look("percentunit", 3, nothing="no requests seen"),
            good=Query(f"{FAILED_REQUESTS} < {limits.TARGET_REQUEST_FAILURES:g}", "few enough"),
            soon=Query(
                f"{FAILED_REQUESTS} >= {limits.TARGET_REQUEST_FAILURES:g} <= {limits.REQUEST_FAILURES:g}",
                "above the aim",
            ),
            bad=Query(f"{FAILED_REQUESTS} > {limits.REQUEST_FAILURES:g}", "TOO MANY"),
            link=to(APPLICATION),
            span=5,
        ),
        verdict(
            "5 Latest shutdown",
            "What the latest drain of an application took. Red: one reached its time limit within the last hour "
            "(UptimeShutdownTimeout), so that requests were cut off; its runbook says how to find them. Orange: longer "
            f"than the aim of {limits.TARGET_SHUTDOWN_SECONDS:g} s.",
            Look("s", 1, nothing="none seen"),
            good=Query(
                f"max({DRAIN}) < {limits.TARGET_SHUTDOWN_SECONDS:g} unless on () {DRAIN_TIMEOUT}", "in time"
            ),
            soon=Query(
                f"max({DRAIN}) >= {limits.TARGET_SHUTDOWN_SECONDS:g} unless on () {DRAIN_TIMEOUT}", "slow"
            ),
            bad=Query(f"max({DRAIN}) and on () {DRAIN_TIMEOUT}", "CUT OFF"),
            link=to(APPLICATION),
            span=5,
        ),
    ]


def promises() -> Panel:
    """Return a row for each promise."""
    by = "min by (sla)"
    word = (
        f"{by} (0 * {SEEN} + {PROMISE} (uptime_sla_error_budget_remaining_seconds{{{SLA}}} >= bool 0)"
        f" + {PROMISE} ({SEEN} >= bool {PROMISE} {OBJECTIVE}))"
    )
    budget = Look("percentunit", 1, look.at_least(0.0, limits.BUDGET_LOW))
    fast_window, fast = limits.BURN_TIERS["fast"]
    return rows(
        "Promises",
        "Each promise over its own rolling window. Where the verdict is red, the budget is overspent: follow the "
        "runbook of UptimeSLABreached. Where the budget is orange, less than a tenth of it is left: postpone what may "
        "break something. Coverage well below 100 % means that the figures rest on part of the time: see the exporter.",
        Column("Promise", label="sla", width=180),
        Column("Now", f"{by} (uptime_sla_up{{{SLA}}})", look=Look("none", words=look.UP_WORDS), painted=True),
        Column("Verdict", word, look=Look("none", words=look.PROMISE_WORDS), painted=True),
        Column("Availability", f"{by} ({SEEN})", look=PERCENT),
        Column("Objective", f"{by} ({OBJECTIVE})", look=PERCENT),
        Column(
            "Budget left",
            f"{by} (uptime_sla_error_budget_remaining_seconds{{{SLA}}}) / 60",
            look=Look("suffix:min", 1),
        ),
        Column("Budget left, part", f"{by} ({LEFT})", look=budget, painted=True),
        Column(
            f"Burn, {fast_window}",
            f"max by (sla) (sla:uptime_sla_error_budget:burn1h{{{SLA}}})",
            look=Look("suffix:x", 1, look.at_most(look.beyond(1.0), look.beyond(fast))),
            painted=True,
        ),
        Column("Coverage", f"{by} (uptime_sla_coverage_ratio{{{SLA}}})", look=Look("percentunit", 2)),
        sort="Budget left",
        height=8,
    )


def budgets() -> list[Panel]:
    """Return how budgets were spent."""
    down = f"uptime_sla_downtime_seconds_total{{{SLA}}}"
    spent = f"max by (sla) (({down} - ({down} @ start() or {down} * 0)) / {PROMISE} uptime_sla_error_budget_seconds{{{SLA}}})"
    return [
        lines(
            "Budget burn-down over the range shown",
            "What is left of the error budget if it had been whole where the range begins; over 30 days that is the "
            "budget itself. Dashed: spent evenly over the window. A line below the dashed one will not last: see which "
            "tier burns, and which target. Below 0 the promise is broken.",
            Look("percentunit", 1, ((look.LOWEST, look.BAD), (0.0, look.GOOD))),
            Query(f"1 - {spent} and {FEW}", "{{sla}}"),
            Query(
                f"clamp_min(1 - (time() - ${{__from:date:seconds}}) / max(uptime_sla_window_seconds{{{SLA}}}), 0)",
                "spent evenly",
                look.UNKNOWN,
                dashed=True,
            ),
            height=9,
        ),
        lines(
            "Availability against the objective",
            "Availability over the promise's rolling window, and dashed what is promised. Below the dashed line the "
            "promise is broken, unless the window is not yet full: then see the budget.",
            PERCENT,
            Query(f"min by (sla) ({SEEN}) and {FEW}", "{{sla}}"),
            Query(f"max({OBJECTIVE})", "objective", look.UNKNOWN, dashed=True),
            Query(f"min({OBJECTIVE}) < max({OBJECTIVE})", "lowest objective", look.UNKNOWN, dashed=True),
            height=9,
        ),
    ]


def burns() -> list[Panel]:
    """Return one panel for each tier of the burn alert, with its limit drawn."""
    return [
        lines(
            f"Burn over {window} ({tier}, limit {factor:g})",
            f"How many times as fast as it lasts the window the budget was spent over the last {window}. Above the "
            f"dashed limit UptimeErrorBudgetBurn fires with burn_tier {tier}, if the short window agrees: its runbook "
            "says which target to look at first.",
            Look("suffix:x", 1, look.at_most(look.beyond(factor)), lowest=0),
            Query(
                f"max by (sla) (max_over_time(sla:uptime_sla_error_budget:burn{window}{{{SLA}}}[$__rate_interval]))"
                f" and {FEW}",
                "{{sla}}",
            ),
            span=6,
            height=7,
        )
        for tier, (window, factor) in limits.BURN_TIERS.items()
    ]


def history() -> list[Panel]:
    """Return what happened."""
    return [
        timeline(
            "Circuits",
            "The state of every circuit, the worst of each step: two minutes open are seen at 30 days too. Where one "
            "is open, calls to what it protects are refused; open the target of that name. Of more than ten circuits, "
            "those that were not closed all the time.",
            look.CIRCUIT_WORDS,
            Query(
                f'max by (app, circuit) (2 * max_over_time(uptime_circuit_state{{{HERE}, state="open"}}[$__rate_interval])'
                f' or max_over_time(uptime_circuit_state{{{HERE}, state="half_open"}}[$__rate_interval]))'
                f" and on (app, circuit) {SHOWN_CIRCUITS}",
                "{{circuit}} ({{app}})",
            ),
            span=12,
            nothing="no open circuit seen",
        ),
        timeline(
            "Promises, as they were kept",
            "Down where at least one target of the promise was; nothing where nobody knows. Down now: open the targets "
            "below.",
            look.UP_WORDS,
            Query(
                f"min by (sla) (min_over_time(uptime_sla_up{{{SLA}}}[$__rate_interval])) and {FEW}", "{{sla}}"
            ),
            span=12,
        ),
        events(
            "Outages, hour by hour",
            "Every hour of the range in which a promise was not kept, and for how long, as the ledger has it. Follow "
            "the link to see that promise alone; the targets beside this say what was wrong.",
            f"max by (sla) (last_over_time({DOWNTIME}[1h])"
            # After a gap, and in the first hour of all, there is no hour before.
            f" - (last_over_time({DOWNTIME}[1h] offset 1h) or min_over_time({DOWNTIME}[1h]))) > 0",
            Column("Hour that ends", label="Time", look=Look("dateTimeAsIso"), width=190),
            Column(
                "Promise",
                label="sla",
                link=to(OVERVIEW, sla="${__data.fields.Promise}"),
                link_title="This promise alone",
            ),
            Column("Down for", label="Value", look=Look("s", 1), width=120),
            every="1h",
            span=9,
            nothing="no outage seen",
        ),
        rows(
            "Targets",
            "Every target now, with its failed probes in the range shown. Red: down, or not enough checks succeed "
            "(UptimeTargetDown, UptimeCheckSuccessLow). Follow the link for the reason.",
            Column(
                "Target",
                label="target",
                link=to(TARGET, target="${__data.fields.Target}"),
                link_title="Open the target",
                width=180,
            ),
            Column(
                "Now",
                f"min by (target) (2 * uptime_target_up{{{HERE}}} - uptime_target_degraded{{{HERE}}})",
                look=Look("none", words=look.TARGET_WORDS),
                painted=True,
            ),
            Column(
                "Failed, 1 h",
                f"max by (target) (target:uptime_probe_failures:ratio1h{{{HERE}}})",
                look=Look(
                    "percentunit",
                    1,
                    look.at_most(limits.TARGET_CHECK_FAILURES, look.beyond(limits.CHECK_FAILURES)),
                ),
                painted=True,
            ),
            Column(
                "Failed probes, range",
                f"round(max by (target) (increase(target:uptime_probe_failures:sum{{{HERE}}}[$__range])))",
            ),
            sort="Now",
            span=15,
        ),
        rows(
            "Firing alerts",
            "What fires now. Follow the link to the runbook of each; start with what is critical. None firing and "
            "something wrong all the same: see whether UptimeWatchdog fires.",
            Column(
                "Alert",
                label="alertname",
                width=230,
                link=limits.runbook("${__data.fields.Alert}"),
                link_title="Runbook",
            ),
            Column("Severity", label="severity", width=90),
            Column("Promise", label="sla"),
            Column("Target", label="target"),
            Column("Circuit", label="circuit"),
            Column("App", label="app"),
            Column(
                "Firing",
                f"max by (alertname, severity, sla, target, circuit, app) (ALERTS{{{ALERTS}}})",
                look=Look("none", words={1: ("⚠ fires", look.BAD)}),
                painted=True,
                width=90,
            ),
            sort="Severity",
            span=24,
            height=7,
            nothing="no alert seen",
        ),
    ]


def coverage() -> list[Panel]:
    """Return how much of the time is known."""
    unknown = f"uptime_sla_unknown_seconds_total{{{SLA}}}"
    return [
        lines(
            "Coverage",
            "Part of the rolling window of which something is known. It falls while the exporter is down, or cannot "
            "ask; time that nobody saw is neither up nor down. If it falls now, open the exporter's dashboard.",
            Look("percentunit", 2, highest=1),
            Query(f"min by (sla) (uptime_sla_coverage_ratio{{{SLA}}}) and {FEW}", "{{sla}}"),
            height=6,
        ),
        lines(
            "Time that nobody saw",
            "Seconds of each step of which nothing is known, as the ledger has it. Bars that go on mean that the "
            "monitor is blind (UptimeMonitorBlind).",
            Look("s", 1, lowest=0),
            Query(f"max by (sla) (increase({unknown}[$__rate_interval])) and {FEW}", "{{sla}}"),
            bars=True,
            height=6,
        ),
    ]


BOARD = Board(
    uid=OVERVIEW,
    title="Uptime / SLA overview",
    about="Whether each promise is kept, what is left of its error budget, and what is wrong now.",
    shows='{__name__=~"uptime_sla_objective_ratio|uptime_circuit_state|uptime_requests_total"}',
    variables=(Variable("sla", "Promise", f"label_values(uptime_sla_objective_ratio{{{HERE}}}, sla)"),),
    rows=(
        Row("The five key metrics", five()),
        Row("Promises", [promises()]),
        Row("What happened", history()),
        Row("Error budgets", [*budgets(), *burns()]),
        Row("How much of the time is known", coverage()),
    ),
    since="now-30d",
)
