"""The TCP probe, on which every other kind stands."""

import pytest

from support.badservers import closed_port, serving, silent
from uptime_exporter.errors import ProbeFailure
from uptime_exporter.outcome import UNSEEN, Reason
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.tcp import TcpProbe
from uptime_exporter.settings import TcpTarget

pytestmark = pytest.mark.usefixtures("leaves_nothing")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_port_that_accepts_is_up(host: str) -> None:
    """Nothing need be said; the server sees us leave."""
    phases = Phases()
    async with serving(silent, host=host) as server:
        assert await TcpProbe(TcpTarget(host=host, port=server.port)).check(phases) == UNSEEN
        await server.left.wait()

    assert list(phases.seconds) == ["resolve", "connect"]


async def test_a_port_at_which_nobody_listens_is_down() -> None:
    """And the message names it."""
    port = closed_port("::1")

    with pytest.raises(ProbeFailure) as caught:
        await TcpProbe(TcpTarget(host="::1", port=port)).check(Phases())

    assert (caught.value.reason, caught.value.detail) == (
        Reason.CONNECT,
        f"connection refused by [::1]:{port}",
    )
