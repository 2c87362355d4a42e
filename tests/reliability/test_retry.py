"""Backoff and jitter."""

from hypothesis import given
from hypothesis import strategies as st

from uptime_exporter.reliability.retry import RetryPolicy


def test_the_pauses_double() -> None:
    """Without luck, the seed's two retries wait 1 s and 2 s."""
    assert list(RetryPolicy(retries=2, backoff=1).pauses(lambda _, whole: whole)) == [1, 2]


@given(retries=st.integers(0, 8), backoff=st.floats(0, 100), timeout=st.floats(0.01, 100))
def test_no_draw_takes_longer_than_the_longest_case(retries: int, backoff: float, timeout: float) -> None:
    """What settings check against the interval is a bound, and jitter never halves a pause more than once."""
    policy = RetryPolicy(retries, backoff)
    pauses = list(policy.pauses())
    assert len(pauses) == retries
    assert sum(pauses) + timeout * (retries + 1) <= policy.longest(timeout) + 1e-6
    assert all(pause >= backoff * 2**n / 2 for n, pause in enumerate(pauses))
