"""A person with curl switches faults on and off; nobody else does."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from types import MappingProxyType

import pytest

from demo.asking import ask, dial
from support.servers import need
from uptime_exporter.demo.control import Control
from uptime_exporter.demo.standins import Pace, StandIn, model_server
from uptime_exporter.errors import ListenError


class Stubborn:
    """A part that cannot be mended."""

    name = "database"
    address = "127.0.0.1:3306"
    present = "down"
    switches = MappingProxyType({"up": "well again", "down": "killed"})

    async def switch(self, word: str) -> None:
        raise ListenError(f"cannot be {word}")


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    """A model server that is up."""
    stand_in = model_server(port=0, pace=Pace(late=86_400))
    await stand_in.switch("up")
    yield stand_in
    await stand_in.switch("down")


@pytest.fixture
async def port(server: StandIn) -> AsyncIterator[int]:
    """The control's, over that server and a stubborn one."""
    control = Control([server, Stubborn()], port=0)
    await control.listener.open()
    yield control.listener.port
    await control.listener.close()


async def test_a_fault_goes_on_and_off(server: StandIn, port: int) -> None:
    """Each answer says how the part is now."""
    on = await ask(port, "POST", "/model_server/unhealthy")
    during = await ask(server.listener.port)
    off = await ask(port, "POST", "/model_server/up")
    after = await ask(server.listener.port)

    assert (on.status, on.body) == (200, "model_server is unhealthy: HTTP 200, but no model is loaded\n")
    assert (off.status, off.body) == (200, "model_server is up: well again\n")
    assert (during.json["status"], after.json["status"]) == ("unhealthy", "healthy")


async def test_the_log_tells_what_was_switched(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """Between the lines about targets stands who was behind it; a switch that failed is none."""
    with caplog.at_level("INFO", "uptime_exporter"):
        await ask(port, "POST", "/model_server/error")
        await ask(port, "POST", "/database/up")

    assert [(line.msg, vars(line)["fields"]) for line in caplog.records] == [
        ("switched by hand", {"target": "model_server", "condition": "error"})
    ]


async def test_a_request_in_flight_is_broken_off_by_down(server: StandIn, port: int) -> None:
    """The control works while others wait for an answer."""
    await ask(port, "POST", "/model_server/slow")
    async with dial(server.listener.port) as line:
        line.say()
        answer = await ask(port, "POST", "/model_server/down")

        assert answer.status == 200
        assert await asyncio.gather(line.reader.read(), return_exceptions=True)
    with pytest.raises(ConnectionRefusedError):
        await ask(server.listener.port)


async def test_many_at_once_take_turns(server: StandIn, port: int) -> None:
    """Switching up and down at the same time ends in one of the two."""
    words = ["down", "up"] * 5
    answers = await asyncio.gather(*(ask(port, "POST", f"/model_server/{word}") for word in words))

    assert {answer.status for answer in answers} == {200}
    await ask(port, "POST", "/model_server/up")
    assert (await ask(server.listener.port)).status == 200


async def test_the_listing_shows_every_part_and_switch(server: StandIn, port: int) -> None:
    """Addresses, present conditions, and lines that can be pasted."""
    await server.switch("half")

    listing = (await ask(port, path="/")).body

    first, *commands = listing.split("\n\n")[0].splitlines()
    assert first == f"model_server at {server.address} is half"
    assert len(commands) == len(server.switches)
    assert commands[0].startswith(f"  curl -X POST localhost:{port}/model_server/up ")
    assert "database at 127.0.0.1:3306 is down\n" in listing


async def test_each_line_of_the_listing_works_in_a_shell(server: StandIn, port: int) -> None:
    """What is shown is what works, comment and all."""
    need("curl")
    lines = (await ask(port, path="/")).body.split("\n\n")[0].splitlines()[1:]

    said = [await _in_a_shell(line) for line in lines]

    assert [words.split()[2].rstrip(":") for words in said] == list(server.switches)


async def test_programs_get_json(server: StandIn, port: int) -> None:
    """The same list for those who ask for it."""
    answer = await ask(port, path="/", accept="application/json")

    first, second = answer.json["parts"]
    assert (first["name"], first["address"], first["present"]) == ("model_server", server.address, "up")
    assert first["switches"] == dict(server.switches)
    assert second["present"] == "down"


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/nobody/down", 404, "no part 'nobody'; there are: model_server, database\n"),
        ("POST", "/database/silent", 404, "database has no switch 'silent'; it has: up, down\n"),
        ("POST", "/database", 404, "database has no switch ''; it has: up, down\n"),
        ("POST", "/database/up", 409, "database is still down: cannot be up\n"),
        ("GET", "/database/up", 405, "only POST works here; see GET /\n"),
        ("POST", "/", 405, "only GET works here; see GET /\n"),
    ],
)
async def test_a_mistake_is_told_with_its_remedy(
    port: int, method: str, path: str, status: int, said: str
) -> None:
    """Known names are listed; a switch that fails says why."""
    answer = await ask(port, method, path)

    assert (answer.status, answer.body) == (status, said)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": ""},
        {"host": "localhost.evil.example:8009"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "10.0.0.1"},
        {"host": "[::1"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "https://localhost"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
async def test_pages_in_a_browser_are_refused(server: StandIn, port: int, headers: dict[str, str]) -> None:
    """Neither a foreign page nor a name that points here switches or reads anything."""
    posted = await ask(port, "POST", "/model_server/error", **headers)
    read = await ask(port, "GET", "/", **headers)

    assert (posted.status, read.status) == (403, 403)
    assert server.present == "up"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8009"},
        {"host": "[::1]:8009"},
        {"host": "LOCALHOST"},
        {"host": "localhost:8009", "origin": "http://localhost:8009", "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ],
)
async def test_this_machine_is_let_in(port: int, headers: dict[str, str]) -> None:
    """However loopback is spelt."""
    assert (await ask(port, "POST", "/model_server/error", **headers)).status == 200


async def _in_a_shell(command: str) -> str:
    direct = {**os.environ, "no_proxy": "*"}
    process = await asyncio.create_subprocess_shell(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=direct
    )
    out, _ = await process.communicate()
    return out.decode()
