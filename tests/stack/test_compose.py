"""The stack as a file: what has to be so for each service, whoever adds one."""

import asyncio
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from stack.compose_file import ROOT, TEXT, Compose, variables
from support.prometheus import Prometheus
from uptime_exporter import __version__
from uptime_exporter.app import LAST_RESORT
from uptime_exporter.settings import FileTarget, Settings
from uptime_exporter.settings.load import load_settings
from uptime_exporter.settings.values import DAY

STACK = Compose.under({})
SERVICES = STACK.services
BUILT = "uptime-exporter"
SCRIPTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "exporter").rglob("*.sh"))
KEEP = {
    "exporter": "/var/lib/uptime-exporter",
    "prometheus": "/prometheus",
    "alertmanager": "/alertmanager",
    "grafana": "/var/lib/grafana",
    "mysql": "/var/lib/mysql",
    "backup": "/var/lib/mysql-files",
    "main-backend": "/var/lib/uptime-exporter",
}
"""Who must remember something, and where."""

MAY_TALK = {
    ("exporter", "model-server"),
    ("exporter", "asr-ocr-server"),
    ("exporter", "mysql"),
    ("backup", "mysql"),
    ("backup", "exporter"),  # both are in the database's network; the exporter's own ports ask for a token
    ("exporter", "prometheus"),
    ("alertmanager", "prometheus"),
    ("grafana", "prometheus"),
    ("asr-ocr-server", "model-server"),  # both are asked by the same
    ("load", "main-backend"),
    ("main-backend", "model-server"),
    ("asr-ocr-server", "main-backend"),
    ("main-backend", "mysql"),
    ("main-backend", "prometheus"),
    ("exporter", "main-backend"),  # both ask the same servers
    ("backup", "main-backend"),  # both ask the same database
}

each_service = pytest.mark.parametrize("name", SERVICES)


def environment(compose: Compose, folder: Path) -> Mapping[str, str]:
    """Return the exporter's variables, with the secrets and the ledger in *folder*."""
    (folder / "secrets").mkdir(exist_ok=True)
    for secret in compose.services["exporter"]["secrets"]:
        (folder / "secrets" / secret).write_text("hush")
    variables = {"UPTIME_LEDGER": str(folder / "uptime.db"), **compose.services["exporter"]["environment"]}
    return {name: value.replace("/run/secrets", str(folder / "secrets")) for name, value in variables.items()}


def settings(folder: Path, **environ: str) -> Settings:
    """Return what the exporter goes by when ``.env`` says *environ*."""
    compose = Compose.under(environ)
    given = environment(compose, folder)
    return load_settings(compose.behind("exporter", given["UPTIME_CONFIG"]), environ=given)


def seconds(text: str) -> int:
    """Return a duration of compose or Prometheus."""
    unit = {"s": 1, "m": 60, "h": 3600, "d": DAY}
    return int(text[:-1]) * int(unit[text[-1]])


@each_service
def test_it_comes_back_and_ends_in_time(name: str) -> None:
    """After a crash, and when told to stop; a signal reaches it from its first moment on."""
    service = SERVICES[name]
    assert (service["restart"], service["init"], service["stop_grace_period"]) == ("always", True, "30s")


@each_service
def test_it_can_do_no_harm(name: str) -> None:
    """Whoever breaks into it can neither write, nor become more than he is."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid"} & service.keys()
    assert "docker.sock" not in str(service)
    writable = [
        mount for mount in service.get("volumes", ()) if mount.startswith("./") and mount[-3:] != ":ro"
    ]
    assert writable == []


@each_service
def test_it_cannot_take_all(name: str) -> None:
    """Processor, memory and processes have a limit, and the first two a reservation below it."""
    resources = SERVICES[name]["deploy"]["resources"]
    assert resources["limits"].keys() == {"cpus", "memory", "pids"}
    assert resources["reservations"].keys() == {"cpus", "memory"}
    assert float(resources["reservations"]["cpus"]) < float(resources["limits"]["cpus"]) <= 1
    assert _bytes(resources["reservations"]["memory"]) < _bytes(resources["limits"]["memory"])


@each_service
def test_it_says_whether_it_is_well(name: str) -> None:
    """Soon while it starts, seldom afterwards, and without a program that is there for nothing else."""
    check = SERVICES[name]["healthcheck"]
    assert check.keys() == {"test", "interval", "timeout", "retries", "start_period", "start_interval"}
    assert seconds(check["start_interval"]) < seconds(check["timeout"]) < seconds(check["interval"])
    assert "curl" not in str(check["test"])


@each_service
def test_its_log_does_not_fill_the_disk(name: str) -> None:
    """The engine's files are of a size, and so many."""
    logging = SERVICES[name]["logging"]
    assert logging["driver"] == "json-file"
    assert logging["options"].keys() == {"max-size", "max-file"}


@each_service
def test_its_image_is_a_version(name: str) -> None:
    """Of three numbers; ours is built here, from the version that the project has."""
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), tag
    if image == BUILT:
        assert tag == __version__
        assert SERVICES[name]["build"] == {"context": ".", "dockerfile": "exporter/Dockerfile"}
    else:
        assert "build" not in SERVICES[name]


@each_service
def test_its_ports_are_this_machine_s(name: str) -> None:
    """Unless BIND says otherwise, and the controls of the demo even then."""
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:"), port
    opened = Compose.under({"BIND": "192.0.2.1"}).services[name].get("ports", ())
    demo = "demo" in SERVICES[name].get("profiles", ())
    assert all(port.startswith("127.0.0.1:" if demo else "192.0.2.1:") for port in opened)


@each_service
def test_its_secrets_come_from_files(name: str) -> None:
    """No variable holds one; what it is given, the script makes, and nothing else."""
    service = SERVICES[name]
    telling = [key for key in service.get("environment", {}) if re.search("PASSWORD|TOKEN|SECRET", key)]
    assert [key for key in telling if not key.endswith("_FILE")] == []
    files = [service["environment"][key] for key in telling]
    assert all(Path(file).name in service["secrets"] for file in files)
    for secret in service.get("secrets", ()):
        assert STACK.document["secrets"][secret] == {"file": f"./secrets/{secret}"}


@each_service
def test_it_waits_for_health_not_for_a_start(name: str) -> None:
    """Whatever it waits for must be well; what only the demo has may be missing."""
    service = SERVICES[name]
    for other, how in service.get("depends_on", {}).items():
        assert how["condition"] == "service_healthy"
        only_in_demo = "profiles" in SERVICES[other] and "profiles" not in service
        assert how.get("required", True) is not only_in_demo


@pytest.mark.parametrize(("name", "folder"), KEEP.items())
def test_what_must_last_is_on_a_volume(name: str, folder: str) -> None:
    """A named one: `down` leaves it, and only `down --volumes` does not."""
    volumes = dict(reversed(mount.split(":")[:2]) for mount in SERVICES[name]["volumes"])
    assert volumes[folder] in STACK.document["volumes"]


def test_whoever_need_not_talk_is_apart() -> None:
    """Each pair that shares a network is meant to; the database's leads nowhere else."""
    known = {frozenset(pair) for pair in MAY_TALK}
    assert {tuple(sorted(pair)) for pair in STACK.acquainted() - known} == set()
    assert STACK.document["networks"]["database"] == {"internal": True}


def test_every_variable_stands_in_the_example() -> None:
    """With the same default, so that copying the file changes nothing; and none that nobody reads."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    said = dict(line.removeprefix("# ").split("=", 1) for line in lines if re.match(r"(# )?[A-Z_]+=", line))
    assert said.keys() == {*variables(), "COMPOSE_PROFILES"}
    taken = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    assert taken.items() <= variables().items()
    assert "${" not in str(STACK.document)


def test_three_variables_are_enough_for_servers_of_one_s_own(tmp_path: Path) -> None:
    """The exporter asks those instead of the stand-ins."""
    own = {
        "MODEL_SERVER_URL": "http://192.0.2.1:8001/health",
        "ASR_OCR_SERVER_URL": "http://192.0.2.2:8002/health",
        "MYSQL_HOST": "192.0.2.3",
    }
    targets = settings(tmp_path, **own).targets
    assert {name: target.address for name, target in targets.items() if target.serves} == {
        "model_server": own["MODEL_SERVER_URL"],
        "asr_ocr_server": own["ASR_OCR_SERVER_URL"],
        "mysql": "192.0.2.3:3306",
    }


def test_by_itself_it_watches_what_the_demo_starts(tmp_path: Path) -> None:
    """Each target's host is a service, or the exporter would tell of an outage that is none."""
    for target in settings(tmp_path).targets.values():
        if not target.serves:
            continue
        host = re.sub(r"^http://|[:/].*$", "", target.address.removeprefix("http://"))
        assert host in SERVICES, target.address


def test_the_exporter_ends_before_the_engine_ends_it(tmp_path: Path) -> None:
    """Its drain, and its own last resort, fit into what the engine gives it."""
    grace = seconds(SERVICES["exporter"]["stop_grace_period"])
    assert settings(tmp_path).shutdown_timeout + LAST_RESORT < grace


def test_prometheus_remembers_longer_than_any_promise_lasts(tmp_path: Path) -> None:
    """Or the last 30 days could not be asked for."""
    (retention,) = re.findall(r"--storage.tsdb.retention.time=(\S+)", str(SERVICES["prometheus"]["command"]))
    windows = [sla.window for sla in settings(tmp_path).slas.values()]
    assert seconds(retention.strip("',")) > max(windows) + DAY


def test_what_a_command_reads_is_mounted() -> None:
    """Configurations are read from folders of the project, so that an edited file is seen."""
    for name in ("prometheus", "alertmanager"):
        (file,) = re.findall(r"--config.file=([^\s',]+)", str(SERVICES[name]["command"]))
        assert STACK.behind(name, file).is_file()
    for name, service in SERVICES.items():
        mounted = [mount.split(":")[0] for mount in service.get("volumes", ()) if mount.startswith("./")]
        assert all((ROOT / path).is_dir() or path.startswith("./secrets") for path in mounted), name


def prometheus_settings() -> Mapping[str, object]:
    """Return what the stack's Prometheus goes by."""
    path = STACK.behind("prometheus", "/etc/prometheus/prometheus.yaml")
    document: Mapping[str, object] = yaml.safe_load(path.read_text())
    return document


def _addresses(value: object) -> Iterator[str]:
    match value:
        case {"targets": targets}:
            yield from map(str, targets)
        case {"names": names, "port": port}:
            yield from (f"{name}:{port}" for name in names)
        case dict():
            for inner in value.values():
                yield from _addresses(inner)
        case list():
            for inner in value:
                yield from _addresses(inner)


def test_backups_are_watched_where_they_are_written(tmp_path: Path) -> None:
    """The exporter sees the backups' volume, and allows an hour more than there is between two."""
    backup, target = SERVICES["backup"], settings(tmp_path).targets["backup"]
    (volume,) = [
        mount.split(":")[0]
        for mount in backup["volumes"]
        if mount.endswith(f":{backup['environment']['BACKUP_FOLDER']}")
    ]
    assert f"{volume}:{Path(target.address).parent}:ro" in SERVICES["exporter"]["volumes"]
    assert isinstance(target, FileTarget)
    assert target.younger_than == backup["environment"]["BACKUP_EVERY"] + 3600
    assert target.younger_than < backup["environment"]["BACKUP_KEEP"]


def test_prometheus_asks_services_that_it_can_reach() -> None:
    """By the names that they have in the stack, over a network that both are in."""
    hosts = {address.split(":")[0] for address in _addresses(prometheus_settings())} - {"localhost"}
    assert hosts == {"exporter", "alertmanager", "main-backend"}
    assert all(frozenset((host, "prometheus")) in STACK.acquainted() for host in hosts)


def test_without_the_demo_prometheus_misses_nobody() -> None:
    """What only a profile starts is found by its name, or not at all; a fixed target would be down."""
    jobs = prometheus_settings()["scrape_configs"]
    assert isinstance(jobs, list)
    fixed = {address.split(":")[0] for job in jobs for address in _addresses(job.get("static_configs", []))}
    assert fixed.isdisjoint(name for name, service in SERVICES.items() if "profiles" in service)


def test_the_backend_of_the_demo_finds_its_neighbours() -> None:
    """Servers and database are services that it can reach; it waits for each, and its users wait for it."""
    backend, load = SERVICES["main-backend"], SERVICES["load"]
    hosts = {
        re.sub(r"^http://|:\d+$", "", backend["environment"][name])
        for name in ("DEMO_MODEL_SERVER", "DEMO_ASR_OCR_SERVER", "DEMO_MYSQL")
    }
    assert hosts == backend["depends_on"].keys()
    assert "--url=http://main-backend:8000" in load["command"]
    pairs = {frozenset((host, "main-backend")) for host in (*hosts, "load")}
    assert pairs <= STACK.acquainted()


def test_the_backend_of_the_demo_ends_before_the_engine_ends_it() -> None:
    """Its drain has time left for what closing takes."""
    (drain,) = re.findall(r"--shutdown-timeout=(\d+)", str(SERVICES["main-backend"]["command"]))
    assert int(drain) + LAST_RESORT < seconds(SERVICES["main-backend"]["stop_grace_period"])


def test_prometheus_asks_as_often_as_the_one_to_start_from() -> None:
    """Two files that say the same about beats must not come to differ."""
    other = yaml.safe_load((ROOT / "alerts" / "prometheus.yaml").read_text())
    assert prometheus_settings()["global"] == other["global"]


async def test_prometheus_takes_its_settings(tmp_path: Path) -> None:
    """With the rules that are mounted beside them."""
    text = STACK.behind("prometheus", "/etc/prometheus/prometheus.yaml").read_text()
    rules = STACK.behind("prometheus", "/etc/alerts/rules")
    config = tmp_path / "prometheus.yaml"
    config.write_text(text.replace("/etc/alerts/rules", str(rules)))
    assert await Prometheus.check(config) == ""


async def test_shell_scripts_are_sound() -> None:
    """As far as a shell can tell without running them."""
    for script in (*SCRIPTS, "tests/stack/prove"):
        process = await asyncio.create_subprocess_exec("bash", "-n", str(ROOT / script))
        assert await process.wait() == 0, script
        assert (ROOT / script).stat().st_mode & 0o111, script


def dockerfile() -> list[list[str]]:
    """Return the instructions of the image's last stage, each as its words."""
    text = (ROOT / "exporter" / "Dockerfile").read_text().replace("\\\n", " ")
    last = text[text.rindex("\nFROM ") :]
    return [shlex.split(line, comments=True) for line in last.splitlines() if line and line[0] != "#"]


def test_the_image_holds_no_tools_and_no_root() -> None:
    """What builds it stays in the stage before; it runs as a user, and a wheel is what it has."""
    words = dockerfile()
    assert ["USER", "uptime"] in words
    runs = " ".join(" ".join(line) for line in words if line[0] == "RUN")
    assert not re.search(r"apt|curl|pip install|gcc|USER root", runs)
    assert [line for line in words if line[0] == "COPY" and line[1] == "exporter"] == []
    (version,) = [line[1] for line in words if line[:1] == ["ARG"] and line[1].startswith("VERSION=")]
    assert f"{BUILT}:{version.partition('=')[2]}" == SERVICES["exporter"]["image"]


def test_the_engine_is_sent_what_it_copies_and_no_more() -> None:
    """A secret that is not sent cannot end up in a layer."""
    allowed = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), flags=re.MULTILINE)
    text = (ROOT / "exporter" / "Dockerfile").read_text()
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, flags=re.MULTILINE)
        for word in line.split()
        if not word.startswith("--")
    ]
    assert {path.split("/")[0] for path in copied} == set(allowed)
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_secrets_are_kept_out_of_the_project() -> None:
    """Neither the folder nor .env can be committed by mistake."""
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"secrets/", ".env"} <= set(ignored)
    assert "registry" not in TEXT


def _bytes(text: str) -> int:
    return int(text[:-1]) * {"M": 1 << 20, "G": 1 << 30}[text[-1]]
