"""The same incident as a unit test of rules: Prometheus' rule manager says whether our arithmetic is its own."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from alerts.replay.firing import Spell
from alerts.replay.rules import EVERY
from alerts.replay.samples import Samples
from support.servers import need


async def objections(
    rules: Iterable[Path], samples: Samples, start: float, fired: Sequence[Spell], folder: Path
) -> str:
    """Return what promtool has against these alerts, with the original rule files; nothing if they agree.

    Args:
        rules: Files; what they record is recorded.
        samples: One each 15 s from *start* on.
        start: Unix time of the first sample.
        fired: When which alert fires, by our arithmetic.
        folder: For the unit test.

    """
    last = max(at for series in samples.values() for at, _ in series)
    test = {
        "interval": f"{EVERY:g}s",
        "input_series": [
            {"series": series, "values": _values(points, start, last)} for series, points in samples.items()
        ],
        "promql_expr_test": [
            _firing(fired, start + minute * 60, minute) for minute in range(int(last - start) // 60)
        ],
    }
    file = folder / "replay.test.yaml"
    file.write_text(
        json.dumps(
            {
                "rule_files": [str(path) for path in rules],
                "evaluation_interval": f"{EVERY:g}s",
                "tests": [test],
            }
        )
    )
    process = await asyncio.create_subprocess_exec(
        need("promtool"),
        "test",
        "rules",
        str(file),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode() if process.returncode else ""


def _values(points: Sequence[tuple[float, str]], start: float, last: float) -> str:
    known = {round((at - start) / EVERY): value for at, value in points}
    return " ".join(known.get(n, "_") for n in range(round((last - start) / EVERY) + 1))


def _firing(fired: Sequence[Spell], at: float, minute: int) -> dict[str, object]:
    alerts = [
        {"labels": _text(dict(spell.labels) | {"__name__": "ALERTS", "alertstate": "firing"}), "value": 1}
        for spell in fired
        if spell.begins <= at < spell.ends
    ]
    return {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{minute}m", "exp_samples": alerts}


def _text(labels: dict[str, str]) -> str:
    name = labels.pop("__name__")
    return f"{name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in sorted(labels.items()))}}}"
