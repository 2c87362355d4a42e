"""Judging a body: the watched system's own words, and whatever else comes instead."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uptime_exporter.errors import ProbeFailure
from uptime_exporter.outcome import Reason, Seen
from uptime_exporter.probes.health import Expected, judge, observe

HEALTHY: Expected = {"status": ("healthy", "degraded")}
DEGRADED: Expected = {"status": ("degraded",)}


def said(body: Any, expected: Expected | None = HEALTHY, degraded: Expected = DEGRADED) -> Seen:
    return judge(json.dumps(body).encode(), expected, degraded)


def refusal(body: bytes, expected: Expected | None = HEALTHY) -> ProbeFailure:
    with pytest.raises(ProbeFailure) as caught:
        judge(body, expected, DEGRADED)
    assert caught.value.reason is Reason.BODY
    return caught.value


def test_a_healthy_server_is_up() -> None:
    """The model server's own answer."""
    seen = said({"status": "healthy", "models_loaded": {"a": True, "b": False}, "message": "All\nfine"})

    assert seen == Seen(models={"a": True, "b": False}, message="All fine")


def test_a_degraded_server_is_up_and_degraded() -> None:
    """The ASR/OCR server's own answer, with one of two models."""
    seen = said({"status": "Degraded", "models": {"whisper": True, "dots_ocr": False}})

    assert seen == Seen(degraded=True, models={"whisper": True, "dots_ocr": False})


@pytest.mark.parametrize("expected", [HEALTHY, None])
def test_an_unhealthy_server_is_down_and_keeps_its_models(expected: Expected | None) -> None:
    """Both servers answer 200 with this when no model is loaded."""
    body = b'{"status": "unhealthy", "models_loaded": {"a": false}, "message": "no model"}'
    failure = refusal(body, expected)

    assert failure.detail.startswith('status is "unhealthy"')
    assert failure.seen == Seen(models={"a": False}, message="no model")


def test_a_backend_that_caught_an_exception_is_down() -> None:
    """Its /health answers 200 on an internal error; the error is its message."""
    assert refusal(b'{"status": "unhealthy", "error": "boom"}', None).seen.message == "boom"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is empty, expected JSON"),
        (b"  \n", "the body is empty, expected JSON"),
        (b"[]", 'status is missing, expected "healthy" or "degraded"'),
        (b"3", 'status is missing, expected "healthy" or "degraded"'),
        (b"{}", 'status is missing, expected "healthy" or "degraded"'),
        (b'{"status": null}', 'status is null, expected "healthy" or "degraded"'),
        (b'{"status": true}', 'status is true, expected "healthy" or "degraded"'),
        (b'{"status": 1e999}', 'status is inf, expected "healthy" or "degraded"'),
        (b'{"status": {"a": 1}}', 'status is an object, expected "healthy" or "degraded"'),
        (b'{"status": ["healthy"]}', 'status is a list, expected "healthy" or "degraded"'),
        (b'{"status": "\\u0000\\ud800\\u202e"}', 'status is "", expected "healthy" or "degraded"'),
        (b'{"status": "healthy", "status": "down"}', "a key stands twice"),
        (b'{"status": NaN}', "it contains NaN"),
        (b'{"a":' * 100_000, "it is nested too deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "it is nested too deeply"),
        (b'{"status": %s}' % (b"9" * 5000), "no usable JSON"),
        (b"\xff\xfe\xfd", "no usable JSON"),
        (b'{"status": "\xff"}', "no usable JSON"),
        (b"<html><body>It works!</body></html>", 'it begins with "<html><body>It works!</body></html>"'),
    ],
)
def test_what_was_not_expected_is_down_and_says_why(body: bytes, detail: str) -> None:
    """A proxy's page, an empty body or nonsense is no health."""
    assert detail in refusal(body).detail


def test_a_long_value_is_quoted_in_part() -> None:
    """An error message stays one line that fits the eye."""
    assert len(refusal(b'{"status": "%s"}' % (b"x\\n" * 10_000)).detail) < 180
    assert len(refusal(b"x\n" * 10_000).detail) < 180


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"[]",
        b"<html>",
        b'{"status": "UP"}',
        b'{"status": 1}',
        b'{"status',
        b"\xff",
        b"[" * 99_999,
    ],
)
def test_where_nothing_is_expected_any_body_does(body: bytes) -> None:
    """A plain web server needs no settings."""
    assert judge(body, None, DEGRADED) == Seen()


@pytest.mark.parametrize("word", ["unhealthy", "DOWN", "Fail", " error "])
def test_where_nothing_is_expected_a_status_may_still_say_that_it_is_unwell(word: str) -> None:
    """HTTP 200 is not health."""
    assert "status is" in refusal(json.dumps({"status": word}).encode(), None).detail


def test_where_anything_is_expected_even_unwell_does() -> None:
    """An empty `expect_json` switches the judgement off, and what was said is still shown."""
    assert said({"status": "down", "message": "leave me"}, {}) == Seen(message="leave me")


@pytest.mark.parametrize(
    ("value", "wanted", "fits"),
    [
        (True, True, True),
        (True, 1, False),
        (1, True, False),
        (1, 1.0, True),
        ("1", 1, False),
        ("Ready", "ready", True),
        (None, "null", False),
    ],
)
def test_values_are_compared_as_people_read_them(
    value: object,
    wanted: str | bool | float,  # noqa: FBT001  # bool is the point
    fits: bool,  # noqa: FBT001  # a column of the table
) -> None:
    """Texts without regard to case, numbers as numbers, true and false as themselves."""
    expected: Expected = {"a.b": (wanted,)}
    if fits:
        assert said({"a": {"b": value}}, expected) == Seen()
    else:
        refusal(json.dumps({"a": {"b": value}}).encode(), expected)


def test_a_path_goes_into_objects_and_a_key_may_have_dots() -> None:
    """Every path must hold."""
    body = {"db": {"ok": True}, "v1.2": "fine", "healthy": {}}

    assert said(body, {"db.ok": (True,), "v1.2": ("fine",)}) == Seen()
    refusal(json.dumps(body).encode(), {"db.ok": (True,), "db.ok.deeper": (True,)})


def test_degraded_may_be_anywhere() -> None:
    """One of the paths is enough."""
    assert said({"a": 1, "load": "high"}, None, {"status": ("degraded",), "load": ("high",)}).degraded


def test_models_are_flags_and_not_too_many() -> None:
    """Each becomes a series; a body must not flood the metrics."""
    flags: dict[str, object] = {
        "x" * 300: True,
        "count": 3,
        "": True,
        **{f"m{n}": True for n in range(99)},
    }
    models = said({"status": "healthy", "models": flags}).models

    assert len(models) == 50
    assert max(map(len, models)) == 100
    assert "count" not in models


def test_models_that_are_no_flags_are_none() -> None:
    """A list of names says nothing about what is loaded."""
    assert said({"status": "healthy", "models": ["a"]}).models == {}


def test_a_message_is_one_short_line() -> None:
    """It ends up in logs and on a page."""
    message = said({"status": "healthy", "message": "a\r\n\x1b[31m" + "b" * 1000}).message

    assert message.startswith("a [31mb")
    assert len(message) == 200


def test_what_is_known_already_stays_known() -> None:
    """The certificate was seen before the body."""
    before = Seen(certificate_expires=5.0)

    assert judge(b"{}", None, {}, before) == before
    assert observe(b'{"message": "hi"}', before) == Seen(certificate_expires=5.0, message="hi")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["status", "models", "message", "a"]), inner)
    ),
    max_leaves=20,
)
PATHS = st.dictionaries(
    st.sampled_from(["status", "status.a", "a.a", "models", "", "."]),
    st.lists(st.text() | st.booleans() | st.integers() | st.floats(), min_size=1),
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()), st.none() | PATHS, PATHS)
def test_nothing_but_a_failure_of_the_body_comes_of_any_body(
    body: bytes, expected: Expected | None, degraded: Expected
) -> None:
    """A hostile or broken server finds no way to a trace in the log."""
    match judged(body, expected, degraded):
        case ProbeFailure(reason=reason, detail=detail, seen=seen):
            assert reason is Reason.BODY
            assert detail.isprintable()
            assert seen.message.isprintable()
        case Seen(message=message):
            assert message.isprintable()


def judged(body: bytes, expected: Expected | None, degraded: Expected) -> Seen | ProbeFailure:
    try:
        return judge(body, expected, degraded)
    except ProbeFailure as failure:
        return failure
