"""Every line of the log is one event, can be read back, and keeps secrets."""

import asyncio
import gc
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
import warnings

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uptime_exporter import logs

WHEN = 1_767_225_600.25
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
FIELDS = st.dictionaries(KEYS, st.text(), max_size=4)
HOSTILE = 'x" level=info msg="all is well\nlevel=info\r\x1b[2K\u2028\u202e='


def record(
    event: str, fields: dict[str, object] | None = None, exc: BaseException | None = None
) -> logging.LogRecord:
    """Return what a logger would hand to its handlers."""
    info = None if exc is None else (type(exc), exc, exc.__traceback__)
    made = logging.LogRecord("uptime_exporter.monitor", logging.WARNING, __file__, 1, event, (), info)
    made.created = WHEN
    made.fields = fields or {}
    return made


def parsed(line: str) -> dict[str, str]:
    """Read a logfmt line as a strict reader would: nothing but pairs, one space between two."""
    pairs = re.compile(
        r'(?P<key>[A-Za-z0-9_.-]+)=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^ "=\\]+))(?: |$)'
    )
    found, end = {}, 0
    while end < len(line):
        pair = pairs.match(line, end)
        assert pair is not None, line[end:]
        quoted = pair["quoted"]
        found[pair["key"]] = pair["bare"] if quoted is None else json.loads(f'"{quoted}"')
        end = pair.end()
    return found


def raised(exc: Exception) -> Exception:
    """Return *exc* with a trace."""
    try:
        raise exc
    except type(exc):
        return exc


class TestLine:
    def test_reads_as_a_sentence(self) -> None:
        """Time, level, logger and event come first, then the fields as they were given."""
        line = logs.StructuredFormatter().format(
            record(
                "target is down",
                {"target": "mysql", "reason": "connect", "detail": "Connection refused", "up": False},
            )
        )

        assert line == (
            'time=2026-01-01T00:00:00.250Z level=warning logger=monitor msg="target is down" '
            'target=mysql reason=connect detail="Connection refused" up=false'
        )

    def test_json_keeps_numbers_and_truth(self) -> None:
        """Numbers and booleans stay what they are; what JSON cannot say becomes text; None is left out."""
        line = logs.StructuredFormatter("json").format(
            record(
                "x", {"n": 3, "seconds": 0.5, "up": True, "never": float("inf"), "none": None, "list": [1]}
            )
        )

        assert json.loads(line) == {
            "time": "2026-01-01T00:00:00.250Z",
            "level": "warning",
            "logger": "monitor",
            "msg": "x",
            "n": 3,
            "seconds": 0.5,
            "up": True,
            "never": "inf",
            "list": "[1]",
        }

    @given(event=st.text(), fields=FIELDS)
    def test_logfmt_reads_back(self, event: str, fields: dict[str, object]) -> None:
        """Whatever a target says of itself, a reader gets exactly that, in one line."""
        line = logs.StructuredFormatter().format(record(event, fields))

        read = parsed(line)
        assert read.pop("msg") == event
        assert list(read)[:3] == ["time", "level", "logger"]
        assert list(read.values())[3:] == list(fields.values())

    @given(event=st.text(), fields=FIELDS)
    def test_json_reads_back(self, event: str, fields: dict[str, object]) -> None:
        """The same in JSON."""
        line = logs.StructuredFormatter("json").format(record(event, fields))

        assert line.isprintable()
        read = json.loads(line)
        assert (read["msg"], list(read.values())[4:]) == (event, list(fields.values()))

    @pytest.mark.parametrize("format_", ["logfmt", "json"])
    def test_a_hostile_message_forges_nothing(self, format_: logs.Format) -> None:
        """Neither a second line, a second level, an escape sequence nor a reversed direction comes out."""
        line = logs.StructuredFormatter(format_).format(record(HOSTILE, {"detail": HOSTILE}))

        assert line.isprintable()
        read = json.loads(line) if format_ == "json" else parsed(line)
        assert (read["level"], read["msg"], read["detail"]) == ("warning", HOSTILE, HOSTILE)

    def test_umlauts_stay_readable(self) -> None:
        """Only what cannot be printed is escaped."""
        assert logs.StructuredFormatter().format(record("für Ärzte")).endswith('msg="für Ärzte"')

    @pytest.mark.parametrize(
        ("name", "key"),
        [("level", "level_"), ("msg", "msg_"), ("a b", "a_b"), ("x=1\ny", "x_1_y"), ("", "_")],
    )
    def test_a_field_cannot_pose_as_another(self, name: str, key: str) -> None:
        """A field named like one of the line's own, or like two, gets a name of its own."""
        read = parsed(logs.StructuredFormatter().format(record("x", {name: "v"})))

        assert (read["level"], read["msg"], read[key]) == ("warning", "x", "v")

    def test_a_trace_is_one_field(self) -> None:
        """An exception with its cause takes one line."""
        line = logs.StructuredFormatter().format(record("x", exc=raised(ValueError("two\nlines"))))

        assert "\n" not in line
        trace = parsed(line)["trace"]
        assert trace.startswith("Traceback (most recent call last):\n")
        assert trace.endswith("ValueError: two\nlines")

    def test_broken_arguments_cost_no_line(self) -> None:
        """A library's wrong format string and an object that cannot be shown are logged all the same."""

        class Broken:
            def __str__(self) -> str:
                raise RuntimeError

        wrong = record("%d of %s", {"what": Broken()})
        wrong.args = ("three",)

        read = parsed(logs.StructuredFormatter().format(wrong))

        assert (read["msg"], read["what"]) == ("%d of %s ('three',)", "<Broken that cannot be shown>")


class TestRedaction:
    @given(secret=st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=8))
    def test_no_spelling_of_a_secret_comes_through(self, secret: str) -> None:
        """As text, in a repr, in a trace, in a value and under an object: three stars."""
        assume(secret not in f"{__file__}{' ' * 16}^~")
        formatter = logs.StructuredFormatter(redactor=logs.Redactor([secret]))
        error = raised(KeyError(secret))
        fields: dict[str, object] = {"plain": f"*{secret}*", "shown": [secret], "raw": secret.encode()}

        quote = repr(secret)[0]
        read = parsed(formatter.format(record(f"*{secret}*", fields, error)))

        assert read["msg"] == "*****"
        assert (read["plain"], read["shown"], read["raw"]) == (
            "*****",
            f"[{quote}***{quote}]",
            f"b{quote}***{quote}",
        )
        assert secret not in read["trace"]

    @pytest.mark.parametrize("format_", ["logfmt", "json"])
    def test_what_quoting_would_hide_from_the_search_is_found(self, format_: logs.Format) -> None:
        """Secrets are searched for before the line is quoted, not after."""
        secret = "pa\"ss\\w#r'd ü\n"
        formatter = logs.StructuredFormatter(format_, logs.Redactor([secret]))

        line = formatter.format(
            record(f"<{secret}>", {"url": "mysql://u:pa%22ss%5Cw%23r%27d%20%C3%BC%0A@host"})
        )

        read = json.loads(line) if format_ == "json" else parsed(line)
        assert (read["msg"], read["url"]) == ("<***>", "mysql://u:***@host")

    @pytest.mark.parametrize("around", ["", "'", '"', "'\""])
    @pytest.mark.parametrize("secret", ["pa'ss", 'pa"ss', "p'a\"ss"])
    def test_quotes_around_a_secret_do_not_disguise_it(self, secret: str, around: str) -> None:
        """How Python quotes a text depends on the whole of it, so each way is known."""
        hidden = logs.Redactor([secret])(repr([f"{around}{secret}", f"{around}{secret}".encode()]))

        assert hidden.count("***") == 2

    def test_a_number_can_be_a_secret(self) -> None:
        """A password of digits is hidden where it is logged as a number."""
        formatter = logs.StructuredFormatter("json", logs.Redactor(["12345678"]))

        assert json.loads(formatter.format(record("x", {"n": 12345678})))["n"] == "***"

    def test_the_longer_of_two_that_begin_alike_leaves_no_end(self) -> None:
        """Of overlapping secrets the longest is taken out."""
        assert logs.Redactor(["abc", "abcdef"])("abcdef abc") == "*** ***"

    def test_an_empty_secret_hides_nothing(self) -> None:
        """An unset password must not put stars between all letters."""
        assert logs.Redactor([""])("text") == "text"

    def test_secrets_become_known_while_the_program_runs(self) -> None:
        """A reload may bring new ones; the old ones stay hidden."""
        stream = io.StringIO()
        logs.configure("json", "info", stream)
        logs.redact(["first-secret-of-this-test"])
        logs.redact(["second-secret-of-this-test"])

        logs.get("x").info("first-secret-of-this-test, second-secret-of-this-test")

        assert json.loads(stream.getvalue())["msg"] == "***, ***"


class TestConfigure:
    def test_each_call_is_one_line(self) -> None:
        """A level below the setting is silent; the helper's fields are the line's."""
        stream = io.StringIO()
        logs.configure("logfmt", "info", stream)
        log = logs.get("monitor")

        log.debug("a")
        log.info("b", n=1)
        log.warning("c 100%", target=None)
        log.error("d", exc_info=ValueError("e"))

        lines = [parsed(line) for line in stream.getvalue().splitlines()]
        assert [(line["level"], line["msg"]) for line in lines] == [
            ("info", "b"),
            ("warning", "c 100%"),
            ("error", "d"),
        ]
        assert (lines[0]["n"], "target" in lines[1], lines[2]["trace"]) == ("1", False, "ValueError: e")

    def test_exception_takes_the_one_that_is_handled(self) -> None:
        """Inside except, no argument is needed."""
        stream = io.StringIO()
        logs.configure(stream=stream)

        try:
            int("why")
        except ValueError:
            logs.get("x").exception("failed", target="mysql")

        read = parsed(stream.getvalue().rstrip("\n"))
        assert read["target"] == "mysql"
        assert read["trace"].endswith("'why'")

    @pytest.mark.parametrize("name", ["uvicorn.error", "uvicorn.access", "httpx", "httpcore", "asyncio"])
    def test_others_are_heard_only_when_something_is_wrong(self, name: str) -> None:
        """Other libraries' chatter is left out, their warnings look like ours."""
        stream = io.StringIO()
        logging.getLogger("uvicorn.access").propagate = False
        logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
        logging.getLogger("uvicorn.access").setLevel("INFO")
        logs.configure("json", "info", stream)

        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("%s is wrong", "it")

        line = json.loads(stream.getvalue())
        assert (line["logger"], line["msg"]) == (name, "it is wrong")

    def test_debug_shows_no_request_of_the_http_library(self) -> None:
        """Level debug is ours; httpcore's shows headers."""
        stream = io.StringIO()
        logs.configure("json", "debug", stream)

        logging.getLogger("httpcore").debug("Authorization: …")
        logs.get("x").debug("ours")

        assert json.loads(stream.getvalue())["msg"] == "ours"

    def test_again_replaces_the_first(self) -> None:
        """Two calls do not print every line twice."""
        first, second = io.StringIO(), io.StringIO()
        logs.configure("logfmt", "info", first)
        logs.configure("json", "info", second)

        logs.get("x").info("once")

        assert (first.getvalue(), json.loads(second.getvalue())["msg"]) == ("", "once")

    def test_a_closed_log_stops_nothing(self) -> None:
        """The program goes on without its log."""
        stream = io.StringIO()
        logs.configure(stream=stream)
        stream.close()

        logs.get("x").error("nobody hears it")

    def test_a_warning_is_a_line(self) -> None:
        """What the warnings module says is no exception."""
        stream = io.StringIO()
        logs.configure("json", "info", stream)

        with warnings.catch_warnings(action="always"):
            warnings.warn("old", DeprecationWarning, stacklevel=1)

        assert "DeprecationWarning: old" in json.loads(stream.getvalue())["msg"]


class TestUncaught:
    def test_in_a_thread(self) -> None:
        """A thread that dies says so in one line."""
        stream = io.StringIO()
        logs.configure("json", "info", stream)

        def die() -> None:
            raise ValueError("in a thread")

        thread = threading.Thread(target=die, name="worker")
        thread.start()
        thread.join()

        line = json.loads(stream.getvalue())
        assert (line["thread"], line["trace"].splitlines()[-1]) == ("worker", "ValueError: in a thread")

    def test_where_nobody_can_catch(self) -> None:
        """An exception in a destructor is a line too."""
        stream = io.StringIO()
        logs.configure("json", "info", stream)

        class Dying:
            def __del__(self) -> None:
                raise ValueError("too late")

        Dying()
        gc.collect()

        assert json.loads(stream.getvalue())["trace"].endswith("ValueError: too late")

    @pytest.mark.parametrize("installed", [True, False])
    async def test_in_a_task_that_nobody_awaited(self, *, installed: bool) -> None:
        """Asyncio's report is one line, with or without our handler on the loop."""
        stream = io.StringIO()
        logs.configure("json", "info", stream)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(logs.loop_exception_handler if installed else None)

        async def fail() -> None:
            raise ValueError("unseen")

        task = loop.create_task(fail(), name="lost")
        await asyncio.wait([task])
        del task
        gc.collect()

        line = json.loads(stream.getvalue())
        assert "exception was never retrieved" in line["msg"]
        assert line["trace"].endswith("ValueError: unseen")
        assert line.get("task") == ("lost" if installed else None)

    def test_in_the_main_program(self) -> None:
        """The last words of the program are a line, and its exit status tells of the failure."""
        ended = run("raise ValueError('last')")

        assert ended.returncode == 1
        assert parsed(ended.stderr.rstrip("\n"))["trace"].endswith("ValueError: last")

    def test_an_interrupt_is_no_failure_of_ours(self) -> None:
        """Ctrl-C is left to Python."""
        assert "level=" not in run("raise KeyboardInterrupt").stderr

    def test_a_reader_that_has_gone_stops_nothing(self) -> None:
        """A broken pipe behind stderr neither raises nor changes the exit status."""
        reading, writing = os.pipe()
        os.close(reading)
        try:
            ended = run(
                "[logs.get('x').error('y' * 100_000) for _ in range(9)]; print('done')", stderr=writing
            )
        finally:
            os.close(writing)

        assert (ended.returncode, ended.stdout) == (0, "done\n")


def run(program: str, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run *program* with logging configured, in a process of its own."""
    whole = f"from uptime_exporter import logs; logs.configure(); {program}"
    return subprocess.run(
        [sys.executable, "-c", whole],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
        timeout=30,
    )
