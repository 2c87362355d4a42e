"""TLS: what the certificate says, and why one is refused."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from support.badservers import (
    Server,
    redirect_to,
    refusing_handshakes,
    resetting,
    response,
    saying,
    serving,
    silent,
)
from support.configured import made
from uptime_exporter.errors import ProbeFailure, SettingsError
from uptime_exporter.outcome import Reason, Seen
from uptime_exporter.probes.dial import Dialler
from uptime_exporter.probes.http import HttpProbe
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.tls import TlsClient, build_context, earliest_expiry, refused
from uptime_exporter.settings import HttpTarget, Tls

pytestmark = pytest.mark.usefixtures("leaves_nothing")

DER = ssl.PEM_cert_to_DER_cert(trustme.CA().issue_cert("a.test").cert_chain_pems[0].bytes().decode())
PAST = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
SOON = datetime(2031, 1, 2, tzinfo=UTC)
LATER = datetime(2041, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    """An authority that only this test knows."""
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    """Where its certificate stands."""
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


def serve(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def good(ca: trustme.CA, *names: str, until: datetime = SOON) -> ssl.SSLContext:
    return serve(ca.issue_cert(*(names or ("127.0.0.1",)), not_after=until))


def probe(server: Server, *, tls: dict[str, Any] | None = None, **settings: Any) -> HttpProbe:
    return HttpProbe(made(HttpTarget, url=server.url(scheme="https"), tls=tls or {}, **settings))


async def failure(probe: HttpProbe) -> ProbeFailure:
    with pytest.raises(ProbeFailure) as caught:
        await probe.check(Phases())
    return caught.value


async def test_a_trusted_server_is_up_and_shows_its_expiry(ca: trustme.CA, ca_file: Path) -> None:
    """The certificate is watched while all is well."""
    phases = Phases()
    async with serving(saying(response()), tls=good(ca)) as server:
        seen = await probe(server, tls={"ca_file": ca_file}).check(phases)

    assert seen.certificate_expires == SOON.timestamp()
    assert seen.message == "all is well"
    assert list(phases.seconds) == ["resolve", "connect", "tls", "processing", "transfer"]


async def test_much_goes_both_ways(ca: trustme.CA, ca_file: Path) -> None:
    """Neither a request nor a response need fit into one record, or into the system's buffers."""
    received = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        received.append(await reader.readexactly(5_000_000))
        writer.write(response(b" " * 5_000_000 + b'{"message": "heard"}'))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with serving(echo, tls=good(ca)) as server:
        asking = probe(
            server, tls={"ca_file": ca_file}, method="POST", body="a" * 5_000_000, max_body_bytes=6_000_000
        )
        seen = await asking.check(Phases())

    assert seen.message == "heard"
    assert received == [b"a" * 5_000_000]


async def test_the_expiry_is_known_whatever_comes_after(ca: trustme.CA, ca_file: Path) -> None:
    """A server that answers 500, or breaks off, has a certificate all the same."""
    for behave in (saying(response(status="500 Oops")), saying(b"HTTP/1.1 200"), resetting()):
        async with serving(behave, tls=good(ca)) as server:
            down = await failure(probe(server, tls={"ca_file": ca_file}))
        assert down.seen.certificate_expires == SOON.timestamp()


async def test_an_intermediate_that_runs_out_first_counts(ca: trustme.CA, ca_file: Path) -> None:
    """Clients need the whole chain."""
    between = ca.create_child_ca()
    async with serving(
        saying(response()), tls=serve(between.issue_cert("127.0.0.1", not_after=LATER))
    ) as server:
        seen = await probe(server, tls={"ca_file": ca_file}).check(Phases())
    assert seen.certificate_expires == LATER.timestamp()

    async with serving(saying(response()), tls=good(ca)) as server:
        client = TlsClient(Tls(ca_file=ca_file), "127.0.0.1")
        chain = await client.look(Dialler(), "127.0.0.1", server.port, 5)
    assert len(chain) == 1


async def test_an_expired_certificate_is_refused_and_its_expiry_known(ca: trustme.CA, ca_file: Path) -> None:
    """The metric must not vanish at the very moment that it is about."""
    expired = serve(ca.issue_cert("127.0.0.1", not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=PAST))
    async with serving(saying(response()), tls=expired) as server:
        down = await failure(probe(server, tls={"ca_file": ca_file}))

    assert down.reason is Reason.TLS
    assert down.detail == f"the certificate of 127.0.0.1:{server.port} has expired (2020-01-02 03:04:05 UTC)"
    assert down.seen == Seen(certificate_expires=PAST.timestamp())


async def test_an_unknown_authority_is_refused(ca: trustme.CA) -> None:
    """Without its file, nobody vouches for it."""
    async with serving(saying(response()), tls=good(ca)) as server:
        down = await failure(probe(server))

    assert down.reason is Reason.TLS
    assert "is signed by an authority that is not trusted (tls.ca_file)" in down.detail
    assert down.seen == Seen(certificate_expires=SOON.timestamp())


async def test_a_self_signed_certificate_is_refused(tmp_path: Path) -> None:
    """And called what it is."""
    async with serving(saying(response()), tls=self_signed(tmp_path)) as server:
        down = await failure(probe(server))

    assert "is self-signed and not among the trusted ones (tls.ca_file)" in down.detail
    assert down.seen == Seen(certificate_expires=SOON.timestamp())


async def test_a_wrong_name_is_refused_and_the_right_ones_are_told(ca: trustme.CA, ca_file: Path) -> None:
    """Somebody on call sees at once which machine answered instead."""
    async with serving(saying(response()), tls=good(ca, "a.test", "b.test", "c.test", "d.test")) as server:
        down = await failure(probe(server, tls={"ca_file": ca_file}))

    assert down.detail.endswith("is not for 127.0.0.1; it names a.test, b.test, c.test")
    assert down.seen == Seen(certificate_expires=SOON.timestamp())


async def test_the_name_may_be_another_than_the_hosts(ca: trustme.CA, ca_file: Path) -> None:
    """A server behind an address, with the name that its users call."""
    async with serving(saying(response()), tls=good(ca, "public.test")) as server:
        await probe(server, tls={"ca_file": ca_file, "server_name": "public.test"}).check(Phases())


async def test_the_name_in_the_settings_is_not_for_other_hosts(ca: trustme.CA, ca_file: Path) -> None:
    """Where a redirect leads elsewhere, that host answers under its own name."""
    async with serving(saying(response()), host="::1", tls=good(ca, "::1")) as other:
        redirect = redirect_to(other.url(scheme="https"))
        async with serving(saying(redirect), tls=good(ca, "public.test", until=LATER)) as server:
            tls = {"ca_file": ca_file, "server_name": "public.test"}
            seen = await probe(server, tls=tls, max_redirects=1).check(Phases())

    assert seen.certificate_expires == SOON.timestamp()


async def test_any_certificate_will_do_where_asked(tmp_path: Path) -> None:
    """Its expiry is still watched."""
    async with serving(saying(response()), tls=self_signed(tmp_path)) as server:
        seen = await probe(server, tls={"insecure_skip_verify": True}).check(Phases())

    assert seen.certificate_expires == SOON.timestamp()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_is_shown(
    ca: trustme.CA, ca_file: Path, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """A server that wants one gets it, and is understood if it does not."""
    context = good(ca)
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    tls = {"ca_file": ca_file, **pair(ca, tmp_path)}
    async with serving(saying(response()), tls=context) as server:
        await probe(server, tls=tls).check(Phases())
    async with serving(refusing_handshakes(context)) as server:
        down = await failure(probe(server, tls={"ca_file": ca_file}))

    assert down.reason is Reason.TLS
    assert "client certificate" in down.detail


def pair(ca: trustme.CA, folder: Path, name: str = "client") -> dict[str, Path]:
    issued = ca.issue_cert("client@a.test")
    issued.private_key_pem.write_to_path(folder / f"{name}.key")
    issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    return {"cert_file": folder / f"{name}.pem", "key_file": folder / f"{name}.key"}


async def test_a_server_without_tls_is_told_apart() -> None:
    """Most often the wrong port."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serving(plain) as server:
        down = await failure(probe(server))

    assert (down.reason, down.detail) == (Reason.TLS, f"127.0.0.1:{server.port} does not speak TLS")


async def test_versions_must_overlap(ca: trustme.CA, ca_file: Path) -> None:
    """A server that is newer or older than we are says so."""
    theirs = good(ca)
    theirs.minimum_version = ssl.TLSVersion.TLSv1_3
    async with serving(refusing_handshakes(theirs)) as server:
        client = TlsClient(Tls(ca_file=ca_file), "127.0.0.1")
        client.context.maximum_version = ssl.TLSVersion.TLSv1_2
        asking = probe(server, tls={"ca_file": ca_file})
        asking._transport._tls = client
        down = await failure(asking)

    assert "have no TLS version in common" in down.detail


async def test_a_connection_that_breaks_during_the_handshake_is_tls() -> None:
    """Neither a refusal nor an answer."""

    async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)

    for behave in (hang_up, resetting(read_first=False)):
        async with serving(behave) as server:
            down = await failure(probe(server))
        assert down.reason is Reason.TLS
        assert down.detail == f"127.0.0.1:{server.port} closed the connection during the TLS handshake"


async def test_a_silent_handshake_can_be_cancelled() -> None:
    """The server sees us leave, and the phases say where it was."""
    phases = Phases()
    async with serving(silent) as server:
        task = asyncio.create_task(probe(server).check(phases))
        await server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.left.wait()

    assert phases.current == "tls"


@pytest.mark.asyncio(loop_factories=["asyncio"])  # the server's start_tls does not work on uvloop
async def test_a_second_look_that_fails_does_not_hide_the_first(ca: trustme.CA) -> None:
    """The reason is known; only the expiry is not."""
    context = good(ca)
    first = True

    async def once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        if first:
            first = False
            await writer.start_tls(context)

    async with serving(once) as server:
        down = await failure(probe(server))

    assert "is signed by an authority that is not trusted" in down.detail
    assert down.seen == Seen()


async def test_a_refused_handshake_can_be_cancelled_at_any_point(ca: trustme.CA) -> None:
    """Both connections are closed, wherever the deadline hits."""
    finished = 0
    async with serving(saying(response()), tls=good(ca)) as server:
        asking = probe(server)
        for turns in range(1000):
            task = asyncio.create_task(asking.check(Phases()))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            finished = finished + 1 if isinstance(result, ProbeFailure) else 0
            assert isinstance(result, ProbeFailure | asyncio.CancelledError)
            if finished == 3:
                break

    assert finished == 3


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, datetime(2020, 1, 1, tzinfo=UTC), SOON)
    ).sign(key, hashes.SHA256())
    path = folder / "self.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_targets_that_set_nothing_share_one_context() -> None:
    """Each of its own would cost 20 ms."""
    assert build_context(Tls()) is build_context(Tls(server_name="a.test"))
    assert build_context(Tls()) is not build_context(Tls(insecure_skip_verify=True))
    assert build_context(Tls()) is not build_context(Tls(), alpn=["http/1.1"])


def test_what_is_no_certificate_has_no_expiry() -> None:
    """A server may send anything."""
    assert earliest_expiry([]) is None
    assert earliest_expiry([b"nonsense"]) is None


@given(st.data())
def test_whatever_a_server_calls_a_certificate_can_be_looked_at(data: st.DataObject) -> None:
    """OpenSSL lets pass what another library stumbles over."""
    der = bytearray(DER)
    for place in data.draw(st.lists(st.integers(0, len(der) - 1), max_size=4)):
        der[place] = data.draw(st.integers(0, 255))
    error = ssl.SSLCertVerificationError()
    error.verify_code = 62

    assert isinstance(refused(error, "a:1", "a", [bytes(der)]), ProbeFailure)


@pytest.mark.parametrize("place", [b"\xa0\x03\x02\x01\x02", b"\x82\x06a.test"])
def test_an_unknown_version_or_kind_of_name_is_no_bug(place: bytes) -> None:
    """Both raise something of their own kind."""
    error = ssl.SSLCertVerificationError()
    error.verify_code = 62
    unknown = DER.replace(place, place[:-1] + b"\x09" if place[0] == 0xA0 else b"\x8f" + place[1:])

    assert unknown != DER
    assert str(refused(error, "a:1", "a", [unknown])) == "the certificate of a:1 is not for a"


Broken = Callable[[trustme.CA, Path], dict[str, Path]]


def missing(_ca: trustme.CA, folder: Path) -> dict[str, Path]:
    return {"ca_file": folder / "gone.pem"}


def empty(_ca: trustme.CA, folder: Path) -> dict[str, Path]:
    (folder / "empty.pem").touch()
    return {"ca_file": folder / "empty.pem"}


def strangers(ca: trustme.CA, folder: Path) -> dict[str, Path]:
    return {**pair(ca, folder, "one"), "key_file": pair(ca, folder, "two")["key_file"]}


def locked(ca: trustme.CA, folder: Path) -> dict[str, Path]:
    files = pair(ca, folder)
    key = serialization.load_pem_private_key(files["key_file"].read_bytes(), None)
    files["key_file"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    return files


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (missing, "tls.ca_file: {0}/gone.pem: no such file or directory"),
        (empty, "tls.ca_file: {0}/empty.pem holds no PEM certificate"),
        (strangers, "tls.key_file: {0}/two.key is not the key of {0}/one.pem"),
        (
            locked,
            "tls.cert_file, tls.key_file: {0}/client.pem and {0}/client.key "  # noqa: ISC004  # one message
            "must hold a PEM certificate and its unencrypted key",
        ),
    ],
)
def test_files_that_cannot_be_used_are_mistakes_in_the_settings(
    broken: Broken, words: str, ca: trustme.CA, tmp_path: Path
) -> None:
    """Found before the first probe, each with its place; nobody is asked for a passphrase."""
    with pytest.raises(SettingsError) as caught:
        build_context(made(Tls, **broken(ca, tmp_path)))

    assert caught.value.mistakes == (words.format(tmp_path),)


def test_a_name_that_no_certificate_can_carry_is_a_mistake_in_the_settings() -> None:
    """OpenSSL would say so at every probe."""
    with pytest.raises(SettingsError, match=r"tls\.server_name"):
        TlsClient(Tls(), ".test")
