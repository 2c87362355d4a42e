"""The breaker's table of transitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uptime_exporter.reliability.states import BreakerPolicy, Closed, HalfOpen, Open, State

POLICY = BreakerPolicy(threshold=3, recovery=60.0)
NOW = 1000.0


@pytest.mark.parametrize(
    ("state", "healthy", "after"),
    [
        (Closed(0), True, Closed(0)),
        (Closed(0), False, Closed(1)),
        (Closed(1), False, Closed(2)),
        (Closed(2), True, Closed(0)),
        (Closed(2), False, Open(NOW + 60)),
        (HalfOpen(), True, Closed(0)),
        (HalfOpen(), False, Open(NOW + 60)),
        (Open(NOW + 5), True, Open(NOW + 5)),
        (Open(NOW + 5), False, Open(NOW + 5)),
    ],
)
def test_a_call_leaves_the_state_that_the_diagram_shows(state: State, after: State, *, healthy: bool) -> None:
    """Each arrow of the diagram, and no other."""
    assert POLICY.after(state, NOW, healthy=healthy) == after


@pytest.mark.parametrize(
    ("state", "before"),
    [
        (Closed(2), Closed(2)),
        (Open(NOW + 0.1), Open(NOW + 0.1)),
        (Open(NOW), HalfOpen()),
        (HalfOpen(), HalfOpen()),
    ],
)
def test_only_the_recovery_time_ends_an_open_circuit(state: State, before: State) -> None:
    """A call that begins when the recovery time is over is the trial."""
    assert POLICY.before(state, NOW) == before


@given(
    threshold=st.integers(1, 6),
    recovery=st.floats(1, 200),
    beats=st.lists(st.tuples(st.floats(0.1, 100), st.booleans()), max_size=60),
)
def test_the_breaker_agrees_with_its_description(
    threshold: int, recovery: float, beats: list[tuple[float, bool]]
) -> None:
    """A model that remembers everything and knows no states comes to the same answer."""
    policy = BreakerPolicy(threshold, recovery)
    state: State = Closed()
    now, in_a_row, opened = 0.0, 0, None
    for pause, healthy in beats:
        now += pause
        state = policy.before(state, now)
        trial = opened is not None and now >= opened + recovery
        assert state.name == ("closed" if opened is None else "half_open" if trial else "open")
        state = policy.after(state, now, healthy=healthy)
        if opened is None:
            in_a_row = 0 if healthy else in_a_row + 1
            opened = now if in_a_row >= threshold else None
        elif trial:
            opened, in_a_row = (None, 0) if healthy else (now, in_a_row)
        assert state.name == ("closed" if opened is None else "open")
