"""What becomes of a page while it is being made: parts of some size, as they are or compressed."""

import asyncio
import zlib
from collections.abc import Sequence

LARGE = 128 * 1024
"""Bytes from which compressing takes long enough to delay a probe, and is done beside the event loop."""

FASTEST = 1
"""The compression that takes a tenth of the time of the best."""

_GZIP = 16 + zlib.MAX_WBITS


class Plain:
    """Keeps the parts as they are."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> bool:
        """Take the next part; return whether it is time to pack, which it never is."""
        self._parts.append(part)
        return False

    async def pack(self) -> None:
        """Do nothing."""

    async def end(self) -> Sequence[bytes]:
        """Return all of them."""
        return self._parts


class Gzipped:
    """Compresses the parts as they come, so that the page itself is never there as a whole."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(FASTEST, wbits=_GZIP)
        self._packed: list[bytes] = []
        self._waiting: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> bool:
        """Take the next part; return whether it is time to pack."""
        self._waiting.append(part)
        self._size += len(part)
        return self._size >= LARGE

    async def pack(self) -> None:
        """Compress beside the event loop what has come so far."""
        self._packed.append(await asyncio.to_thread(self._stream.compress, self._take()))

    async def end(self) -> Sequence[bytes]:
        """Return what all of them were compressed to."""
        return [*self._packed, self._stream.compress(self._take()), self._stream.flush()]

    def _take(self) -> bytes:
        taken, self._waiting, self._size = b"".join(self._waiting), [], 0
        return taken
