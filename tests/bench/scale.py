"""What many targets cost, and whether each is still asked in time, beside blackbox_exporter."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from threading import Event, Thread

from bench.processes import LOOPS, Program, answering, blackbox, drive, exporter, found, running, version
from bench.table import Goal, Table, progress, spread
from support.badservers import closed_port

MANY, MOST = 1000, 5000
BEAT, SCRAPE = 30, 15
"""Seconds; the usual ones."""
WINDOWS = 6
TURNS = 4
GROWTH = (100, 1000, 5000)
GROWTH_BEAT = 10
"""Seconds; three times as many probes in as short a run."""

_PHASE = re.compile(r'^uptime_probe_phase_seconds\{phase="[^"]+",target="([^"]+)"\} (\S+)$', re.MULTILINE)
_BUCKET = re.compile(r'^uptime_exporter_probe_lateness_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)

Lateness = Mapping[float, float]


def settings(server: Program, number: int, beat: float) -> dict[str, object]:
    """Return so many targets, all of them on the one server."""
    targets = {f"t{n}": {"kind": "http", "url": f"{server.url}/{n}"} for n in range(number)}
    return {"interval": beat, "timeout": 2, "retries": 1, "targets": targets}


def prometheus(stack: ExitStack, folder: Path, name: str, job: Mapping[str, object]) -> Program:
    """Run a Prometheus that does nothing but this job, once a beat."""
    port, own = closed_port(), folder / name
    own.mkdir()
    config = own / "prometheus.yml"
    every = {"scrape_interval": f"{BEAT}s", "scrape_timeout": f"{BEAT}s"}
    config.write_text(json.dumps({"global": every, "scrape_configs": [{"job_name": name, **job}]}))
    command = (
        found("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={own / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    return stack.enter_context(running(*command, port=port, ready="/-/ready"))


def through_blackbox(rival: Program, server: Program, number: int) -> dict[str, object]:
    """Return the job that has a rival probe so many targets: blackbox_exporter's own example of one."""
    return {
        "metrics_path": "/probe",
        "params": {"module": ["http"]},
        "static_configs": [{"targets": [f"{server.url}/{n}" for n in range(number)]}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": f"127.0.0.1:{rival.port}"},
        ],
    }


def lateness(program: Program) -> Lateness:
    """Return how many probes have begun so late or less, by seconds."""
    return {float(bound): float(count) for bound, count in _BUCKET.findall(program.get("/metrics"))}


def late(before: Lateness, after: Lateness, part: float = 0.99) -> float:
    """Return that quantile of the milliseconds between two scrapes, as Prometheus would reckon it."""
    counts = {bound: after[bound] - before[bound] for bound in after}
    wanted, low, below = part * counts[float("inf")], 0.0, 0.0
    for bound, count in sorted(counts.items()):
        if count >= wanted:
            return 1000 * (low + (bound - low) * (wanted - below) / (count - below))
        low, below = bound, count
    raise AssertionError(counts)


def latencies(program: Program) -> list[float]:
    """Return the milliseconds that the latest probe of each target measured."""
    taken: dict[str, float] = {}
    for target, seconds in _PHASE.findall(program.get("/metrics")):
        taken[target] = taken.get(target, 0.0) + 1000 * float(seconds)
    return list(taken.values())


def windows(what: str, beat: float, subjects: Mapping[str, Program]) -> dict[str, list[float]]:
    """Return the CPU seconds that each takes of some beats, all at the same time."""
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in progress(what, range(WINDOWS)):
        before = {name: each.cpu for name, each in subjects.items()}
        time.sleep(beat)
        for name, each in subjects.items():
            taken[name].append(each.cpu - before[name])
    return taken


def scraping(stack: ExitStack, program: Program, every: float) -> Event:
    """Scrape it as Prometheus does until the end, while the event that is returned is set."""
    over, asked = Event(), Event()

    def scrape() -> None:
        with closing(program.kept_open()) as connection:
            while True:
                if asked.is_set():
                    drive(connection, ["/metrics"])
                if over.wait(every):
                    return

    asked.set()
    thread = Thread(target=scrape)
    thread.start()
    stack.callback(thread.join)
    stack.callback(over.set)
    return asked


def ratios(ours: Sequence[float], theirs: Sequence[float], goal: float) -> list[str]:
    """Return the ratio of what was taken at the same time, and what is said to it."""
    each = [a / b for a, b in zip(ours, theirs, strict=True)]
    low, middle, high = quantiles(each, n=4)
    return [f"{middle:.2f} ({low:.2f} to {high:.2f})", Goal(goal).judged(middle)]


def paced(folder: Path) -> Table:
    """Return the table of a thousand targets."""
    with ExitStack() as stack:
        server, rival = stack.enter_context(answering()), stack.enter_context(blackbox(folder))
        ours = {
            loop: stack.enter_context(exporter(folder, settings(server, MANY, BEAT), loop)) for loop in LOOPS
        }
        page = {"static_configs": [{"targets": [f"127.0.0.1:{ours['asyncio'].port}"]}]}
        one = prometheus(stack, folder, "ours", page)
        each = prometheus(stack, folder, "blackbox", through_blackbox(rival, server, MANY))
        scraping(stack, ours["uvloop"], BEAT)
        time.sleep(1.5 * BEAT)
        before = {loop: lateness(program) for loop, program in ours.items()}
        subjects = {**ours, "blackbox": rival, "one page": one, "each": each}
        taken = windows(f"{MANY} targets", BEAT, subjects)
        rows = []
        for loop, goal in (("asyncio", 0.75), ("uvloop", 0.55)):
            program, waited = ours[loop], late(before[loop], lateness(ours[loop]))
            cpu = spread([seconds / MANY for seconds in taken[loop]], "us", 1e6)
            theirs = spread([seconds / MANY for seconds in taken["blackbox"]], "us", 1e6)
            rows += [
                [
                    f"exporter's CPU a probe, {loop}",
                    cpu,
                    theirs,
                    *ratios(taken[loop], taken["blackbox"], goal),
                ],
                [
                    f"resident memory, {loop}",
                    f"{program.rss:.1f} MB",
                    f"{rival.rss:.1f} MB",
                    "",
                    Goal(60, " MB").judged(program.rss),
                ],
                [
                    f"probes begin late by, p99, {loop}",
                    f"{waited:.2f} ms",
                    "",
                    "",
                    Goal(5, " ms").judged(waited),
                ],
            ]
        own = spread([seconds / MANY for seconds in taken["one page"]], "us", 1e6)
        theirs = spread([seconds / MANY for seconds in taken["each"]], "us", 1e6)
        rows.append(
            [
                "Prometheus' CPU a target and scrape",
                own,
                theirs,
                *ratios(taken["one page"], taken["each"], 0.1),
            ]
        )
    return Table(
        f"{MANY} targets at a steady pace",
        ("what", "ours", "blackbox's", "ratio", "goal"),
        rows,
        f"Against {version('prometheus-blackbox-exporter')} and {version('prometheus')}, all running at the "
        f"same time; every target is asked every {BEAT} s. One Prometheus scrapes one page, the other one "
        f"blackbox_exporter {MANY} times, equally often. CPU of the whole process, commits to the ledger and "
        f"the page included. {WINDOWS} beats after one and a half to warm up; lateness as Prometheus would "
        "reckon it from the buckets, which are 1, 5 and 10 ms wide; 1 MB is a million bytes.",
    )


def scraped(folder: Path) -> Table:
    """Return the table of what a scrape does to the probes of five thousand targets."""
    rows = [row for loop in LOOPS for row in _scraped(folder, loop)]
    return Table(
        f"{MOST} targets, while they are scraped",
        ("what", "figure", "goal"),
        rows,
        f"Every target every {BEAT} s, scraped with gzip every {SCRAPE} s in every second turn of {BEAT} s, "
        f"{TURNS} turns, one loop after the other. The latency is what the probes measure of a server that "
        "answers at once, all phases together; scraping may add 2 ms.",
    )


def _scraped(folder: Path, loop: str) -> list[list[str]]:
    took: dict[bool, list[float]] = {True: [], False: []}
    waited = []
    with ExitStack() as stack:
        server = stack.enter_context(answering())
        ours = stack.enter_context(exporter(folder, settings(server, MOST, BEAT), loop))
        asked = scraping(stack, ours, SCRAPE)
        time.sleep(1.1 * BEAT)
        for turn in progress(f"{MOST} targets, {loop}", range(TURNS)):
            on = turn % 2 == 1
            asked.set() if on else asked.clear()
            time.sleep(1)
            before = lateness(ours)
            time.sleep(BEAT)
            took[on] += latencies(ours)
            if on:
                waited.append(late(before, lateness(ours)))
    quiet, busy = (quantiles(took[on], n=100)[98] for on in (False, True))
    return [
        [f"probes begin late by, p99, {loop}", f"{max(waited):.2f} ms", Goal(10, " ms").judged(max(waited))],
        [f"measured latency, p99, not scraped, {loop}", f"{quiet:.2f} ms", ""],
        [
            f"measured latency, p99, scraped, {loop}",
            f"{busy:.2f} ms",
            Goal(round(quiet + 2, 2), " ms").judged(busy),
        ],
    ]


def growth(folder: Path) -> Table:
    """Return the table of the cost of a target among few and among many."""
    with ExitStack() as stack:
        server = stack.enter_context(answering())
        ours = {
            str(number): stack.enter_context(
                exporter(folder, settings(server, number, GROWTH_BEAT), "asyncio")
            )
            for number in GROWTH
        }
        for program in ours.values():
            scraping(stack, program, GROWTH_BEAT)
        time.sleep(1.5 * GROWTH_BEAT)
        taken = windows("growth", GROWTH_BEAT, ours)
        cost = {name: [seconds / int(name) for seconds in each] for name, each in taken.items()}
        rows = [
            [
                name,
                spread(each, "us", 1e6),
                f"{ours[name].rss:.1f} MB",
                f"{median(each) / median(cost[str(GROWTH[0])]):.2f}",
                Goal(1.2).judged(median(each) / median(cost[str(GROWTH[0])])),
            ]
            for name, each in cost.items()
        ]
    return Table(
        "Growth",
        ("targets", "CPU a target and beat", "resident memory", "against the fewest", "goal"),
        rows,
        f"Each target every {GROWTH_BEAT} s, scraped as often, with asyncio; all three at the same time.",
    )


PARTS: Sequence[Callable[[Path], Table]] = (paced, scraped, growth)


def measure() -> Iterator[Table]:
    """Yield the tables of many targets."""
    for part in PARTS:
        with TemporaryDirectory() as folder:
            yield part(Path(folder))
