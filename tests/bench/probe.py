"""What one probe costs, beside blackbox_exporter and mysqld_exporter."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import trustme

from bench.processes import BENCH, Program, answering, blackbox, drive, found, running, version
from bench.table import Goal, Table, progress, spread
from support.badservers import closed_port
from support.databases import program
from uptime_exporter.demo.database import private_database

ROUNDS = 21
PASSWORD = "open-sesame"
PROBES = 100
COLLECTORS = (
    "global_status",
    "global_variables",
    "info_schema.innodb_cmp",
    "info_schema.innodb_cmpmem",
    "info_schema.query_response_time",
    "slave_status",
)
"""Of mysqld_exporter, that are on unless told otherwise."""

Seconds = Callable[[], float]


def asker(stack: ExitStack, loop: str, target: Mapping[str, object]) -> Seconds:
    """Return what probes with ours, and says what that took."""
    command = (sys.executable, str(BENCH / "asking.py"), loop, json.dumps(target))
    ours = stack.enter_context(running(*command))
    return lambda: float(ours.ask(str(PROBES)))


def scraper(stack: ExitStack, rival: Program, path: str) -> Seconds:
    """Return what scrapes a rival, and says what that took it."""
    connection = rival.kept_open()
    stack.callback(connection.close)

    def scrape() -> float:
        began = rival.cpu
        drive(connection, [path] * PROBES)
        return rival.cpu - began

    return scrape


def in_turn(what: str, subjects: Mapping[str, Seconds]) -> dict[str, list[float]]:
    """Return the CPU seconds of each, round by round, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    for each in subjects.values():
        each()
    for _ in progress(what, range(ROUNDS)):
        for name, each in subjects.items():
            taken[name].append(each() / PROBES)
    return taken


def compared(
    what: str, taken: Mapping[str, list[float]], rival: str, goals: Mapping[str, float]
) -> list[list[str]]:
    """Return a row for each loop: ratios within the same round, their median and quartiles."""
    rows = []
    for loop, goal in goals.items():
        ratios = [a / b for a, b in zip(taken[loop], taken[rival], strict=True)]
        low, middle, high = quantiles(ratios, n=4)
        rows.append(
            [
                f"{what}, {loop}",
                spread(taken[loop], "us", 1e6),
                spread(taken[rival], "us", 1e6),
                f"{middle:.2f} ({low:.2f} to {high:.2f})",
                Goal(goal).judged(median(ratios)),
            ]
        )
    return rows


def over_http(folder: Path, secure: bool) -> Iterator[list[str]]:  # noqa: FBT001 - the one thing that differs
    """Yield the rows of an HTTP probe."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    certificate = (folder / "cert.pem", folder / "key.pem") if secure else ()
    if secure:
        issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        issued.private_key_pem.write_to_path(folder / "key.pem")
    scheme = "https" if secure else "http"
    with ExitStack() as stack:
        server = stack.enter_context(answering(*certificate))
        url = f"{scheme}://127.0.0.1:{server.port}/health"
        tls = {"ca_file": str(folder / "ca.pem")} if secure else {}
        target = {"kind": "http", "url": url, "expect_json": {"status": ["healthy", "degraded"]}, "tls": tls}
        rival = stack.enter_context(blackbox(folder))
        path = f"/probe?{urlencode({'target': url, 'module': scheme})}"
        assert "probe_success 1" in rival.get(path), rival.get(f"{path}&debug=true")
        subjects = {loop: asker(stack, loop, target) for loop in ("asyncio", "uvloop")}
        taken = in_turn(f"{scheme} probes", {**subjects, "blackbox": scraper(stack, rival, path)})
    goals = {"asyncio": 1.0, "uvloop": 1.0} if secure else {"asyncio": 0.6, "uvloop": 0.4}
    yield from compared(f"{scheme.upper()} probe against blackbox", taken, "blackbox", goals)


async def over_mysql(folder: Path) -> list[list[str]]:
    """Return the rows of a MySQL probe."""
    async with private_database(password=PASSWORD, program=program("mariadb", folder)) as database:
        return await asyncio.to_thread(lambda: list(_over_mysql(folder, database.port)))


def _over_mysql(folder: Path, port: int) -> Iterator[list[str]]:
    target = {"kind": "mysql", "host": "127.0.0.1", "port": port, "user": "uptime", "password": PASSWORD}
    login = folder / "my.cnf"
    login.write_text(f"[client]\nuser=uptime\npassword={PASSWORD}\nhost=127.0.0.1\nport={port}\n")
    own = closed_port()
    with ExitStack() as stack:
        rival = stack.enter_context(
            running(
                found("prometheus-mysqld-exporter"),
                f"--config.my-cnf={login}",
                f"--web.listen-address=127.0.0.1:{own}",
                *(f"--no-collect.{name}" for name in COLLECTORS),
                port=own,
                ready="/",
            )
        )
        assert "mysql_up 1" in rival.get("/metrics")
        subjects = {loop: asker(stack, loop, target) for loop in ("asyncio", "uvloop")}
        taken = in_turn("mysql probes", {**subjects, "mysqld": scraper(stack, rival, "/metrics")})
    yield from compared(
        "MySQL probe against mysqld_exporter", taken, "mysqld", {"asyncio": 0.5, "uvloop": 0.5}
    )


def measure() -> Iterator[Table]:
    """Yield the table of the probes."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows = [*over_http(folder, secure=False), *over_http(folder, secure=True)]
        rows += asyncio.run(over_mysql(folder))
    rivals = f"{version('prometheus-blackbox-exporter')}, {version('prometheus-mysqld-exporter')}"
    yield Table(
        "A probe",
        ("what", "ours, CPU", "rival's, CPU", "ratio", "goal"),
        rows,
        f"Against {rivals}. A fresh connection for every probe, one probe after the other; the server answers "
        "at once and is not counted. Ours: the whole beat, from the slot to the recorded outcome. The "
        "rival's: the whole "
        "process, asked as Prometheus asks it, over a connection that stays open; its answer is the probe. "
        "mysqld_exporter runs without collectors. HTTPS is a full handshake each time. "
        f"Medians (quartiles) of {ROUNDS} rounds of {PROBES}, in which all take turns.",
    )
