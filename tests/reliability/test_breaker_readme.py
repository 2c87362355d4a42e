"""The toolkit's README shows nothing that is not so."""

import ast
import inspect
import logging
import re
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from reliability.conformance.questions import QUESTIONS
from reliability.conformance.table import README
from uptime_exporter.reliability.breaker import CircuitBreaker
from uptime_exporter.reliability.retry import Retry

ROOT = Path(__file__).parents[2]
TEXT = README.read_text(encoding="utf-8")


class Client:
    """Something that asks a server."""

    async def post(self, path: str, *, json: dict[str, str]) -> str:
        assert path == "/generate"
        return f"an answer to {json['prompt']}"


class Connection:
    """A database connection, and its cursor."""

    def cursor(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close nothing."""

    async def execute(self, statement: str) -> None:
        assert statement == "SELECT 1"


class Driver:
    """A database driver, and its pool."""

    freesize = 0

    async def create_pool(self, *, minsize: int, maxsize: int, **_: str) -> Self:
        assert (minsize, maxsize) == (0, 15)
        return self

    async def acquire(self) -> Connection:
        return Connection()

    def release(self, _: Connection) -> None:
        """Take it back."""


class NotFound(Exception):  # noqa: N818 - as README says it
    """What the reader's own client raises."""


async def generate(question: str) -> str:
    return f"generated for {question}"


async def test_its_python_runs() -> None:
    """All examples, one after the other, as a reader would paste them."""
    names: dict[str, Any] = {
        "client": Client(),
        "NotFound": NotFound,
        "logging": logging,
        "read_the_cache": lambda: "old",
        "generate": generate,
        "ask_database": lambda: True,
        "ask_model_server": lambda: True,
        "asyncmy": Driver(),
        "password": "from a file",
    }
    for example in re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL):
        code = compile(example, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        done = eval(code, names)
        if inspect.isawaitable(done):
            await done
    breaker, retry = names["model_server"], names["again"]
    assert isinstance(breaker, CircuitBreaker)
    assert breaker.calls == {"success": 4, "failure": 0, "rejected": 0}
    assert names["answer"] == "an answer to why?"
    assert await names["ask"]("how?") == "an answer to how?"
    assert isinstance(retry, Retry)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(names["app"]), base_url="http://app"
    ) as browser:
        assert (await browser.get("/ask/why")).json() == "generated for why"
        metrics = (await browser.get("/metrics")).text
    for name in set(re.findall(r"`(uptime_[a-z_]+)`", TEXT)):
        assert f"# HELP {name} " in metrics
    await names["http"].disconnect()


@pytest.mark.parametrize("attribute", re.findall(r"`(state|since|failure_count|calls|transitions)`", TEXT))
def test_what_is_there_to_be_read_is_there(attribute: str) -> None:
    """Under the name that README says."""
    assert hasattr(CircuitBreaker("c"), attribute)


def test_its_numbers_and_links_are_true() -> None:
    """The outcomes of a retry, how many questions there are, and every file that it points to."""
    assert f"{len(QUESTIONS)} questions" in TEXT
    assert all(f"`{outcome}`" in TEXT for outcome in Retry("c").retries)
    for link in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (README.parent / link).resolve().is_file(), link
