"""Which source wins, and how the environment and the command line are read."""

from pathlib import Path

import pytest

from support.configured import Complain, Load
from uptime_exporter.settings import HttpTarget, MysqlTarget, Settings, TcpTarget
from uptime_exporter.settings.load import load_settings

MONTH = 30 * 86_400.0


def http(settings: Settings, name: str = "web") -> HttpTarget:
    target = settings.targets[name]
    assert isinstance(target, HttpTarget)
    return target


def mysql(settings: Settings, name: str = "mysql") -> MysqlTarget:
    target = settings.targets[name]
    assert isinstance(target, MysqlTarget)
    return target


def test_with_nothing_given_the_three_parts_of_the_system_are_watched(load: Load) -> None:
    """The figures are the seed's."""
    settings = load()

    assert {name: target.address for name, target in settings.targets.items()} == {
        "model_server": "http://localhost:8001/health",
        "asr_ocr_server": "http://localhost:8002/health",
        "mysql": "localhost:3306",
    }
    assert http(settings, "model_server").expect_json == {"status": ("healthy", "degraded")}
    assert mysql(settings).user == "uptime"
    assert {(t.interval, t.timeout, t.retries, t.retry_backoff) for t in settings.targets.values()} == {
        (30.0, 5.0, 2, 1.0)
    }
    assert {(t.failure_threshold, t.recovery_timeout) for t in settings.targets.values()} == {(5, 60.0)}
    (system,) = settings.slas.values()
    assert (system.targets, system.objective, system.window) == (tuple(settings.targets), 0.999, MONTH)
    assert (settings.listen, settings.ledger, settings.admin_token) == (
        "127.0.0.1:10999",
        Path("uptime.db"),
        None,
    )


def test_an_empty_file_says_nothing(load: Load) -> None:
    """Comments alone are no settings either."""
    assert load("").targets == load("# nothing\n").targets == load().targets


def test_the_file_shown_in_readme_says_what_is_the_default(load: Load) -> None:
    """So it may be taken as it is and changed line by line."""
    example = Path(__file__).parents[2] / "exporter" / "uptime.yaml"
    settings = load_settings(example, environ={})

    assert settings.targets == load().targets
    assert settings.slas == load().slas
    assert settings.listen == load().listen
    assert settings.ledger == example.parent / "uptime.db"


def test_the_file_shown_in_readme_works_with_its_secrets(tmp_path: Path) -> None:
    """What is commented out in it is right too."""
    example = Path(__file__).parents[2] / "exporter" / "uptime.yaml"
    text = example.read_text(encoding="utf-8")
    for line in ("admin_token_file", "bearer_token_file", "password_file"):
        text = text.replace(f"# {line}", line)
    (tmp_path / "uptime.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    for secret in ("admin_token", "model_server_token", "mysql_password"):
        (tmp_path / "secrets" / secret).write_text(f"the-{secret}\n", encoding="utf-8")

    settings = load_settings(tmp_path / "uptime.yaml", environ={})

    assert settings.admin_token is not None
    assert settings.admin_token.get_secret_value() == "the-admin_token"
    token, password = http(settings, "model_server").bearer_token, mysql(settings).password
    assert token is not None
    assert token.get_secret_value() == "the-model_server_token"
    assert password is not None
    assert password.get_secret_value() == "the-mysql_password"


def test_each_source_wins_over_the_one_before(load: Load) -> None:
    """Defaults, file, environment, command line."""
    text = "interval: 40\ntimeout: 4\nretries: 1\n"
    environ = {"UPTIME_TIMEOUT": "6", "UPTIME_RETRIES": "0"}

    settings = load(text, environ, retries=3)

    assert (settings.retry_backoff, settings.interval, settings.timeout, settings.retries) == (1, 40, 6, 3)


def test_targets_inherit_what_they_do_not_set(load: Load) -> None:
    """Even from a source that wins over the one that names the target."""
    text = "interval: 60\ntargets:\n  a: {kind: mysql}\n  b: {kind: mysql, interval: 90}\n"

    settings = load(text, {"UPTIME_FAILURE_THRESHOLD": "7"})

    assert [(t.interval, t.failure_threshold) for t in settings.targets.values()] == [(60, 7), (90, 7)]


def test_a_file_with_targets_watches_only_those(load: Load) -> None:
    """The default ones are an example, not a duty; so is the promise over them."""
    settings = load("targets:\n  cache: {kind: tcp, host: '::1', port: 6379}\n")

    assert settings.targets == {"cache": TcpTarget(host="::1", port=6379)}
    assert settings.targets["cache"].address == "[::1]:6379"
    assert settings.slas["system"].targets == ("cache",)


def test_a_variable_changes_one_thing_about_a_target(load: Load) -> None:
    """The rest stays as the default or the file has it."""
    environ = {"UPTIME_TARGETS__MODEL_SERVER__URL": "http://[::1]:8001/health?deep=1"}

    settings = load(None, environ)

    assert list(settings.targets) == ["model_server", "asr_ocr_server", "mysql"]
    assert http(settings, "model_server").address == "http://[::1]:8001/health"
    assert http(settings, "model_server").expect_json == {"status": ("healthy", "degraded")}
    assert http(settings, "asr_ocr_server") == http(load(), "asr_ocr_server")


def test_a_new_target_may_come_from_the_environment(load: Load) -> None:
    """With its kind, and it counts for the system."""
    environ = {
        "UPTIME_TARGETS__WEB__KIND": "http",
        "UPTIME_TARGETS__WEB__URL": "https://example.org",
        "UPTIME_TARGETS__WEB__EXPECT_STATUS": "200, 204",
        "UPTIME_TARGETS__WEB__HEADERS__X-KEY": "a:b",
        "UPTIME_TARGETS__WEB__EXPECT_JSON__STATUS__CODE": "ok,fine",
        "UPTIME_TARGETS__WEB__TLS__SERVER_NAME": "www.example.org",
        "UPTIME_TARGETS__WEB__BODY": "{not json",
    }

    settings = load(None, environ)

    web = http(settings)
    assert web.address == "https://example.org:443/"
    assert web.expect_status == (200, 204)
    assert web.headers["x-key"].get_secret_value() == "a:b"
    assert web.expect_json == {"status.code": ("ok", "fine")}
    assert web.tls.server_name == "www.example.org"
    assert web.body == "{not json"
    assert "web" in settings.slas["system"].targets


def test_a_variable_may_hold_json(load: Load) -> None:
    """What stands inside it is changed by longer names."""
    environ = {
        "UPTIME_TARGETS": '{"web": {"kind": "http", "url": "http://a/", "expect_json": {"ok": true}}}',
        "UPTIME_TARGETS__WEB__URL": "http://b/",
        "UPTIME_SLAS__WEB": '{"objective": 0.99}',
        "UPTIME_SLAS__ASKED": '{"targets": ["web", "mysql"]}',
    }

    settings = load(None, environ)

    assert http(settings).address == "http://b:80/"
    assert http(settings).expect_json == {"ok": (True,)}
    assert settings.slas["web"].targets == ("web",)
    assert settings.slas["asked"].targets == ("web", "mysql")
    assert len(settings.slas["system"].targets) == 4


def test_the_objective_may_come_alone(load: Load) -> None:
    """A stricter promise is one variable."""
    settings = load(None, {"UPTIME_SLAS__SYSTEM__OBJECTIVE": "0.9995", "UPTIME_SLAS__SYSTEM__WINDOW": "1w"})

    assert settings.slas["system"].objective == 0.9995
    assert settings.slas["system"].window == 7 * 86_400
    assert settings.slas["system"].targets == tuple(settings.targets)


def test_the_command_line_takes_texts_and_values(load: Load) -> None:
    """A dotted key is as good as a nested one."""
    settings = load(
        None,
        {"UPTIME_TARGETS__MYSQL__PORT": "1"},
        targets__mysql__port="3307",
        targets__mysql__tls={"server_name": "db"},
        listen=":0",
    )

    assert mysql(settings).port == 3307
    assert mysql(settings).tls is not None
    assert (settings.listen_host, settings.listen_port) == ("", 0)


def test_overrides_are_not_changed_by_loading() -> None:
    """The same ones are used again at each reload."""
    overrides = {"targets": {"web": {"kind": "tcp", "host": "a", "port": 1}}, "targets.web.port": 2}

    first = load_settings(environ={}, overrides=overrides)

    assert overrides["targets"] == {"web": {"kind": "tcp", "host": "a", "port": 1}}
    assert load_settings(environ={}, overrides=overrides) == first


def test_a_variable_names_the_file(tmp_path: Path) -> None:
    """A file named on the command line wins over it."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"targets: {{{name}: {{kind: mysql}}}}", encoding="utf-8")
    environ = {"UPTIME_CONFIG": str(tmp_path / "a")}

    assert list(load_settings(environ=environ).targets) == ["a"]
    assert list(load_settings(tmp_path / "b", environ=environ).targets) == ["b"]


def test_an_empty_variable_counts_as_unset(load: Load) -> None:
    """Compose files pass on what is not there as an empty text."""
    assert load(None, {"UPTIME_LISTEN": "", "UPTIME_ADMIN_TOKEN": "", "UPTIME_CONFIG": ""}) == load()


def test_variables_of_others_are_left_alone(load: Load) -> None:
    """Kubernetes names the services beside a container in its environment; one may be called like us."""
    environ = {
        "UPTIME_PORT": "tcp://10.0.0.1:10999",
        "UPTIME_SERVICE_HOST": "10.0.0.1",
        "UPTIME_SERVICE_PORT": "10999",
        "UPTIME_EXPORTER_SERVICE_HOST": "10.0.0.1",
        "UPTIME_EXPORTER_SERVICE_PORT_METRICS": "10999",
        "UPTIME_EXPORTER_PORT": "tcp://10.0.0.1:10999",
        "UPTIME_EXPORTER_PORT_10999_TCP": "tcp://10.0.0.1:10999",
        "UPTIME_EXPORTER_PORT_10999_TCP_ADDR": "10.0.0.1",
        "uptime_listen": "x",
        "UPTIMES": "x",
    }
    assert load(None, environ) == load()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("UPTIME_LISTN", "x", "unknown setting; did you mean UPTIME_LISTEN?"),
        ("UPTIME_PORT", "80", "unknown setting; remove it"),
        ("UPTIME_TARGETS__MYSQL__PROT", "1", "unknown setting; did you mean UPTIME_TARGETS__MYSQL__PORT?"),
        ("UPTIME_TARGET__MYSQL__PORT", "1", "unknown setting; did you mean UPTIME_TARGETS__MYSQL__PORT?"),
        ("UPTIME_TARGETS__MYSQL__PORT", "x", "must be a whole number"),
        ("UPTIME_TARGETS__MYSQL__PORT__X", "1", "port is one value and has no parts; remove what follows it"),
        ("UPTIME_TIMEOUT", "40", "timeout (40s) must be shorter than interval (30s)"),
        (
            "UPTIME_TARGETS__MODEL_SEVER__URL",
            "http://a/",
            (
                "targets.model_sever: needs a kind, one of file, http, mysql, reliability, tcp; "
                "or did you mean `model_server`?"
            ),
        ),
        ("UPTIME_TARGETS__WEB__KIND", "tcp", "targets.web.host: is missing; say which host to ask"),
        (
            "UPTIME_TARGETS",
            '{"web": {"kind": "http", "url": "http://a/", "prot": 1}}',
            "targets.web.prot: unknown setting `prot`; remove it",
        ),
        ("UPTIME_TARGETS", "web", 'must be JSON, such as {"name": "value"}; Expecting value at character 1'),
        ("UPTIME_TARGETS", "[1]", 'must be JSON, such as {"name": "value"}'),
        ("UPTIME_TARGETS", '{"a": 1, "a": 2}', "the JSON gives the same name twice; keep one of them"),
        ("UPTIME_TARGETS", "[" * 100_000, "nested too deeply"),
        (
            "UPTIME_SLAS__SYSTEM__TARGETS",
            "[mysql]",
            'must be JSON, such as ["a", "b"]; Expecting value at character 2',
        ),
        (
            "UPTIME_SLAS__SYSTEM__TARGETS",
            "mysql,web",
            "slas.system.targets.1: there is no target `web`; there are model_server, asr_ocr_server, mysql",
        ),
    ],
)
def test_a_wrong_variable_is_named(complain: Complain, name: str, value: str, said: str) -> None:
    """The variable is the place."""
    assert complain(None, {name: value})[0] == f"{name}: {said}"


def test_a_wrong_override_is_named(complain: Complain) -> None:
    """In the words in which it was given."""
    assert complain(targets__mysql__port="many", lisen=":0", targets__x__y=1) == [
        "--set lisen: unknown setting; did you mean `listen`?",
        "--set targets.mysql.port: must be a whole number",
        "--set targets.x.y: targets.x: needs a kind, one of file, http, mysql, reliability, tcp",
    ]


def test_the_mistakes_of_all_sources_are_told_in_order(complain: Complain) -> None:
    """The file by line, then the variables, then the command line; each where its value came from."""
    text = "retries: many\ntargets:\n  mysql: {kind: mysql, port: 0}\n"
    environ = {"UPTIME_LISTN": "x", "UPTIME_TARGETS__MYSQL__HOST": "a:b:"}

    assert [line.split(": ")[0] for line in complain(text, environ, timeout="x")] == [
        "uptime.yaml:1",
        "uptime.yaml:3",
        "UPTIME_LISTN",
        "UPTIME_TARGETS__MYSQL__HOST",
        "--set timeout",
    ]


def test_what_does_not_fit_is_told_where_it_was_set_last(complain: Complain) -> None:
    """Not at the line that was right before a variable came over it."""
    text = "targets:\n  web: {kind: tcp, host: a, port: 1, interval: 20}\n"

    assert complain(text, {"UPTIME_TARGETS__WEB__TIMEOUT": "20"}) == [
        "UPTIME_TARGETS__WEB__TIMEOUT: timeout (20s) must be shorter than interval (20s)"
    ]
    assert complain(text, {"UPTIME_TIMEOUT": "20"}) == [
        "uptime.yaml:2: targets.web.interval: timeout (20s) must be shorter than interval (20s)"
    ]


def test_anchors_and_merges_save_typing(load: Load) -> None:
    """What is written beside a merge wins over it."""
    settings = load(
        "targets:\n"
        "  a: &usual {kind: http, url: http://a/, interval: 60}\n"
        "  b: {<<: *usual, url: http://b/}\n"
        "  c: {url: http://c/, <<: [*usual]}\n"
    )
    assert [http(settings, name).address for name in "abc"] == [
        "http://a:80/",
        "http://b:80/",
        "http://c:80/",
    ]
    assert {target.interval for target in settings.targets.values()} == {60}


def test_a_mistake_in_what_was_merged_is_told_at_its_line(complain: Complain) -> None:
    """Once, though two targets have it."""
    text = "targets:\n  a: &usual\n    kind: tcp\n    prot: 1\n    host: a\n    port: 1\n  b: {<<: *usual}\n"
    assert complain(text) == [
        "uptime.yaml:4: targets.a.prot: unknown setting `prot`; did you mean `port`?",
        "uptime.yaml:4: targets.b.prot: unknown setting `prot`; did you mean `port`?",
    ]


def test_yaml_keeps_texts_as_they_are_written(load: Load) -> None:
    """A date is not a point in time, and a name is never a number or a truth."""
    settings = load(
        "targets:\n  web: {kind: http, url: http://a/, body: 2026-01-01, expect_json: {on: [1, yes]}}\n"
    )

    assert http(settings).body == "2026-01-01"
    assert http(settings).expect_json == {"on": (1, True)}
