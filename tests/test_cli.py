"""What a person types, and what it prints."""

import asyncio
import io
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.badservers import closed_port
from support.loop import FakeClock
from uptime_exporter import __version__
from uptime_exporter.cli import main
from uptime_exporter.ledger import Bookkeeper, Terms
from uptime_exporter.outcome import Outcome, Reason

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Said:
    """Run the command in an empty folder, with no settings around; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    for name in ("UPTIME_CONFIG", "UPTIME_LISTEN"):
        monkeypatch.delenv(name, raising=False)

    def run(*argv: str) -> tuple[int, str, str]:
        try:
            code = main(argv)
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_check_shows_what_would_be_watched(said: Said) -> None:
    """With nothing at all given: the seed's three parts and the promise about them."""
    assert said("check") == (
        0,
        (
            "model_server    http   http://localhost:8001/health  every 30 s\n"
            "asr_ocr_server  http   http://localhost:8002/health  every 30 s\n"
            "mysql           mysql  localhost:3306  every 30 s\n"
            "system: 99.9 % over 30 days of model_server, asr_ocr_server, mysql\n"
            "The settings can be used.\n"
        ),
        "",
    )


def test_check_lists_every_mistake_at_once(said: Said, tmp_path: Path) -> None:
    """Each with its place; the exit code says that the settings cannot be used."""
    (tmp_path / "uptime.yaml").write_text("interval: 1\ntargets:\n  db: {kind: mysql, prot: 3306}\n")
    code, out, err = said("check", "--config", "uptime.yaml", "--set", "retries=many")
    assert (code, out) == (2, "")
    assert "uptime.yaml:3: targets.db.prot: unknown setting `prot`; did you mean `port`?" in err
    assert "--set retries" in err
    assert len(err.splitlines()) >= 2


def test_the_command_line_wins_over_the_environment(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, then environment over it, then the command line over both."""
    monkeypatch.setenv("UPTIME_TARGETS__MYSQL__HOST", "from-environment")
    assert "from-environment:3306" in said("check")[1]
    assert "from-command:3306" in said("check", "--set", "targets.mysql.host=from-command")[1]


def test_an_assignment_without_a_value_says_what_one_looks_like(said: Said) -> None:
    """A mistake in the arguments is told by example."""
    code, _, err = said("check", "--set", "listen")
    assert code == 2
    assert "'listen' is not KEY=VALUE, such as targets.mysql.host=db" in err


def test_probe_says_why_a_target_is_down(said: Said) -> None:
    """The phases that were reached, the reason and its words; exit code 1."""
    port = closed_port()
    code, out, err = said(
        "probe", "mysql", "--set", f"targets.mysql.port={port}", "--set", "targets.mysql.host=127.0.0.1"
    )
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == f"mysql: mysql 127.0.0.1:{port}"
    assert lines[-1] == f"DOWN (connect): connection refused by 127.0.0.1:{port}"
    assert any(line.startswith("  connect") and line.endswith(" ms") for line in lines)


def test_probe_names_the_targets_that_there_are(said: Said) -> None:
    """A misspelt name is answered with the right ones."""
    code, out, err = said("probe", "myqsl")
    assert (code, out) == (2, "")
    assert err == "there is no target 'myqsl'; the settings know model_server, asr_ocr_server, mysql\n"


def test_run_on_a_taken_address_says_so(said: Said) -> None:
    """Neither a trace nor a process that listens nowhere."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = said("run", "--listen", address)
    assert code == 2
    assert err.splitlines()[-1].startswith(f"{address} is taken")


def test_it_says_its_version(said: Said) -> None:
    """So that a report of a fault can name it."""
    assert said("--version") == (0, f"uptime-exporter {__version__}\n", "")


def test_without_a_command_it_lists_them(said: Said) -> None:
    """Whoever types nothing reads what there is."""
    code, _, err = said()
    assert code == 2
    assert "COMMAND" in err


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Write a ledger of an hour in which a minute was lost."""
    path = tmp_path / "uptime.db"

    async def keep() -> None:
        clock = FakeClock(wall=1_767_229_200.0)
        books = Bookkeeper(path, clock)
        books.open({"system": Terms(("a", "b")), "a": Terms(("a",)), "b": Terms(("b",))})
        for beat in range(120):
            for target in ("a", "b"):
                reason = Reason.CONNECT if target == "a" and beat in (60, 61) else None
                books.sink(Outcome(target, clock.wall(), clock.monotonic(), 30.0, 0.1, reason))
            clock.pass_time(30)
        await books.close()

    asyncio.run(keep())
    return path


def test_report_tells_of_the_month(said: Said, kept: Path) -> None:
    """What was promised, what was kept, and the outage with its reason."""
    code, out, err = said("report", "--month", "2026-01", "--ledger", str(kept))
    assert (code, err) == (0, "")
    assert "system" in out
    assert "a: connect" in out


def test_report_goes_to_a_file_in_any_format(said: Said, kept: Path, tmp_path: Path) -> None:
    """A page to mail, values for programs, rows for a spreadsheet."""
    for form, start in (("html", "<!doctype html>"), ("json", "{"), ("csv", "sla,")):
        output = tmp_path / f"report.{form}"
        arguments = ["--ledger", str(kept), "--month", "2026-01", "--format", form, "--output", str(output)]
        assert said("report", *arguments) == (0, "", "")
        assert output.read_text().startswith(start)


def test_report_without_a_ledger_says_what_to_name(said: Said) -> None:
    """Not a trace, and not an empty report."""
    code, out, err = said("report")
    assert (code, out) == (2, "")
    assert err == "there is no ledger uptime.db; name the file that the exporter writes\n"


def test_a_ledger_goes_out_and_in_again(
    said: Said, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is exported, imported and exported again is the same to the letter; nothing is overwritten."""
    assert said("ledger", "check", "--ledger", str(kept)) == (0, f"{kept} agrees with itself.\n", "")
    _, exported, _ = said("ledger", "export", "--ledger", str(kept))
    moved = tmp_path / "moved.db"
    monkeypatch.setattr("sys.stdin", io.StringIO(exported))
    assert said("ledger", "import", "-", "--ledger", str(moved)) == (0, f"{moved} holds all of it.\n", "")
    assert said("ledger", "export", "--ledger", str(moved))[1] == exported
    (tmp_path / "exported").write_text(exported)
    code, _, err = said("ledger", "import", str(tmp_path / "exported"), "--ledger", str(kept))
    assert (code, err) == (2, f"{kept} exists; move it away, or name another file\n")


def test_a_damaged_ledger_is_said_to_be_damaged(said: Said, kept: Path) -> None:
    """With exit code 1, so that a script notices."""
    kept.write_bytes(kept.read_bytes()[:5000])
    code, out, _ = said("ledger", "check", "--ledger", str(kept))
    assert code == 1
    assert str(kept) in out
