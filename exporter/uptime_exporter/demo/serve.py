"""One stand-in by itself, as a container runs it, with a control of its own."""

import asyncio
import signal
from collections.abc import Collection

from uptime_exporter import logs
from uptime_exporter.demo.control import Control
from uptime_exporter.demo.standins import asr_ocr_server, model_server

SERVERS = {"model_server": model_server, "asr_ocr_server": asr_ocr_server}
"""What can be run by itself."""

_log = logs.get("demo")


async def serve(
    name: str, *, host: str, port: int, control_port: int, control_names: Collection[str] = ()
) -> None:
    """Run one of `SERVERS` until SIGTERM or SIGINT.

    Args:
        name: Of the stand-in.
        host: The address on which it and its control listen.
        port: Of the stand-in; 0 for any.
        control_port: Of its control; 0 for any.
        control_names: What a caller of the control may call this machine, beside localhost.

    Raises:
        ListenError: A port cannot be had.

    """
    server = SERVERS[name](port=port, host=host)
    control = Control([server], port=control_port, host=host, names=control_names)
    stop = _told_to_stop()
    try:
        await server.switch("up")
        await control.listener.open()
        _log.info("serving", target=name, address=server.address, control=control.listener.address)
        await stop.wait()
    finally:
        await control.listener.close()
        await server.listener.close()


def _told_to_stop() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
