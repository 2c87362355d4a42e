"""Programs that are measured: started, found to be ready, charged for their CPU time, and ended."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from support.badservers import closed_port
from support.process import clean_environment

BENCH = Path(__file__).parent

UNASKED = "import sys; sys.modules['rich'] = sys.modules['pygments'] = None; "
"""httpx loads these two where they happen to be: for its command, which nobody here uses."""

_MAIN = "from uptime_exporter.cli import main; sys.exit(main())"
LOOPS = {
    "asyncio": (sys.executable, "-c", f"{UNASKED}sys.modules['uvloop'] = None; {_MAIN}"),
    "uvloop": (sys.executable, "-c", f"{UNASKED}{_MAIN}"),
}
"""Ours, as its users run it, on either loop."""

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    """A running program."""

    process: "subprocess.Popen[str]"
    port: int = 0

    @property
    def cpu(self) -> float:
        """CPU seconds that it has taken so far, all threads, to the nanosecond."""
        return time.clock_gettime((~self.process.pid << 3) | 2)  # as clock_getcpuclockid(3) makes it

    @property
    def rss(self) -> float:
        """Resident memory in megabytes, the peak apart."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024 / 1e6

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> str:
        """Return what it answers."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=PATIENCE) as response:
            return str(response.read().decode())

    def ask(self, line: str) -> str:
        """Say a line to it, and return the line that it says."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kept_open(self) -> HTTPConnection:
        """Return a connection that is used again and again, as Prometheus' are."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


@contextmanager
def running(
    *command: str,
    port: int = 0,
    ready: str = "",
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Program]:
    """Run *command* until the end of the block; *ready* is a path that it answers once it is."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**clean_environment(), **(environ or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    program = Program(process, port)
    try:
        if ready:
            wait_for(program, ready)
        yield program
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()


def wait_for(program: Program, path: str) -> None:
    """Wait until it answers."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            program.get(path)
        except (urllib.error.URLError, ConnectionError):
            if program.process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def found(name: str) -> str:
    """Return the path of a rival's program, the newer generation's where there is one."""
    places = [os.environ.get("TEST_NEWER_TOOLS", ""), os.environ["PATH"], "/usr/sbin"]
    path = next((path for place in places if place and (path := shutil.which(name, path=place))), None)
    if path is None:
        sys.exit(f"{name} is missing: make bench unpacks Debian's package, or set PATH or TEST_NEWER_TOOLS")
    return path


def version(name: str) -> str:
    """Return what a rival calls itself."""
    said = subprocess.run([found(name), "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"version ([0-9.]+)", said.stdout + said.stderr)
    return f"{name.removeprefix('prometheus-')} {match[1] if match else '(unknown)'}"


@contextmanager
def answering(*tls: Path) -> Iterator[Program]:
    """Run a server that is well, whatever it is asked; over TLS with this certificate and key."""
    port = closed_port()
    with running(sys.executable, str(BENCH / "answering.py"), str(port), *map(str, tls), port=port) as server:
        assert server.process.stdout
        assert server.process.stdout.readline() == "ready\n"
        yield server


@contextmanager
def blackbox(folder: Path) -> Iterator[Program]:
    """Run blackbox_exporter, whose module asks what ours asks."""
    config = folder / "blackbox.yml"
    http = {
        "preferred_ip_protocol": "ip4",
        "follow_redirects": False,
        "fail_if_body_not_matches_regexp": ['"status": *"(healthy|degraded)"'],
    }
    secure = {**http, "tls_config": {"ca_file": str(folder / "ca.pem")}}
    modules = {
        name: {"prober": "http", "timeout": "5s", "http": how}
        for name, how in (("http", http), ("https", secure))
    }
    config.write_text(json.dumps({"modules": modules}))
    port = closed_port()
    with running(
        found("prometheus-blackbox-exporter"),
        f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
        port=port,
        ready="/-/healthy",
    ) as program:
        yield program


@contextmanager
def exporter(folder: Path, settings: Mapping[str, object], loop: str) -> Iterator[Program]:
    """Run ours, as its users do."""
    port = closed_port()
    config = folder / f"{loop}-{port}.yaml"
    config.write_text(json.dumps({"listen": f"127.0.0.1:{port}", "ledger": f"{loop}-{port}.db", **settings}))
    with running(
        *LOOPS[loop], "run", "--config", str(config), port=port, ready="/-/healthy", folder=folder
    ) as program:
        yield program


def drive(connection: HTTPConnection, paths: Sequence[str]) -> None:
    """Ask as Prometheus does: the same connection, gzip, all of the answer."""
    for path in paths:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body
