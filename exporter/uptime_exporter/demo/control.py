"""Switches for a person with curl: which part of the demo fails, and how."""

import ipaddress
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from uptime_exporter import logs
from uptime_exporter.demo.http import NO_HEADERS, Request, read_request, response
from uptime_exporter.demo.listener import LOOPBACK, Listener
from uptime_exporter.errors import UptimeError

_log = logs.get("demo")


class Part(Protocol):
    """Something that can be made to fail."""

    @property
    def name(self) -> str:
        """What the settings call the target."""

    @property
    def address(self) -> str:
        """Host and port."""

    @property
    def present(self) -> str:
        """How it is now; one of `switches`."""

    @property
    def switches(self) -> Mapping[str, str]:
        """Word → what it does."""

    async def switch(self, word: str) -> None:
        """Be as *word* says.

        Raises:
            UptimeError: It cannot; the message says why.

        """


class Control:
    """Lists the parts and their switches at ``GET /``; ``POST /{part}/{word}`` switches.

    It is for the person at this machine: no page in a browser gets through, nor does another machine unless the
    control is told to listen for one, and which name it may be called.

    Attributes:
        listener: Where it listens.

    """

    def __init__(
        self, parts: Sequence[Part], *, port: int = 8009, host: str = LOOPBACK, names: Collection[str] = ()
    ) -> None:
        """Args that are not obvious.

        Args:
            parts: What is switched.
            port: 0 for any.
            host: The address to listen on.
            names: What a caller may call this machine, beside localhost.

        """
        self.listener = Listener(self._serve, port, host)
        self._names = frozenset(names)
        self._parts = {part.name: part for part in parts}

    def command(self, part: str, word: str) -> str:
        """Return what to type to switch."""
        return f"curl -X POST localhost:{self.listener.port}/{part}/{word}"

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(await self._answer(await read_request(reader)))

    async def _answer(self, request: Request) -> bytes:
        if refusal := _refusal(request, self._names):
            return _text(403, f"{refusal}\n")
        if request.path == "/":
            return self._listing(request) if request.method == "GET" else _not_allowed("GET")
        if request.method != "POST":
            return _not_allowed("POST")
        part, _, word = request.path[1:].partition("/")
        return await self._switched(part, word)

    def _listing(self, request: Request) -> bytes:
        if "application/json" in request.headers.get("accept", ""):
            listing = {"parts": [_described(part) for part in self._parts.values()]}
            return response(200, json.dumps(listing, indent=2) + "\n", "application/json")
        return _text(200, "\n".join(map(self._block, self._parts.values())))

    def _block(self, part: Part) -> str:
        commands = {self.command(part.name, word): meaning for word, meaning in part.switches.items()}
        width = max(map(len, commands))
        lines = (f"  {command:{width}}  # {meaning}\n" for command, meaning in commands.items())
        return f"{part.name} at {part.address} is {part.present}\n{''.join(lines)}"

    async def _switched(self, name: str, word: str) -> bytes:
        part = self._parts.get(name)
        if part is None:
            return _text(404, f"no part {name!r}; there are: {', '.join(self._parts)}\n")
        if word not in part.switches:
            return _text(404, f"{name} has no switch {word!r}; it has: {', '.join(part.switches)}\n")
        try:
            await part.switch(word)
        except UptimeError as exc:
            return _text(409, f"{name} is still {part.present}: {exc}\n")
        _log.info("switched by hand", target=name, condition=part.present)
        return _text(200, f"{name} is {part.present}: {part.switches[part.present]}\n")


def _described(part: Part) -> Mapping[str, object]:
    return {
        "name": part.name,
        "address": part.address,
        "present": part.present,
        "switches": dict(part.switches),
    }


def _refusal(request: Request, names: Collection[str]) -> str | None:
    """Return why this request may come from a page in a browser, or None.

    The Host header keeps out pages whose name was pointed at this machine (DNS rebinding), Origin and
    Sec-Fetch-Site those that post from elsewhere.
    """
    host = request.headers.get("host", "")
    if not (_is_loopback(host) or host.partition(":")[0] in names):
        return f"Host {host!r} is not this machine; say localhost"
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return f"Origin {origin!r} may not switch anything here"
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "another site may not switch anything here"
    return None


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _not_allowed(method: str) -> bytes:
    return _text(405, f"only {method} works here; see GET /\n", {"allow": method})


def _text(status: int, body: str, headers: Mapping[str, str] = NO_HEADERS) -> bytes:
    return response(status, body, "text/plain; charset=utf-8", headers)
