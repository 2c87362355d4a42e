"""The exporter itself: whether what it says, and what it does not say, can be believed."""

from grafana.build import limits, look
from grafana.build.board import EXPORTER, HERE, TARGET, Board, Row, to
from grafana.build.look import Look
from grafana.build.parts import Column, Panel, Query, lines, rows, single, text

STEP = "[$__rate_interval]"
OURS = f"on (job, instance) uptime_exporter_build_info{{{HERE}}}"
KNOWN = f"on (job, instance) present_over_time(uptime_exporter_build_info{{{HERE}}}[1d])"
BEHIND = (
    f"(timestamp(uptime_probe_last_run_timestamp_seconds{{{HERE}}}) - uptime_probe_last_run_timestamp_seconds{{{HERE}}})"
    f" / on (job, instance, target) uptime_target_interval_seconds{{{HERE}}}"
)
LATENESS = ((0.5, look.SKY), (0.99, look.BAD))


def now() -> list[Panel]:
    """Return what is known at this moment."""
    failures = f"uptime_exporter_ledger_write_failures_total{{{HERE}}}"
    return [
        single(
            "Answers",
            "Whether Prometheus could scrape it. No: nothing is watched (UptimeMonitorBlind); start it, then see its "
            "log for why it went.",
            Look("none", words=look.YES_WORDS),
            f"min(up{{{HERE}}} and {KNOWN})",
            span=3,
        ),
        single(
            "Settings in use",
            "Whether the latest reload was accepted. No: it goes on with the old ones; `uptime-exporter check` says "
            "what is wrong with the file.",
            Look("none", words={1: ("✓ current", look.GOOD), 0: ("✗ REFUSED", look.BAD)}),
            f"min(uptime_exporter_config_last_reload_successful{{{HERE}}})",
            span=3,
        ),
        single(
            "Failed commits, 10 min",
            f"Red: {limits.LEDGER_FAILURES:g} or more (UptimeLedgerFailing); a crash now would lose what is not "
            "written. See whether its disk is full or read-only.",
            Look("none", 0, look.at_most(1, limits.LEDGER_FAILURES)),
            f"max(last_over_time({failures}[5m]) - min_over_time({failures}[10m]))",
            span=4,
        ),
        single(
            "Oldest probe, in beats",
            f"How long ago the target was asked that waits longest. Red: more than {limits.STALE_BEATS:g} beats "
            "(UptimeProbesStale); the exporter is starved of processor time, or hangs: see lateness, then restart it.",
            Look("none", 1, look.at_most(2, look.beyond(limits.STALE_BEATS))),
            f"max({BEHIND})",
            span=4,
        ),
        single(
            "Targets known",
            "Part of the targets of which something is known now. Red: less than all; see which probes say nothing, "
            "and why.",
            Look("percentunit", 1, look.at_least(1)),
            f"(count(uptime_target_up{{{HERE}}}) or vector(0)) / count(uptime_target_info{{{HERE}}})",
            span=4,
        ),
        single(
            "Running for",
            "Since its process began. Short again and again: it crashes, or is killed for its memory; see its log.",
            Look("dtdurations", 0),
            f"time() - min(process_start_time_seconds{{{HERE}}} and {OURS})",
            span=3,
        ),
        text(
            "Version",
            "What runs. Several: they were not all updated.",
            f"uptime_exporter_build_info{{{HERE}}}",
            "{{version}}",
            span=3,
        ),
    ]


def beat() -> list[Panel]:
    """Return whether it keeps the beat."""
    buckets = f"sum by (le) (rate(uptime_exporter_probe_lateness_seconds_bucket{{{HERE}}}{STEP}))"
    return [
        lines(
            "Lateness of probes",
            "From when a probe was due to when it began. Above a second: too little processor time, or too many "
            "targets at once; give it more, or a longer interval.",
            look.SECONDS,
            *(
                Query(f"histogram_quantile({part:g}, {buckets})", f"{part:.0%}", colour)
                for part, colour in LATENESS
            ),
        ),
        lines(
            "Probes",
            "Probes that gave a verdict, and dashed how many are due by the settings. Fewer than are due: it cannot "
            "keep up, or they say nothing.",
            Look("cps", 2, lowest=0),
            Query(f"sum(rate(uptime_probes_total{{{HERE}}}{STEP}))", "verdicts", look.BLUE),
            Query(f"sum(1 / uptime_target_interval_seconds{{{HERE}}})", "due", look.UNKNOWN, dashed=True),
        ),
        lines(
            "Probes that say nothing",
            "By reason on the exporter's own side: resolver, resources, network, starved, host_blocked, user_limit, "
            "unreadable, internal. Any that go on: the runbook of UptimeMonitorBlind has a step for each.",
            Look("none", 0, lowest=0, nothing="none seen"),
            Query(
                f"sum by (reason) (increase(uptime_probe_inconclusive_total{{{HERE}}}{STEP})) > 0",
                "{{reason}}",
            ),
            bars=True,
            stacked=True,
        ),
        rows(
            "Targets it knows least of",
            "Probes that say nothing in the range shown, by target, and how old the latest probe is. One target alone: "
            "see the reason on its dashboard.",
            Column(
                "Target",
                label="target",
                link=to(TARGET, target="${__data.fields.Target}"),
                link_title="Open the target",
            ),
            Column(
                "Said nothing",
                f"round(sum by (target) (increase(uptime_probe_inconclusive_total{{{HERE}}}[$__range])))",
            ),
            Column(
                "Latest probe, beats ago",
                f"max by (target) ({BEHIND})",
                look=Look("none", 1, look.at_most(2, look.beyond(limits.STALE_BEATS))),
                painted=True,
            ),
            sort="Said nothing",
            descending=True,
            span=12,
        ),
    ]


def books() -> list[Panel]:
    """Return whether it remembers."""
    return [
        lines(
            "Failed ledger commits",
            "What was pending is kept and written later; a crash meanwhile would lose it. Any that go on: see whether "
            "its disk is full or read-only.",
            Look("none", 0, lowest=0),
            Query(
                f"sum by (instance) (increase(uptime_exporter_ledger_write_failures_total{{{HERE}}}{STEP}))",
                "{{instance}}",
            ),
            bars=True,
            span=8,
            height=7,
        ),
        lines(
            "Time that nobody saw",
            "Seconds of each step of which nothing is known, of the promise that is worst off. While it was stopped, "
            "that is booked when it comes back. Half of a half hour and more: UptimeMonitorBlind.",
            Look("s", 1, lowest=0),
            Query(f"max(increase(uptime_sla_unknown_seconds_total{{{HERE}}}{STEP}))", "unknown", look.PINK),
            bars=True,
            span=8,
            height=7,
        ),
        lines(
            "Least coverage",
            "Of the promise of which least is known, over its window. Falling: find out what the two panels beside "
            "this show.",
            Look("percentunit", 2, highest=1),
            Query(f"min(uptime_sla_coverage_ratio{{{HERE}}})", "coverage", look.BLUE),
            span=8,
            height=7,
        ),
    ]


def cost() -> list[Panel]:
    """Return what it costs."""
    return [
        lines(
            "Scrape",
            "How long Prometheus waits for its metrics. Near the scrape's time limit: too many targets for one "
            "exporter, or too little processor time.",
            look.SECONDS,
            Query(f"max by (instance) (scrape_duration_seconds{{{HERE}}} and {KNOWN})", "{{instance}}"),
            span=6,
            height=7,
        ),
        lines(
            "Series",
            "Samples of each scrape. Growing without new targets: report it; its labels are meant to be few.",
            Look("none", 0, lowest=0),
            Query(f"max by (instance) (scrape_samples_scraped{{{HERE}}} and {KNOWN})", "{{instance}}"),
            span=6,
            height=7,
        ),
        lines(
            "Memory",
            "Resident memory. Growing for days without new targets: report it, and restart it meanwhile.",
            Look("bytes", 1, lowest=0),
            Query(f"max by (instance) (process_resident_memory_bytes{{{HERE}}} and {OURS})", "{{instance}}"),
            span=6,
            height=7,
        ),
        lines(
            "Processor and descriptors",
            "Part of one processor, and part of the file descriptors that it may have. Near 100 %: probes begin late, "
            "or cannot begin; raise the limit, or split the targets.",
            Look("percentunit", 1, lowest=0),
            Query(
                f"max by (instance) (rate(process_cpu_seconds_total{{{HERE}}}{STEP}) and {OURS})",
                "processor: {{instance}}",
            ),
            Query(
                f"max by (instance) (process_open_fds{{{HERE}}} / process_max_fds{{{HERE}}} and {OURS})",
                "descriptors: {{instance}}",
            ),
            span=6,
            height=7,
        ),
    ]


BOARD = Board(
    uid=EXPORTER,
    title="Uptime / Exporter",
    about="The exporter itself: whether what it says, and what it does not say, can be believed.",
    shows="uptime_exporter_build_info",
    variables=(),
    rows=(
        Row("Now", now()),
        Row("The beat", beat()),
        Row("The ledger", books()),
        Row("Cost", cost()),
    ),
)
