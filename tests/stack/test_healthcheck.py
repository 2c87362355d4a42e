"""What the containers ask themselves."""

import asyncio
import sys

import pytest

from stack.compose_file import ROOT
from support.badservers import closed_port, response, saying, serving

PROGRAM = (sys.executable, "-IS", str(ROOT / "exporter" / "healthcheck.py"))


async def checked(port: int) -> tuple[int, str]:
    """Return its exit code, and what it says."""
    process = await asyncio.create_subprocess_exec(*PROGRAM, str(port), stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_server_that_answers_200_is_well() -> None:
    """Whatever else it says."""
    async with serving(saying(response())) as server:
        assert await checked(server.port) == (0, "HTTP/1.1 200 OK\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH 200\r\n",
        b"",
    ],
)
async def test_any_other_answer_is_ill(answer: bytes) -> None:
    """A server that drains, one that is none, and one that hangs up."""
    async with serving(saying(answer)) as server:
        code, said = await checked(server.port)
    assert (code, said) == (1, answer.decode().partition("\r\n")[0] + "\n")


async def test_nobody_there_is_ill() -> None:
    """And says why, for `docker inspect`."""
    code, said = await checked(closed_port())
    assert code == 1
    assert "refused" in said
