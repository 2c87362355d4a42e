"""The toolkit's README shows nothing that is not so."""

import ast
import inspect
import logging
import re
from pathlib import Path
from typing import Any

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


class NotFound(Exception):  # noqa: N818 - as README says it
    """What the reader's own client raises."""


async def test_its_python_runs() -> None:
    """All examples, one after the other, as a reader would paste them."""
    names: dict[str, Any] = {
        "client": Client(),
        "NotFound": NotFound,
        "logging": logging,
        "read_the_cache": lambda: "old",
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
