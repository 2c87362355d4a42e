"""Ask a port whether it accepts a connection."""

from uptime_exporter.outcome import UNSEEN, Seen
from uptime_exporter.probes.dial import Dialler
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.settings import TcpTarget


class TcpProbe:
    """Connects, and hangs up."""

    def __init__(self, target: TcpTarget, dialler: Dialler | None = None) -> None:
        self._target = target
        self._dialler = dialler or Dialler()

    async def check(self, phases: Phases) -> Seen:
        """Return if the port accepts a connection.

        Phases: ``resolve``, ``connect``.

        Raises:
            ProbeFailure: dns or connect.
            Inconclusive: The fault is on our side.

        """
        sock = await self._dialler.dial(self._target.host, self._target.port, phases)
        sock.close()
        return UNSEEN
