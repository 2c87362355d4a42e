"""Where a test needs a real server program: skip without it by hand, fail without it in CI."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

SYSTEM_FOLDERS = "/usr/sbin:/sbin"
"""Debian puts server programs here, outside an ordinary user's PATH."""


def missing(what: str) -> NoReturn:
    """Skip the test because *what* is not there; fail it where the environment variable CI is true."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false", "no"):
        pytest.fail(f"{what} is missing, and CI must not skip", pytrace=False)
    pytest.skip(f"{what} is missing")


def need(program: str) -> str:
    """Return the path of *program*, or see `missing`."""
    path = shutil.which(program) or shutil.which(program, path=SYSTEM_FOLDERS)
    return path if path is not None else missing(program)


def newer(program: str) -> str:
    """Return the path of *program* of the newer generation; skip where TEST_NEWER_TOOLS names no folder with it."""
    folder = os.environ.get("TEST_NEWER_TOOLS", "")
    if not folder:
        pytest.skip(f"a newer {program} is wanted: TEST_NEWER_TOOLS has to name the folder that has it")
    path = Path(folder) / program
    return str(path) if path.is_file() else missing(f"{program} in {folder} (TEST_NEWER_TOOLS)")
