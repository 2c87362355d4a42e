"""What the 30-day figure costs Prometheus, beside the way in which Sloth asks for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from alerts.replay import table as replayed
from alerts.replay.cost import EVALUATIONS, Cost, costs
from bench.table import Goal, Table


def measure() -> Iterator[Table]:
    """Yield the table of the rules."""
    with TemporaryDirectory() as folder:
        ours, sloths = asyncio.run(costs(Path(folder), replayed.COSTED))
    ratio = ours.milliseconds / sloths.milliseconds
    yield Table(
        f"The 30-day figure of {replayed.COSTED} targets, evaluated by Prometheus",
        ("way", "samples read", "one evaluation", "evaluations a minute", "ratio", "goal"),
        [
            [
                "ours",
                f"{ours.samples}",
                _took(ours),
                str(EVALUATIONS[0]),
                f"{ratio:.3f}",
                Goal(0.03).judged(ratio),
            ],
            ["Sloth's", f"{sloths.samples}", _took(sloths), str(EVALUATIONS[1]), "1", ""],
        ],
        "On the same backfilled month; the time that Prometheus' engine says it took, asked in turn. Ours is the "
        "whole group of rules, what it looks up for young promises included; Sloth's is the average of its "
        "recorded "
        "5-minute ratios.",
    )


def _took(cost: Cost) -> str:
    low, middle, high = cost.took
    return f"{middle:.2f} ms ({low:.2f} to {high:.2f})"
