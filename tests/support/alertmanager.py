"""A real Alertmanager for the time of a test, and somebody who takes its messages."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx

from support.badservers import closed_port
from support.process import eventually
from support.servers import need

PACK = Path(__file__).parents[2] / "alerts"
SHIPPED = PACK / "alertmanager.yaml"
PROGRAM = "prometheus-alertmanager"
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
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = {
                    name.lower(): value for name, value in re.findall(r"^([\w-]+): (.*?)\r$", head, re.MULTILINE)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.messages.append(Message(head.split(" ")[1], headers, body))
                writer.write(b'HTTP/1.1 202 Accepted\r\nContent-Length: 20\r\n\r\n{"status":"success"}')
        writer.transport.abort()


@asynccontextmanager
async def inbox() -> AsyncIterator[Inbox]:
    """Take messages on a free port of loopback."""
    box = Inbox()
    server = await asyncio.start_server(box.take, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


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
            name: time.isoformat() for name, time in (("startsAt", since), ("endsAt", until)) if time is not None
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


@asynccontextmanager
async def alertmanager(folder: Path, config: str) -> AsyncIterator[Alertmanager]:
    """Run an Alertmanager with *config*, the pack's templates, and its data in *folder*."""
    program = need(PROGRAM)
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
        await eventually(server.ready)
        yield server
    finally:
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
        (folder / name).write_text(value + "\n")
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
        with suppress(ConnectionError):
            while line := (await reader.readline()).decode().upper():
                if line.startswith("EHLO"):
                    writer.write(b"250-letterbox\r\n250 AUTH PLAIN\r\n")
                elif line.startswith("AUTH"):
                    writer.write(b"235 welcome\r\n")
                elif line.startswith("DATA"):
                    writer.write(b"354 go on\r\n")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    letter = message_from_bytes(text, policy=default)
                    assert isinstance(letter, EmailMessage)
                    self.letters.append(letter)
                    writer.write(b"250 taken\r\n")
                else:
                    writer.write(b"250 fine\r\n")
        writer.transport.abort()


@asynccontextmanager
async def letterbox() -> AsyncIterator[Letterbox]:
    """Take mail on a free port of loopback."""
    box = Letterbox()
    server = await asyncio.start_server(box.take, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


def said_by(messages: Iterable[Any]) -> list[tuple[str, list[str]]]:
    """Return status and sorted alert names of webhook messages."""
    return [(m["status"], sorted(a["labels"]["alertname"] for a in m["alerts"])) for m in messages]
