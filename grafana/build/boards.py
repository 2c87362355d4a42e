"""All dashboards, and where their JSON lies."""

from pathlib import Path

from grafana.build import application, exporter, overview, target

FOLDER = Path(__file__).parents[1] / "dashboards"
ALL = (overview.BOARD, target.BOARD, application.BOARD, exporter.BOARD)


def write() -> None:
    """Write every dashboard's file."""
    for board in ALL:
        (FOLDER / f"{board.uid}.json").write_text(board.text(), encoding="utf-8")
