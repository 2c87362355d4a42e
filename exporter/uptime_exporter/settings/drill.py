"""The target that fails for the time of a drill, so that nothing of the user's has to."""

from dataclasses import replace

from uptime_exporter.errors import SettingsError
from uptime_exporter.settings.model import Settings, TcpTarget

DRILL = "drill"
"""The target, and the promise of its own by which it is told of."""
BEAT = 10.0
"""Seconds, unless the settings say less: who waits for a drill need not wait for its probes."""
LONGEST = 7200.0
"""Seconds after which a drill that nobody ends is over."""


def drilling(settings: Settings) -> Settings:
    """Return the settings with a target that is down: a port of this machine at which nobody listens (TCPMUX).

    It breaks no promise but its own, which is the strictest of the settings' once more.

    Raises:
        SettingsError: The name is taken.

    """
    if DRILL in settings.promises or DRILL in settings.targets:
        raise SettingsError([f"targets.{DRILL}: is needed for the time of a drill; call yours otherwise"])
    beat = min(BEAT, settings.interval)
    target = TcpTarget(host="127.0.0.1", port=1, interval=beat, timeout=beat / 2, retries=0)
    strictest = max(settings.slas.values(), key=lambda sla: sla.objective)
    promise = replace(strictest, targets=(DRILL,))
    return replace(
        settings, targets={**settings.targets, DRILL: target}, slas={**settings.slas, DRILL: promise}
    )
