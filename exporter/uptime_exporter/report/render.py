"""From a request to a document."""

from collections.abc import Callable, Mapping
from pathlib import Path

from uptime_exporter.errors import ReportError
from uptime_exporter.ledger.history import History
from uptime_exporter.report.as_csv import as_csv
from uptime_exporter.report.as_html import as_html
from uptime_exporter.report.as_json import as_json
from uptime_exporter.report.as_text import as_text
from uptime_exporter.report.findings import Findings, find
from uptime_exporter.report.request import Format, Request

FORMATS: Mapping[Format, Callable[[Findings], str]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}


def report(history: History, request: Request) -> str:
    """Return the document that was asked for, with a line break at its end.

    Raises:
        ReportError: The ledger does not know a promise that was named.

    """
    return FORMATS[request.format](find(history, request))


def write(document: str, file: Path) -> None:
    """Write a document, as UTF-8 and with the line breaks that it has.

    Raises:
        ReportError: The file cannot be written.

    """
    try:
        file.write_text(document, encoding="utf-8", newline="")
    except OSError as error:
        raise ReportError(
            f"{file} cannot be written ({error.strerror}); give --output a file in a directory that can"
        ) from None
