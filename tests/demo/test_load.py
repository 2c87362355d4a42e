"""Users of the backend, as the demo plays them: what they see counts, and how patient they are."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from support.badservers import response, serving
from support.loop import FakeClock, FakeLoop
from support.process import COMMAND, PATIENCE, clean_environment, eventually
from uptime_exporter.demo.load import BAR, LONGEST_WAIT, Load, Tally, bar
from uptime_exporter.reliability import RetryPolicy

Answer = httpx.Response | Exception
FINE = {"answer": "x", "degraded": False}


class Scripted(httpx.AsyncBaseTransport):
    """Answers as a test says, and notes when it was asked."""

    def __init__(self, answer: Callable[[int], Answer]) -> None:
        self.asked: list[float] = []
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - httpx's
        self.asked.append(asyncio.get_running_loop().time())
        answer = self._answer(len(self.asked))
        if isinstance(answer, Exception):
            raise answer
        return answer


def play(clock: FakeClock, backend: Scripted, *, seconds: float = 1.0, rate: float = 1.0) -> Tally:
    """Let users come, in no time at all."""
    load = Load("http://backend/", rate=rate, policy=RetryPolicy(2, 1.0), transport=backend)
    with asyncio.Runner(loop_factory=lambda: FakeLoop(clock)) as runner:
        return runner.run(load.run(seconds))


def fine(_number: int) -> Answer:
    return httpx.Response(200, json=FINE)


def test_users_come_at_their_rate_and_each_route_gets_its_share(clock: FakeClock) -> None:
    """Ten a second for three seconds, none of them twice."""
    backend = Scripted(fine)
    tally = play(clock, backend, seconds=3, rate=10)

    assert (tally.asked, tally.answered, tally.attempts) == (30, 30, 30)
    assert backend.asked == pytest.approx([n / 10 for n in range(30)])
    assert tally.kept


@pytest.mark.parametrize(
    "failure", [httpx.Response(500), httpx.Response(503), httpx.ConnectError("x"), httpx.ReadTimeout("x")]
)
def test_a_failure_that_a_second_attempt_heals_is_none(clock: FakeClock, failure: Answer) -> None:
    """As a real client does; but the attempts are told."""
    tally = play(clock, Scripted(lambda number: failure if number == 1 else fine(number)))
    assert (tally.asked, tally.answered, tally.attempts) == (1, 1, 2)


def test_a_user_whose_patience_ends_has_got_no_answer(clock: FakeClock) -> None:
    """Three attempts, each pause longer than the one before; what the last one met is told."""
    backend = Scripted(lambda _: httpx.Response(502))
    tally = play(clock, backend)

    assert (tally.asked, tally.answered, tally.attempts, tally.failures) == (1, 0, 3, {"502": 1})
    first, second, third = backend.asked
    assert 0.5 <= second - first <= 1.0 <= third - second <= 2.0
    assert not tally.kept


@pytest.mark.parametrize(
    ("said", "waited"), [("4", 4.0), ("3600", LONGEST_WAIT), ("soon", 1.0), ("-5", 1.0), ("٣", 1.0)]
)
def test_the_server_may_say_when_to_come_again(clock: FakeClock, said: str, waited: float) -> None:
    """Within the user's patience; what is no number of seconds says nothing."""
    refusal = httpx.Response(503, headers=[(b"retry-after", said.encode())])
    backend = Scripted(lambda number: refusal if number == 1 else fine(number))
    play(clock, backend)

    first, second = backend.asked
    assert waited / 2 <= second - first <= waited
    assert waited == 1.0 or second - first == waited


@pytest.mark.parametrize(
    "answer", [httpx.Response(404), httpx.Response(200, text="<html>"), httpx.Response(200, json=[])]
)
def test_what_is_no_answer_counts_as_none(clock: FakeClock, answer: httpx.Response) -> None:
    """A page that says that all is well, in front of nothing, is a failure too."""
    tally = play(clock, Scripted(lambda _: answer))
    assert (tally.answered, tally.attempts) == (0, 1), "nor would it be another one the next time"
    assert list(tally.failures) == [f"{answer.status_code}, which is no answer"]


@pytest.mark.parametrize(
    ("asked", "answered", "said"),
    [
        (10_000, 9_990, "KEPT: uptime under load 99.900 %, promised 99.9 %"),
        (10_000, 9_989, "NOT KEPT: uptime under load 99.890 %, promised 99.9 %"),
        (1_000_000, 999_999, "KEPT: uptime under load 99.999 %, promised 99.9 %"),
        (10_000_000, 9_999_999, "KEPT: uptime under load 99.999 %, promised 99.9 %"),
        (0, 0, "NOT KEPT: nothing was asked"),
    ],
)
def test_the_verdict_is_the_seeds(asked: int, answered: int, said: str) -> None:
    """99.9 % of the requests, exactly; never rounded up."""
    tally = Tally(asked=asked, answered=answered)
    assert tally.told(60).splitlines()[-1] == said
    assert tally.kept is said.startswith("KEPT")


def test_what_is_told_can_be_read_by_people(clock: FakeClock) -> None:
    """How many, what failed, how often they had to ask, and how long it took."""
    degraded = httpx.Response(200, json={"answer": 1, "degraded": True})
    tally = play(clock, Scripted(lambda n: httpx.Response(503) if n % 4 == 0 else degraded), seconds=3)
    assert [line.split()[0] for line in tally.told(3).splitlines()] == [
        "3",
        "answered",
        "failed",
        "attempts",
        "latency",
        "KEPT:",
    ]
    assert "answered  3, 3 of them with less than all" in tally.told(3)


def test_the_bar_grows_to_its_end() -> None:
    """And no further, where the last users take their time."""
    bars = [bar(Tally(asked=5, answered=4), passed, 10) for passed in (0, 5, 10, 11)]
    assert [line.count("#") for line in bars] == [0, BAR // 2, BAR, BAR]
    assert len({line.index("]") for line in bars}) == 1
    assert bars[1].endswith("  5.0 of 10 s, 5 asked, 1 failed")


async def test_users_come_until_they_are_told_to_stop(tmp_path: Path) -> None:
    """As a container has them: somebody else sees that they come, and whatever they saw, all has gone well."""
    pulse, asked = tmp_path / "pulse", asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        writer.write(response(b"{}", "404 Not Found"))

    async with serving(refuse) as server:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("demo", "load", "--endless", "--rate=50", f"--url={server.url('')}", f"--pulse={pulse}"),
            env=clean_environment(),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await asyncio.wait_for(asked.wait(), PATIENCE)
            pulse.unlink()

            async def touched() -> bool | None:
                return pulse.exists() or None

            await eventually(touched)
            process.send_signal(signal.SIGTERM)
            _, said = await asyncio.wait_for(process.communicate(), PATIENCE)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0
    assert b'msg="users gone"' in said
    assert b" answered=0 " in said
