"""Settings from texts, and what is said against them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from support.configured import Complain, Load
from uptime_exporter.errors import SettingsError
from uptime_exporter.settings import Settings
from uptime_exporter.settings.load import load_settings


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load settings from the text of a file, variables and overrides, and nothing else."""

    def load(
        text: str | None = None, environ: Mapping[str, str] | None = None, **overrides: object
    ) -> Settings:
        file = None
        if text is not None:
            file = tmp_path / "uptime.yaml"
            file.write_text(text, encoding="utf-8")
        dotted = {name.replace("__", "."): value for name, value in overrides.items()}
        return load_settings(file, environ=environ or {}, overrides=dotted)

    return load


@pytest.fixture
def complain(load: Load, tmp_path: Path) -> Complain:
    """Return what is said against settings, the file without its folder."""

    def complain(*sources: object, **overrides: object) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            load(*sources, **overrides)
        return [mistake.replace(f"{tmp_path}/", "") for mistake in caught.value.mistakes]

    return complain
