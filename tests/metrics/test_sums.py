"""What a histogram's sum says: what was measured, and not what floating point makes of it."""

from math import inf, nan

import pytest

from uptime_exporter.monitor import Histogram


def observed(*seconds: float) -> float:
    histogram = Histogram((1.0,))
    for each in seconds:
        histogram.observe(each)
    return histogram.sum


def test_a_sum_ends_at_the_microsecond() -> None:
    """Seventeen digits of which the last ten mean nothing make a page long and Prometheus slow."""
    assert 0.1 + 0.2 != 0.3
    assert observed(0.1, 0.2) == 0.3
    assert observed(*[0.000_001] * 1_000) == 0.001


@pytest.mark.parametrize("seconds", [1e9 + 0.125, 1e300, inf])
def test_what_is_too_long_for_that_stays_as_it_is(seconds: float) -> None:
    """A process would have to be busy for thirty years."""
    assert observed(seconds) == seconds


def test_a_measurement_that_failed_does_not_cost_the_page() -> None:
    """No number is told as none."""
    assert str(observed(nan)) == "nan"
