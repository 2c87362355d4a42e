"""Kinds of value, and what the settings tell about themselves."""

import os
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from pydantic import HttpUrl, ValidationError

from support.configured import Complain, Load, made, undescribed
from uptime_exporter.errors import SettingsError
from uptime_exporter.settings import (
    FileTarget,
    HttpTarget,
    MysqlTarget,
    Settings,
    Sla,
    TcpTarget,
    Tls,
    drilling,
    duration,
)
from uptime_exporter.settings.values import UNITS, seconds_in


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("0.5", 0.5),
        ("1e3", 1000),
        ("500ms", 0.5),
        ("30s", 30),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("30d", 2_592_000),
        ("2 w", 1_209_600),
        ("", None),
        ("d", None),
        ("30 days", None),
        ("1.2.3h", None),
        ("-5s", None),
    ],
)
def test_a_duration_is_a_number_with_or_without_units(text: str, seconds: float | None) -> None:
    """As Prometheus writes them, and fractions too."""
    assert seconds_in(text) == seconds


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(sorted(UNITS))), min_size=1, max_size=4))
def test_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    """In any order."""
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert seconds_in(text) == pytest.approx(sum(number * UNITS[unit] for number, unit in parts))


@given(st.integers(1, 400 * 86_400))
def test_a_duration_is_read_as_it_is_shown(seconds: int) -> None:
    """What a message says can be written into the file."""
    assert seconds_in(duration(seconds)) == seconds


@given(st.text())
def test_no_text_is_too_odd_for_a_duration(text: str) -> None:
    """It is seconds, or it is none; never an exception."""
    assert isinstance(seconds_in(text), float | None)


@given(st.text() | st.floats() | st.none() | st.booleans())
def test_no_interval_gets_past_its_bounds(value: object) -> None:
    """Not even one that is not a number."""
    try:
        target = made(TcpTarget, host="a", port=1, interval=value, timeout=0.001, retries=0)
    except ValidationError:
        return
    assert 0.001 < target.interval <= 86_400


@pytest.mark.parametrize(
    ("listen", "host", "port", "loopback"),
    [
        ("127.0.0.1:10999", "127.0.0.1", 10999, True),
        ("127.1.2.3:1", "127.1.2.3", 1, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:65535", "::1", 65535, True),
        (":10999", "", 10999, False),
        ("0.0.0.0:10999", "0.0.0.0", 10999, False),
        ("[::]:10999", "::", 10999, False),
        ("monitor.example.org:80", "monitor.example.org", 80, False),
    ],
)
def test_the_listen_address_is_taken_apart(
    load: Load, listen: str, host: str, port: int, *, loopback: bool
) -> None:
    """Whether others can reach it decides what is allowed without a token."""
    settings = load(listen=listen)

    assert (settings.listen_host, settings.listen_port, settings.listens_on_loopback) == (
        host,
        port,
        loopback,
    )


@pytest.mark.parametrize(
    "listen",
    [
        "",
        ":",
        "80",
        "a:",
        "a:b",
        "*:80",
        "[::1]",
        "[::1:80",
        "::1]:80",
        "[a]:80",
        "a b:80",
        "a:80:90",
        "http://a:80",
        "a:-1",
        "a:٣",
    ],
)
def test_what_is_no_listen_address_is_refused(complain: Complain, listen: str) -> None:
    """With examples of what is one."""
    (said,) = complain(listen=listen)
    assert said.startswith("--set listen: must be host:port, such as")


@pytest.mark.parametrize(
    ("target", "address"),
    [
        (made(HttpTarget, url="http://a"), "http://a:80/"),
        (made(HttpTarget, url="https://a/x?key=hunter2#part"), "https://a:443/x"),
        (made(HttpTarget, url="http://[::1]:8001/health"), "http://[::1]:8001/health"),
        (made(MysqlTarget, host="[::1]"), "[::1]:3306"),
        (made(MysqlTarget, host="fe80::1%eth0", port=1), "[fe80::1%eth0]:1"),
        (made(TcpTarget, host=" a_b.example.org. ", port=1), "a_b.example.org.:1"),
        (made(FileTarget, path="/backup/*.sql.gz", younger_than="7h"), "/backup/*.sql.gz"),
    ],
)
def test_an_address_shows_where_but_not_what(
    target: FileTarget | HttpTarget | MysqlTarget | TcpTarget, address: str
) -> None:
    """It is a label and a line on the page."""
    assert target.address == address


@given(
    st.sampled_from(["a", "A.Example.", "bücher.example", "1.2.3", "[::FFFF]", "%61", "a_b"])
    | st.text(max_size=8),
    st.sampled_from(["", ":", ":80", ":443", ":08000"]) | st.integers(-1, 70_000).map(":{}".format),
    st.sampled_from(["", "/", "//x", "/;y", "?", "?z=/", "#w", "/%7e%zz/../ä ö", "\\b", "/[x]"])
    | st.text(max_size=8),
)
def test_an_address_is_read_as_its_url_is(host: str, port: str, rest: str) -> None:
    """Every URL that is taken has one: what is checked is what is shown, and asked."""
    for scheme in ("http", "https", "HTTP"):
        try:
            target = made(HttpTarget, url=f"{scheme}://{host}{port}{rest}")
        except ValidationError:
            continue
        url = HttpUrl(f"{scheme}://{host}{port}{rest}")
        assert target.url == str(url)
        assert target.address == f"{url.scheme}://{url.host}:{url.port}{url.path or '/'}"


def test_a_target_of_ones_own_making_is_checked_too() -> None:
    """And pydantic's message hides what it was given."""
    with pytest.raises(ValidationError) as caught:
        made(HttpTarget, url="http://me:hunter2@a/", timeout=60)
    assert "hunter2" not in str(caught.value)


def test_all_broken_rules_of_a_target_are_told(complain: Complain) -> None:
    """Not only the first one."""
    web = "kind: http\n    url: http://a/\n    timeout: 40\n    username: me\n    bearer_token: abcd\n"
    assert complain(f"targets:\n  web:\n    {web}") == [
        "uptime.yaml:5: targets.web.timeout: timeout (40s) must be shorter than interval (30s)",
        "uptime.yaml:6: targets.web.username: username needs a password; add password_file, or password",
        (
            "uptime.yaml:7: targets.web.bearer_token: username and bearer_token "
            "would each set the Authorization header; keep one"
        ),
    ]


def test_every_target_has_a_promise_of_its_own(load: Load) -> None:
    """Named like it; the settings may change its figures."""
    settings = load("slas: {all: {targets: [mysql, model_server]}, mysql: {objective: 0.95}}")

    assert settings.promises == {
        "model_server": Sla(targets=("model_server",)),
        "asr_ocr_server": Sla(targets=("asr_ocr_server",)),
        "mysql": Sla(targets=("mysql",), objective=0.95),
        "all": Sla(targets=("mysql", "model_server")),
    }


def test_a_file_serves_nobody(load: Load, tmp_path: Path) -> None:
    """A stale backup is no outage: it breaks no promise, unless one is made of it."""
    text = (
        "targets:\n  web: {kind: tcp, host: a, port: 1}\n"
        "  backup: {kind: file, path: b/*.gz, younger_than: 7h}\n"
    )
    settings = load(text)
    assert settings.targets["backup"].address == str(tmp_path / "b/*.gz")
    assert settings.promises == {"web": Sla(targets=("web",)), "system": Sla(targets=("web",))}

    backup = load(f"{text}slas: {{backup: {{window: 7d}}}}\n").promises["backup"]
    assert (backup.targets, backup.window) == (("backup",), 7 * 86_400)


def test_a_drill_has_a_target_and_a_promise_of_its_own(load: Load) -> None:
    """As strict as the strictest one, and no other is touched."""
    slas = "slas:\n  system: {}\n  strict: {targets: [mysql], objective: 0.9999, window: 7d}\n"
    settings = load(slas)
    drill = drilling(settings)
    assert drill.promises.keys() - settings.promises.keys() == {"drill"}
    assert drill.promises["drill"] == Sla(targets=("drill",), objective=0.9999, window=7 * 86_400)
    assert {name: drill.promises[name] for name in settings.promises} == settings.promises
    assert drill.targets["drill"].timeout < drill.targets["drill"].interval == 10


@pytest.mark.parametrize(
    "text",
    [
        "targets:\n  drill: {kind: tcp, host: a, port: 1}\n",
        "slas:\n  drill: {targets: [mysql]}\n  system: {}\n",
    ],
)
def test_a_drill_takes_nobodys_name(load: Load, text: str) -> None:
    """Its alerts would be taken for those of the real one."""
    with pytest.raises(SettingsError, match="call yours otherwise"):
        drilling(load(text))


def test_settings_do_not_change(load: Load) -> None:
    """What was checked is what is used."""
    settings = load()
    with pytest.raises(FrozenInstanceError):
        settings.interval = 1  # type: ignore[misc]  # what mypy forbids is tried here
    with pytest.raises(FrozenInstanceError):
        settings.targets["mysql"].interval = 1  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    """In one place, from which documents can be made."""
    kinds = (FileTarget, HttpTarget, MysqlTarget, TcpTarget)
    for model in {
        base
        for kind in (*kinds, Settings, Sla, Tls)
        for base in kind.__mro__
        if base.__module__ == kind.__module__
    }:
        assert undescribed(model) == [], model


def test_certificates_are_tried_before_they_are_needed(
    load: Load, complain: Complain, tmp_path: Path
) -> None:
    """A key of another certificate is found by `check`, not by the first probe."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("ours", "other"):
        issued = authority.issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.crt")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    text = "targets:\n  db:\n    kind: mysql\n    tls: {{ca_file: ca.pem, cert_file: ours.crt, key_file: {}.key}}\n"

    db = load(text.format("ours")).targets["db"]
    assert isinstance(db, MysqlTarget)
    assert db.tls == Tls(
        ca_file=tmp_path / "ca.pem", cert_file=tmp_path / "ours.crt", key_file=tmp_path / "ours.key"
    )
    assert complain(text.format("other")) == [
        (
            "uptime.yaml:4: targets.db.tls.key_file: must hold the private key of the certificate in cert_file, "
            "as PEM without a passphrase"
        )
    ]


def test_checking_the_ledger_does_not_create_it(load: Load, tmp_path: Path) -> None:
    """`check` leaves nothing behind."""
    assert load("ledger: uptime.db").ledger == tmp_path / "uptime.db"
    assert [file.name for file in tmp_path.iterdir()] == ["uptime.yaml"]


def test_a_pipe_as_a_secret_does_not_hold_the_exporter(complain: Complain, tmp_path: Path) -> None:
    """Nobody writes to it, so reading it would never end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert complain("admin_token_file: pipe\n") == ["uptime.yaml:1: admin_token_file: not a regular file"]
