"""Measures everything, or what is named, and writes it down: ``make bench``, ``make bench ARGS=probe``."""

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from bench.table import machine  # noqa: E402 - found by what stands above

README = Path(__file__).parent / "README.md"
SUBJECTS = (
    "probe",
    "scale",
    "scrape",
    "rules",
    "start",
    "ledger",
    "reliability_calls",
    "reliability_requests",
)
HEAD = """# Benchmarks

`make bench` measures all of this, `make bench ARGS="probe start"` some of it. Rivals take turns with ours in one
run; a ratio is of the two in the same round, with the median and the quartiles: on a shared machine trust ratios
and orders of magnitude, not digits. The last section says where the time goes.

The rivals' programs are Debian's, which `make bench` unpacks where they are missing; a folder that
`TEST_NEWER_TOOLS` names goes first.
"""
_SECTION = re.compile(r"<!-- (\w+) -->\n(.*?)(?=<!-- \w+ -->\n|\Z)", re.DOTALL)


def main(wanted: Sequence[str]) -> None:
    """Write the tables beside this file; what is not measured now stays as it is."""
    if unknown := [name for name in wanted if name not in SUBJECTS]:
        sys.exit(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(SUBJECTS)}")
    for name in wanted or SUBJECTS:
        sections = dict(_SECTION.findall(README.read_text()))
        sections[name] = measured(name)
        order = sorted(sections, key=lambda each: SUBJECTS.index(each) if each in SUBJECTS else len(SUBJECTS))
        README.write_text(HEAD + "".join(f"\n<!-- {each} -->\n{sections[each].strip()}\n" for each in order))
        sys.stderr.write(f"{name}: written to {README}\n")


def measured(name: str) -> str:
    """Return a subject's section."""
    tables = [table.markdown() for table in import_module(f"bench.{name}").measure()]
    return "\n".join([*tables, f"Measured on {datetime.now(UTC).date()}: {machine()}.\n"])


if __name__ == "__main__":
    main(sys.argv[1:])
