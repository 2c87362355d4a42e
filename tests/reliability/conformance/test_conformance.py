"""The toolkit's breaker answers every question right; what others answer is in its README."""

from typing import Any

import pytest

from reliability.conformance.questions import QUESTIONS, Question, outer_timeouts, put
from reliability.conformance.subjects import RIVALS, Ours, Plain, Subject
from reliability.conformance.table import README, cell, table, with_table
from support.golden import agrees


def by_name(thing: Any) -> str:
    return str(thing.__name__)


# A rival's own warnings, and coroutines that it never awaits, are findings about it.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize("question", QUESTIONS, ids=by_name)
def test_ours_answers_right(question: Question) -> None:
    """Every question, none excepted."""
    assert put(question, Ours) is None


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q is not outer_timeouts], ids=by_name)
def test_the_short_way_answers_as_well(question: Question) -> None:
    """With nothing switched on, a call takes another way through it; without a limit nothing is slow."""
    assert put(question, Plain) is None


@pytest.mark.parametrize("rival", RIVALS, ids=by_name)
def test_the_questions_are_about_something(rival: type[Subject]) -> None:
    """Each rival passes some of them and fails others: they can be failed, and the adapters work."""
    cells = [cell(question, rival) for question in QUESTIONS]
    assert sum(said == "✓" for said in cells) >= 3
    assert any(said.startswith("✗") for said in cells)


def test_the_readme_shows_who_passes_what() -> None:
    """The table is what this suite finds with the versions that are installed."""
    assert agrees(README, with_table(README.read_text(encoding="utf-8"), table()))
