"""Weaken every rule in every way, and see which weakness no test notices.

    python tests/alerts/mutate.py [GROUP ...]

prints the survivors as survivors.txt lists them. A group's tests are in ``<group>*.test.yaml``; a mutant is loaded with the
groups before its own in the file, because a group reads only what those record.
"""

import copy
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "alerts" / "rules"
SURVIVORS = HERE / "survivors.txt"

Rule = dict[str, Any]
Group = dict[str, Any]

SET_OPERATOR = re.compile(r"\b(and|or|unless)\b(\s+on\s*\([^)]*\))?")
SWAPS: Sequence[tuple[str, str]] = (
    (r"(?<![<>=!])>=", ">"),
    (r"(?<![<>=!])<=", "<"),
    (r">(?!=)", ">="),
    (r"(?<![=!~])<(?!=)", "<="),
    (r">=?", "<"),
    (r"<=?", ">"),
    (r"==", "!="),
    (r" - ", " + "),
    (r" / ", " * "),
    (r"\blast_over_time\(([^()]*)\[\w+\]( offset \w+)?\)", r"(\1\2)"),
    (r"\bmax_over_time\b", "min_over_time"),
    (r"\bmin_over_time\b", "max_over_time"),
    (r"\bmax without\b", "sum without"),
    (r"\bmax by\b", "sum by"),
    (r"\bsum without\b", "max without"),
    (r"\bsum by\b", "max by"),
    (r" offset \w+", ""),
    (r" > 0\b", ""),
    (r"\{[^{}]*\}", ""),
)
"""What a careless edit may do: each applied at each place where it fits, one place at a time."""

DURATION = re.compile(r"(?<=\[)(\d+)([smhd])|(?<=offset )(\d+)([smhd])")
NUMBER = re.compile(r"(?<=[<>=] )\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Mutant:
    """A rule file with one weakness."""

    name: str
    group: str
    groups: Sequence[Group]

    def survives(self, promtool: str) -> bool:
        """Return whether every test of the group still passes."""
        with tempfile.TemporaryDirectory() as folder:
            rules = Path(folder) / "rules.yaml"
            rules.write_text(yaml.safe_dump({"groups": list(self.groups)}, width=10_000), encoding="utf-8")
            return all(passes(promtool, test, rules) for test in tests_of(self.group))


def tests_of(group: str) -> list[Path]:
    """Return the test files of a group, the shortest first."""
    found = (path for path in HERE.glob("*.test.yaml") if path.name.split(".")[0] == group)
    return sorted(found, key=lambda path: path.stat().st_size)


def passes(promtool: str, test: Path, rules: Path) -> bool:
    """Run a test file against other rules than its own."""
    own = test.read_text(encoding="utf-8")
    moved = rules.with_name(test.name)
    moved.write_text(re.sub(r"rule_files: .*", f"rule_files: [{rules}]", own, count=1), encoding="utf-8")
    ran = subprocess.run(
        [promtool, "test", "rules", str(moved)],
        capture_output=True,
        check=False,
        env=os.environ | {"GOMAXPROCS": "1"},
    )
    return ran.returncode == 0


def mutants(only: Sequence[str] = ()) -> Iterator[Mutant]:
    """Make every weakness there is."""
    for path in sorted(RULES.glob("*.yaml")):
        groups: list[Group] = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for at, group in enumerate(groups):
            if only and group["name"] not in only:
                continue
            for place, rule in enumerate(group["rules"]):
                for what, changed in changes(rule):
                    weak = copy.deepcopy(groups[: at + 1])
                    weak[at]["rules"][place] = changed
                    yield Mutant(f"{group['name']} {title(rule)}: {what}", group["name"], weak)


def title(rule: Rule) -> str:
    """Return what a rule is called, its severity or tier included where others are called the same."""
    labels = rule.get("labels", {})
    kind = labels.get("burn_tier", labels.get("severity"))
    return rule["record"] if "record" in rule else f"{rule['alert']}/{kind}"


def changes(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """Yield each weakness of one rule, and its name."""
    for what, expression in dict(expressions(bare(rule["expr"]))).items():
        yield what, rule | {"expr": expression}
    if "keep_firing_for" in rule:
        yield "no keep_firing_for", {key: value for key, value in rule.items() if key != "keep_firing_for"}
    for part in ("labels", "annotations"):
        for key, value in rule.get(part, {}).items():
            others = {k: v for k, v in rule[part].items() if k != key}
            yield f"no {key}", rule | {part: others}
            yield f"other {key}", rule | {part: others | {key: value + "x"}}


def bare(expression: str) -> str:
    """Return an expression on one line, without comments."""
    return " ".join(re.sub(r"(?m)#.*$", "", expression).split())


def expressions(expression: str) -> Iterator[tuple[str, str]]:
    """Yield each weaker expression, and what was done to it."""
    for begin, end in operands(expression):
        yield f"without {expression[begin:end].strip()}", expression[:begin] + expression[end:]
    for pattern, instead in SWAPS:
        for match in re.finditer(pattern, expression):
            yield replaced(expression, match, match.expand(instead))
    for match in DURATION.finditer(expression):
        number, unit = match[1] or match[3], match[2] or match[4]
        for factor in (0.5, 2):
            yield replaced(expression, match, f"{round(int(number) * factor * SECONDS[unit])}s")
    for match in NUMBER.finditer(expression):
        for factor in (0.8, 1.25):
            if float(match[0]):
                yield replaced(expression, match, f"{float(match[0]) * factor:g}")


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def replaced(expression: str, match: re.Match[str], instead: str) -> tuple[str, str]:
    """Return a name for a replacement, and what it leads to."""
    around = expression[max(0, match.start() - 48) : match.end() + 24].strip()
    name = f"«{match[0].strip()}» becomes «{instead.strip()}» in …{around}…"
    return name, expression[: match.start()] + instead + expression[match.end() :]


def operands(expression: str) -> Iterator[tuple[int, int]]:
    """Yield the stretch to cut for each operand of and, or and unless: the operator goes with it."""
    for begin, end in [(0, len(expression)), *parentheses(expression)]:
        marks = [
            m
            for m in SET_OPERATOR.finditer(expression, begin, end)
            if not depth(expression[begin : m.start()])
        ]
        if not marks:
            continue
        yield begin, marks[0].end()
        stops = [*(m.start() for m in marks[1:]), end]
        for mark, stop in zip(marks, stops, strict=True):
            yield mark.start(), stop


def parentheses(expression: str) -> Iterator[tuple[int, int]]:
    """Yield the inside of each pair."""
    opened: list[int] = []
    for at, character in enumerate(expression):
        if character == "(":
            opened.append(at + 1)
        elif character == ")":
            yield opened.pop(), at


def depth(text: str) -> int:
    """Return how many parentheses a text leaves open."""
    return text.count("(") - text.count(")")


def survivors(promtool: str, only: Sequence[str] = ()) -> tuple[list[str], int]:
    """Return the names of the mutants that no test noticed, and how many mutants there were."""
    every = list(mutants(only))
    alive: list[str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = pool.map(partial(Mutant.survives, promtool=promtool), every)
        for done, (mutant, lives) in enumerate(zip(every, verdicts, strict=True), 1):
            if lives:
                alive.append(mutant.name)
            if sys.stderr.isatty():
                print(f"\r{done}/{len(every)} mutants, {len(alive)} alive", end="", file=sys.stderr)
    return sorted(alive), len(every)


def accepted() -> dict[str, str]:
    """Return the survivors that are known, each with the reason why it may live."""
    lines = SURVIVORS.read_text(encoding="utf-8").splitlines()
    known, reason = {}, ""
    for line in lines:
        if line.startswith("# "):
            reason = line.removeprefix("# ")
        elif line:
            known[line] = reason
    return known


if __name__ == "__main__":
    names, made = survivors("promtool", sys.argv[1:])
    print(*names, f"{made} mutants, {len(names)} alive", sep="\n")
