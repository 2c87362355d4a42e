"""Times, durations and numbers as people say them; number and unit never part at the end of a line."""

from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60, 3600, 86_400


def iso(unix: float | None) -> str | None:
    """Return a Unix time as ISO 8601 in UTC, to the millisecond."""
    if unix is None:
        return None
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(unix: float, now: float) -> str:
    """Return a Unix time as the clock shows it, with the date where it is not today's."""
    then, today = datetime.fromtimestamp(unix, UTC), datetime.fromtimestamp(now, UTC)
    if then.date() == today.date():
        return f"{then:%H:%M:%S} UTC"
    if then.year == today.year:
        return f"{then.day} {then:%b %H:%M} UTC"
    return f"{then.day} {then:%b %Y}"


def spell(seconds: float) -> str:
    """Return how long something lasted, to two units at most; never negative, as clocks are set back."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole}\u00a0s"
    if whole < 10 * MINUTE and whole % MINUTE:
        return f"{whole // MINUTE}\u00a0min\u00a0{whole % MINUTE}\u00a0s"
    if whole < HOUR:
        return f"{whole // MINUTE}\u00a0min"
    if whole < DAY:
        return f"{whole // HOUR}\u00a0h\u00a0{whole % HOUR // MINUTE}\u00a0min"
    return f"{whole // DAY}\u00a0d\u00a0{whole % DAY // HOUR}\u00a0h"


def stopwatch(seconds: float) -> str:
    """Return how long an answer took."""
    if seconds < 0.01:  # noqa: PLR2004 - below it, milliseconds need a decimal
        return f"{seconds * 1000:.1f}\u00a0ms"
    return f"{seconds * 1000:.0f}\u00a0ms" if seconds < 1 else f"{seconds:.2f}\u00a0s"


def percent(ratio: float) -> str:
    """Return a part of one, never rounded up to a whole that it is not."""
    tenths = int(ratio * 1000 + 1e-9)
    return f"{tenths // 10}\u00a0%" if tenths % 10 == 0 else f"{tenths / 10:.1f}\u00a0%"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return "1 target" or "3 targets"."""
    return f"{number} {one if number == 1 else many or one + 's'}"
