"""Files that hold what the program is known to say."""

import os
from pathlib import Path


def agrees(golden: Path, said: str) -> bool:
    """Return whether *said* is what the file holds; with ``UPDATE_GOLDEN=1`` the file holds it from now on."""
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(said, encoding="utf-8")
    return golden.read_text(encoding="utf-8") == said
