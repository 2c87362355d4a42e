"""What tests of the alert pack may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.servers import newer


@pytest.fixture(params=["installed", "newer"])
def generation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Put Prometheus, Alertmanager and their tools of each generation first on PATH."""
    before = os.environ["PATH"]
    if request.param == "newer":
        os.environ["PATH"] = f"{Path(newer('promtool')).parent}:{before}"
    yield request.param
    os.environ["PATH"] = before
