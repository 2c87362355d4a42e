"""What is known of one target."""

from hypothesis import given
from hypothesis import strategies as st

from support.loop import FakeClock
from uptime_exporter.monitor import Watch
from uptime_exporter.monitor.watch import HISTORY
from uptime_exporter.outcome import Outcome, OwnFault, Reason
from uptime_exporter.settings import TcpTarget

reasons = st.sampled_from([None, Reason.CONNECT, OwnFault.RESOLVER])


@given(st.lists(st.tuples(reasons, st.integers(1, 70)), max_size=8))
def test_the_success_ratio_is_that_of_the_last_hundred(
    runs: list[tuple[Reason | OwnFault | None, int]],
) -> None:
    """It is counted as outcomes come and go, and those that say nothing count for nothing."""
    clock = FakeClock()
    watch = Watch("door", TcpTarget(host="door.test", port=1), clock)
    told = [reason for reason, times in runs for _ in range(times)]
    for reason in told:
        watch.record(Outcome("door", clock.wall(), clock.monotonic(), 30.0, 0.1, reason))

    verdicts = [reason is None for reason in told[-HISTORY:] if not isinstance(reason, OwnFault)]
    assert watch.success_ratio == (sum(verdicts) / len(verdicts) if verdicts else None)
