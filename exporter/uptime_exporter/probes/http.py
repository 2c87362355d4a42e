"""Ask a server over HTTP, and believe its body more than its status."""

import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Protocol

import httpx

from uptime_exporter import __version__
from uptime_exporter.errors import Inconclusive, ProbeFailure, SettingsError
from uptime_exporter.outcome import UNSEEN, Reason, Seen
from uptime_exporter.probes.dial import Dialler
from uptime_exporter.probes.health import judge as judge_health
from uptime_exporter.probes.health import observe
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.text import one_line
from uptime_exporter.probes.tls import TlsClient
from uptime_exporter.probes.transport import FreshConnection, Message
from uptime_exporter.settings import HttpTarget, Tls

_BASE_HEADERS = {
    "User-Agent": f"uptime-exporter/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # nothing to unpack is nothing to be bombed with
}
_ANY_SUCCESS = range(200, 300)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65535


class Judge(Protocol):
    """Says what a body means."""

    def __call__(self, body: bytes, *, seen: Seen) -> Seen:
        """Return *seen* and what *body* adds to it if it says that the target is up; raise ProbeFailure if not."""


class HttpProbe:
    """Sends one request on a fresh connection and judges the response."""

    def __init__(
        self, target: HttpTarget, dialler: Dialler | None = None, *, judge: Judge | None = None
    ) -> None:
        """Get ready; whatever can be prepared is.

        Args:
            target: What is asked, and what it is to answer.
            dialler: Connects.
            judge: Says what the body of an answer with the right status means, instead of the target's settings.

        Raises:
            SettingsError: The URL or a file for TLS cannot be used.

        """
        self._target = target
        url = _url(target)
        tls = _tls(target, url)
        self._server_name = url.raw_host.decode("ascii") if tls is None else tls.name
        self._transport = FreshConnection(
            tls, max_body_bytes=target.max_body_bytes, dialler=dialler or Dialler()
        )
        body = b"" if target.body is None else target.body.encode()
        self._first = self._message(target.method, url, body, ours=True)
        self._judge_body = judge or partial(
            judge_health, expected=target.expect_json, degraded=target.degraded_json
        )

    async def check(self, phases: Phases) -> Seen:
        """Return what was seen if the response is one that counts as up.

        Phases: ``resolve``, ``connect``, ``tls``, ``processing`` (until the response's head is there),
        ``transfer``; those of redirects that are followed add up.

        Raises:
            ProbeFailure: dns, connect, tls, protocol, status or body.
            Inconclusive: The fault is on our side.

        """
        seen, message = UNSEEN, self._first
        for _ in range(self._target.max_redirects + 1):
            try:
                response = await self._transport.send(message, phases)
            except ProbeFailure as failure:  # what was seen on the way here goes with it
                failure.seen = _both(seen, failure.seen)
                raise
            try:
                seen = _both(seen, response.extensions["seen"])
                if not self._leads_on(response):
                    return await self._judge(response, seen, phases)
            finally:
                await response.aclose()
            message = self._next(message, response, seen)
        raise ProbeFailure(Reason.STATUS, f"more than {self._target.max_redirects} redirects", seen)

    def _message(self, method: str, url: httpx.URL, body: bytes, *, ours: bool) -> Message:
        """Return a message; only our own server gets what the settings add to it, secrets above all."""
        headers = httpx.Headers(_BASE_HEADERS)
        if ours:
            headers.update(_secret_headers(self._target))
        extensions = {"sni_hostname": self._server_name, "ours": True} if ours else {}
        return Message.of(
            httpx.Request(method, url, headers=headers, content=body or None, extensions=extensions)
        )

    def _leads_on(self, response: httpx.Response) -> bool:
        return (
            self._target.max_redirects > 0
            and response.status_code in _REDIRECTS
            and response.status_code not in self._target.expect_status
            and "location" in response.headers
        )

    def _next(self, message: Message, response: httpx.Response, seen: Seen) -> Message:
        url = _joined(message.url, response.headers["location"])
        if url is None:
            raise ProbeFailure(Reason.STATUS, "redirects to what is no URL", seen)
        if url.scheme not in _PORTS or not url.host:
            raise ProbeFailure(Reason.STATUS, f"redirects to {_shown(url)}, which is not HTTP", seen)
        ours = message.ours and _origin(url) == _origin(self._first.url)
        if _becomes_get(response.status_code, message.method):
            return self._message("GET", url, b"", ours=ours)
        return self._message(message.method, url, message.content, ours=ours)

    async def _judge(self, response: httpx.Response, seen: Seen, phases: Phases) -> Seen:
        if response.status_code in (self._target.expect_status or _ANY_SUCCESS):
            return self._judge_body(await _read(response), seen=seen)
        phases.on_timeout = Reason.STATUS  # reason enough, however long its body takes
        with contextlib.suppress(ProbeFailure, Inconclusive):
            seen = observe(await _read(response), seen)
        raise ProbeFailure(Reason.STATUS, self._why_unexpected(response), seen)

    def _why_unexpected(self, response: httpx.Response) -> str:
        wanted = " or ".join(map(str, self._target.expect_status)) or "200 to 299"
        words = f"answered {_named(response.status_code)}, expected {wanted}"
        if response.status_code in _REDIRECTS and not self._target.max_redirects:
            return f"{words}; redirects are not followed (max_redirects: 0)"
        return words


def _url(target: HttpTarget) -> httpx.URL:
    try:
        return httpx.URL(target.url)
    except httpx.InvalidURL as error:
        raise SettingsError([f"url: {error}"]) from error


def _tls(target: HttpTarget, url: httpx.URL) -> TlsClient | None:
    """Return what shakes hands; None where nobody can ask for it: the system's authorities take 20 ms and 2 MB."""
    if url.scheme == "http" and not target.max_redirects and target.tls == Tls():
        return None
    return TlsClient(target.tls, url.raw_host.decode("ascii"), alpn=("http/1.1",))


def _secret_headers(target: HttpTarget) -> Mapping[str, str]:
    """Return what the settings add to the request."""
    headers = {name: value.get_secret_value() for name, value in target.headers.items()}
    if target.bearer_token is not None:
        headers["Authorization"] = f"Bearer {target.bearer_token.get_secret_value()}"
    if target.username is not None and target.password is not None:
        pair = f"{target.username}:{target.password.get_secret_value()}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode('ascii')}"
    return headers


async def _read(response: httpx.Response) -> bytes:
    return b"".join([piece async for piece in response.aiter_raw()])


def _both(before: Seen, now: Seen) -> Seen:
    """Return *now* with the certificate that runs out first."""
    if before.certificate_expires is None:
        return now
    known = [at for at in (before.certificate_expires, now.certificate_expires) if at is not None]
    return replace(now, certificate_expires=min(known, default=None))


def _becomes_get(status: int, method: str) -> bool:
    """Return whether a redirect leads to another page, and does not want the same again (RFC 9110, 15.4)."""
    return (status == HTTPStatus.SEE_OTHER and method != "HEAD") or (
        status in (HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND) and method == "POST"
    )


def _joined(base: httpx.URL, location: str) -> httpx.URL | None:
    """Return where *location* leads from *base*; None where it is no URL."""
    try:
        url = base.join(location)
    except (httpx.InvalidURL, ValueError):
        return None
    return url if 0 <= (url.port or 0) <= _HIGHEST_PORT else None


def _origin(url: httpx.URL) -> Sequence[str | int | None]:
    return url.scheme, url.host, url.port or _PORTS[url.scheme]


def _shown(url: httpx.URL) -> str:
    """Return what may be shown of *url*: neither query nor user."""
    return one_line(f"{url.scheme}://{url.host}{url.path}")


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
