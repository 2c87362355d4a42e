"""The probe of an application's `/reliability`, as backends answer it, well or badly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.badservers import Behaviour, response, saying, serving
from support.configured import made
from uptime_exporter.errors import ProbeFailure
from uptime_exporter.outcome import AppSeen, CheckSeen, CircuitSeen, Reason, Seen
from uptime_exporter.probes.build import build_probe
from uptime_exporter.probes.protocol import Phases
from uptime_exporter.probes.reliability import MOST, NAME, judge
from uptime_exporter.reliability import Reliability
from uptime_exporter.reliability.shapes import encode
from uptime_exporter.settings import ReliabilityTarget

OLD: dict[str, Any] = {
    "timestamp": "2026-01-01T12:00:00.500000",
    "circuit_breakers": {
        "model_server": {
            "name": "model_server",
            "state": "open",
            "failure_count": 5,
            "last_failure_time": "2026-01-01T11:59:00.500000",
            "threshold": 5,
            "recovery_timeout": 60,
        },
        "asr_ocr_server": {
            "name": "asr_ocr_server",
            "state": "closed",
            "failure_count": 0,
            "last_failure_time": None,
            "threshold": 5,
            "recovery_timeout": 60,
        },
    },
    "graceful_shutdown": {"is_shutting_down": False, "active_requests": 3, "shutdown_timeout": 30},
    "health_monitor": {
        "checks": {
            "database": {
                "name": "database",
                "healthy": True,
                "last_check": "2026-01-01T11:59:50.500000",
                "uptime_percentage": 100.0,
                "history_size": 7,
            },
            "model_server": {
                "name": "model_server",
                "healthy": False,
                "last_check": None,
                "uptime_percentage": 0.0,
                "history_size": 0,
            },
        },
        "overall_healthy": False,
    },
    "uptime_target": "99.9%",
    "max_downtime_per_month": "43.8 minutes",
}
"""As the watched backend answers it, its times without a zone."""


def said(**parts: object) -> Seen:
    """Return what is seen in the old answer with other *parts*."""
    return judge(json.dumps({**OLD, **parts}).encode(), seen=Seen())


def application(seen: Seen) -> AppSeen:
    assert seen.application is not None
    return seen.application


def refused(body: bytes) -> str:
    with pytest.raises(ProbeFailure) as caught:
        judge(body, seen=Seen())
    assert caught.value.reason is Reason.BODY
    return caught.value.detail


async def ask(behave: Behaviour, **settings: object) -> Seen:
    async with serving(behave) as server:
        target = made(ReliabilityTarget, url=server.url("/reliability"), **settings)
        return await build_probe(target).check(Phases())


async def test_an_existing_backend_is_understood_as_it_is() -> None:
    """Nothing is added to its answer; ages are by its own clock, whatever zone that shows."""
    seen = await ask(saying(response(json.dumps(OLD).encode())))

    assert application(seen) == AppSeen(
        circuits={"model_server": CircuitSeen("open"), "asr_ocr_server": CircuitSeen("closed")},
        checks={
            "database": CheckSeen(healthy=True, last="2026-01-01T11:59:50.500000", age=10.0),
            "model_server": CheckSeen(healthy=None),
        },
        in_flight=3,
        shutting_down=False,
    )
    assert (seen.degraded, seen.message) == (True, "circuit model_server is open")


def test_an_application_with_the_toolkit_says_since_when() -> None:
    """What it adds to the old shape is read; its unknown checks are not down."""
    toolkit = Reliability("main-backend", wall=lambda: 1_767_225_600.0)
    toolkit.breaker("model_server", wall=lambda: 1_767_225_540.0).force_open()
    toolkit.monitor({"database": lambda: True})

    told = application(judge(encode(toolkit.report()), seen=Seen()))

    assert told.circuits == {"model_server": CircuitSeen("open", "2025-12-31T23:59:00.000Z", 60.0)}
    assert told.checks == {"database": CheckSeen(healthy=None)}
    assert (told.in_flight, told.shutting_down, told.lost) == (0, False, ())


def test_an_application_that_is_well_is_not_degraded() -> None:
    """No circuit, no check, no drain says otherwise."""
    seen = said(circuit_breakers={}, health_monitor={"checks": {}, "overall_healthy": True})
    assert (seen.degraded, seen.message) == (False, "")


def test_one_that_drains_is_degraded() -> None:
    """It answers, but not everybody."""
    seen = said(
        circuit_breakers={},
        health_monitor={},
        graceful_shutdown={"is_shutting_down": True, "active_requests": 2},
    )
    assert (seen.degraded, seen.message) == (True, "shutting down")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"error": "no module named x"}', "it says: no module named x"),
        (b'{"error": {"code": 1}, "circuit_breakers": {}}', "it says: dict"),
        (b"", "the body is no JSON, or is nested too deeply"),
        (b"<html>", "the body is no JSON, or is nested too deeply"),
        (b"[" * 100_000, "the body is no JSON, or is nested too deeply"),
        (b"[]", "the body is no JSON object"),
        (
            b'{"status": "healthy"}',
            "it has none of circuit_breakers, graceful_shutdown, health_monitor; is this its /reliability?",
        ),
    ],
)
def test_an_answer_that_is_no_answer_is_down(body: bytes, detail: str) -> None:
    """With 200 as with any other status; an error of its own is told in one line."""
    assert refused(body) == detail


async def test_an_error_status_is_down() -> None:
    """As for any server that is asked over HTTP."""
    with pytest.raises(ProbeFailure) as caught:
        await ask(saying(response(b"{}", "500 Internal Server Error")))
    assert caught.value.reason is Reason.STATUS


async def test_a_body_without_end_is_cut() -> None:
    """The limit of the settings holds here too."""
    with pytest.raises(ProbeFailure) as caught:
        await ask(saying(response(b" " * 5000)), max_body_bytes=1000)
    assert caught.value.reason is Reason.BODY


async def test_the_settings_secrets_are_sent() -> None:
    """A backend may want to be shown a token, and gets it."""
    async with serving(saying(response(json.dumps(OLD).encode()))) as server:
        target = made(ReliabilityTarget, url=server.url(), bearer_token="hunter2")
        await build_probe(target).check(Phases())
    assert b"Bearer hunter2" in server.requests[0]


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ({"timestamp": 17}, "timestamp is 17, expected a time in ISO 8601"),
        ({"circuit_breakers": []}, "circuit_breakers is a list, expected an object"),
        ({"circuit_breakers": {"a": 1}}, "circuit_breakers.a: is 1, expected an object"),
        (
            {"circuit_breakers": {"a": {"state": "ajar"}}},
            'circuit_breakers.a: state is "ajar", expected closed, open, half_open',
        ),
        (
            {"circuit_breakers": {"a": {}}},
            "circuit_breakers.a: state is missing, expected closed, open, half_open",
        ),
        (
            {"circuit_breakers": {"a": {"state": "open", "state_since": "x" * 1000}}},
            f'circuit_breakers.a: state_since is "{"x" * 39}…", expected a time in ISO 8601',
        ),
        (
            {"circuit_breakers": {"a": {"state": "open", "state_since": f"2026-01-01T00:00:00.{'0' * 99}"}}},
            f'circuit_breakers.a: state_since is "2026-01-01T00:00:00.{"0" * 19}…", expected a time in ISO 8601',
        ),
        ({"circuit_breakers": {"\n": {"state": "open"}}}, 'circuit_breakers: "" is no name of its own'),
        ({"graceful_shutdown": "x"}, 'graceful_shutdown is "x", expected an object'),
        ({"health_monitor": {"checks": 1}}, "checks is 1, expected an object"),
        (
            {"health_monitor": {"checks": {"a": {"healthy": "yes"}}}},
            'health_monitor.checks.a: healthy is "yes", expected true or false',
        ),
        *(
            (
                {"graceful_shutdown": {"active_requests": number}},
                f"graceful_shutdown.active_requests is {shown}, expected a number of requests",
            )
            for number, shown in [
                (-1, "-1"),
                (True, "true"),
                (1.5, "1.5"),
                (float("nan"), "nan"),
                (10**30, "inf"),
                ("3", '"3"'),
            ]
        ),
    ],
)
def test_a_part_that_is_wrong_is_lost_alone(part: dict[str, object], lost: str) -> None:
    """It is named; the other parts count as they stand."""
    told = application(said(**part))

    assert told.lost == (lost,)
    if "circuit_breakers" not in part:
        assert list(told.circuits) == ["model_server", "asr_ocr_server"]
    if "health_monitor" not in part:
        assert list(told.checks) == ["database", "model_server"]
    if "graceful_shutdown" not in part:
        assert (told.in_flight, told.shutting_down) == (3, False)


def test_ten_thousand_circuits_are_not_ten_thousand_series() -> None:
    """The first few are read, and it is said that there were more; a long name is cut."""
    circuits = {f"{n}{'x' * 200}": {"state": "closed"} for n in range(10_000)}
    told = application(said(circuit_breakers=circuits))

    assert len(told.circuits) == MOST
    assert {len(name) for name in told.circuits} == {NAME}
    assert told.lost == (f"circuit_breakers: only the first {MOST} of 10000 are read",)


def test_many_mistakes_are_counted() -> None:
    """A log line stays a line."""
    told = application(said(circuit_breakers={f"c{n}": n for n in range(20)}))
    assert len(told.lost) == 6
    assert told.lost[-1] == "and 15 more"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "state",
                    "state_since",
                    "healthy",
                    "last_check",
                    "checks",
                    "active_requests",
                    "is_shutting_down",
                ]
            )
            | st.text(max_size=3),
            inner | st.sampled_from(["open", "closed", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    st.dictionaries(
        st.sampled_from(["timestamp", "circuit_breakers", "graceful_shutdown", "health_monitor", "error"]),
        anything | st.just("9999-12-31T23:59:59-23:59"),
    )
)
def test_whatever_a_backend_says_is_an_answer_or_a_failure(body: dict[str, object]) -> None:
    """Never a defect of the exporter's; and nothing gets through that is no label and no number."""
    try:
        told = application(judge(json.dumps(body).encode(), seen=Seen()))
    except ProbeFailure:
        return
    assert told.in_flight is None or 0 <= told.in_flight <= 10**9
    assert all(0 < len(name) <= NAME and name.isprintable() for name in (*told.circuits, *told.checks))
