"""The settings, read in a process of their own: what reads and checks them weighs more than all the rest.

The exporter does not hold it, and a reload of thousands of targets does not hold up the exporter.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from uptime_exporter import __version__
from uptime_exporter.errors import SettingsError
from uptime_exporter.settings.model import Settings
from uptime_exporter.settings.packing import unpack

NOT_FOR_IT = {signal.SIGINT, signal.SIGHUP}
"""Signals that a terminal or a person may send to all processes at once; this one ends with the exporter."""


class Reading:
    """Settings that are being read; at the end of the block nothing of the process is left."""

    def __init__(
        self, config: Path | None, overrides: Mapping[str, object], *, python: str = sys.executable
    ) -> None:
        """Begin to read what `load_settings` would, from the environment too.

        Args:
            config: The YAML file; None: the one that ``UPTIME_CONFIG`` names, or none.
            overrides: Dotted key → value.
            python: The interpreter.

        Raises:
            SettingsError: There can be no such process.

        """
        try:
            self._process, self._answer = _begun(python, pickle.dumps((config, dict(overrides))))
        except OSError as error:
            raise SettingsError([_not_begun(python, error)]) from error

    def result(self) -> Settings:
        """Wait for the settings, and return them.

        Raises:
            SettingsError: With every mistake that there is; or because the process ended without an answer.

        """
        answer, code = self._answer.read(), self._process.wait()
        if code or not answer:
            raise SettingsError([_ended(code)])
        version, packed, mistakes = pickle.loads(answer)  # noqa: S301 - our own process wrote it
        if version != __version__:
            raise SettingsError([_upgraded(version)])
        if mistakes:
            raise SettingsError(mistakes)
        return unpack(packed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._answer.close()


def _begun(python: str, question: bytes) -> tuple[subprocess.Popen[bytes], BinaryIO]:
    ours, theirs = os.pipe()
    answer = os.fdopen(ours, "rb")
    try:
        return _asked(python, question, theirs), answer
    except OSError:
        answer.close()
        raise
    finally:
        os.close(theirs)


def _asked(python: str, question: bytes, answer: int) -> subprocess.Popen[bytes]:
    command = [python, "-I" if sys.flags.isolated else "-P", "-m", "uptime_exporter.settings", str(answer)]
    # Overrides may be secrets, and a command line is seen by everybody.
    with os.fdopen(os.memfd_create("question"), "w+b") as file, blocked(NOT_FOR_IT):
        file.write(question)
        file.seek(0)
        return subprocess.Popen(command, stdin=file, pass_fds=[answer])  # noqa: S603 - our own interpreter


@contextmanager
def blocked(signals: Iterable[signal.Signals]) -> Iterator[None]:
    """Take *signals* only when the block is over; what is begun in it never does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _not_begun(python: str, error: OSError) -> str:
    why = os.strerror(error.errno or 0).lower()
    return (
        f"the settings cannot be read: {python or 'Python'} cannot be started ({why}); "
        "allow one process and four open files more"
    )


def _upgraded(version: str) -> str:
    return (
        f"the settings were not read: version {version} is installed and {__version__} runs; "
        "start the exporter anew"
    )


def _ended(code: int) -> str:
    if code < 0:
        how = f"signal {-code} ({signal.strsignal(-code)}); if nobody sent it, there is too little memory"
        return f"the settings were not read: the process that reads them was ended by {how}"
    return (
        f"the settings were not read: the process that reads them ended with exit code {code}; "
        "`uptime-exporter check` reads them without it"
    )
