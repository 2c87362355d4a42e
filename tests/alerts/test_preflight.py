"""The preflight says who would not be told, and what is missing."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.alertmanager import SECRETS, SHIPPED, switched_on

PREFLIGHT = SHIPPED.with_name("preflight.sh")
ALL_ON = (("page", "pagerduty"), ("chat", "slack"), ("dead-mans-switch", "webhook"))

SIGN_OF_LIFE = "put the URL that expects a sign of life every minute into it"
PAGERDUTY = "put PagerDuty's Events API v2 integration key into it"


def preflight(*arguments: str | Path) -> tuple[int, list[str]]:
    """Run it; return its exit code and its lines."""
    said = subprocess.run(
        [PREFLIGHT, *map(str, arguments)], capture_output=True, text=True, check=False, cwd="/"
    )
    return said.returncode, (said.stdout + said.stderr).splitlines()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration in which each receiver has a channel."""
    text = SHIPPED.read_text()
    for receiver, channel in ALL_ON:
        text = switched_on(text, receiver, channel)
    path = tmp_path / "alertmanager.yaml"
    path.write_text(text)
    return path


def secret(folder: Path, name: str, text: str = "secret", mode: int = 0o600) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder to which the way is open to everybody; pytest's own are closed."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_as_shipped_it_says_that_nobody_is_told() -> None:
    """A pack that was only unpacked is not mistaken for one that works."""
    code, lines = preflight()
    assert (code, sorted(lines)) == (
        1,
        [
            "3 to mend before Alertmanager can tell everybody.",
            "chat: tells nobody; take the # from one of its lines",
            "dead-mans-switch: tells nobody; take the # from one of its lines",
            "page: tells nobody; take the # from one of its lines",
        ],
    )


def test_each_missing_file_is_named_with_what_belongs_into_it(config: Path) -> None:
    """Only of the channels that somebody is told through."""
    code, lines = preflight(config)
    assert (code, sorted(lines)[1:]) == (
        1,
        [
            f"chat: slack: {SECRETS}/slack_api_url is missing; put the URL of a Slack incoming webhook into it",
            f"dead-mans-switch: webhook: {SECRETS}/dead_mans_switch_url is missing; {SIGN_OF_LIFE}",
            f"page: pagerduty: {SECRETS}/pagerduty_routing_key is missing; {PAGERDUTY}",
        ],
    )


def test_all_is_well_once_every_file_is_there(config: Path, tmp_path: Path) -> None:
    """The folder may be named in which the secrets lie until a container sees them elsewhere."""
    for name in ("slack_api_url", "dead_mans_switch_url", "pagerduty_routing_key"):
        secret(tmp_path, name)
    code, lines = preflight(config, tmp_path)
    assert (code, sorted(lines)) == (
        0,
        [
            "Everybody who should be told can be told.",
            "chat: slack: ready",
            "dead-mans-switch: webhook: ready",
            "page: pagerduty: ready",
        ],
    )


def test_what_nobody_else_gets_to_may_be_open(config: Path, open_folder: Path) -> None:
    """A container's user is a stranger to this machine: the folder above keeps the others out."""
    folder = open_folder / "secrets" / "alertmanager"
    folder.mkdir(parents=True)
    for name in ("slack_api_url", "dead_mans_switch_url", "pagerduty_routing_key"):
        secret(folder, name, mode=0o444)
    before, _ = preflight(config, folder)
    folder.parent.chmod(0o700)
    after, _ = preflight(config, folder)
    assert (before, after) == (1, 0)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (" \n", 0o600, "is empty; put PagerDuty's Events API v2 integration key into it"),
        ("secret", 0o644, "everybody on this machine can read"),
    ],
)
def test_a_file_that_will_not_do_is_told(
    text: str, mode: int, said: str, config: Path, open_folder: Path
) -> None:
    """An empty secret, or one for everybody, is as bad as none; the secret itself is not shown."""
    for name in ("slack_api_url", "dead_mans_switch_url"):
        secret(open_folder, name)
    secret(open_folder, "pagerduty_routing_key", text, mode)
    code, lines = preflight(config, open_folder)
    (line,) = (line for line in lines if line.startswith("page:"))
    assert code == 1
    assert said in line
    assert not any("secret" in line.replace("secrets", "") for line in lines)


def test_the_examples_addresses_are_told(config: Path, tmp_path: Path) -> None:
    """Mail to example.org reaches nobody."""
    config.write_text(switched_on(config.read_text(), "page", "email"))
    secret(tmp_path, "smtp_password")
    _, lines = preflight(config, tmp_path)
    keys = [line.split(" ")[2] for line in lines if "still the example's" in line]
    assert keys == ["to", "from", "smarthost", "auth_username"]


def test_a_newline_behind_the_key_of_opsgenie_is_told(config: Path, tmp_path: Path) -> None:
    """Alertmanager 0.25 puts it into a header, and no message leaves."""
    config.write_text(switched_on(config.read_text(), "page", "opsgenie"))
    secret(tmp_path, "opsgenie_api_key", "secret\n")
    _, lines = preflight(config, tmp_path)
    assert any("opsgenie_api_key ends in a newline" in line for line in lines)


def test_a_file_that_is_no_configuration_is_told(tmp_path: Path) -> None:
    """A wrong path does not look like a pack without receivers."""
    (tmp_path / "empty.yaml").write_text("")
    assert preflight(tmp_path / "none.yaml") == (2, [f"preflight: cannot read {tmp_path}/none.yaml"])
    assert preflight(tmp_path / "empty.yaml")[0] == 2
