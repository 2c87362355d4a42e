"""Where a test needs a real server program: skip without it by hand, fail without it in CI."""

import os
import shutil
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
