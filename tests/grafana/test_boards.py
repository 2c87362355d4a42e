"""The dashboards as files: current, in order, and about things that exist."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from alerts import pack
from alerts.test_rules import GOLDEN
from grafana import history, lint, reading
from grafana.build import board, boards, limits
from grafana.reading import Json
from uptime_exporter.reliability import Reliability
from uptime_exporter.reliability.checkout import Use

OTHERS = {
    "up",
    "ALERTS",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}
"""What Prometheus and client libraries publish."""


class Pool:
    """A pool of which nothing is used."""

    def __init__(self) -> None:
        self.use = Use("mysql", 15, 5.0)
        self.idle = 0

    async def disconnect(self) -> None:
        """Nothing is open."""


def application() -> set[tuple[str, frozenset[str]]]:
    """Return the name and labels of every series that the toolkit publishes for an application with one of each."""
    toolkit = Reliability("main-backend")
    toolkit.breaker("model_server")
    toolkit.retry("model_server")
    toolkit.pool(Pool())
    toolkit.monitor({"database": lambda: True})
    toolkit.requests.count_one("GET", "/v1/chat", 200, 0.1)
    samples = [sample for family in toolkit.collector.collect() for sample in family.samples]
    named = {(sample.name, frozenset(sample.labels)) for sample in samples}
    told_later = {
        ("uptime_check_up", frozenset({"app", "check"})),
        ("uptime_shutdown_seconds", frozenset({"app"})),
    }
    return named | told_later


ALL = pytest.mark.parametrize("shown", reading.boards(), ids=lambda shown: shown["uid"])


def test_the_files_are_what_the_builder_makes() -> None:
    """`python -m grafana.build` would change nothing."""
    committed = {path.stem: path.read_text(encoding="utf-8") for path in boards.FOLDER.glob("*.json")}
    assert committed == {each.uid: each.text() for each in boards.ALL}


def test_alerts_point_at_the_front_door() -> None:
    """Whoever follows the link of an alert lands on a dashboard that is there."""
    uids = {rule["annotations"]["dashboard_url"].rpartition("/")[2] for rule in pack.alerts()}
    assert uids == {board.OVERVIEW}
    assert board.OVERVIEW in {shown["uid"] for shown in reading.boards()}


@ALL
def test_linters_have_nothing_against_them(shown: Json) -> None:
    """Neither Grafana's dashboard-linter nor `gcx lint`, but for what is excepted with a reason."""
    assert [str(complaint) for complaint in lint.complaints(shown)] == []


def _first(shown: Json) -> Json:
    return reading.panels(shown)[0]


def _first_asked(shown: Json) -> Json:
    target: Json = _first(shown)["targets"][0]
    return target


def _variable(shown: Json, name: str) -> Json:
    return next(each for each in shown["templating"]["list"] if each["name"] == name)


BROKEN: dict[str, Callable[[Json], Any]] = {
    "template-datasource": lambda s: _variable(s, "datasource").update(name="DS_PROMETHEUS"),
    "template-job": lambda s: _variable(s, "job").update(multi=False),
    "template-instance": lambda s: _variable(s, "instance").update(allValue=None),
    "template-on-time-change-reload": lambda s: _variable(s, "job").update(refresh=1),
    "template-label-promql": lambda s: _variable(s, "job").update(query="label_values(up{, job)"),
    "uneditable-dashboard": lambda s: s.update(editable=True),
    "panel-title-description": lambda s: _first(s).update(description=""),
    "panel-datasource": lambda s: _first(s).update(datasource={"uid": "prometheus"}),
    "panel-no-targets": lambda s: _first(s).update(targets=[]),
    "panel-units": lambda s: _first(s)["fieldConfig"]["defaults"].update(unit="percentage"),
    "panel-ids": lambda s: _first(s).update(id=0),
    "panel-layout": lambda s: _first(s)["gridPos"].update(w=25),
    "target-promql": lambda s: _first_asked(s).update(expr="sum(up"),
    "target-job": lambda s: _first_asked(s).update(expr='up{instance=~"$instance"}'),
    "target-instance": lambda s: _first_asked(s).update(expr='up{job=~"$job"}'),
    "target-counter-agg": lambda s: _first_asked(s).update(
        expr='uptime_probes_total{job=~"$job", instance=~"$instance"}'
    ),
    "target-rate-interval": lambda s: _first_asked(s).update(
        expr='rate(uptime_probes_total{job=~"$job", instance=~"$instance"}[5m])'
    ),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_every_rule_notices_what_it_is_about(rule: str) -> None:
    """A rule that cannot complain would hold for anything."""
    shown = copy.deepcopy(reading.boards()[0])
    BROKEN[rule](shown)
    assert rule in {complaint.rule for complaint in lint.complaints(shown)}


def test_every_exception_is_needed() -> None:
    """An exception that excuses nothing would excuse the next mistake."""
    asked = [
        one for shown in reading.boards() for one in (*reading.queries(shown), *reading.annotations(shown))
    ]
    for exceptions in lint.EXCEPTIONS.values():
        for name, reason in exceptions.items():
            assert any(name in one.expr for one in asked), name
            assert len(reason) > 20


@ALL
def test_nothing_in_them_is_misspelt(shown: Json) -> None:
    """What Grafana's own schema reads of them and writes again is the same; an unknown key would be lost."""
    plugins.register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(shown))))
    assert _lost(shown, again) == []


def _lost(before: Any, after: Any, path: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        return [loss for key in before for loss in _lost(before[key], after.get(key), f"{path}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = zip(before, after, strict=True)
        return [loss for place, pair in enumerate(pairs) for loss in _lost(*pair, f"{path}[{place}]")]
    return [] if before == after else [f"{path}: {before!r} became {after!r}"]


@ALL
def test_they_name_only_what_exists(shown: Json) -> None:
    """Metrics, recorded series and alerts are those that are published, recorded and ruled."""
    published = set(re.findall(r"^# TYPE (\w+)", GOLDEN.read_text(encoding="utf-8"), re.MULTILINE))
    recorded = {rule["record"] for rule in pack.rules() if "record" in rule}
    known = published | recorded | {name for name, _ in application()} | OTHERS
    histograms = {f"{name}{end}" for name in known for end in ("_bucket", "_count", "_sum")}
    for asked in (*reading.queries(shown), *reading.annotations(shown)):
        expr = lint.SAMPLE.expr(asked)
        for selector, _ in lint.selectors(expr):
            assert selector.name in known | histograms, f"{asked}: {selector.name}"
    named = set(re.findall(r"Uptime[A-Z]\w+", json.dumps(shown)))
    assert named <= {rule["alert"] for rule in pack.alerts()}


def test_the_month_has_what_an_application_publishes() -> None:
    """What the tests ask Prometheus about is what the toolkit would have told it, by name and labels."""
    told = {
        (series.partition("{")[0], frozenset(re.findall(r'[{,](\w+)="', series)))
        for series in history.application(history.END, history.RESTART)
    }
    assert told <= application()


@ALL
def test_links_lead_somewhere(shown: Json) -> None:
    """To dashboards that are there, with variables that they have, and to the place of the runbooks."""
    variables = {
        each["uid"]: {variable["name"] for variable in each["templating"]["list"]}
        for each in reading.boards()
    }
    for uid, query in re.findall(r'"/d/([\w-]+)\?([^"]*)"', json.dumps(shown)):
        assert set(re.findall(r"var-(\w+)=", query)) <= variables[uid]
        assert {"${datasource:queryparam}", "${__url_time_range}"} <= set(query.split("&"))
    for address in re.findall(r'"(https://[^"]+)"', json.dumps(shown)):
        assert address.startswith(limits.runbook("").removesuffix(".md"))


@ALL
def test_descriptions_say_what_to_do_when_it_is_red(shown: Json) -> None:
    """Whoever sees a colour reads what it means: each colour of a limit is in the description's words."""
    for panel in reading.panels(shown):
        colours = {step["color"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]}
        words = panel["description"].lower()
        if panel["type"] == "stat" and "#D55E00" in colours:
            assert "red" in words, panel["title"]
        if panel["type"] == "stat" and "#E69F00" in colours:
            assert "orange" in words or "red" in words, panel["title"]


def test_limits_are_those_of_the_alerts() -> None:
    """As a reader of the rules would put them; a rule that says another number changes the panels with it."""
    assert limits.BURN_TIERS == {
        "fast": ("1h", 14.4),
        "slow": ("6h", 6.0),
        "trickle": ("1d", 3.0),
        "drip": ("3d", 1.0),
    }
    assert (limits.BUDGET_LOW, limits.CHECK_FAILURES, limits.REQUEST_FAILURES) == (0.1, 0.05, 0.01)
    assert (limits.CERTIFICATE_SOON_DAYS, limits.CERTIFICATE_LAST_DAYS) == (14, 3)
    assert (limits.STALE_BEATS, limits.CIRCUIT_OPEN_MINUTES, limits.LEDGER_FAILURES) == (3, 5, 3)
    with pytest.raises(limits.MissingLimitError, match="says nothing like"):
        limits.number("UptimeWatchdog", r"> (\d+)")


def test_provisioning_has_all_of_it_in_place_and_no_secret() -> None:
    """A data source at the pace of the scrapes, the dashboards, and the front door as home."""
    folder = reading.ROOT / "grafana" / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "uptime.yaml").read_text(encoding="utf-8"))
    (source,) = sources["datasources"]
    told = yaml.safe_load((pack.ALERTS / "prometheus.yaml").read_text(encoding="utf-8"))
    assert source["type"] == "prometheus"
    assert source["isDefault"] is True
    assert source["jsonData"]["timeInterval"] == told["global"]["scrape_interval"]
    assert float(source["jsonData"]["timeInterval"].removesuffix("s")) == reading.SCRAPE
    providers = yaml.safe_load((folder / "dashboards" / "uptime.yaml").read_text(encoding="utf-8"))
    (provider,) = providers["providers"]
    assert provider["allowUiUpdates"] is False
    everything = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.yaml"))
    assert not re.search(r"^\s*\w*(password|token|secret)\w*:", everything, re.IGNORECASE | re.MULTILINE)
    home = f"DEFAULT_HOME_DASHBOARD_PATH={provider['options']['path']}/{board.OVERVIEW}.json"
    assert home in everything
