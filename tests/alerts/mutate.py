"""Weaken every rule in every way, and see which weakness no test notices.

    python tests/alerts/mutate.py [GROUP ...]

prints the survivors as survivors.txt lists them. A group's tests are in ``<group>*.test.yaml``; a mutant is loaded
with the groups before its own in the file, because a group reads only what those record.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from zlib import crc32

import yaml

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "alerts" / "rules"
SURVIVORS = HERE / "survivors.txt"

Rule = dict[str, Any]
Group = dict[str, Any]
Test = dict[str, Any]

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

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

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATION = re.compile(r"(?<=\[)(\d+)([smhd])|(?<=offset )(\d+)([smhd])")
NUMBER = re.compile(r"(?<=[<>=] )\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Mutant:
    """A rule file with one weakness."""

    name: str
    group: str
    groups: Sequence[Group]
    alert: str
    """The weakened alert; empty for a recorded series, which many read."""

    def survives(self, promtool: str) -> bool:
        """Return whether every test that may notice still passes."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "rules.yaml").write_text(json.dumps({"groups": list(self.groups)}), encoding="utf-8")
            return all(passes(promtool, test, folder) for test in tests_of(self.group, self.alert))


@cache
def tests_of(group: str, alert: str) -> list[Test]:
    """Return the tests of a group that mention an alert, each as a file of its own, the quickest first."""
    found: list[Test] = []
    for path in HERE.glob("*.test.yaml"):
        if path.name.split(".")[0] == group:
            file = yaml.load(path.read_text(encoding="utf-8"), LOADER)
            found += [file | {"tests": [test], "rule_files": ["rules.yaml"]} for test in file["tests"]]
    named = [test for test in found if not alert or alert in str(test) or "ALERTS{burn_tier" in str(test)]
    return sorted(named, key=cost)


def cost(test: Test) -> float:
    """Return what a test takes, roughly: evaluations, and series to look at."""
    case = test["tests"][0]
    times = [
        seconds(at["eval_time"])
        for at in (*case.get("alert_rule_test", ()), *case.get("promql_expr_test", ()))
    ]
    return max(times) / seconds(test["evaluation_interval"]) * (5 + len(case["input_series"]))


def seconds(duration: str) -> int:
    """Return a duration as Prometheus writes it, in seconds."""
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


def passes(promtool: str, test: Test, folder: Path) -> bool:
    """Run a test against the rules in *folder*."""
    file = folder / "test.yaml"
    file.write_text(json.dumps(test), encoding="utf-8")
    one = os.environ | {"GOMAXPROCS": "1"}
    ran = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, check=False, env=one)
    return ran.returncode == 0


def mutants(only: Sequence[str] = ()) -> Iterator[Mutant]:
    """Make every weakness there is."""
    for before, group in every_group():
        if not only or group["name"] in only:
            for place, rule in enumerate(group["rules"]):
                for what, changed in changes(rule):
                    yield mutant(before, group, place, changed, what)


def unchanged(rule: Rule) -> Mutant:
    """Return the rule as it is, loaded as its mutants are."""
    before, group = next((before, group) for before, group in every_group() if rule in group["rules"])
    return mutant(before, group, group["rules"].index(rule), rule, "nothing")


def every_group() -> Iterator[tuple[Sequence[Group], Group]]:
    """Yield each group, after those before it in its file."""
    for path in sorted(RULES.glob("*.yaml")):
        groups: list[Group] = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for at, group in enumerate(groups):
            yield groups[:at], group


def mutant(before: Sequence[Group], group: Group, place: int, changed: Rule, what: str) -> Mutant:
    """Return the weakness of one rule."""
    weak = [*before, group | {"rules": with_changed(group, place, changed)}]
    name = f"{group['name']} {title(group['rules'][place])}: {what}"
    return Mutant(name, group["name"], weak, changed.get("alert", ""))


def with_changed(group: Group, place: int, changed: Rule) -> list[Rule]:
    """Return the rules of a group with one changed, without the alerts that its tests don't ask for."""
    asked = str(tests_of(group["name"], changed.get("alert", "")))
    every = [changed if at == place else rule for at, rule in enumerate(group["rules"])]
    return [rule for rule in every if rule.get("alert", "") in asked]


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
        # Looking back further for the last value alone is no weakness.
        last = expression.rfind("(", 0, match.start())
        for factor in (0.5,) if expression[:last].endswith("last_over_time") else (0.5, 2):
            yield replaced(expression, match, f"{round(int(number) * factor * SECONDS[unit])}s")
    for match in NUMBER.finditer(expression):
        for factor in (0.8, 1.25):
            if float(match[0]):
                yield replaced(expression, match, f"{float(match[0]) * factor:g}")


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


def survivors(promtool: str, only: Sequence[str] = (), *, one_in: int = 1) -> tuple[list[str], list[str]]:
    """Return the names of the mutants that no test noticed, and those of all that were tried.

    Args:
        promtool: The program.
        only: Groups; none is all.
        one_in: Try the same sample of them each time: one in so many.

    """
    every = [mutant for mutant in mutants(only) if not crc32(mutant.name.encode()) % one_in]
    alive: list[str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = pool.map(partial(Mutant.survives, promtool=promtool), every)
        for done, (mutant, lives) in enumerate(zip(every, verdicts, strict=True), 1):
            if lives:
                alive.append(mutant.name)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{done}/{len(every)} mutants, {len(alive)} alive")
    return sorted(alive), [mutant.name for mutant in every]


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
    sys.stdout.write("\n".join([*names, f"{len(made)} mutants, {len(names)} alive", ""]))
