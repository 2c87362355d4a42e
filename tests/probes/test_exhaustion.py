"""What happens when this process, not the target, is at its end."""

import subprocess
import sys

PROGRAM = """if True:
    import asyncio, resource, socket
    from uptime_exporter.errors import Inconclusive
    from uptime_exporter.probes.build import build_probe
    from uptime_exporter.probes.protocol import Phases
    from uptime_exporter.settings import HttpTarget, TcpTarget

    async def main():
        targets = [
            HttpTarget(url="http://127.0.0.1:1/"),
            HttpTarget(url="https://127.0.0.1:1/"),
            HttpTarget(url="http://localhost:1/"),
            TcpTarget(host="::1", port=1),
        ]
        probes = [build_probe(target) for target in targets]
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        hoard = []
        try:
            while True:
                hoard.append(socket.socket())
        except OSError:
            pass
        for probe in probes:
            try:
                await probe.check(Phases())
            except Inconclusive as own:
                print(own.fault)
        del hoard

    asyncio.run(main())
"""


def test_without_a_file_descriptor_nothing_is_known_about_any_target() -> None:
    """Two hundred monitors red at once is what happens otherwise (uptime-kuma#6040)."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout.split() == ["resources"] * 4
