"""The process that reads the settings for another one, and ends; see `apart`."""

import gc
import os
import pickle
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from uptime_exporter import __version__
from uptime_exporter.errors import SettingsError
from uptime_exporter.later import Later
from uptime_exporter.settings.packing import pack

if TYPE_CHECKING:
    from uptime_exporter.settings import load
else:
    load = Later("uptime_exporter.settings.load")


def answer(question: bytes) -> bytes:
    """Return the settings, or else the mistakes, for a file and overrides."""
    config, overrides = pickle.loads(question)  # noqa: S301 - the process that began this one wrote it
    try:
        return pickle.dumps((__version__, pack(load.load_settings(config, overrides=overrides)), ()))
    except SettingsError as error:
        return pickle.dumps((__version__, b"", error.mistakes))


def main(to: int) -> NoReturn:
    """Answer one question, unless nobody is there any more, and end."""
    # Nothing here lives long enough to be tidied up: neither on the way nor at the end, which takes Python
    # a tenth of the whole each.
    gc.disable()
    # Pydantic's plugins are others' programs: they would be looked for, and be shown every secret.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    told = answer(sys.stdin.buffer.read())
    with suppress(BrokenPipeError), os.fdopen(to, "wb") as file:
        file.write(told)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
