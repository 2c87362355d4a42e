"""Who passes what, as the toolkit's README shows it."""

from functools import cache
from pathlib import Path

from reliability.conformance.questions import QUESTIONS, Question, put
from reliability.conformance.subjects import RIVALS, LacksError, Ours, Subject, version

README = Path(__file__).parents[3] / "exporter" / "uptime_exporter" / "reliability" / "README.md"
BEGIN = "<!-- written by tests/reliability/conformance: UPDATE_GOLDEN=1 -->\n"
END = "<!-- end of what is written -->\n"


@cache
def cell(question: Question, subject: type[Subject]) -> str:
    """Return what the table says of this subject."""
    try:
        finding = put(question, subject)
    except LacksError as lack:
        return f"no {lack}"
    return "✓" if finding is None else f"✗ {finding}"


def table() -> str:
    """Return the whole table."""
    subjects: tuple[type[Subject], ...] = (Ours, *RIVALS)
    lines = [
        ["", Ours.name, *(f"{rival.name} {version(rival)}" for rival in RIVALS)],
        ["---"] * (len(subjects) + 1),
        *([sentence(question), *(cell(question, each) for each in subjects)] for question in QUESTIONS),
        ["passed", *(passed(each) for each in subjects)],
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def sentence(question: Question) -> str:
    """Return the question's own words."""
    return (question.__doc__ or "").strip().removesuffix(".")


def passed(subject: type[Subject]) -> str:
    """Return how many it passes, of how many."""
    return f"{sum(cell(question, subject) == '✓' for question in QUESTIONS)} of {len(QUESTIONS)}"


def with_table(readme: str, table: str) -> str:
    """Return the README with this table between the marks."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"
