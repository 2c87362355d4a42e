"""The whole stack's story on a real engine: up, asked, killed, stopped, up again, gone."""

import json
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from stack import hurry
from stack.engine import ROOT, CommandFailedError, Stack, command, lines, this_machine
from stack.look import Account, UnexpectedError, api, eventually, get

PORTS = {
    "EXPORTER_PORT": 21099,
    "PROMETHEUS_PORT": 21090,
    "ALERTMANAGER_PORT": 21093,
    "GRAFANA_PORT": 21030,
    "BACKEND_PORT": 21000,
    "BACKEND_CONTROL_PORT": 21010,
    "MODEL_CONTROL_PORT": 21011,
    "ASR_CONTROL_PORT": 21012,
}
INBOX_PORT = 21080
EXPORTER, PROMETHEUS, ALERTMANAGER, GRAFANA = (
    f"http://127.0.0.1:{PORTS[f'{name}_PORT']}"
    for name in ("EXPORTER", "PROMETHEUS", "ALERTMANAGER", "GRAFANA")
)
JOBS = {"uptime", "prometheus", "alertmanager"}
"""What Prometheus scrapes in any case."""
CIRCUITS = {"model_server", "asr_ocr_server", "database"}
"""Through which the backend calls its neighbours."""
IMAGE, BASE = "uptime-exporter:0.1.0", "python:3.13-slim-trixie"
MOST_BEYOND_BASE = 150e6
GRACE = 30.0
BACK_WITHIN = 60.0
"""Seconds in which a killed service must be healthy again."""
SAME = 0.05
"""Seconds: the first probe starts so much later than the ledger begins."""
COMMITTED = 5.0
"""Seconds after which every outcome of a beat of two has been committed and is told."""
STRANGERS = [
    ("exporter", "grafana", 3000),
    ("exporter", "alertmanager", 9093),
    ("model-server", "mysql", 3306),
    ("model-server", "prometheus", 9090),
    ("main-backend", "alertmanager", 9093),
    ("load", "mysql", 3306),
    ("load", "exporter", 10999),
]
DRILLED = re.compile(r" *(\d+\.\d s)  ok      (.*) \(\d+\.\d s\)")
"""A step of a drill that has come to be, and after what time."""
NO_JSON = ("mysql", "grafana")
"""Whose lines are text: MySQL's start script, and the placeholder that may stand in for Grafana."""


@dataclass
class Proof:
    """The stack, and what has been seen of it so far."""

    stack: Stack
    folder: Path
    accounts: list[Account] = field(default_factory=list)

    def configured(self) -> str:
        """The compose file is valid, with the demo and without."""
        services = self.stack.services()
        command("docker", "compose", "--env-file", ".env.example", "config", "--quiet")
        return f"{len(services)} services"

    def built(self) -> str:
        """The image is built, and small."""
        self.stack.compose("build", "--quiet")
        beyond = _size(IMAGE) - _size(BASE)
        _expect(beyond < MOST_BEYOND_BASE, f"the image has {beyond / 1e6:.0f} MB beyond its base")
        return f"{beyond / 1e6:.0f} MB beyond {BASE}"

    def up(self) -> str:
        """Everything comes up, in the order of health."""
        self.stack.compose("up", "--detach", "--wait")
        return "the first time" if not self.accounts else "again"

    def healthy(self) -> str:
        """Every container is healthy."""
        ill = [name for name, each in self.stack.containers().items() if not each.is_healthy]
        _expect(not ill, f"not healthy: {ill}")
        return f"{len(self.stack.services())} containers"

    def harmless(self) -> str:
        """No program is root's, has a capability, may gain one, or writes beside its volumes."""
        for name, container in self.stack.containers().items():
            status = _status(container.program)
            _expect(status["Uid"].split()[0] != "0", f"{name} runs as root")
            _expect(int(status["CapBnd"], 16) == 0, f"{name} may have capabilities: {status['CapBnd']}")
            _expect(status["NoNewPrivs"] == "1", f"{name} may gain privileges")
            _expect(container.known["HostConfig"]["ReadonlyRootfs"], f"{name} may write anywhere")
        return "no root, no capability, read-only"

    def apart(self) -> str:
        """Whoever need not talk to somebody cannot even find him."""
        for caller, called, port in STRANGERS:
            ask = f"import socket; socket.create_connection(('{called}', {port}), 2)"
            try:
                self.stack.compose("exec", "--no-TTY", caller, "python", "-c", ask)
            except CommandFailedError:
                continue
            raise UnexpectedError(f"{caller} reaches {called}")
        return f"{len(STRANGERS)} pairs tried"

    def scraped(self) -> str:
        """Prometheus has every target up, and no rule in error."""
        jobs = {*JOBS, "backend"}
        targets = eventually(partial(_all_up, jobs), "all targets of Prometheus up", within=60)
        rules = eventually(_all_evaluated, "all rules evaluated without error", within=60)
        found = api(PROMETHEUS, "alertmanagers")["activeAlertmanagers"]
        _expect(len(found) == 1, f"Prometheus knows these Alertmanagers: {found}")
        return f"{targets} targets, {rules} rules"

    def used(self) -> str:
        """The demo's users are answered by all that the backend calls, and Prometheus counts them."""
        return eventually(_served, f"calls through {CIRCUITS} that went well", within=60)

    def shown(self) -> str:
        """Grafana has every dashboard, and its data source."""
        admin = ("admin", (ROOT / "secrets" / "grafana_admin_password").read_text())
        uids = {found["uid"] for found in get(f"{GRAFANA}/api/search", auth=admin).json()}
        files = (ROOT / "grafana" / "dashboards").glob("*.json")
        missing = {json.loads(file.read_text())["uid"] for file in files} - uids
        _expect(not missing, f"Grafana has no dashboard {missing}")
        return f"{len(uids)} dashboards"

    def logging(self) -> str:
        """Every line of the logs is JSON, ready to be collected."""
        lines = 0
        for service in set(self.stack.services()) - set(NO_JSON):
            for line in self.stack.compose("logs", "--no-log-prefix", service).splitlines():
                _expect(line.startswith("{") and json.loads(line), f"{service} says: {line}")
                lines += 1
        return f"{lines} lines"

    def begun(self) -> str:
        """Every target is seen to be up, and the account begins."""
        self.accounts.append(eventually(_all_are_up, "all targets up", within=60))
        until = time.monotonic() + COMMITTED
        while time.monotonic() < until:
            # Between two commits a reading lags behind the probes; the earliest beginning is the true one.
            self.accounts[-1] = min(self.accounts[-1], Account.read(EXPORTER), key=Account.began)
            time.sleep(0.1)
        return "all targets up"

    def killed(self) -> Iterator[tuple[str, str]]:
        """Each service comes back by itself after kill -9."""
        for service in self.stack.services():
            began = time.monotonic()
            before = self.stack.container(service)
            before.kill()
            back = partial(self._is_back, service, before.restarts)
            eventually(back, f"{service} healthy again", within=BACK_WITHIN)
            yield f"kill -9 {service}", f"healthy again after {time.monotonic() - began:.1f} s"

    def kept(self) -> str:
        """Not a second of the account is lost."""
        said = self._account()
        self.stack.compose("exec", "--no-TTY", "exporter", "uptime-exporter", "ledger", "check")
        return said

    def stopped(self) -> str:
        """Told to stop, all end by themselves, well and in time."""
        began = time.monotonic()
        self.stack.compose("stop")
        took = time.monotonic() - began
        codes = {name: each.state["ExitCode"] for name, each in self.stack.containers().items()}
        _expect(not any(codes.values()), f"exit codes: {codes}")
        _expect(took < GRACE, f"it took {took:.1f} s")
        return f"exit code 0 from all, within {GRACE:g} s"

    def hurried(self) -> str:
        """For the drill alerts get short memories, and this machine is who is paged."""
        hurry.write(self.folder, INBOX_PORT)
        self.stack = replace(
            self.stack,
            files=(*self.stack.files, "tests/stack/drill.yaml"),
            environ={**self.stack.environ, "DRILL_FOLDER": str(self.folder)},
        )
        return "from now on"

    def drilled(self) -> Iterator[tuple[str, str]]:
        """A fault goes all the way to a message, and so does its end."""
        began = time.monotonic()
        drill = (sys.executable, "-m", "uptime_exporter.cli", "drill", "--token-file=secrets/admin_token")
        urls = (f"--exporter={EXPORTER}", f"--prometheus={PROMETHEUS}", f"--alertmanager={ALERTMANAGER}")
        place = f"--inbox={this_machine()}:{INBOX_PORT}"
        for line in lines(*drill, *urls, place, "--patience=60s", "--patience-at-end=60s"):
            if step := DRILLED.fullmatch(line):
                yield f"drill: {step[2]}", f"after {step[1]}"
        yield "drill", f"all of it in {time.monotonic() - began:.1f} s"

    def without_demo(self) -> str:
        """Where the demo's backend is not, Prometheus does not miss it."""
        self.stack.compose("rm", "--stop", "--force", "load", "main-backend")
        return f"{eventually(partial(_all_up, JOBS), 'all other targets up', within=60)} targets"

    def backed_up(self) -> str:
        """What is in the database is backed up, and the exporter sees how fresh that is."""
        self._query("CREATE TABLE notes (text TEXT)", "INSERT INTO notes VALUES ('kept'), ('both')")
        said = self._in("backup", "/opt/backup/backup.sh", "once")
        _expect('uptime_target_up{target="backup"} 1' in get(f"{EXPORTER}/metrics").text, "it is not fresh")
        return f"{json.loads(said)['bytes']} bytes"

    def restored(self) -> str:
        """The database and its volume are destroyed; the rows come back from the backup."""
        self.stack.compose("rm", "--stop", "--force", "mysql")
        command("docker", "volume", "rm", f"{self.stack.project}_mysql")
        self.stack.compose("up", "--detach", "--wait", "mysql")
        try:
            self._query("SELECT * FROM notes")
        except CommandFailedError:
            self._in("mysql", "/opt/backup/backup.sh", "restore")
        else:
            raise UnexpectedError("the rows were not lost")
        rows = self._query("SELECT * FROM notes").split()
        _expect(rows == ["kept", "both"], f"restored was {rows}")
        return f"{len(rows)} rows"

    def _in(self, service: str, *words: str) -> str:
        return self.stack.compose("exec", "--no-TTY", service, *words)

    def _query(self, *statements: str) -> str:
        ask = 'MYSQL_PWD="$(cat /run/secrets/mysql_root_password)" mysql --user=root -N -e "$1" backend'
        return self._in("mysql", "bash", "-c", ask, "bash", ";".join(statements))

    def down(self) -> str:
        """Taken down with its volumes, nothing is left."""
        self.stack.compose("down", "--volumes")
        left = self.stack.left()
        _expect(not left, f"left over: {left}")
        return "no container, volume or network"

    def _is_back(self, service: str, restarts: int) -> bool | None:
        now = self.stack.container(service)
        return True if now.restarts > restarts and now.is_healthy else None

    def _account(self) -> str:
        """Take a reading that goes on from the one before it, and say what has been spent since."""
        before = self.accounts[-1]
        self.accounts.append(
            eventually(partial(_going_on, before), "an account that goes on where it stood", within=60)
        )
        spent = self.accounts[-1].spent_since(before)
        return ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in spent.items())


STORY: Sequence[Callable[[Proof], str | Iterator[tuple[str, str]]]] = (
    Proof.configured,
    Proof.built,
    Proof.up,
    Proof.healthy,
    Proof.harmless,
    Proof.apart,
    Proof.begun,
    Proof.scraped,
    Proof.used,
    Proof.shown,
    Proof.killed,
    Proof.kept,
    Proof.logging,
    Proof.stopped,
    Proof.hurried,
    Proof.up,
    Proof.kept,
    Proof.drilled,
    Proof.kept,
    Proof.backed_up,
    Proof.restored,
    Proof.without_demo,
    Proof.down,
)


def main() -> int:
    """Tell the story; return 0 if all of it is true. What goes wrong ends it, and is shown with the logs."""
    ports = {name: str(port) for name, port in PORTS.items()}
    stack = Stack("uptime-proof", ("docker-compose.yaml", "tests/stack/quick.yaml"), ports)
    with TemporaryDirectory() as folder:
        return _told(Proof(stack, Path(folder)))


def _told(proof: Proof) -> int:
    stack, began = proof.stack, time.monotonic()
    try:
        stack.compose("down", "--volumes")
        for chapter in STORY:
            _tell(proof, chapter)
    except (UnexpectedError, CommandFailedError) as error:
        sys.stdout.write(f"{stack.compose('ps', '--all')}\n{stack.compose('logs', '--tail', '30')}\n")
        _say("FAILED", str(error), began)  # last: whoever sees only the end of a log sees why
        return 1
    finally:
        stack.compose("down", "--volumes")
    _say("All of it is so.", "", began)
    return 0


def _tell(proof: Proof, chapter: Callable[[Proof], str | Iterator[tuple[str, str]]]) -> None:
    began = time.monotonic()
    sentence = (chapter.__doc__ or "").strip()
    seen = chapter(proof)
    if isinstance(seen, str):
        _say(sentence, seen, began)
    else:
        for what, found in seen:
            _say(what, found, began)
            began = time.monotonic()


def _say(what: str, seen: str, began: float) -> None:
    sys.stdout.write(f"{time.monotonic() - began:6.1f} s  {what:<75}  {seen}\n")
    sys.stdout.flush()


def _expect(so: object, otherwise: str) -> None:
    if not so:
        raise UnexpectedError(otherwise)


def _all_are_up() -> Account | None:
    now = Account.read(EXPORTER)
    return now if now.totals and now.up == now.totals.keys() else None


def _going_on(before: Account) -> Account | None:
    now = _all_are_up()
    return now if now and now.goes_on_from(before, tolerance=SAME) else None


def _all_up(jobs: Collection[str]) -> int | None:
    targets = api(PROMETHEUS, "targets")["activeTargets"]
    is_whole = {target["labels"]["job"] for target in targets} == set(jobs)
    return len(targets) if is_whole and all(target["health"] == "up" for target in targets) else None


def _served() -> str | None:
    query = 'sum by (circuit) (uptime_circuit_calls_total{app="main-backend", outcome="success"}) > 0'
    found = api(PROMETHEUS, f"query?{urlencode({'query': query})}")["result"]
    calls = {each["metric"]["circuit"]: each["value"][1] for each in found}
    if calls.keys() != CIRCUITS:
        return None
    return ", ".join(f"{name} {number}" for name, number in calls.items())


def _all_evaluated() -> int | None:
    rules = [rule for group in api(PROMETHEUS, "rules")["groups"] for rule in group["rules"]]
    wrong = [rule["name"] for rule in rules if rule["health"] == "err"]
    _expect(not wrong, f"rules in error: {wrong}")
    return len(rules) if rules and all(rule["health"] == "ok" for rule in rules) else None


def _size(image: str) -> int:
    return int(command("docker", "image", "inspect", "--format", "{{.Size}}", image))


def _status(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


if __name__ == "__main__":
    sys.exit(main())
