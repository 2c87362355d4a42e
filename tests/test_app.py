"""The exporter as a process of its own: signals, reloads, and what it never says."""

import asyncio
import gc
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.badservers import response, saying, serving, silent
from support.process import (
    COMMAND,
    PATIENCE,
    WITHOUT_UVLOOP,
    Exporter,
    clean_environment,
    eventually,
    exporter,
    running_as,
)
from uptime_exporter.app import collect_rarely

TOKEN = "open-sesame-7c1"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


def write(folder: Path, targets: dict[str, str], **more: object) -> Path:
    """Write settings for HTTP targets, by name and URL."""
    path = folder / "uptime.yaml"
    targets_ = {name: {"kind": "http", "url": url} for name, url in targets.items()}
    path.write_text(json.dumps({"targets": targets_, **more}))
    return path


async def sample(running: Exporter, series: str) -> float | None:
    """Return the value of one series."""
    async with running.client() as client:
        for line in (await client.get("/metrics")).text.splitlines():
            if line.startswith(f"{series} "):
                return float(line.rpartition(" ")[2])
    return None


@pytest.mark.parametrize(("command", "loop"), [(COMMAND, "uvloop"), (WITHOUT_UVLOOP, "asyncio")])
async def test_it_answers_and_ends_with_zero(tmp_path: Path, command: tuple[str, ...], loop: str) -> None:
    """From start to SIGTERM, on either loop: a verdict in the metrics, a healthy answer, exit code 0."""
    config = str(write(tmp_path, {"a": "http://127.0.0.1:9/"}))
    async with serving(saying(response())) as server, running_as(command, "--config", config) as running:
        assert f"loop={loop}" in running.log
        write(tmp_path, {"a": server.url()})
        running.tell(signal.SIGHUP)
        assert await eventually(lambda: at_least(running, 'uptime_target_up{target="a"}', 1.0))
        async with running.client() as client:
            assert (await client.get("/health")).json()["status"] == "healthy"
        running.tell(signal.SIGTERM)
        assert await running.end() == 0
        assert "result=clean" in running.log


async def test_probes_under_way_do_not_hold_up_the_end(tmp_path: Path) -> None:
    """A silent target is let go of at SIGTERM, long before its deadline."""
    async with serving(silent) as server:
        config = write(tmp_path, {"a": server.url()}, timeout=25, retries=0)
        async with exporter("--config", str(config)) as running:
            await server.asked.wait()
            running.tell(signal.SIGTERM)
            assert await running.end() == 0
            await server.left.wait()
            assert "level=error" not in running.log


MANY = {f"t{n}": "http://127.0.0.1:9/" for n in range(2500)}
"""So many that the page does not fit into the buffers between a server and a client that does not read."""


@asynccontextmanager
async def slow_reader(running: Exporter) -> AsyncIterator[socket.socket]:
    """Ask for the page and leave the answer where it is, until the request counts as in flight."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)  # noqa: FBT003 - its only argument
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", int(running.url.rpartition(":")[2])))
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await eventually(lambda: in_flight(running, 2))
        yield client


async def test_a_request_in_flight_is_finished_and_a_new_one_refused(tmp_path: Path) -> None:
    """SIGTERM drains: an answer that has begun ends whole, what comes later gets 503."""
    async with (
        exporter("--config", str(write(tmp_path, MANY))) as running,
        running.client() as client,
        slow_reader(running) as reader,
    ):
        running.tell(signal.SIGTERM)
        await running.says("msg=stopping")
        refused = await client.get("/metrics")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert refused.headers["connection"] == "close"
        answer = b""
        while part := await asyncio.get_running_loop().sock_recv(reader, 1 << 16):
            answer += part
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"</html>" in answer
        assert await running.end() == 0


async def in_flight(running: Exporter, number: int) -> bool | None:
    """Return True once so many requests, the one that asks included, are in flight."""
    async with running.client() as client:
        shutdown = (await client.get("/reliability")).json()["graceful_shutdown"]
        return True if shutdown["active_requests"] >= number else None


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Whoever asks twice does not wait for a client that never reads."""
    async with exporter("--config", str(write(tmp_path, MANY))) as running, slow_reader(running):
        running.tell(signal.SIGTERM)
        await running.says("msg=stopping")
        running.tell(signal.SIGTERM)
        assert await running.end() == 1


async def test_sighup_reads_the_settings_again(tmp_path: Path) -> None:
    """A new target comes, an old one goes, and one that stays keeps its counts."""
    async with serving(saying(response())) as server:
        config = write(tmp_path, {"stays": server.url(), "goes": server.url()})
        async with exporter("--config", str(config)) as running:
            await eventually(lambda: sample(running, 'uptime_target_up{target="stays"}'))
            before = await sample(running, 'uptime_probes_total{target="stays"}')
            write(tmp_path, {"stays": server.url(), "comes": server.url()})
            running.tell(signal.SIGHUP)
            await running.says("settings reloaded")
            await eventually(lambda: sample(running, 'uptime_target_up{target="comes"}'))
            assert await sample(running, 'uptime_probes_total{target="goes"}') is None
            after = await sample(running, 'uptime_probes_total{target="stays"}')
            assert before is not None
            assert after is not None
            assert after >= before >= 1


async def test_settings_that_cannot_be_used_change_nothing(tmp_path: Path) -> None:
    """The old ones stay in force, the log has every mistake, and the metric says that the reload failed."""
    config = write(tmp_path, {"a": "http://127.0.0.1:9/"}, admin_token=TOKEN)
    async with exporter("--config", str(config)) as running, running.client() as client:
        config.write_text("targets: {a: {kind: http, url: 'http://x', tiemout: 3}}\nretries: -1\n")
        refused = await client.post("/-/reload", headers=ADMIN)
        assert refused.status_code >= 400
        assert "tiemout" in refused.text
        assert "retries" in refused.text
        assert await sample(running, "uptime_exporter_config_last_reload_successful") == 0.0
        assert await sample(running, 'uptime_probes_total{target="a"}') is not None
        assert "tiemout" in running.log
        write(tmp_path, {"a": "http://127.0.0.1:9/"}, admin_token=TOKEN)
        assert (await client.post("/-/reload", headers=ADMIN)).status_code == 200
        assert await sample(running, "uptime_exporter_config_last_reload_successful") == 1.0


async def test_a_secret_is_nowhere_to_be_seen(tmp_path: Path) -> None:
    """Not in the log, not on any route, not even when a target sends it back."""
    secret = "hunter2-very-secret"
    (tmp_path / "secret").write_text(secret + "\n")
    body = f'{{"status": "unhealthy", "message": "{secret} is no good here"}}'
    async with serving(saying(response(body.encode()))) as server:
        target = {"kind": "http", "url": server.url(), "username": "me", "password_file": "secret"}
        config = tmp_path / "uptime.yaml"
        config.write_text(json.dumps({"targets": {"a": target}, "retries": 0, "log_level": "debug"}))
        async with exporter("--config", str(config)) as running, running.client() as client:
            await running.says("target is down")
            for route in ("/", "/metrics", "/health", "/reliability"):
                assert secret not in (await client.get(route)).text, route
            assert secret not in running.log


QUICK = {"UPTIME_INTERVAL": "1", "UPTIME_TIMEOUT": "0.5", "UPTIME_RETRIES": "0"}
"""A beat of a second, which is also how often the ledger is written."""


async def test_totals_go_on_where_they_stood_after_kill_9(tmp_path: Path) -> None:
    """No counter of a promise goes down, and the time in between is unknown."""
    total = 'uptime_sla_{}_seconds_total{{sla="system"}}'
    async with serving(saying(response())) as server:
        arguments = ["--config", str(write(tmp_path, {"a": server.url()}))]
        arguments += ["--ledger", str(tmp_path / "uptime.db")]
        async with exporter(*arguments, **QUICK) as running:
            before = await eventually(lambda: at_least(running, total.format("uptime"), 2.0))
            running.tell(signal.SIGKILL)
            await running.end()
        async with exporter(*arguments, **QUICK) as running:
            after = await sample(running, total.format("uptime"))
            assert after is not None
            assert after >= before
            assert await eventually(lambda: at_least(running, total.format("uptime"), before + 1))
            assert await eventually(lambda: at_least(running, total.format("unknown"), 0.001))
            assert await sample(running, total.format("downtime")) == 0.0


async def at_least(running: Exporter, series: str, wanted: float) -> float | None:
    """Return the value of a series once it is so high."""
    value = await sample(running, series)
    return value if value is not None and value >= wanted else None


async def test_a_second_exporter_on_the_same_ledger_is_refused(tmp_path: Path) -> None:
    """It ends with a message that names the file and who holds it, and disturbs nobody."""
    arguments = ["--config", str(write(tmp_path, {"a": "http://127.0.0.1:9/"}))]
    arguments += ["--ledger", str(tmp_path / "uptime.db")]
    async with exporter(*arguments) as running:
        second = await asyncio.create_subprocess_exec(
            *COMMAND,
            "run",
            *arguments,
            "--listen=127.0.0.1:0",
            env=clean_environment(),
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(second.communicate(), PATIENCE)
        assert second.returncode == 2
        last = said.decode().splitlines()[-1]
        assert str(tmp_path / "uptime.db") in last
        assert str(running.process.pid) in last
        running.tell(signal.SIGTERM)
        assert await running.end() == 0


def test_garbage_is_looked_for_rarely() -> None:
    """Python's own thresholds stop thousands of targets every few seconds, and probes leave next to nothing."""
    before = gc.get_threshold()
    try:
        collect_rarely()
        assert gc.get_threshold()[0] >= 50 * 700
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
