"""The script that makes the secrets."""

import subprocess
from pathlib import Path

from stack.compose_file import ROOT, Compose

NAMES = sorted(Compose.under({}).document["secrets"])


def made(folder: Path) -> str:
    """Run it; return what it prints."""
    script = ROOT / "exporter" / "stack" / "secrets.sh"
    done = subprocess.run([script, folder], capture_output=True, check=True, text=True)
    return done.stdout + done.stderr


def secrets(folder: Path) -> dict[str, str]:
    """Return name → secret."""
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_it_makes_what_the_stack_reads(tmp_path: Path) -> None:
    """Each secret by itself, long, and of letters and digits only."""
    said = made(tmp_path / "secrets")
    found = secrets(tmp_path / "secrets")
    assert sorted(found) == NAMES
    assert len(set(found.values())) == len(NAMES)
    assert all(len(secret) == 32 and secret.isascii() and secret.isalnum() for secret in found.values())
    assert not any(secret in said for secret in found.values())


def test_it_leaves_alone_what_is_there(tmp_path: Path) -> None:
    """A password that a database has taken must not change; one that is missing or empty is made."""
    made(tmp_path / "secrets")
    before = secrets(tmp_path / "secrets")
    (tmp_path / "secrets" / "admin_token").unlink()
    (tmp_path / "secrets" / "mysql_root_password").chmod(0o600)
    (tmp_path / "secrets" / "mysql_root_password").write_text("")
    said = made(tmp_path / "secrets")
    after = secrets(tmp_path / "secrets")
    changed = {"admin_token", "mysql_root_password"}
    assert {name for name in after if after[name] != before[name]} == changed
    assert all(after.values())
    assert {line.split()[1] for line in said.splitlines() if line.startswith("made")} == changed


def test_only_containers_and_their_owner_can_read_them(tmp_path: Path) -> None:
    """The folder keeps this machine's other users out; a file, mounted by itself, any user may read."""
    made(tmp_path / "secrets")
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir() if path.is_file()} == {
        0o444
    }
    assert (tmp_path / "secrets" / "alertmanager").stat().st_mode & 0o777 == 0o755


def test_what_is_put_there_by_hand_can_be_read_by_alertmanager(tmp_path: Path) -> None:
    """Once the script has run again."""
    made(tmp_path / "secrets")
    secret = tmp_path / "secrets" / "alertmanager" / "slack_api_url"
    secret.touch(mode=0o600)
    made(tmp_path / "secrets")
    assert secret.stat().st_mode & 0o777 == 0o444
