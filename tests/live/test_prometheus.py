"""A real Prometheus scrapes the exporter, and answers README's questions."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.badservers import closed_port, response, saying, serving
from support.process import Exporter, eventually, exporter
from support.prometheus import Prometheus, prometheus

README = Path(__file__).parents[2] / "README.md"


@dataclass
class Scraped:
    """An exporter and the Prometheus that scrapes it."""

    exporter: Exporter
    prometheus: Prometheus


@pytest.fixture
async def scraped(tmp_path: Path) -> AsyncIterator[Scraped]:
    """A target that is up, one that is degraded, one that is down, one that lies with 200."""
    async with _system(tmp_path) as system:
        yield system


@asynccontextmanager
async def _system(folder: Path) -> AsyncIterator[Scraped]:
    async with (
        serving(saying(response())) as healthy,
        serving(
            saying(response(b'{"status": "degraded", "models": {"whisper": true, "dots_ocr": false}}'))
        ) as half,
        serving(saying(response(b'{"status": "unhealthy", "models_loaded": {}}'))) as lying,
    ):
        urls = {
            "model_server": healthy.url(),
            "asr_ocr_server": half.url(),
            "lying": lying.url(),
            "gone": f"http://127.0.0.1:{closed_port()}/health",
        }
        config = folder / "uptime.yaml"
        targets = {name: {"kind": "http", "url": url} for name, url in urls.items()}
        config.write_text(json.dumps({"targets": targets, "retry_backoff": 0.01}))
        async with (
            exporter("--config", str(config)) as running,
            prometheus(folder, running.url.removeprefix("http://")) as server,
        ):
            yield Scraped(running, server)


async def test_prometheus_sees_what_the_exporter_saw(scraped: Scraped) -> None:
    """`up` is 1, every target has its verdict, and the log holds no warning about the scrape."""
    ups = await eventually(lambda: scraped.prometheus.vector("uptime_target_up", at_least=4))
    assert {metric["target"]: value for metric, value in ups} == {
        "model_server": 1.0,
        "asr_ocr_server": 1.0,
        "lying": 0.0,
        "gone": 0.0,
    }
    assert [value for _, value in await scraped.prometheus.query("up")] == [1.0]
    degraded = await scraped.prometheus.query("uptime_target_degraded == 1")
    assert [metric["target"] for metric, _ in degraded] == ["asr_ocr_server"]
    failures = await scraped.prometheus.query("uptime_probe_failures_total > 0")
    assert {(m["target"], m["reason"]) for m, _ in failures} == {("lying", "body"), ("gone", "connect")}
    assert not re.search(r"level=(warn|error)|WARN|ERROR", scraped.prometheus.log())


async def test_every_query_that_readme_shows_is_answered(scraped: Scraped) -> None:
    """No query of the README is an error, and the first one says what it should."""
    await eventually(lambda: scraped.prometheus.vector("uptime_target_up", at_least=4))
    queries = re.findall(r"```promql\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(queries) >= 4
    answers = [await scraped.prometheus.query(query) for query in queries]
    assert [value for _, value in answers[0]] == [1.0]


async def test_the_scrape_settings_that_readme_shows_are_valid(tmp_path: Path) -> None:
    """Prometheus' own checker takes them."""
    (text,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", README.read_text(), flags=re.DOTALL)
    config = tmp_path / "prometheus.yml"
    config.write_text(text)
    assert await Prometheus.check(config) == ""
