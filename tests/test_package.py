"""The wheel that users install, built and run."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    """Style sheets and the typing marker too, and nothing beside the package."""
    package = ROOT / "exporter"
    files = {
        str(path.relative_to(package))
        for path in (package / "uptime_exporter").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == files


def test_the_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """Installed elsewhere, the command loads all of its modules and knows its version."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            "--target",
            str(tmp_path),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    # What is installed beside it is found first, so this is the wheel and not the checkout.
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import uptime_exporter, sys; from uptime_exporter.cli import main; "
                "print(uptime_exporter.__file__); sys.exit(main(['check']))"
            ),
        ],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(str(tmp_path))
    assert done.stdout.endswith("The settings can be used.\n")
