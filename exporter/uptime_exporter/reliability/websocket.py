"""Ends a WebSocket between two messages, so that its client can go elsewhere."""

import asyncio

from uptime_exporter.reliability.asgi import Message, Receive, Send

SERVICE_RESTART = 1012
"""WebSocket close code (IANA registry)."""


class WebSocket:
    """One connection, which can be told to end.

    An application that waits for a message finds its client gone; one that works on a message may answer it first.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._waiting: asyncio.Timeout | None = None
        self._ending = False
        self._closed = False

    def end(self) -> None:
        """End it before the next message."""
        self._ending = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """End it now, in whatever it is."""
        self._ending = True
        if not self._closed:
            self._closed = True
            await self._send({"type": "websocket.close", "code": SERVICE_RESTART})

    async def receive(self) -> Message:
        """Return the next message, or that the client is gone."""
        message = None if self._ending else await self._next()
        if message is None:
            await self.close()
            return {"type": "websocket.disconnect", "code": SERVICE_RESTART}
        return message

    async def _next(self) -> Message | None:
        try:
            async with asyncio.timeout(None) as self._waiting:
                return await self._receive()
        except TimeoutError:
            if self._waiting is None or not self._waiting.expired():
                raise  # the server's own
            return None
        finally:
            self._waiting = None

    async def send(self, message: Message) -> None:
        """Pass on what the application says.

        Raises:
            ConnectionAbortedError: The connection was ended; an ASGI server says so with an OSError too.

        """
        if self._closed and message["type"] == "websocket.close":
            return
        if self._closed:
            raise ConnectionAbortedError("the WebSocket was closed: this process is shutting down")
        self._closed = message["type"] == "websocket.close"
        await self._send(message)
