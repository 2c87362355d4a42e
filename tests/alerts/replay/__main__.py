"""Measure every incident under our rules and the rivals', and put the table into alerts/README.md: ten minutes."""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from alerts.replay import incidents, months, rules, table
from alerts.replay.cost import costs
from alerts.replay.paging import RIVALS, Alertmanager
from alerts.replay.replay import Measured, replay

YEARS = 1000

INTRODUCTION = """## Measured

The same incidents through these rules and through rules as [Sloth](https://github.com/slok/sloth) and
[Pyrra](https://github.com/pyrra-dev/pyrra) would write them for 99.9 % over 30 days, on a real Prometheus: the
exporter's own code publishes, every 15 s, what it would of three targets that are asked every 30 s.

A page is counted when the phone rings: when a group that goes to `page` in `alertmanager.yaml` becomes non-empty.
What joins it later is an update of the same incident. Times are minutes and seconds, from the start of the first
failed probe until the page leaves (15 s of `group_wait` included, the rivals' as well), and from recovery until it
is resolved. False is a page for what should wake nobody, or one that begins when all is well again. The rivals read
our counters and have an SLO a target; everything of theirs that pages is one group. Their rules, and why this is
the kindest reading, stand in `tests/alerts/rivals/`.
"""

QUIET = """Quiet times: probes fail one at a time and independently of each other, for a thousand years of targets;
with the 95 % interval. Two failures in an hour are over the textbook's line, and are no outage. Three targets at
99.95 % each keep a promise about all of them at 99.85 %, which is broken: not every page there is false.
"""

LOSSES = """A slow loss: the incident above is one draw of many.
"""

COST = """What the figure of the last 30 days costs Prometheus, on the same backfilled month.
"""


async def main() -> None:
    measured_with = table.fingerprint()
    packs = [(rules.ours(), Alertmanager.of()), (rules.sloth(), RIVALS), (rules.pyrra(), RIVALS)]
    measured: dict[str, dict[str, Measured]] = {}
    with tempfile.TemporaryDirectory() as pasts:
        for incident in incidents.ALL:
            with tempfile.TemporaryDirectory() as folder:
                measured[incident.name] = await replay(incident, packs, Path(folder), Path(pasts))
            sys.stderr.write(f"{incident.name}: {measured[incident.name]}\n")
    with tempfile.TemporaryDirectory() as folder:
        paid = await costs(Path(folder), table.COSTED)
    rates = {
        f"{what} at {availability:.2%}": [
            months.rate(each, availability, YEARS / targets, targets=targets) for each in months.ALL
        ]
        for availability in (0.9995, 0.9997)
        for what, targets in (("one target", 1), ("three targets, each", 3))
    }
    parts = (
        INTRODUCTION,
        *table.replayed(measured),
        "",
        QUIET,
        *table.quiet(rates),
        "",
        *losses(),
        "",
        COST,
        *table.cost(*paid),
    )
    readme = table.README.read_text() if table.README.exists() else ""
    table.README.write_text(table.put(readme, "\n".join(parts), measured_with))


def losses() -> list[str]:
    """Return what is said of a slow loss."""
    pages = [months.rings(each, 0.99, 12 * incidents.HOUR, table.RUNS) for each in months.ALL]
    return [LOSSES, *table.losses(pages, "1 % of one target's probes fail for 12 hours")]


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main())
