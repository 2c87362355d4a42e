"""The process that reads the settings for another one, and ends; see `apart`."""

import contextlib
import os
import pickle
import sys

from uptime_exporter.errors import SettingsError
from uptime_exporter.settings.load import load_settings
from uptime_exporter.settings.packing import pack


def answer(question: bytes) -> bytes:
    """Return the settings, or else the mistakes, for a file and overrides."""
    config, overrides = pickle.loads(question)  # noqa: S301 - the process that began this one wrote it
    try:
        return pickle.dumps((pack(load_settings(config, overrides=overrides)), ()))
    except SettingsError as error:
        return pickle.dumps((b"", error.mistakes))


def main(to: int) -> None:
    """Answer one question, unless nobody is there any more."""
    told = answer(sys.stdin.buffer.read())
    with contextlib.suppress(BrokenPipeError), os.fdopen(to, "wb") as file:
        file.write(told)


if __name__ == "__main__":
    main(int(sys.argv[1]))
