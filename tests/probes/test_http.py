"""The HTTP probe against servers that do one thing, well or badly."""

import asyncio
import base64
import contextlib
import gzip
from collections.abc import Callable
from typing import Any

import pytest

from support.badservers import (
    HEALTHY,
    Behaviour,
    Server,
    by_path,
    closed_port,
    endless,
    redirect_to,
    resetting,
    response,
    saying,
    serving,
    silent,
    stuck_after,
)
from support.configured import made
from uptime_exporter.errors import ProbeFailure, SettingsError
from uptime_exporter.outcome import Reason, Seen
from uptime_exporter.probes.http import HttpProbe
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.transport import lines_only
from uptime_exporter.settings import HttpTarget

pytestmark = pytest.mark.usefixtures("leaves_nothing")

START = b"HTTP/1.1 200 OK\r\n"


def probe(server: Server, path: str = "/health", **settings: Any) -> HttpProbe:
    return HttpProbe(made(HttpTarget, url=server.url(path), **settings))


async def failure(probe: HttpProbe) -> ProbeFailure:
    with pytest.raises(ProbeFailure) as caught:
        await probe.check(Phases())
    return caught.value


async def test_a_healthy_server_is_up() -> None:
    """The ordinary case, with its phases."""
    phases = Phases()
    async with serving(saying(response())) as server:
        seen = await probe(server).check(phases)

    assert seen == Seen(message="all is well", models={"a": True})
    assert list(phases.seconds) == ["resolve", "connect", "processing", "transfer"]


async def test_the_request_is_what_the_settings_say() -> None:
    """Method, query, headers and body go out as they were written; nothing is kept alive or packed."""
    bodies = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        bodies.append(
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
        )
        writer.write(response())
        await writer.drain()

    async with serving(behave) as server:
        headers = {"X-Key": "k", "user-agent": "mine", "Host": "virtual.test"}
        await probe(server, "/a?b=c%20d", method="POST", headers=headers, body="bödy").check(Phases())

    head = server.requests[0].decode()
    assert head.startswith("POST /a?b=c%20d HTTP/1.1\r\n")
    lines = head.lower().split("\r\n")
    assert {"x-key: k", "user-agent: mine", "host: virtual.test", "accept-encoding: identity"} < set(lines)
    assert sum(line.startswith(("host:", "user-agent:", "connection: close")) for line in lines) == 3
    assert bodies == ["bödy".encode()]


async def test_head_is_answered_without_a_body() -> None:
    """The length of what GET would bring is not waited for."""
    async with serving(stuck_after(START + b"Content-Length: 99\r\n\r\n")) as server:
        assert await probe(server, method="HEAD").check(Phases()) == Seen()


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({"username": "me", "password": "s3cret:ü"}, b"Basic " + base64.b64encode("me:s3cret:ü".encode())),
        ({"bearer_token": "s3cret"}, b"Bearer s3cret"),
        ({"headers": {"authorization": "Own s3cret"}}, b"Own s3cret"),
    ],
)
async def test_credentials_are_sent_and_never_shown(settings: dict[str, Any], sent: bytes) -> None:
    """What opens the door stands in the request and in no error, nor in what leads to it."""
    async with serving(saying(response(status="401 Unauthorized"))) as server:
        asking = probe(server, **settings)
        refused = await failure(asking)

    assert b"uthorization: " + sent + b"\r\n" in server.requests[0]
    assert refused.detail == "answered 401 Unauthorized, expected 200 to 299"
    assert "s3cret" not in repr(refused) + str(refused.__cause__) + repr(asking) + repr(vars(asking))


@pytest.mark.parametrize(
    ("status", "expected", "up"),
    [
        (200, [], True),
        (299, [], True),
        (199 + 101, [], False),
        (404, [], False),
        (404, [404], True),
        (200, [204, 404], False),
        (304, [304], True),
        (599, [], False),
        (799, [], False),
    ],
)
async def test_a_status_counts_as_the_settings_say(status: int, expected: list[int], up: bool) -> None:  # noqa: FBT001
    """Any success, unless they name others."""
    async with serving(saying(response(status=f"{status} x"))) as server:
        asking = probe(server, expect_status=expected)
        if up:
            await asking.check(Phases())
        else:
            assert (await failure(asking)).reason is Reason.STATUS


async def test_a_status_without_a_name_is_a_number() -> None:
    """Servers invent some."""
    async with serving(saying(response(status="799 Odd"))) as server:
        assert (await failure(probe(server))).detail == "answered 799, expected 200 to 299"


async def test_what_a_failing_server_says_of_itself_is_kept() -> None:
    """A 503 with a health body tells which model is missing."""
    body = b'{"status": "unhealthy", "models": {"a": false}, "message": "loading"}'
    async with serving(saying(response(body, "503 Service Unavailable"))) as server:
        down = await failure(probe(server))

    assert down.detail == "answered 503 Service Unavailable, expected 200 to 299"
    assert down.seen == Seen(models={"a": False}, message="loading")


async def test_a_status_says_more_than_the_broken_body_after_it() -> None:
    """The first thing that went wrong is the reason."""
    async with serving(saying(b"HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\nshort")) as server:
        assert (await failure(probe(server))).reason is Reason.STATUS


async def test_200_and_unhealthy_is_down() -> None:
    """The watched servers answer so when no model is loaded."""
    async with serving(saying(response(b'{"status": "unhealthy"}'))) as server:
        down = await failure(probe(server, expect_json={"status": ["healthy", "degraded"]}))

    assert (down.reason, down.detail) == (
        Reason.BODY,
        'status is "unhealthy", expected "healthy" or "degraded"',
    )


async def test_degraded_is_up() -> None:
    """And shown as such."""
    async with serving(saying(response(b'{"status": "degraded"}'))) as server:
        assert await probe(server, expect_json={"status": ["healthy", "degraded"]}).check(Phases()) == Seen(
            degraded=True
        )


BAD: dict[str, tuple[Behaviour, Reason, str]] = {
    "html": (saying(response(b"<html>hello</html>")), Reason.BODY, 'begins with "<html>hello</html>"'),
    "empty": (saying(response(b"")), Reason.BODY, "the body is empty"),
    "list": (saying(response(b"[]")), Reason.BODY, "status is missing"),
    "deep": (saying(response(b"[" * 90_000)), Reason.BODY, "nested too deeply"),
    "no answer": (saying(b""), Reason.PROTOCOL, "closed without an answer"),
    "garbage": (saying(b"220 mail.test ESMTP\r\n"), Reason.PROTOCOL, "is no HTTP/1.1"),
    "half a head": (saying(START), Reason.PROTOCOL, "in the middle of the answer's head"),
    "huge head": (endless(START, b"X: y\r\n" * 100), Reason.PROTOCOL, "head of the answer is longer"),
    "1xx flood": (
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 9),
        Reason.PROTOCOL,
        "head of the answer is longer",
    ),
    "endless body": (endless(START + b"\r\n", b"a" * 9999), Reason.BODY, "longer than 100000 bytes"),
    "endless chunks": (
        endless(START + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 999),
        Reason.BODY,
        "longer than 100000 bytes",
    ),
    "endless trailer": (
        endless(START + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"a" * 9999),
        Reason.PROTOCOL,
        "all framing",
    ),
    "gzip bomb": (
        saying(response(gzip.compress(bytes(20_000_000)), Content_Encoding="gzip")),
        Reason.BODY,
        "longer than 100000 bytes",
    ),
    "length too long": (
        saying(START + b"Content-Length: 99\r\n\r\nhi"),
        Reason.PROTOCOL,
        "after 2 bytes of an unfinished body",
    ),
    "reset at once": (resetting(read_first=False), Reason.PROTOCOL, ""),
    "reset after the request": (resetting(), Reason.PROTOCOL, ""),
    "reset in the head": (resetting(START), Reason.PROTOCOL, ""),
    "reset in the body": (resetting(START + b"Content-Length: 9\r\n\r\nhi"), Reason.PROTOCOL, ""),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_server_is_down_with_its_reason(name: str) -> None:
    """Each way of being bad ends by itself, and says where and why."""
    behave, reason, words = BAD[name]
    async with serving(behave) as server:
        down = await failure(probe(server, expect_json={"status": ["healthy"]}, max_body_bytes=100_000))

    assert down.reason is reason
    assert words in down.detail
    assert reason is Reason.BODY or f"127.0.0.1:{server.port}" in down.detail


async def test_a_server_that_answers_before_it_has_heard_all_is_understood() -> None:
    """It refuses a body that it finds too long, and hangs up; its answer counts, not the broken pipe."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(status="413 Too Much"))
        await writer.drain()
        await reader.read(1 << 22)

    async with serving(behave) as server:
        down = await failure(probe(server, method="POST", body="a" * 5_000_000))

    assert down.reason in (Reason.STATUS, Reason.PROTOCOL)  # a reset may overtake the answer


async def test_nobody_listening_is_a_failure_to_connect() -> None:
    """The commonest outage of all."""
    port = closed_port()
    down = await failure(HttpProbe(HttpTarget(url=f"http://127.0.0.1:{port}/")))

    assert (down.reason, down.detail) == (Reason.CONNECT, f"connection refused by 127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("behave", "phase"),
    [
        (silent, "processing"),
        (stuck_after(START), "processing"),
        (stuck_after(START + b"Content-Length: 9\r\n\r\n"), "transfer"),
        (stuck_after(START + b"\r\nfor ever"), "transfer"),
    ],
    ids=["silent", "stuck in the head", "stuck before the body", "stuck in the body"],
)
async def test_whoever_waits_in_vain_hangs_up_when_cancelled(behave: Behaviour, phase: str) -> None:
    """The deadline is the caller's; the server sees the connection end, and the phases say where it was."""
    phases = Phases()
    async with serving(behave) as server:
        task = asyncio.create_task(probe(server).check(phases))
        while phases.current != phase:  # noqa: ASYNC110  # a probe tells nobody of its phases
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.left.wait()

    assert phases.current == phase
    assert phase in phases.seconds


async def test_a_dripping_server_does_not_outlive_the_deadline() -> None:
    """A byte now and then is no reason to wait longer."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(START + b"\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(drip) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await probe(server, max_body_bytes=1 << 30).check(Phases())
        await server.left.wait()


async def test_ipv6_alone_will_do() -> None:
    """A server need not speak IPv4."""
    async with serving(saying(response()), host="::1") as server:
        assert (await probe(server).check(Phases())).message == "all is well"

    assert f"Host: [::1]:{server.port}".encode() in server.requests[0]


async def test_a_proxy_in_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's health is not the target's."""
    async with (
        serving(saying(response(status="502 Bad Gateway"))) as proxy,
        serving(saying(response())) as server,
    ):
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        await probe(server).check(Phases())

    assert proxy.connections == 0


async def test_each_probe_connects_anew() -> None:
    """As a new user would, and so that nothing can be stale."""
    async with serving(saying(response())) as server:
        asking = probe(server)
        for _ in range(3):
            await asking.check(Phases())

    assert server.connections == 3


async def test_probes_of_one_target_do_not_mix() -> None:
    """The same probe may be asked twice at once."""
    async with serving(saying(response())) as server:
        asking = probe(server)
        phases = [Phases() for _ in range(5)]
        await asyncio.gather(*map(asking.check, phases))

    assert all(list(p.seconds) == ["resolve", "connect", "processing", "transfer"] for p in phases)


async def test_a_redirect_is_not_followed_unless_asked() -> None:
    """A load balancer's page for maintenance is not the target."""
    async with serving(by_path({"/health": redirect_to("/b"), "/b": response()})) as server:
        down = await failure(probe(server))

    assert down.reason is Reason.STATUS
    assert (
        down.detail
        == "answered 302 Found, expected 200 to 299; redirects are not followed (max_redirects: 0)"
    )
    assert server.connections == 1


async def test_a_redirect_is_followed_where_asked() -> None:
    """Relative and absolute, within the same attempt."""
    answers = {
        "/health": redirect_to("b?c=d#e"),
        "/b?c=d": redirect_to("//127.0.0.1:{port}/c"),
        "/c": response(),
    }
    async with serving(by_path(answers)) as server:
        answers["/b?c=d"] = redirect_to(f"//127.0.0.1:{server.port}/c", 308)
        phases = Phases()
        assert (await probe(server, max_redirects=2).check(phases)).message == "all is well"

    assert [r.split(b" ")[1] for r in server.requests] == [b"/health", b"/b?c=d", b"/c"]


@pytest.mark.parametrize("most", [1, 3])
async def test_redirects_in_a_circle_are_a_bad_status(most: int) -> None:
    """They end after as many as are allowed."""
    async with serving(by_path({"/health": redirect_to("/b"), "/b": redirect_to("/health")})) as server:
        down = await failure(probe(server, max_redirects=most))

    assert (down.reason, down.detail) == (Reason.STATUS, f"more than {most} redirects")
    assert server.connections == most + 1


async def test_an_expected_redirect_is_an_answer() -> None:
    """Who expects 302 wants to see it, not where it leads."""
    async with serving(by_path({"/health": redirect_to("/nowhere")})) as server:
        await probe(server, max_redirects=5, expect_status=[302]).check(Phases())


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("ftp://files.test/a?token=s3cret", "redirects to ftp://files.test/a, which is not HTTP"),
        ("javascript:alert(1)", "which is not HTTP"),
        ("http://127.0.0.1:99999/", "redirects to what is no URL"),
        ("http://127.0.0.1:-1/", "redirects to what is no URL"),
        ("http://127.0.0.1:x/", "redirects to what is no URL"),
        ("http://[::zz]/", "redirects to what is no URL"),
    ],
)
async def test_a_redirect_to_nowhere_is_a_bad_status(to: str, words: str) -> None:
    """What a stranger writes is neither followed nor quoted in full."""
    async with serving(saying(redirect_to(to))) as server:
        down = await failure(probe(server, max_redirects=5))

    assert down.reason is Reason.STATUS
    assert words in down.detail
    assert "s3cret" not in down.detail


async def test_secrets_stay_with_their_own_server() -> None:
    """Another origin gets none of the headers in the settings, nor does the first one after it."""
    async with serving(saying(response())) as last, serving(saying(redirect_to(last.url("/c")))) as other:
        answers = {"/health": redirect_to("/b"), "/b": redirect_to(other.url("/x"))}
        async with serving(by_path(answers)) as server:
            headers = {"X-Api-Key": "s3cret", "Cookie": "s3cret"}
            asking = probe(server, max_redirects=5, headers=headers, bearer_token="s3cret")
            await asking.check(Phases())

    assert [request.count(b"s3cret") for request in server.requests] == [3, 3]
    assert [request.count(b"s3cret") for request in other.requests + last.requests] == [0, 0]


async def test_secrets_do_not_come_back_with_a_detour() -> None:
    """Whoever sends us back to our own server has chosen the page, and shall not have it opened."""
    answers = {"/health": b"", "/admin": response()}
    async with (
        serving(by_path(answers)) as server,
        serving(saying(redirect_to(server.url("/admin")))) as other,
    ):
        answers["/health"] = redirect_to(other.url("/x"))
        await probe(server, max_redirects=5, bearer_token="s3cret").check(Phases())

    assert [request.count(b"s3cret") for request in server.requests] == [1, 0]


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
async def test_a_redirect_keeps_the_method_or_becomes_get(status: int, method: str, then: str) -> None:
    """As RFC 9110 and all browsers have it."""
    async with serving(by_path({"/health": redirect_to("/b", status), "/b": response()})) as server:
        await probe(server, method=method, body="hello", max_redirects=1).check(Phases())

    again = server.requests[1]
    assert again.split(b" ")[0].decode() == then
    assert (b"Content-Length: 5\r\n" in again) == (then == method)


async def test_a_failure_behind_a_redirect_is_the_targets() -> None:
    """The whole way must work."""
    async with serving(saying(redirect_to(f"http://127.0.0.1:{closed_port()}/"))) as server:
        assert (await failure(probe(server, max_redirects=1))).reason is Reason.CONNECT


def test_no_line_of_a_request_can_become_two() -> None:
    """Should all checks before it fail, nothing is sent."""
    for line in (b"a\r\nb", b"a\nb", b"a\rb", b"a\0b"):
        with pytest.raises(ValueError, match="a line break"):
            lines_only([b"GET / HTTP/1.1", line])


@pytest.mark.parametrize("to", ["/a\r\nX-Injected: 1", "/%0d%0aX-Injected:%201", "/a\nX-Injected: 1"])
async def test_nobody_injects_a_header(to: str) -> None:
    """A line break in a location never becomes one in a request."""
    answers = [redirect_to(to), response()]
    async with serving(saying(*answers)) as server:
        with contextlib.suppress(ProbeFailure):
            await probe(server, max_redirects=1).check(Phases())

    assert not any(b"\nX-Injected" in request for request in server.requests)


@pytest.fixture
def stepping() -> Callable[[int], Any]:
    """Let the loop turn a number of times."""

    async def turn(times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    return turn


def test_a_url_that_cannot_be_asked_is_a_mistake_in_the_settings() -> None:
    """Found before the first probe."""
    target = HttpTarget(url="http://a.test:x/")

    with pytest.raises(SettingsError, match="url: Invalid port"):
        HttpProbe(target)


async def test_a_probe_can_be_cancelled_at_any_point(stepping: Callable[[int], Any]) -> None:
    """Wherever the deadline hits, nothing is left open and nothing else is raised."""
    answers = {"/health": redirect_to("/b"), "/b": response(HEALTHY)}
    finished = 0
    async with serving(by_path(answers)) as server:
        asking = probe(server, max_redirects=1)
        for turns in range(1000):
            task = asyncio.create_task(asking.check(Phases()))
            await stepping(turns)
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            finished = finished + 1 if isinstance(result, Seen) else 0
            assert isinstance(result, Seen | asyncio.CancelledError)
            if finished == 3:
                break

    assert finished == 3


async def test_a_bad_status_is_the_reason_although_its_body_never_ends() -> None:
    """A deadline that strikes while the error's text drips in tells of the status."""
    phases = Phases()
    async with serving(stuck_after(b"HTTP/1.1 500 Oh dear\r\nContent-Length: 9\r\n\r\n")) as server:
        task = asyncio.create_task(probe(server).check(phases))
        while phases.current != "transfer":  # noqa: ASYNC110  # a probe tells nobody of its phases
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert phases.on_timeout is Reason.STATUS
