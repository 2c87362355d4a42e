"""Servers that answer as the model and the ASR/OCR server do, and fail on demand as servers do."""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from uptime_exporter.demo.http import Request, read_request, response
from uptime_exporter.demo.listener import LOOPBACK, Listener

AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER, on, 0 seconds: closing throws away what is unsent and resets the connection (socket(7))."""


class Condition(StrEnum):
    """How a stand-in is; each member is also the word that switches it."""

    UP = "up"
    DOWN = "down"
    UNHEALTHY = "unhealthy"
    DEGRADED = "degraded"
    HALF = "half"
    SLOW = "slow"
    SILENT = "silent"
    DRIPPING = "dripping"
    ERROR = "error"
    RESET = "reset"


MEANINGS: Mapping[str, str] = {
    Condition.UP: "well again",
    Condition.DOWN: "nobody listens: connection refused",
    Condition.UNHEALTHY: "HTTP 200, but no model is loaded",
    Condition.DEGRADED: "answers, but says that it is not at its best",
    Condition.HALF: "half of the models are missing: degraded",
    Condition.SLOW: "answers later than anybody waits",
    Condition.SILENT: "accepts, then says nothing",
    Condition.DRIPPING: "answers a byte a second",
    Condition.ERROR: "HTTP 500",
    Condition.RESET: "breaks the connection off instead of answering",
}
"""What each word does, for people."""

_STATUS = {
    Condition.UNHEALTHY: "unhealthy",
    Condition.DEGRADED: "degraded",
    Condition.HALF: "degraded",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow is slow."""

    late: float = 10.0
    """Seconds before a slow answer; longer than a probe's time limit."""
    drip: float = 1.0
    """Seconds between two bytes of a dripping one."""


PACE = Pace()


class StandIn:
    """A server with ``GET /health`` as the watched system has it, and one route that works.

    A request keeps the condition that it met: what is switched meanwhile is for the next one. Only ``down``
    breaks off what is under way, as a killed process would.

    Attributes:
        name: What the settings call the target.
        present: How it is now.
        listener: Where it listens.

    """

    switches = MEANINGS

    def __init__(
        self,
        name: str,
        models_key: str,
        models: Sequence[str],
        *,
        work: str = "/work",
        port: int,
        host: str = LOOPBACK,
        pace: Pace = PACE,
    ) -> None:
        """Args that are not obvious.

        Args:
            name: What the settings call the target.
            models_key: What its health check calls the models.
            models: Their names, those first that it cannot do without.
            work: Where it does what it is there for.
            port: 0 for any.
            host: The address to listen on.
            pace: How slow is slow.

        """
        self.name = name
        self.present = Condition.DOWN
        self.listener = Listener(self._serve, port, host)
        self._models_key = models_key
        self._models = tuple(models)
        self._work = work
        self._pace = pace
        self._switching = asyncio.Lock()

    @property
    def address(self) -> str:
        """Host and port."""
        return self.listener.address

    async def switch(self, word: str) -> None:
        """Be as *word*, one of `switches`, says from the next request on.

        Raises:
            ListenError: Somebody took the port while it was down.

        """
        condition = Condition(word)
        async with self._switching:
            if condition is Condition.DOWN:
                await self.listener.close()
            else:
                await self.listener.open()
            self.present = condition

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        answer = self._answer(request)
        match self.present:
            case Condition.SILENT:
                await _until_gone(reader)
            case Condition.RESET:
                _reset(writer)
            case Condition.DRIPPING:
                await self._drip(writer, answer)
            case Condition.SLOW:
                await asyncio.sleep(self._pace.late)
                writer.write(answer)
            case _:
                writer.write(answer)

    async def _drip(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        for byte in answer:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(self._pace.drip)

    def _answer(self, request: Request) -> bytes:
        """Return what FastAPI would."""
        if self.present is Condition.ERROR:
            return response(500, "Internal Server Error", "text/plain; charset=utf-8")
        if request.path not in ("/health", self._work):
            return _json(404, {"detail": "Not Found"})
        if request.method != "GET":
            return _json(405, {"detail": "Method Not Allowed"})
        return _json(200, self._health()) if request.path == "/health" else self._worked()

    def _worked(self) -> bytes:
        loaded = self._loaded()
        if not loaded:
            return _json(503, {"detail": "No models loaded"})
        return _json(200, {"answer": f"by {loaded[0]}"})

    def _health(self) -> Mapping[str, object]:
        loaded = self._loaded()
        return {
            "status": _STATUS.get(self.present, "healthy"),
            self._models_key: {model: model in loaded for model in self._models},
            "message": self._message(loaded),
        }

    def _loaded(self) -> Sequence[str]:
        match self.present:
            case Condition.UNHEALTHY:
                return ()
            case Condition.HALF:
                return self._models[: (len(self._models) + 1) // 2]
            case _:
                return self._models

    def _message(self, loaded: Sequence[str]) -> str:
        if self.present is Condition.DEGRADED:
            return "All models loaded, but answering slowly"
        if not loaded:
            return "No models loaded"
        missing = ", ".join(self._models[len(loaded) :])
        return (
            f"{len(loaded)} of {len(self._models)} models loaded, missing: {missing}"
            if missing
            else "All models loaded"
        )


def model_server(*, port: int = 8001, host: str = LOOPBACK, pace: Pace = PACE) -> StandIn:
    """Return a stand-in for the model server."""
    models = ("summariser", "fir_summariser", "bns_check")
    return StandIn("model_server", "models_loaded", models, work="/generate", port=port, host=host, pace=pace)


def asr_ocr_server(*, port: int = 8002, host: str = LOOPBACK, pace: Pace = PACE) -> StandIn:
    """Return a stand-in for the ASR/OCR server."""
    models = ("whisper", "dots_ocr")
    return StandIn("asr_ocr_server", "models", models, work="/transcribe", port=port, host=host, pace=pace)


def _json(status: int, value: Mapping[str, object]) -> bytes:
    return response(status, json.dumps(value), "application/json")


async def _until_gone(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()
