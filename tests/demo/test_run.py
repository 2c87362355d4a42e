"""The demo as a whole: it starts, says how to watch and break it, and ends without a trace."""

import asyncio
import gc
from contextlib import AbstractAsyncContextManager

import pytest

from demo.asking import ask, dial
from demo.fakes import FREE_PORT, FakeServerProgram
from support.configured import made
from support.servers import need
from uptime_exporter.demo import Demo, stand_ins
from uptime_exporter.demo.database import private_database
from uptime_exporter.demo.run import OpenDatabase
from uptime_exporter.settings import HttpTarget, MysqlTarget, Secret, Settings

PAGE = "http://127.0.0.1:10999/"


def anywhere(open_database: OpenDatabase) -> AbstractAsyncContextManager[Demo]:
    """Run the demo on free ports."""
    return stand_ins(model_port=0, asr_port=0, mysql_port=0, control_port=0, open_database=open_database)


async def test_everything_listens_and_goes() -> None:
    """Servers, control and database run inside the block and only there."""
    before, program = asyncio.all_tasks(), FakeServerProgram()
    async with anywhere(program) as demo:
        ports = [server.listener.port for server in demo.servers]
        assert [(await ask(port)).json["status"] for port in ports] == ["healthy", "healthy"]
        assert program.running

    for port in (*ports, demo.control.listener.port):
        with pytest.raises(ConnectionRefusedError):
            await ask(port)
    assert not program.running
    assert asyncio.all_tasks() == before
    gc.collect()  # an open socket would warn, and a warning is an error


async def test_the_end_comes_also_by_an_exception() -> None:
    """Whatever ends the block, nothing is left."""
    program = FakeServerProgram()
    with pytest.raises(KeyError):
        async with anywhere(program) as demo:
            raise KeyError

    with pytest.raises(ConnectionRefusedError):
        await ask(demo.control.listener.port)
    assert not program.running


async def test_the_settings_watch_exactly_what_runs() -> None:
    """The exporter that gets them asks the stand-ins and the database with its password."""
    program = FakeServerProgram()
    async with anywhere(program) as demo:
        settings = made(Settings, **demo.overrides())

    model, asr, mysql = settings.targets.values()
    assert isinstance(model, HttpTarget)
    assert isinstance(asr, HttpTarget)
    assert [model.address, asr.address] == [f"http://{server.address}/health" for server in demo.servers]
    assert isinstance(mysql, MysqlTarget)
    assert (mysql.address, mysql.user) == (f"127.0.0.1:{FREE_PORT}", "uptime")
    assert mysql.expect_writable, "or nobody would see the switch read_only"
    assert mysql.password == Secret(program.password)
    assert settings.slas["system"].targets == ("model_server", "asr_ocr_server", "mysql")


async def test_without_a_server_program_the_database_is_left_out() -> None:
    """It says so, and the promise is about what is left."""
    program = FakeServerProgram(installed=False)
    async with anywhere(program) as demo:
        settings = made(Settings, **demo.overrides())
        text = demo.instructions(PAGE)

    assert list(settings.targets) == ["model_server", "asr_ocr_server"]
    assert settings.slas["system"].targets == ("model_server", "asr_ocr_server")
    assert "\nmysql is left out: no server is installed.\n" in text
    assert "/mysql/" not in text
    assert demo.database_password is None


async def test_a_port_in_use_is_replaced_by_a_free_one() -> None:
    """Two demos can run side by side, and the second one says where."""
    program = FakeServerProgram()
    async with anywhere(program) as first:
        model, asr = (server.listener.port for server in first.servers)
        control = first.control.listener.port
        async with stand_ins(
            model_port=model, asr_port=0, mysql_port=asr, control_port=control, open_database=program
        ) as second:
            elsewhere = second.servers[0].listener.port
            listing = await ask(second.control.listener.port, path="/")

    assert second.notes == [
        f"Port {model} is not free: model_server listens on {elsewhere} instead.",
        f"Port {asr} is not free: mysql listens on {FREE_PORT} instead.",
        f"Port {control} is not free: the control listens on {second.control.listener.port} instead.",
    ]
    assert set(second.notes) <= set(second.instructions(PAGE).splitlines())
    assert f"model_server at 127.0.0.1:{elsewhere} is up\n" in listing.body


async def test_a_real_database_fails_and_recovers() -> None:
    """Killed it refuses, paused its system still accepts, and from each fault it comes back."""
    need("mariadb-install-db")
    async with anywhere(private_database) as demo:
        assert demo.database is not None
        for word in ("down", "paused", "read_only"):
            answer = await ask(demo.control.listener.port, "POST", f"/mysql/{word}")
            assert (answer.status, demo.database.present) == (200, word)
            if word == "down":
                with pytest.raises(ConnectionRefusedError):
                    await ask(demo.database.port)
            else:
                async with dial(demo.database.port) as line:
                    await ask(demo.control.listener.port, "POST", "/mysql/up")
                    assert await line.reader.read(1)


async def test_the_instructions_fit_a_screen_and_work() -> None:
    """At most 25 lines of at most 100 characters; every switch that they name is there."""
    program = FakeServerProgram()
    async with anywhere(program) as demo:
        text = demo.instructions(PAGE)
        paths = [
            word.split("/", 1)[1] for word in text.split() if word.startswith("localhost:") and "/" in word
        ]
        answers = [await ask(demo.control.listener.port, "POST", f"/{path}") for path in paths]

    lines = text.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 100
    assert len(paths) == 5
    assert {answer.status for answer in answers} == {200}
    assert "//metrics" not in text


async def test_the_password_is_shown_nowhere() -> None:
    """Neither the instructions nor the control nor a repr has it."""
    program = FakeServerProgram()
    async with anywhere(program) as demo:
        listing = await ask(demo.control.listener.port, path="/", accept="application/json")

    assert len(program.password) >= 16
    assert demo.database_password == program.password
    assert program.password not in f"{demo!r}{demo.instructions(PAGE)}{listing.body}"
