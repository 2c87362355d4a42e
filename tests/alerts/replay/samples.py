"""What Prometheus would have scraped: series and their samples, and the way into its own blocks."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from support.servers import need

Samples = dict[str, list[tuple[float, str]]]
"""A series as text, ``name{label="value",…}``, and its samples: Unix time and value as text."""

JOB = "uptime-exporter"
INSTANCE = "127.0.0.1:10999"
SCRAPED = f'instance="{INSTANCE}",job="{JOB}"'
"""The labels that Prometheus adds."""

_LINE = re.compile(r"^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)$")


def empty() -> Samples:
    return defaultdict(list)


def scrape(exposition: str, at: float, names: Collection[str], into: Samples) -> None:
    """Add what one scrape brings, as far as a rule reads it."""
    for line in exposition.splitlines():
        found = _LINE.match(line)
        if found and found[1] in names:
            labels = f"{found[2]},{SCRAPED}" if found[2] else SCRAPED
            into[f"{found[1]}{{{labels}}}"].append((at, found[3]))


def merge(into: Samples, more: Samples) -> None:
    for series, samples in more.items():
        into[series] += samples


async def store(samples: Samples, folder: Path) -> None:
    """Write the samples as blocks of the Prometheus whose data lies in *folder*."""
    text = folder / "samples.om"
    text.write_text("\n".join([*_open_metrics(samples), "# EOF", ""]))
    process = await asyncio.create_subprocess_exec(
        need("promtool"),
        *("tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=1000h", "--quiet"),
        str(text),
        str(folder / "tsdb"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    text.unlink()


def _open_metrics(samples: Samples) -> list[str]:
    """Return the lines, each family in one piece; all untyped, since only the values count."""
    lines = []
    for series in sorted(samples):
        lines += [f"{series} {value} {at:.3f}" for at, value in samples[series]]
    return lines
