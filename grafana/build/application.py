"""One application: its requests, its circuits and retries, its pools, and how it shuts down."""

from grafana.build import limits, look
from grafana.build.board import APPLICATION, HERE, Board, Row, Variable
from grafana.build.look import Look
from grafana.build.parts import Panel, Query, lines, single, timeline, verdict

IT = f'{HERE}, app="$app"'
STEP = "[$__rate_interval]"
QUANTILES = ((0.5, look.SKY), (0.9, look.SOON), (0.99, look.BAD))

AIM = ((look.LOWEST, look.GOOD), (limits.TARGET_SHUTDOWN_SECONDS, look.SOON))

RATIO_NOW = 'max(app:uptime_request_failures:ratio5m{job=~"$job", app="$app"})'


def now() -> list[Panel]:
    """Return what is known at this moment."""
    aim, limit = limits.TARGET_REQUEST_FAILURES, limits.REQUEST_FAILURES
    return [
        verdict(
            "Request failures, last 5 min",
            f"Part of the requests that failed. Red: more than {limit:.0%}, UptimeRequestFailureRateHigh fires from "
            f"five failures on; orange: more than the aim of {aim:.1%}. The routes below say which part of it fails.",
            Look("percentunit", 3, nothing="no requests seen"),
            good=Query(f"{RATIO_NOW} < {aim:g}", "few enough"),
            soon=Query(f"{RATIO_NOW} >= {aim:g} <= {limit:g}", "above the aim"),
            bad=Query(f"{RATIO_NOW} > {limit:g}", "TOO MANY"),
            span=6,
            height=4,
        ),
        single(
            "Requests",
            "How many there are now. None where there should be some: nobody reaches it; see its target's dashboard.",
            look.RATE,
            f"sum(rate(uptime_requests_total{{{IT}}}{STEP}))",
            span=3,
        ),
        single(
            "In flight",
            "Requests that are being answered now. Growing without more requests: something that they wait for is slow; "
            "see circuits and pools.",
            look.COUNT,
            f"sum(uptime_requests_in_flight{{{IT}}})",
            span=3,
        ),
        single(
            "Circuits not closed",
            "Red: calls to something are refused; the timeline below says to what, and that target's dashboard why.",
            Look("none", 0, look.at_most(1), nothing="no circuit seen"),
            f'sum(uptime_circuit_state{{{IT}, state=~"open|half_open"}})',
            span=4,
        ),
        single(
            "Shutting down",
            "Yes while it drains. Yes for longer than its time limit: it hangs, and is about to be killed; see what is "
            "in flight.",
            Look("none", words={0: ("no", look.GOOD), 1: ("! draining", look.SOON)}),
            f"max(uptime_shutdown_in_progress{{{IT}}})",
            span=4,
        ),
        single(
            "Latest shutdown",
            f"What its latest drain took. Orange: not below the aim of {limits.TARGET_SHUTDOWN_SECONDS:g} s; requests "
            "were cut off if it reached its time limit (UptimeShutdownTimeout).",
            Look("s", 1, AIM, nothing="none seen"),
            f"max(uptime_shutdown_seconds{{{IT}}})",
            span=4,
        ),
    ]


def requests() -> list[Panel]:
    """Return what is asked of it."""
    total, failed = f"uptime_requests_total{{{IT}}}", f"uptime_request_failures_total{{{IT}}}"
    buckets = f"sum by (le) (rate(uptime_request_duration_seconds_bucket{{{IT}}}{STEP}))"
    by_route = f"sum by (le, route) (rate(uptime_request_duration_seconds_bucket{{{IT}}}{STEP}))"
    return [
        lines(
            "Requests by route",
            "How many of each route. A route that falls to nothing: its callers cannot reach it, or have given up.",
            look.RATE,
            Query(f"sum by (route) (rate({total}{STEP}))", "{{route}}"),
            stacked=True,
        ),
        lines(
            "Failure ratio",
            "Part of the requests that failed: answered with 5xx, or not at all for an exception. Above the dashed "
            "limit UptimeRequestFailureRateHigh fires: find the route, then its exception in the application's log.",
            Look("percentunit", 2, look.at_most(look.beyond(limits.REQUEST_FAILURES)), lowest=0),
            Query(f"sum(rate({failed}{STEP})) / (sum(rate({total}{STEP})) > 0)", "all requests", look.BLUE),
        ),
        lines(
            "Failures by route",
            "Answers with 5xx of each route. One route: its own defect; all: something that they share, such as a pool "
            "or a circuit.",
            Look("reqps", 3, lowest=0, nothing="no failure seen"),
            Query(
                f'sum by (route, code) (rate(uptime_requests_total{{{IT}, code=~"5.."}}{STEP})) > 0',
                "{{route}} {{code}}",
            ),
            bars=True,
            stacked=True,
        ),
        lines(
            "In flight",
            "Requests being answered, the most of each step. Growing without more requests: what they wait for is slow.",
            Look("none", 0, lowest=0),
            Query(f"sum(max_over_time(uptime_requests_in_flight{{{IT}}}{STEP}))", "in flight", look.BLUE),
        ),
        lines(
            "Duration",
            "How long answers take, by percentile. The 99 % line away from the others: some routes or some callers "
            "wait; see the routes beside this.",
            look.SECONDS,
            *(
                Query(f"histogram_quantile({part:g}, {buckets})", f"{part:.0%}", colour)
                for part, colour in QUANTILES
            ),
        ),
        lines(
            "Duration by route, 90 %",
            "The time within which nine of ten answers of a route are complete. A route that slows down alone: look at "
            "what only it calls.",
            look.SECONDS,
            Query(f"histogram_quantile(0.9, {by_route})", "{{route}}"),
        ),
    ]


def calls() -> list[Panel]:
    """Return what it asks of others."""
    return [
        timeline(
            "Circuits",
            "The state of each circuit, the worst of each step. Open: calls to that are refused; its target's "
            "dashboard says why.",
            look.CIRCUIT_WORDS,
            Query(
                f'max by (circuit) (2 * max_over_time(uptime_circuit_state{{{IT}, state="open"}}{STEP})'
                f' or max_over_time(uptime_circuit_state{{{IT}, state="half_open"}}{STEP}))',
                "{{circuit}}",
            ),
            span=12,
        ),
        timeline(
            "Its own checks",
            "What the application asks itself, the worst of each step; nothing where a check has not answered. Down "
            "now: the reason stands in its `/health`.",
            look.UP_WORDS,
            Query(f"min by (check) (min_over_time(uptime_check_up{{{IT}}}{STEP}))", "{{check}}"),
            span=12,
        ),
        lines(
            "Calls by outcome",
            "Calls through circuits. Failures: what is called fails; rejected: the circuit spares it and the caller.",
            look.RATE,
            Query(
                f"sum by (circuit, outcome) (rate(uptime_circuit_calls_total{{{IT}}}{STEP}))",
                "{{circuit}}: {{outcome}}",
            ),
        ),
        lines(
            "Retries by outcome",
            "What became of retries. Many others than success: what is called is down rather than shaky, and retrying "
            "only adds load; budget: so many were asked for that some were not made.",
            look.RATE,
            Query(
                f"sum by (policy, outcome) (rate(uptime_retries_total{{{IT}}}{STEP}))",
                "{{policy}}: {{outcome}}",
            ),
        ),
    ]


def pools() -> list[Panel]:
    """Return its shared connections."""
    waits = f"sum by (le, pool) (rate(uptime_pool_checkout_seconds_bucket{{{IT}}}{STEP}))"
    return [
        lines(
            "Pools, connections in use",
            "The most of each step; dashed what there may be. At the limit: callers wait; find what holds connections "
            "before raising the limit.",
            Look("none", 0, lowest=0, nothing="no pool seen"),
            Query(
                f'sum by (pool) (max_over_time(uptime_pool_connections{{{IT}, state="in_use"}}{STEP}))',
                "{{pool}}",
            ),
            Query(f"sum by (pool) (uptime_pool_limit{{{IT}}})", "{{pool}}: limit", look.UNKNOWN, dashed=True),
            span=8,
        ),
        lines(
            "Pools, wait for a connection, 99 %",
            "How long a caller waits for a connection. Rising: the pool is too small, or something holds connections "
            "for too long.",
            Look("s", 3, lowest=0, nothing="no pool seen"),
            Query(f"histogram_quantile(0.99, {waits})", "{{pool}}"),
            span=8,
        ),
        lines(
            "Pools, waits in vain",
            "Callers that got no connection in time, and failed. Any: the pool is exhausted; see which requests hold "
            "its connections.",
            Look("none", 0, lowest=0, nothing="no pool seen"),
            Query(f"sum by (pool) (increase(uptime_pool_checkout_timeouts_total{{{IT}}}{STEP}))", "{{pool}}"),
            span=8,
            bars=True,
        ),
    ]


def shutdowns() -> list[Panel]:
    """Return how it ends."""
    return [
        lines(
            "Shutdowns",
            "Drains by their result. Timeout: the time limit was reached and requests were cut off; its runbook says "
            "how to find them.",
            Look("none", 0, lowest=0),
            Query(
                f"sum by (result) (increase(uptime_shutdowns_total{{{IT}}}{STEP}))",
                "{{result}}",
            ),
            bars=True,
            height=6,
        ),
        lines(
            "Duration of the latest shutdown",
            "As it was told at the next start. Near the dashed aim: requests or connections outlast the drain; see "
            "which routes are slow.",
            Look("s", 1, AIM, lowest=0, nothing="none seen"),
            Query(f"max by (instance) (uptime_shutdown_seconds{{{IT}}})", "{{instance}}"),
            height=6,
        ),
    ]


SHOWS = '{__name__=~"uptime_requests_total|uptime_circuit_state"}'

BOARD = Board(
    uid=APPLICATION,
    title="Uptime / Application",
    about="One application: its requests, its circuits and retries, its pools, and how it shuts down.",
    shows=SHOWS,
    variables=(Variable("app", "Application", f"label_values({SHOWS[:-1]}, {HERE}}}, app)", several=False),),
    rows=(
        Row("Now", now()),
        Row("Requests", requests()),
        Row("What it calls", calls()),
        Row("Pools", pools()),
        Row("Shutdowns", shutdowns()),
    ),
)
