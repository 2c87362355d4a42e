"""What an application takes in with the toolkit."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import uptime_exporter.reliability

PACKAGE = Path(uptime_exporter.reliability.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))
BESIDE = {"pools.py": {"httpx"}}
"""What single modules import beside the standard library; they are not loaded with the package."""


def loaded(statement: str) -> set[str]:
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return set(json.loads(done.stdout))


def test_importing_it_loads_nothing_heavy() -> None:
    """Prometheus' client and itself: no framework, no HTTP client, no validation, nothing of the exporter."""
    ours = loaded("import uptime_exporter.reliability")
    known = {*sys.stdlib_module_names, "prometheus_client", "__main__"}
    strange = {name for name in ours - loaded("") if _root(name) not in known and not _is_ours(name)}

    assert {name for name in strange if not name.startswith("_sysconfigdata")} == {"uptime_exporter"}
    assert "uptime_exporter.reliability.pools" not in ours


def _root(name: str) -> str:
    return name.partition(".")[0]


def _is_ours(name: str) -> bool:
    return f"{name}.".startswith("uptime_exporter.reliability.")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                yield node.module or "."


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_imports_anything_of_the_exporter(path: Path) -> None:
    """An application could take the folder along."""
    allowed = {"prometheus_client", *sys.stdlib_module_names, *BESIDE.get(path.name, ())}
    strange = {name for name in imported(path) if _root(name) not in allowed and not _is_ours(name)}

    assert strange == set()


def test_what_is_offered_is_there() -> None:
    """Every name of `__all__`, in order, and documented."""
    offered = uptime_exporter.reliability.__all__

    assert offered == sorted(offered)
    for name in offered:
        assert getattr(uptime_exporter.reliability, name).__doc__
