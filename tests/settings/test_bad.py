"""One bad file per mistake, and all that is said against it."""

from pathlib import Path

import pytest

from uptime_exporter.errors import SettingsError
from uptime_exporter.settings.load import load_settings

BAD = Path(__file__).parent / "bad"
CASES = sorted(file.stem for file in BAD.glob("*.yaml"))


def said_against(name: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(BAD / f"{name}.yaml", environ={})
    return str(caught.value).replace(f"{BAD}/", "") + "\n"


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_told_with_its_place_and_its_remedy(name: str) -> None:
    """The message is the same to the letter, and it is all that is said."""
    assert said_against(name) == (BAD / f"{name}.txt").read_text(encoding="utf-8")


def test_every_message_belongs_to_a_file() -> None:
    """A message whose file was renamed would be compared with nothing."""
    assert sorted(file.stem for file in BAD.glob("*.txt")) == CASES


@pytest.mark.parametrize("name", CASES)
def test_no_message_carries_a_secret(name: str) -> None:
    """All secrets in these files are called hunter, or are a number in quotes' stead."""
    said = said_against(name)
    assert "hunter" not in said
    assert "70413" not in said


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    """Nobody is left with the default settings who asked for others."""
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "none.yaml", environ={})
    assert caught.value.mistakes == (f"{tmp_path}/none.yaml: no such file",)


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    """A volume whose file is missing on the host is mounted as an empty folder."""
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, environ={})
    assert caught.value.mistakes == (f"{tmp_path}: a directory, not a file",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"listen: \xff\n", "not UTF-8 (byte 8); save it as UTF-8"),
        (b"#" * (5 << 20), "larger than 4096 KiB"),
        (b"[" * 2_000, "nested too deeply"),
    ],
    ids=["latin", "huge", "deep"],
)
def test_a_file_that_is_no_settings_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """Whatever the file is, it is a mistake with words, not a traceback."""
    file = tmp_path / "uptime.yaml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environ={})
    assert caught.value.mistakes == (f"{file}: {said}",)


def test_aliases_of_aliases_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Nine lines can stand for a thousand million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    file = tmp_path / "uptime.yaml"
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environ={})
    assert caught.value.mistakes[-1].endswith("more than 100000 values; use fewer aliases")


def test_a_mistake_in_the_syntax_does_not_hide_those_of_the_environment(tmp_path: Path) -> None:
    """What can be known without the file is told all the same; what depends on it is not guessed at."""
    file = tmp_path / "uptime.yaml"
    file.write_text("targets: [", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environ={"UPTIME_TARGETS": "{", "UPTIME_TARGETS__WEB__PORT": "1"})
    assert [mistake.split(": ")[0] for mistake in caught.value.mistakes] == [f"{file}:1", "UPTIME_TARGETS"]
