"""Structured log lines, one event each, that cannot be forged and never show a known secret."""

import asyncio
import json
import logging
import math
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO
from urllib.parse import quote, quote_plus

Format = Literal["logfmt", "json"]
Level = Literal["debug", "info", "warning", "error"]
Scalar = str | int | float | bool

HIDDEN = "***"
"""What stands where a secret would."""

_ROOT = "uptime_exporter"
_OWN_KEYS = frozenset({"time", "level", "logger", "msg", "trace", "stack"})
_NO_FIELDS: Mapping[str, object] = {}
_NOT_IN_A_KEY = re.compile(r"[^A-Za-z0-9_.-]+")


class Redactor:
    """Replaces every secret that it knows of, however it is spelt."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Know *secrets* too; empty ones are nothing to hide."""
        self._secrets |= {secret for secret in secrets if secret}
        spellings = {spelling for secret in self._secrets for spelling in _spellings(secret) if spelling}
        # The longest first: a secret that begins like another one must not leave its end behind.
        longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if spellings else None

    def __call__(self, text: str) -> str:
        """Return *text* without secrets."""
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)


def _spellings(secret: str) -> Iterator[str]:
    """Yield *secret* as it stands and as reprs, JSON and URLs show it."""
    yield secret
    yield repr(secret)[1:-1]
    yield repr(f'"{secret}')[
        2:-1
    ]  # inside a longer text its quotes may be escaped although its own repr has none
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    raw = secret.encode(errors="surrogateescape")
    yield repr(raw)[2:-1]
    yield repr(b'"' + raw)[3:-1]
    yield quote(raw, safe="")
    yield quote(raw)
    yield quote_plus(raw)


def _logfmt(pairs: Mapping[str, Scalar]) -> str:
    return " ".join(f"{key}={_quoted(_word(value))}" for key, value in pairs.items())


def _word(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(text: str) -> str:
    """Return *text* bare where nobody can misread it, else quoted with JSON's escapes."""
    if text and text.isprintable() and not any(c in ' "=\\' for c in text):
        return text
    # json.dumps alone leaves line separators and direction marks as they are, or escapes every umlaut.
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character in '"\\' or not character.isprintable() else character


_WRITERS: Mapping[Format, Callable[[Mapping[str, Scalar]], str]] = {"logfmt": _logfmt, "json": json.dumps}


class StructuredFormatter(logging.Formatter):
    """One record as one line: time, level, logger, msg, the fields, and the trace as one field."""

    def __init__(self, format: Format = "logfmt", redactor: Redactor | None = None) -> None:  # noqa: A002 - the setting's name
        super().__init__()
        self._write = _WRITERS[format]
        self._redacted = Redactor() if redactor is None else redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line without its end; raises nothing, whatever the record holds."""
        return self._write({key: self._scalar(value) for key, value in _pairs(record) if value is not None})

    def _scalar(self, value: object) -> Scalar:
        """Return *value* as JSON can say it; text, and whatever is shown as text, without secrets."""
        text = _text(value)
        safe = self._redacted(text)
        is_plain = type(value) in (bool, int) or (type(value) is float and math.isfinite(value))
        return value if is_plain and safe == text else safe  # type: ignore[return-value] # is_plain says so


def _pairs(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    yield "time", _rfc3339(record.created)
    yield "level", record.levelname.lower()
    yield "logger", record.name.removeprefix(f"{_ROOT}.")
    yield "msg", _message(record)
    fields: Mapping[str, object] = getattr(record, "fields", _NO_FIELDS)
    for name, value in fields.items():
        yield _key(name), value
    if record.exc_info and record.exc_info[1] is not None:
        yield "trace", _trace(record.exc_info[1])
    yield "stack", record.stack_info


def _rfc3339(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a bad call in some library must not cost the line
        return f"{_text(record.msg)} {_text(record.args)}"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - any object may be logged, also a broken one
        return f"<{type(value).__name__} that cannot be shown>"


def _trace(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc)).rstrip("\n")


def _key(name: str) -> str:
    """Return *name* as a key that no parser splits and that hides none of the line's own."""
    key = _NOT_IN_A_KEY.sub("_", name) or "_"
    return f"{key}_" if key in _OWN_KEYS else key


class _Handler(logging.StreamHandler[TextIO]):
    """Writes what it can."""

    # logging's own name
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing: the log is gone (a closed pipe, a full disk), and the program goes on."""


_REDACTOR = Redactor()
"""What the whole process must not say; as process-wide as logging itself."""


def redact(secrets: Iterable[str]) -> None:
    """Never show *secrets* in any line from now on; those of earlier calls stay hidden."""
    _REDACTOR.add(secrets)


def redacted(text: str) -> str:
    """Return *text* without the secrets that `redact` was told of; for what a server sends back."""
    return _REDACTOR(text)


def configure(format: Format = "logfmt", level: Level = "info", stream: TextIO | None = None) -> None:  # noqa: A002 - the setting's name
    """Send every log line of the process, other libraries' included, to *stream* (None: stderr as it is now).

    Other libraries speak from warning on, with level debug from info on: below that they show requests with
    their headers. Uncaught exceptions and warnings are lines like any other. May be called again.
    """
    handler = _Handler(stream)
    handler.setFormatter(StructuredFormatter(format, _REDACTOR))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("INFO" if level == "debug" else "WARNING")
    logging.getLogger(_ROOT).setLevel(level.upper())
    _let_through(name for name in logging.root.manager.loggerDict if name.startswith("uvicorn"))
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def _let_through(names: Iterable[str]) -> None:
    """Undo what a library has set up for its own loggers, so that its lines look like all others."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


class Log:
    """A logger whose lines have fields: ``log.info("target is down", target="mysql", reason="connect")``.

    Values are shown as text, numbers and booleans as such; a field that is None is left out.
    """

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: object) -> None:
        """Say what only a developer wants to know."""
        self._say(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Say what changed."""
        self._say(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Say what somebody should look at."""
        self._say(logging.WARNING, event, fields)

    def error(self, event: str, /, *, exc_info: BaseException | bool | None = None, **fields: object) -> None:
        """Say what went wrong; *exc_info*: an exception, or True for the one that is being handled."""
        self._say(logging.ERROR, event, fields, exc_info=exc_info)

    def exception(self, event: str, /, **fields: object) -> None:
        """Say what went wrong, with the trace of the exception that is being handled."""
        self._say(logging.ERROR, event, fields, exc_info=True)

    def _say(
        self,
        level: int,
        event: str,
        fields: Mapping[str, object],
        *,
        exc_info: BaseException | bool | None = None,
    ) -> None:
        self._logger.log(level, event, exc_info=exc_info, extra={"fields": fields})


def get(name: str) -> Log:
    """Return the log of the module *name*, such as ``monitor``."""
    return Log(logging.getLogger(f"{_ROOT}.{name}"))


def loop_exception_handler(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log what nobody awaited; for ``loop.set_exception_handler``."""
    task = context.get("task") or context.get("future")
    name = task.get_name() if isinstance(task, asyncio.Task) else None
    get("asyncio").error(
        context["message"],
        exc_info=context.get("exception"),
        task=name,
        closing=True if loop.is_closed() else None,
    )


def _uncaught(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, exc, trace)
    else:
        get("uncaught").error("uncaught exception, the program ends", exc_info=exc)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread else None
    if args.exc_type is not SystemExit:
        get("uncaught").error("uncaught exception, the thread ends", exc_info=args.exc_value, thread=name)


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    place = None if args.object is None else repr(args.object)
    get("uncaught").error(args.err_msg or "exception ignored", exc_info=args.exc_value, place=place)
