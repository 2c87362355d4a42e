"""Measures everything that is measured, and writes it down: ``make bench``."""

import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import ledger
from bench.table import machine

README = Path(__file__).parent / "README.md"


def main() -> None:
    """Write the tables beside this file."""
    tables = [*ledger.measure()]
    today = datetime.now(UTC).date()
    head = (
        "# Benchmarks\n\n"
        f"`make bench` measured this on {today}: {machine()}. The machine was shared: trust ratios and orders of "
        "magnitude, not digits.\n"
    )
    README.write_text("\n".join([head, *(table.markdown() for table in tables)]))
    sys.stderr.write(f"written: {README}\n")


if __name__ == "__main__":
    main()
