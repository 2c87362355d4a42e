"""Secrets come from files too, and stay where they are."""

import json
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.configured import Complain, Load
from uptime_exporter.errors import SettingsError
from uptime_exporter.settings import HttpTarget, MysqlTarget, Settings, secrets_of
from uptime_exporter.settings.load import load_settings


def password(settings: Settings) -> str | None:
    target = settings.targets["mysql"]
    assert isinstance(target, MysqlTarget)
    return target.password.get_secret_value() if target.password is not None else None


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that holds a secret."""
    file = tmp_path / "secret"
    file.write_text("from file\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        ("plain", "plain"),
        ("newline\n", "newline"),
        ("windows\r\n", "windows"),
        ("two\n\n", "two\n"),
        (" spaces ", " spaces "),
        ("#'ü\n", "#'ü"),
    ],
)
def test_one_line_break_at_the_end_is_not_part_of_a_secret(
    load: Load, tmp_path: Path, content: str, secret: str
) -> None:
    """An editor adds it; everything else is meant."""
    (tmp_path / "secret").write_bytes(content.encode())

    assert password(load("targets: {mysql: {kind: mysql, password_file: secret}}")) == secret


def test_files_are_found_beside_the_settings_file(load: Load, secret: Path) -> None:
    """Wherever the exporter was started; a name in the environment starts where it was started."""
    assert password(load("targets: {mysql: {kind: mysql, password_file: secret}}")) == "from file"
    assert password(load(None, {"UPTIME_TARGETS__MYSQL__PASSWORD_FILE": str(secret)})) == "from file"


def test_a_higher_source_wins_whichever_way_it_gives_a_secret(load: Load, secret: Path) -> None:
    """Two ways are a mistake only where one hand wrote both."""
    by_file = f"targets: {{mysql: {{kind: mysql, password_file: {secret}}}}}"
    inline = "targets: {mysql: {kind: mysql, password: inline}}"

    assert password(load(by_file, {"UPTIME_TARGETS__MYSQL__PASSWORD": "variable"})) == "variable"
    assert password(load(inline, {"UPTIME_TARGETS__MYSQL__PASSWORD_FILE": str(secret)})) == "from file"
    assert password(load(by_file, {}, targets__mysql__password="override")) == "override"


def test_two_ways_in_one_source_are_a_mistake(complain: Complain, secret: Path) -> None:
    """Nobody can say which one was meant."""
    environ = {"UPTIME_ADMIN_TOKEN": "hunter2", "UPTIME_ADMIN_TOKEN_FILE": str(secret)}

    assert complain(None, environ) == ["UPTIME_ADMIN_TOKEN_FILE: admin_token is given too; keep one of them"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"\xff", "not UTF-8 (byte 0); save it as UTF-8"),
        (b"x" * 70_000, "larger than 64 KiB"),
    ],
)
def test_a_file_without_a_secret_is_a_mistake(
    complain: Complain, tmp_path: Path, content: bytes, said: str
) -> None:
    """It is found before the first probe, not by its answer."""
    (tmp_path / "secret").write_bytes(content)
    web = "kind: http\n    url: http://a/\n    username: me\n    password_file: secret\n"

    assert complain(f"admin_token_file: secret\ntargets:\n  web:\n    {web}") == [
        f"uptime.yaml:1: admin_token_file: {said}",
        f"uptime.yaml:7: targets.web.password_file: {said}",
    ]


def test_what_is_wrong_with_a_secret_is_told_at_its_file(complain: Complain, secret: Path) -> None:
    """The token itself was never written into the settings."""
    assert complain(None, {"UPTIME_ADMIN_TOKEN_FILE": str(secret)}) == [
        "UPTIME_ADMIN_TOKEN_FILE: must be one word of visible ASCII characters, and not empty"
    ]


def test_a_changed_secret_makes_its_target_a_new_one(load: Load, secret: Path) -> None:
    """A reload takes up a rotated password, and leaves all other targets as they are."""
    text = f"targets:\n  mysql: {{kind: mysql, password_file: {secret}}}\n  web: {{kind: http, url: http://a/}}\n"
    before = load(text)
    assert load(text) == before

    secret.write_text("rotated", encoding="utf-8")
    after = load(text)

    assert after.targets["mysql"] != before.targets["mysql"]
    assert after.targets["web"] == before.targets["web"]


def test_every_secret_is_known_in_the_form_in_which_it_is_sent(load: Load) -> None:
    """The log blots them out whatever else goes wrong."""
    settings = load(
        "admin_token: admin-token\n"
        "targets:\n"
        "  a: {kind: http, url: 'http://a/?key=in-the-query', username: me, password: a-password}\n"
        "  b: {kind: http, url: http://a/, bearer_token: a-token}\n"
        "  c: {kind: http, url: http://a/, headers: {Authorization: Key in-a-header, Accept: text/html}}\n"
        "  d: {kind: mysql, password: b-password}\n"
        "  e: {kind: mysql, password: abc}\n"
    )

    assert secrets_of(settings) == {
        "admin-token",
        "key=in-the-query",
        "a-password",
        "bWU6YS1wYXNzd29yZA==",
        "a-token",
        "Key in-a-header",
        "in-a-header",
        "b-password",
    }


def test_the_default_settings_have_no_secret(load: Load) -> None:
    """Nothing is blotted out of their log."""
    assert secrets_of(load()) == frozenset()


FIELDS = ("password", "bearer_token", "url", "headers", "body")


def everything_said(text: str | None, environ: Mapping[str, str], folder: Path, **overrides: object) -> str:
    """Return all that a program could print about these settings."""
    file = None
    if text is not None:
        file = folder / "uptime.yaml"
        file.write_text(text, encoding="utf-8", newline="")
    try:
        settings = load_settings(file, environ=environ, overrides=overrides)
    except SettingsError as error:
        return "".join(traceback.format_exception(error)) + repr(error)
    shown = " ".join(target.address for target in settings.targets.values())
    return f"{settings!r} {settings} {shown}"


odd = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_categories=["C"]), max_size=20)
secrets = st.builds("{}Zq7!{}".format, odd, odd)
"""Of all signs that a password may have; the fixed part is in no word of ours."""


@given(
    secret=secrets, wrong=st.sampled_from(["", "interval: 1\n", "prot: 1\n", "kind: htpp\n", "retries: [\n"])
)
def test_no_message_and_no_repr_shows_a_secret(
    secret: str, wrong: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever it is made of, wherever it stands, and whatever else is wrong there."""
    folder = tmp_path_factory.getbasetemp()
    quoted = json.dumps(secret)
    lines = [
        f"    password: {quoted}\n",
        f"    bearer_token: {quoted}\n",
        f"    body: {quoted}\n    username: 7\n",
        f"    headers: {{X-Key: {quoted}}}\n",
        f"    headers: {{Authorization: {quoted}}}\n    bearer_token: {quoted}\n",
        f"    password_file: {quoted}\n",
        f"    password: [{quoted}]\n",
        f"    password: {{{quoted}: 1}}\n",
        f"    tls: {quoted}\n",
        f"    expect_status: {quoted}\n",
        f"    timeout: {quoted}\n",
    ]
    for line in lines:
        text = f"targets:\n  web:\n    kind: http\n    url: http://a/\n{line}    {wrong}"
        assert secret not in everything_said(text, {}, folder)
    assert secret not in everything_said(f"admin_token: {quoted}\n", {}, folder)


@given(secret=secrets)
def test_no_variable_shows_its_secret(secret: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The name of the variable is all that is needed."""
    folder = tmp_path_factory.getbasetemp()
    for name in (
        "UPTIME_ADMIN_TOKEN",
        "UPTIME_ADMIN_TOKEN_FILE",
        "UPTIME_LISTEN",
        "UPTIME_TARGETS",
        "UPTIME_TARGETS__MYSQL",
        "UPTIME_TARGETS__MYSQL__PASSWORD",
        "UPTIME_TARGETS__MYSQL__PORT",
        "UPTIME_TARGETS__MODEL_SERVER__URL",
        "UPTIME_TARGETS__MODEL_SERVER__BEARER_TOKEN",
    ):
        assert secret not in everything_said(None, {name: secret}, folder)
    assert secret not in everything_said(None, {}, folder, password=secret)


@given(secret=odd)
@example(secret="12/34")
@example(secret="12\\")
@example(secret="12?3")
@example(secret="12#3")
def test_a_password_in_a_url_is_refused(secret: str) -> None:
    """A URL is shown in pages and labels; whatever its signs are taken for, no part of it may be a secret."""
    environ = {"UPTIME_TARGETS__MODEL_SERVER__URL": f"http://me:{secret}@localhost/"}
    with pytest.raises(SettingsError) as caught:
        load_settings(environ=environ)
    (said,) = caught.value.mistakes
    assert said.startswith("UPTIME_TARGETS__MODEL_SERVER__URL: must ")
    assert "me:" not in said


@given(secret=secrets)
def test_a_secret_without_quotes_is_not_repeated(
    secret: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """YAML has a meaning for most signs, and PyYAML likes to quote what it did not understand."""
    folder = tmp_path_factory.getbasetemp()
    for text in (
        f"targets:\n  mysql:\n    kind: mysql\n    password: {secret}\n",
        f"targets:\n  mysql: {{kind: mysql, password: {secret}}}\n",
        f"targets:\n  mysql:\n    kind: mysql\n    password:{secret}\n",
        f"targets:\n  mysql: {{kind: mysql, password:{secret}}}\n",
    ):
        assert secret not in everything_said(text, {}, folder)


def test_the_repr_of_a_target_hides_what_is_sent(load: Load) -> None:
    """A stray log line about a target does no harm."""
    settings = load("targets: {web: {kind: http, url: 'http://a/?token=hunter2', body: hunter2}}")
    web = settings.targets["web"]
    assert isinstance(web, HttpTarget)

    assert web.url == "http://a/?token=hunter2"
    assert web.body == "hunter2"
    assert "hunter2" not in f"{web!r}{web}{settings!r}{web.address}"
