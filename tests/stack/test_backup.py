"""The script that backs the database up, and restores it."""

import asyncio
import gzip
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stack.compose_file import ROOT
from support.databases import PASSWORD, RealServer, program
from support.process import eventually
from support.servers import need
from uptime_exporter.demo.database import literal, private_database
from uptime_exporter.settings import Tls

SCRIPT = ROOT / "exporter/stack/backup/backup.sh"
HOUR, DAY = 3600, 86_400
MARK = "-- Dump completed on 2026-11-24"
CONTENT = (
    "CREATE DATABASE backend",
    "CREATE TABLE backend.notes (id INT PRIMARY KEY, text TEXT CHARACTER SET utf8mb4, raw BLOB)",
    "INSERT INTO backend.notes VALUES (1, 'Grüße 🙂', X'00FF27'), (2, NULL, NULL)",
    "CREATE VIEW backend.seen AS SELECT COUNT(*) AS many FROM backend.notes",
    "CREATE PROCEDURE backend.two() SELECT 2",
    "CREATE EVENT backend.daily ON SCHEDULE EVERY 1 DAY DO DELETE FROM backend.notes WHERE id = 7",
    "CREATE TRIGGER backend.doubled BEFORE INSERT ON backend.notes FOR EACH ROW SET NEW.id = NEW.id * 2",
)
RIGHTS = ("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON backend.* TO backup@'%'",)
ROUTINES = {
    "mysql": "GRANT SHOW_ROUTINE ON *.* TO backup@'%'",
    "mariadb": "GRANT SELECT ON mysql.proc TO backup@'%'",
}
QUESTIONS = (
    "SELECT id, text, HEX(raw) FROM backend.notes ORDER BY id",
    "SELECT many FROM backend.seen",
    "SELECT routine_name FROM information_schema.routines WHERE routine_schema = 'backend'",
    "SELECT event_name FROM information_schema.events WHERE event_schema = 'backend'",
    "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'backend'",
)


@dataclass
class Script:
    """The script, with its folder and its settings."""

    folder: Path
    environ: dict[str, str]

    def backups(self) -> list[str]:
        """Return the files, hidden ones too."""
        return sorted(path.name for path in self.folder.iterdir())

    def place(self, *, hours_ago: float, text: str = f"row\n{MARK}\n") -> str:
        """Leave a backup of that age; return its name."""
        then = time.time() - hours_ago * HOUR
        name = time.strftime("backend-%Y%m%dT%H%M%SZ.sql.gz", time.gmtime(then))
        (self.folder / name).write_bytes(gzip.compress(text.encode()))
        os.utime(self.folder / name, (then, then))
        return name

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            SCRIPT,
            *words,
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def __call__(self, *words: str) -> tuple[int, str]:
        """Run it; return its exit code and what it says."""
        process = await self.start(*words)
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()


Dumper = Callable[..., Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    for folder in ("bin", "backup", "tmp"):
        (tmp_path / folder).mkdir()
    (tmp_path / "secret").write_text(PASSWORD)
    return Script(
        tmp_path / "backup",
        {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "TMPDIR": str(tmp_path / "tmp"),
            "BACKUP_FOLDER": str(tmp_path / "backup"),
            "BACKUP_PASSWORD_FILE": str(tmp_path / "secret"),
            "BACKUP_HOST": "127.0.0.1",
        },
    )


@pytest.fixture
def dumps(tmp_path: Path) -> Dumper:
    """Put a program in place of mysqldump."""

    def dumps(body: str) -> Path:
        path = tmp_path / "bin" / "mysqldump"
        path.write_text(f'#!/bin/sh\n[ "$1" != --help ] || exit 0\n{body}\n')
        path.chmod(0o755)
        return path

    return dumps


def lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def _programs(kind: str, folder: Path) -> None:
    """Put the client programs of a server of *kind* in *folder*."""
    if kind == "mariadb":
        (folder / "mysqldump").symlink_to(need("mariadb-dump"))
        (folder / "mysql").symlink_to(need("mariadb"))
        return
    server = Path(program(kind, folder).path)
    text = server.read_text() if server.parent == folder else None
    for name in ("mysqldump", "mysql"):
        if text is None:
            (folder / name).symlink_to(need(name))
            continue
        # The script for the server of another root, for its client.
        client = re.sub(r'(/usr/)sbin/mysqld "\$@".*', rf'\1bin/{name} "$@"', text)
        (folder / name).write_text(client)
        (folder / name).chmod(0o755)


@pytest.fixture(params=["mariadb", "mysql"])
async def server(request: pytest.FixtureRequest, script: Script, tmp_path: Path) -> AsyncIterator[RealServer]:
    kind = str(request.param)
    _programs(kind, tmp_path / "bin")
    async with private_database(password="", program=program(kind, tmp_path / "bin")) as database:
        for statement in CONTENT:
            await database.execute(statement)
        for user, rights in (
            ("backup", [*RIGHTS, ROUTINES[kind]]),
            ("root2", ["GRANT ALL ON *.* TO root2@'%'"]),
        ):
            await database.execute(f"CREATE USER {user}@'%' IDENTIFIED BY {literal(PASSWORD)}")
            for right in rights:
                await database.execute(right)
        script.environ["BACKUP_PORT"] = str(database.port)
        yield RealServer(kind, database, Tls())


async def test_what_was_lost_is_restored(server: RealServer, script: Script) -> None:
    """Rows, views, routines, events and triggers, from a backup that an account with few rights made."""
    before = [await server.database.execute(question) for question in QUESTIONS]
    assert all(before)

    code, said = await script("once")
    assert code == 0, said
    (name,) = script.backups()
    assert re.fullmatch(r"backend-\d{8}T\d{6}Z\.sql\.gz", name)
    await server.database.execute("DROP DATABASE backend")

    assert await script("list") == (0, f"{name}\n")
    code, said = await script("restore")
    assert code != 0, "this account may not write"
    script.environ["BACKUP_USER"] = "root2"
    code, said = await script("restore", name)
    assert code == 0, said
    assert [await server.database.execute(question) for question in QUESTIONS] == before


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("echo row", "the dump is not whole"),
        (f"echo row; echo '{MARK}'; echo 'no such host' >&2; exit 2", "no such host"),
        ("exit 1", ""),
        (f"echo '{MARK}'; echo more", "the dump is not whole"),
    ],
)
async def test_what_is_not_whole_is_no_backup(script: Script, dumps: Dumper, body: str, why: str) -> None:
    """It says why, keeps what there is however old, and leaves no half of a file."""
    dumps(body)
    old = script.place(hours_ago=30 * 24)

    code, said = await script("once")

    assert code == 1
    (line,) = lines(said)
    assert (line["level"], line["msg"]) == ("error", "no backup was made")
    assert why in line["why"]
    assert script.backups() == [old]


async def test_old_ones_go_once_a_new_one_has_come(script: Script, dumps: Dumper) -> None:
    """After seven days; strangers in the folder stay."""
    dumps(f"echo '{MARK}'")
    script.place(hours_ago=7 * 24 + 1)
    kept = script.place(hours_ago=7 * 24 - 1)
    (script.folder / "notes.txt").touch()

    code, said = await script("once")

    assert code == 0, said
    files = script.backups()
    assert len(files) == 3
    assert {kept, "notes.txt"} < set(files)
    assert [line["msg"] for line in lines(said)] == ["backed up", "deleted"]


async def test_the_newest_stays_whatever_the_clock_says(script: Script, dumps: Dumper) -> None:
    """Set forward between writing and looking, it would make every backup too old."""
    dumps(f"echo '{MARK}'")
    script.place(hours_ago=1)
    script.environ["BACKUP_KEEP"] = "-1"

    code, said = await script("once")

    assert code == 0, said
    (left,) = script.backups()
    assert left in lines(said)[0]["file"]


async def test_a_sudden_loss_is_told(script: Script, dumps: Dumper) -> None:
    """A table that was dropped shows in the size; the backup is kept all the same."""
    dumps(f"echo '{MARK}'")
    script.place(hours_ago=6, text=os.urandom(900).hex() + f"\n{MARK}\n")
    code, said = await script("once")
    assert code == 0
    assert [line["level"] for line in lines(said)] == ["info", "warning"]


async def test_nobody_sees_the_password(script: Script, dumps: Dumper, tmp_path: Path) -> None:
    """Neither on a command line nor in the environment, nor in what it says; the file is its user's, and goes."""
    dumps(
        f'cat "/proc/$$/cmdline" "/proc/$$/environ" "/proc/$PPID/environ" >{tmp_path}/seen\n'
        f'file=${{1#--defaults-extra-file=}}; stat -c %a "$file" >{tmp_path}/mode; cp "$file" {tmp_path}/account\n'
        f"echo '{MARK}'"
    )
    _, said = await script("once")
    assert PASSWORD.encode() not in (tmp_path / "seen").read_bytes()
    assert (tmp_path / "mode").read_text() == "600\n"
    assert "password=" in (tmp_path / "account").read_text()
    assert PASSWORD not in said
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("hours_ago", "code", "says"),
    [(None, 1, "there is no backup"), (6.9, 0, " s old"), (7.1, 1, " s old")],
)
async def test_its_health_is_the_age_of_the_newest(
    script: Script, hours_ago: float | None, code: int, says: str
) -> None:
    """An hour is what a backup may take, above the six between two."""
    if hours_ago is not None:
        script.place(hours_ago=hours_ago)
    found, said = await script("check")
    assert found == code
    assert says in said


async def test_it_goes_on_where_it_stood(script: Script, dumps: Dumper) -> None:
    """A restart makes no backup before it is due, and clears what a crash has left."""
    dumps("exit 1")
    last = script.place(hours_ago=2)
    (script.folder / ".backend.abcdef.part").touch()
    process = await script.start("run")
    assert process.stdout
    line = json.loads(await process.stdout.readline())
    assert line["msg"] == "waiting"
    assert abs(int(line["seconds"]) - 4 * HOUR) < 60
    assert script.backups() == [last]
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_a_failure_is_tried_again_soon(script: Script, dumps: Dumper) -> None:
    """In minutes, not in hours."""
    dumps("exit 1")
    process = await script.start("run")
    assert process.stdout
    said = [json.loads(await process.stdout.readline()) for _ in range(2)]
    assert [line["msg"] for line in said] == ["no backup was made", "waiting"]
    assert said[1]["seconds"] == "300"
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_a_backup_under_way_is_broken_off_when_told_to_stop(
    script: Script, dumps: Dumper, tmp_path: Path
) -> None:
    """At once, and without a trace."""
    dumps(f"touch {tmp_path}/begun; exec sleep 60")
    process = await script.start("run")

    async def begun() -> bool | None:
        return True if (tmp_path / "begun").exists() else None

    await eventually(begun)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert script.backups() == []


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:-9], lambda _: gzip.compress(b"row\n"), lambda _: b""]
)
async def test_a_damaged_backup_is_not_restored(
    script: Script, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Half a database would replace what is there."""
    name = script.place(hours_ago=1)
    (script.folder / name).write_bytes(damage((script.folder / name).read_bytes()))
    client = tmp_path / "bin" / "mysql"
    client.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    client.chmod(0o755)
    code, said = await script("restore")
    assert code == 1
    assert "nothing was changed" in said
    assert not (tmp_path / "asked").exists()


async def test_without_a_word_it_says_what_there_is(script: Script) -> None:
    """And does nothing."""
    code, said = await script()
    assert code == 2
    assert [line.split()[1] for line in said.splitlines()] == ["run", "once", "check", "list", "restore"]
