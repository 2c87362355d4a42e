"""What documents show: blocks, commands, links."""

import re
from pathlib import Path


def blocks(text: str, kind: str) -> list[str]:
    """Return what stands between fences of that kind."""
    return re.findall(rf"```{kind}\n(.*?)```", text, flags=re.DOTALL)


def commands(text: str) -> list[str]:
    """Return each line of what is shown as typed into a shell."""
    return [line for block in blocks(text, "sh") for line in block.splitlines()]


def dead_links(text: str, folder: Path) -> list[str]:
    """Return the links to files, seen from *folder*, that lead nowhere; others are not looked at."""
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    return [link for link in links if not (folder / link).exists()]
