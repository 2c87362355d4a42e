"""The settings of an application that is asked what it tells of itself."""

import pytest

from support.configured import Complain, Load, undescribed
from uptime_exporter.settings import ReliabilityTarget, secrets_of

URL = "http://localhost:8000/reliability"


def test_it_is_asked_as_any_server_is(load: Load) -> None:
    """With whatever it wants to be shown; all of which is secret."""
    settings = load(
        f"targets:\n  main_backend:\n    kind: reliability\n    url: {URL}?key=query-key\n"
        "    bearer_token: a-token\n    headers: {X-Key: a-header}\n    timeout: 2\n    max_body_bytes: 1000\n"
    )
    target = settings.targets["main_backend"]

    assert isinstance(target, ReliabilityTarget)
    assert (target.address, target.timeout, target.interval) == (URL, 2, 30)
    asked = target.request
    assert (asked.url, asked.headers, asked.bearer_token) == (target.url, target.headers, target.bearer_token)
    assert (asked.method, asked.body, asked.expect_status, asked.max_body_bytes) == ("GET", None, (), 1000)
    assert {"key=query-key", "a-token", "a-header"} <= secrets_of(settings)
    assert settings.promises["main_backend"].targets == ("main_backend",)


@pytest.mark.parametrize("option", ["expect_json: {}", "method: POST", "expect_status: [200]", "body: x"])
def test_what_its_answer_is_to_say_is_not_for_the_settings(complain: Complain, option: str) -> None:
    """The shape of the answer is settled; an option that changes nothing would be a trap."""
    name = option.partition(":")[0]
    said = complain(f"targets:\n  a: {{kind: reliability, url: '{URL}', {option}}}\n")
    assert said == [f"uptime.yaml:2: targets.a.{name}: unknown setting `{name}`; remove it"]


def test_the_rules_of_http_hold(complain: Complain) -> None:
    """A name without a password, and no URL, are told as everywhere."""
    assert complain("targets:\n  a: {kind: reliability}\n") == [
        "uptime.yaml:2: targets.a.url: is missing; say what to ask, such as url: http://localhost:8001/health"
    ]
    assert complain(f"targets:\n  a: {{kind: reliability, url: '{URL}', username: u}}\n") == [
        "uptime.yaml:2: targets.a.username: username needs a password; add password_file, or password"
    ]


def test_every_setting_is_described() -> None:
    assert undescribed(ReliabilityTarget) == []
