"""How long the exporter takes until it answers, and what it holds then."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bench.processes import LOOPS, UNASKED, Program, running
from bench.table import Goal, Table, progress, spread
from support.badservers import closed_port
from support.process import clean_environment

ROUNDS = 15
IMPORTS = "import httpx, prometheus_client, pydantic_settings"
SETTLED = 3.0
"""Seconds until the first beat is over."""


def reference() -> float:
    """Return the seconds of an interpreter that imports what any such exporter stands on, and ends."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", UNASKED + IMPORTS], env=_environment(), check=True)
    return time.perf_counter() - began


def first_scrape(loop: str, folder: Path) -> tuple[float, float]:
    """Return the seconds from the start to the first scrape answered, and the megabytes held a beat later."""
    port = closed_port()
    settings = {"UPTIME_LISTEN": f"127.0.0.1:{port}", "UPTIME_LEDGER": str(folder / f"{port}.db")}
    began = time.perf_counter()
    with running(*LOOPS[loop], "run", port=port, environ=settings | _environment()) as program:
        _scrape(program)
        taken = time.perf_counter() - began
        time.sleep(SETTLED)
        return taken, program.rss


def _scrape(program: Program) -> None:
    while True:
        connection = HTTPConnection("127.0.0.1", program.port)
        with suppress(ConnectionError):
            connection.request("GET", "/metrics")
            assert b"uptime_probes_total" in connection.getresponse().read()
            return
        time.sleep(0.002)


def _environment() -> dict[str, str]:
    return {**clean_environment(), "PYTHONDONTWRITEBYTECODE": "", "COLUMNS": "80"}


def measure() -> Iterator[Table]:
    """Yield the table of the start."""
    taken: dict[str, list[float]] = {"reference": [], **{loop: [] for loop in LOOPS}}
    held: dict[str, list[float]] = {loop: [] for loop in LOOPS}
    with TemporaryDirectory() as name:
        for loop in LOOPS:  # so that everything is compiled
            first_scrape(loop, Path(name))
        for _ in progress("starts", range(ROUNDS)):
            taken["reference"].append(reference())
            for loop in LOOPS:
                seconds, megabytes = first_scrape(loop, Path(name))
                taken[loop].append(seconds)
                held[loop].append(megabytes)
    rows = []
    for loop in LOOPS:
        ratios = [ours / theirs for ours, theirs in zip(taken[loop], taken["reference"], strict=True)]
        low, middle, high = quantiles(ratios, n=4)
        rows += [
            [
                f"start to first scrape answered, {loop}",
                spread(taken[loop]),
                spread(taken["reference"]),
                f"{middle:.2f} ({low:.2f} to {high:.2f})",
                Goal(2.0).judged(middle),
            ],
            [
                f"resident memory with 3 targets, {loop}",
                spread(held[loop], "MB", 1.0),
                "",
                "",
                Goal(50, " MB").judged(median(held[loop])),
            ],
        ]
    yield Table(
        "The start",
        ("what", "ours", "reference", "ratio", "goal"),
        rows,
        f"The reference is an interpreter that runs `{IMPORTS}` and ends. Wall time, {ROUNDS} rounds in turn; "
        "the three targets are the default ones, and a new ledger is made. 1 MB is a million bytes.",
    )
