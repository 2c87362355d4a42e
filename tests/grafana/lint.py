"""The rules of Grafana's dashboard-linter and of `gcx lint`, and the exceptions that we make, each with its reason.

Rules: github.com/grafana/dashboard-linter/blob/main/docs/index.md and the code beside it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import promql_parser as promql

from grafana.reading import Asked, Json, View, annotations, panels, queries

UNITS = {"none", "short", "percentunit", "s", "d", "bytes", "reqps", "cps", "dtdurations", "dateTimeAsIso"}
"""Of the linter's list, those that we use; and by prefix our own: `suffix:`."""

SAMPLE = View(
    1_767_225_600.0,
    86_400.0,
    {"job": "job", "instance": "instance", "sla": "sla", "target": "target", "app": "app"},
)
"""Values to put for variables before parsing."""

EXCEPTIONS: Mapping[str, Mapping[str, str]] = {
    "target-instance": {
        "app:uptime_request_failures:ratio5m": "recorded for all instances of an application together",
        "job:api_request_failures:ratio5m": "recorded for all instances of a job together",
        "ALERTS": "some alerts are about no single job or instance",
    },
    "target-job": {"ALERTS": "some alerts are about no single job or instance"},
    "target-counter-agg": {
        "uptime_sla_downtime_seconds_total": "the ledger's totals never go back: a difference is exact",
        "uptime_exporter_ledger_write_failures_total": "counted as its alert counts it",
    },
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that a rule has against a dashboard."""

    rule: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.what}"


Rule = Callable[[Json], Iterator[Complaint]]


def complaints(board: Json) -> list[Complaint]:
    """Return what all rules have against a dashboard."""
    return [complaint for rule in RULES for complaint in rule(board)]


def _variables(board: Json) -> dict[str, Json]:
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def template_datasource(board: Json) -> Iterator[Complaint]:
    """A data source variable named datasource, with no default of our own."""
    found = _variables(board).get("datasource", {})
    if (found.get("type"), found.get("query"), found.get("label")) != (
        "datasource",
        "prometheus",
        "Data source",
    ):
        yield Complaint("template-datasource", board["uid"], str(found))


def template_job_and_instance(board: Json) -> Iterator[Complaint]:
    """Variables job and instance, labelled, several at once, all of them by `.+`."""
    for name in ("job", "instance"):
        found = _variables(board).get(name, {})
        wanted = {"type": "query", "label": name.title(), "multi": True, "includeAll": True, "allValue": ".+"}
        if not wanted.items() <= found.items():
            yield Complaint(f"template-{name}", board["uid"], str(found))


def template_queries(board: Json) -> Iterator[Complaint]:
    """Variables ask our data source a valid question, anew when the range changes."""
    for name, variable in _variables(board).items():
        if variable["type"] != "query":
            continue
        asked = re.fullmatch(r"label_values\((.+), \w+\)", variable["query"])
        if variable["datasource"]["uid"] != "${datasource}" or variable["refresh"] != 2 or not asked:
            yield Complaint("template-on-time-change-reload", name, str(variable))
        elif trouble := _trouble(_put(asked[1])):
            yield Complaint("template-label-promql", name, trouble)


def uneditable(board: Json) -> Iterator[Complaint]:
    """Nobody edits what is generated; and nothing in it depends on where it was made."""
    if board["editable"] or "id" in board or "__inputs" in board or board["schemaVersion"] != 42:
        yield Complaint("uneditable-dashboard", board["uid"], "editable, or exported rather than built")


def panel_dressed(board: Json) -> Iterator[Complaint]:
    """Every panel has a title, a description, our data source, queries, a unit, decimals and a word for nothing."""
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        if not panel["title"] or len(panel.get("description", "")) < 40:
            yield Complaint("panel-title-description", board["uid"], panel["title"])
        if panel["datasource"]["uid"] != "${datasource}" or any(
            target["datasource"]["uid"] != "${datasource}" for target in panel["targets"]
        ):
            yield Complaint("panel-datasource", board["uid"], panel["title"])
        if not panel["targets"]:
            yield Complaint("panel-no-targets", board["uid"], panel["title"])
        if not {"unit", "decimals", "noValue", "thresholds", "mappings"} <= defaults.keys():
            yield Complaint("panel-units", board["uid"], f"{panel['title']}: {sorted(defaults)}")
        for unit in _units(panel):
            if unit not in UNITS and not unit.startswith("suffix:"):
                yield Complaint("panel-units", board["uid"], f"{panel['title']}: {unit}")


def _units(panel: Json) -> Iterator[str]:
    yield panel["fieldConfig"]["defaults"].get("unit", "")
    for override in panel["fieldConfig"]["overrides"]:
        yield from (setting["value"] for setting in override["properties"] if setting["id"] == "unit")


def panel_ids(board: Json) -> Iterator[Complaint]:
    """Every panel can be linked to, and none lies over another or outside."""
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in board["panels"]]
    if sorted(set(ids)) != ids or 0 in ids:
        yield Complaint("panel-ids", board["uid"], str(ids))
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        if cells & taken or at["x"] + at["w"] > 24:
            yield Complaint("panel-layout", board["uid"], f"{panel['title']}: {at}")
        taken |= cells


def target_promql(board: Json) -> Iterator[Complaint]:
    """Every query is valid, asks only for what is chosen, and aggregates counters."""
    for asked in (*queries(board), *annotations(board)):
        if trouble := _trouble(SAMPLE.expr(asked)):
            yield Complaint("target-promql", str(asked), trouble)
            continue
        yield from _selectors(asked)


def _selectors(asked: Asked) -> Iterator[Complaint]:
    for selector, outer in selectors(SAMPLE.expr(asked)):
        said = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
        for label in ("job", "instance"):
            if said.get(label) != label and selector.name not in EXCEPTIONS[f"target-{label}"]:
                yield Complaint(f"target-{label}", str(asked), str(selector.name))
        counts = re.search(r"_(total|count|sum|bucket)$", selector.name or "")
        rated = outer in ("rate", "irate", "increase")
        if counts and not rated and selector.name not in EXCEPTIONS["target-counter-agg"]:
            yield Complaint("target-counter-agg", str(asked), str(selector.name))
    for window in re.findall(r"\b(?:rate|irate|increase)\([^()]*\[([^]]+)\]", asked.expr):
        if window not in ("$__rate_interval", "$__range"):
            yield Complaint("target-rate-interval", str(asked), window)


def selectors(expr: str) -> list[tuple[promql.VectorSelector, str]]:
    """Return every selector of a query, each with the name of the function that takes it."""
    found: list[tuple[promql.VectorSelector, str]] = []

    def visit(node: object, outer: str) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append((node, outer))
        elif isinstance(node, promql.MatrixSelector):
            visit(node.vector_selector, outer)
        elif isinstance(node, promql.Call):
            for argument in node.args:
                visit(argument, node.func.name)
        else:
            for part in ("expr", "lhs", "rhs", "param"):
                visit(getattr(node, part, None), "") if node is not None else None

    visit(promql.parse(expr), "")
    return found


def _put(expr: str) -> str:
    return SAMPLE.expr(Asked("", "", 0, "", expr, instant=True, span=24, every=""))


def _trouble(expr: str) -> str:
    try:
        promql.parse(expr)
    except ValueError as trouble:
        return f"{trouble} in {expr}"
    return ""


RULES: tuple[Rule, ...] = (
    template_datasource,
    template_job_and_instance,
    template_queries,
    uneditable,
    panel_dressed,
    panel_ids,
    target_promql,
)
