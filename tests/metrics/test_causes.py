"""Which reasons a target publishes: those that its kind may give, and whatever was counted all the same."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import uptime_exporter
from support.loop import FakeClock
from support.published import Situation
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.outcome import FAULTS, REASONS, OwnFault, Reason
from uptime_exporter.settings import FileTarget, HttpTarget, MysqlTarget, Target, TcpTarget

PACKAGE = Path(uptime_exporter.__file__).parent
ASKING = "monitor/attempt.py"
"""What asks every target, whatever its kind."""
NEVER = {
    ("tcp", Reason.TLS),  # a table of all that may happen on the way; no hands are shaken
    ("file", OwnFault.RESOLVER),  # of what has a name to be looked up
}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(path: Path) -> Iterator[Path]:
    """Yield the modules of the probes that this one imports."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("uptime_exporter.probes"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            files = [PACKAGE / (str(name).partition(".")[2].replace(".", "/") + ".py") for name in names]
            yield from (file for file in files if file.exists())


def reached(kind: str) -> set[Path]:
    """Return the modules that ask targets of that kind."""
    found, new = set[Path](), [PACKAGE / "probes" / f"{kind}.py", PACKAGE / "probes" / "protocol.py"]
    while new:
        module = new.pop()
        if module not in found:
            found.add(module)
            new += imported(module)
    return {*found, PACKAGE / ASKING}


def written(kind: str) -> set[Reason | OwnFault]:
    """Return every reason and fault that stands in the code which asks targets of that kind."""
    causes: dict[str, Reason | OwnFault] = {f"{type(c).__name__}.{c.name}": c for c in (*Reason, *OwnFault)}
    return {
        causes[ast.unparse(node)]
        for module in reached(kind)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in causes
    }


@pytest.mark.parametrize("kind", REASONS)
def test_each_kind_declares_what_its_code_may_say(kind: str) -> None:
    """A reason that a probe gives and its kind does not declare would be missing from the first scrape on."""
    never = {cause for of, cause in NEVER if of == kind}
    assert {*REASONS[kind], *FAULTS[kind]} == written(kind) - never


def test_every_reason_belongs_to_some_kind() -> None:
    """None is declared in vain; that a probe is held back may befall any kind."""
    assert {reason for reasons in REASONS.values() for reason in reasons} == {*Reason} - {Reason.CIRCUIT_OPEN}
    assert {fault for faults in FAULTS.values() for fault in faults} == set(OwnFault)


@pytest.fixture
def situation(clock: FakeClock) -> Situation:
    return Situation(clock)


def published(situation: Situation, name: str) -> dict[str, str]:
    """Return the values of what a target publishes of failures and own faults, by reason."""
    page = Exposition(situation, situation, Reloads(successful=True, at=0.0), process=False).render("")[0]
    told = {}
    for line in page.decode().splitlines():
        if line.startswith(("uptime_probe_failures", "uptime_probe_inconclusive")) and f'"{name}"' in line:
            labels, _, value = line.rpartition(" ")
            told[labels.split('"')[1]] = value
    return told


@pytest.mark.parametrize(
    ("target", "causes"),
    [
        (TcpTarget(host="a", port=1), {*REASONS["tcp"], *FAULTS["tcp"]}),
        (MysqlTarget(host="a"), {*REASONS["mysql"], *FAULTS["mysql"]}),
        (
            HttpTarget(url="https://a/", expensive=True),
            {*REASONS["http"], *FAULTS["http"], Reason.CIRCUIT_OPEN},
        ),
        (FileTarget(path="/backups/*", younger_than=60), {*REASONS["file"], *FAULTS["file"]}),
    ],
)
def test_a_target_publishes_what_its_kind_may_give(
    situation: Situation, target: Target, causes: set[Reason | OwnFault]
) -> None:
    """At 0, from the first scrape on; a port of TCP never fails for `auth`."""
    situation.watch("a", target)
    assert published(situation, "a") == dict.fromkeys(causes, "0.0")


NAMES: set[Reason | OwnFault] = {Reason.DNS, OwnFault.RESOLVER}
SECURE: set[Reason | OwnFault] = {Reason.TLS}


@pytest.mark.parametrize(
    ("target", "never"),
    [
        (HttpTarget(url="http://a/"), SECURE),
        (HttpTarget(url="http://127.0.0.1:8001/"), {*SECURE, *NAMES}),
        (HttpTarget(url="https://[::1]/"), NAMES),
        (HttpTarget(url="http://127.0.0.1/", max_redirects=1), set()),
        (MysqlTarget(host="::1"), NAMES),
        (TcpTarget(host="10.0.0.1", port=1), NAMES),
        (TcpTarget(host="fe80::1%eth0", port=1), set()),
    ],
)
def test_a_target_publishes_nothing_that_it_cannot_meet(
    situation: Situation, target: Target, never: set[Reason | OwnFault]
) -> None:
    """An address is not looked up, and without TLS no hands are shaken; a redirect leads anywhere."""
    situation.watch("a", target)
    causes = {*REASONS[target.kind], *FAULTS[target.kind]}
    assert published(situation, "a") == dict.fromkeys(causes - never, "0.0")


def test_what_becomes_possible_is_published_from_then_on(situation: Situation) -> None:
    """A name in the place of an address."""
    situation.watch("a", TcpTarget(host="10.0.0.1", port=1))
    situation.happen("a", Reason.CONNECT)
    situation.watches["a"].adopt(TcpTarget(host="a", port=1))
    assert published(situation, "a") == dict.fromkeys({*REASONS["tcp"], *FAULTS["tcp"]}, "0.0") | {
        Reason.CONNECT: "1.0"
    }


@pytest.mark.parametrize("cause", [Reason.AUTH, OwnFault.HOST_BLOCKED])
def test_what_nobody_expected_is_counted_all_the_same(situation: Situation, cause: Reason | OwnFault) -> None:
    """A defect in what is declared costs the zero before, and no failure."""
    situation.watch("a", TcpTarget(host="a", port=1))
    for _ in range(2):
        situation.happen("a", cause)
    assert published(situation, "a")[cause] == "2.0"


def test_another_kind_keeps_what_was_counted(situation: Situation) -> None:
    """Counters don't go back when the settings change; the zeros are those of the new kind."""
    situation.watch("a", MysqlTarget(host="a"))
    situation.happen("a", Reason.AUTH)
    situation.happen("a", OwnFault.USER_LIMIT)
    situation.watches["a"].adopt(TcpTarget(host="a", port=3306))

    told = published(situation, "a")
    assert (told.pop(Reason.AUTH), told.pop(OwnFault.USER_LIMIT)) == ("1.0", "1.0")
    assert told == dict.fromkeys([*REASONS["tcp"], *FAULTS["tcp"]], "0.0")
