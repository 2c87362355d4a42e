"""A real Alertmanager for the time of a test, and somebody who takes its messages."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx

from support.badservers import closed_port, response, serving
from support.process import eventually
from support.servers import missing, need

PACK = Path(__file__).parents[2] / "alerts"
SHIPPED = PACK / "alertmanager.yaml"
PROGRAM = "prometheus-alertmanager"
HEADER = re.compile(r"^([\w-]+): (.*?)\r$", re.MULTILINE)
ANSWERS = {
    b"EHLO": b"250-letterbox\r\n250 AUTH PLAIN\r\n",
    b"AUTH": b"235 welcome\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
TEMPLATES = Path("/usr/share/prometheus/alertmanager/default.tmpl")
"""Debian's build reads it from here whatever the configuration says, so an unpacked package is not enough."""
SECRETS = "/etc/alertmanager/secrets"


@dataclass(frozen=True, slots=True)
class Message:
    """One request that came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Inbox:
    """Takes every message over HTTP, and says thank you."""

    port: int = 0
    messages: list[Message] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def at(self, path: str) -> list[Any]:
        """Return the bodies of what came to *path*."""
        return [message.json for message in self.messages if message.path == path]

    async def next_at(self, path: str, *, after: int = 0) -> Any:
        """Wait for the message to *path* that has so many before it."""

        async def there() -> Any:
            found = self.at(path)
            return found[after] if len(found) > after else None

        return await eventually(there)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = {name.lower(): value for name, value in HEADER.findall(head)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.messages.append(Message(head.split(" ")[1], headers, body))
            writer.write(response(b'{"ok": true}', "202 Accepted"))


@asynccontextmanager
async def inbox() -> AsyncIterator[Inbox]:
    """Take messages on a free port of loopback."""
    box = Inbox()
    async with serving(box.take) as server:
        box.port = server.port
        yield box


@dataclass
class Alertmanager:
    """A running server."""

    url: str
    log_file: Path

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, trust_env=False)

    def log(self) -> str:
        return self.log_file.read_text()

    async def ready(self) -> bool | None:
        """Return True once it answers."""
        async with self.client() as client:
            try:
                return True if (await client.get("/-/ready")).status_code == 200 else None
            except httpx.TransportError:
                return None

    async def fire(
        self,
        *alerts: Mapping[str, str],
        since: datetime | None = None,
        until: datetime | None = None,
        **annotations: str,
    ) -> None:
        """Send alerts, each given by its labels; with *until* in the past they are over."""
        times = {
            name: time.isoformat()
            for name, time in (("startsAt", since), ("endsAt", until))
            if time is not None
        }
        body = [{"labels": alert, "annotations": annotations, **times} for alert in alerts]
        async with self.client() as client:
            answer = await client.post("/api/v2/alerts", json=body)
        assert answer.status_code == 200, answer.text

    async def alerts(self) -> list[dict[str, Any]]:
        """Return what it knows, silenced and inhibited ones too."""
        async with self.client() as client:
            return list((await client.get("/api/v2/alerts")).json())

    async def inhibited(self) -> list[dict[str, str]]:
        """Return the labels of what is inhibited now."""
        return [alert["labels"] for alert in await self.alerts() if alert["status"]["inhibitedBy"]]


def need_alertmanager() -> str:
    """Return the path of the program, or see `missing`."""
    program = need(PROGRAM)
    if not TEMPLATES.is_file():
        missing(str(TEMPLATES))
    return program


@asynccontextmanager
async def alertmanager(folder: Path, config: str) -> AsyncIterator[Alertmanager]:
    """Run an Alertmanager with *config*, the pack's templates, and its data in *folder*."""
    program = need_alertmanager()
    file, log = folder / "alertmanager.yml", folder / "alertmanager.log"
    file.write_text(config.replace("templates/*.tmpl", str(PACK / "templates/*.tmpl")))
    address = f"127.0.0.1:{closed_port()}"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={file}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
            stdout=out,
            stderr=out,
        )
    try:
        server = Alertmanager(f"http://{address}", log)

        async def ready() -> bool | None:
            assert process.returncode is None, server.log()
            return await server.ready()

        await eventually(ready)
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def switched_on(config: str, receiver: str, *channels: str) -> str:
    """Return *config* with the # taken from the lines of *channels* under *receiver*, as its user would."""
    before, name, after = config.partition(f"  - name: {receiver}\n")
    assert name, f"no receiver {receiver}"
    for channel in channels:
        after, found = re.subn(rf"(?m)^    # ({channel}_configs: )", r"    \1", after, count=1)
        assert found, f"no line for {channel}"
    return before + name + after


def with_secrets(config: str, folder: Path, secrets: Mapping[str, str]) -> str:
    """Return *config* with its secrets in *folder*, which holds *secrets*."""
    folder.mkdir(exist_ok=True)
    for name, value in secrets.items():
        (folder / name).write_text(value)
    return config.replace(SECRETS, str(folder))


def impatient(config: str, *, repeat: str = "4h") -> str:
    """Return *config* with waits of a second; the watchdog repeats by *repeat*."""
    config = re.sub(r"group_(wait|interval): [1-9]\w*", r"group_\1: 1s", config)
    return re.sub(r"repeat_interval: 1m\b", f"repeat_interval: {repeat}", config)


@dataclass
class Letterbox:
    """Takes every mail, without encryption."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)

    async def next(self) -> EmailMessage:
        """Wait for the first letter."""

        async def there() -> EmailMessage | None:
            return self.letters[0] if self.letters else None

        return await eventually(there)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; just enough of RFC 5321."""
        writer.write(b"220 letterbox\r\n")
        while True:
            command = (await reader.readuntil(b"\r\n"))[:4].upper()
            writer.write(ANSWERS.get(command, b"250 fine\r\n"))
            if command == b"DATA":
                letter = message_from_bytes(await reader.readuntil(b"\r\n.\r\n"), policy=default)
                assert isinstance(letter, EmailMessage)
                self.letters.append(letter)
                writer.write(b"250 taken\r\n")


@asynccontextmanager
async def letterbox() -> AsyncIterator[Letterbox]:
    """Take mail on a free port of loopback."""
    box = Letterbox()
    async with serving(box.take) as server:
        box.port = server.port
        yield box
