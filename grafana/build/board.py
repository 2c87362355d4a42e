"""What every dashboard has around its panels: variables, links, annotations, ids, and its JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from grafana.build import limits, look
from grafana.build.parts import DATASOURCE, Panel

OVERVIEW, TARGET, APPLICATION, EXPORTER = (
    "uptime-sla-overview",
    "uptime-target",
    "uptime-application",
    "uptime-exporter",
)

HERE = 'job=~"$job", instance=~"$instance"'
"""What every selector says, so that one of several exporters can be looked at."""

TAG = "uptime"
_KEPT = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${__url_time_range}"

ALERTS = 'alertstate="firing", alertname=~"Uptime.+", alertname!="UptimeWatchdog"'
"""Not by job: some alerts are about no single one."""


@dataclass(frozen=True, slots=True)
class Variable:
    """What the reader may choose beside data source, job and instance."""

    name: str
    label: str
    query: str
    several: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    about: str
    shows: str
    """A selector of series: jobs and instances to choose from."""
    variables: Sequence[Variable]
    rows: Sequence[Row]
    since: str = "now-6h"

    def text(self) -> str:
        """Return the JSON, the same each time."""
        built = json.loads(JSONEncoder(sort_keys=True).encode(self._build()))
        return json.dumps(_mended(built), sort_keys=True, indent=2, ensure_ascii=False) + "\n"

    def _build(self) -> model.Dashboard:
        board = build.Dashboard(self.title).uid(self.uid).tags([TAG]).description(self.about).readonly()
        board.time(self.since, "now").refresh("1m").timezone("browser")
        board.tooltip(model.DashboardCursorSync.CROSSHAIR)
        board.with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        for variable in (*self._always(), *self.variables):
            board.with_variable(_variable(variable))
        for annotation in ANNOTATIONS:
            board.annotation(annotation())
        board.link(_others()).link(_runbooks())
        for row in self.rows:
            board.with_row(build.Row(row.title))
            for panel in row.panels:
                board.with_panel(panel)
        return board.build()

    def _always(self) -> Iterable[Variable]:
        yield Variable("job", "Job", f"label_values({self.shows}, job)")
        within = self.shows[:-1] + ", " if self.shows.endswith("}") else self.shows + "{"
        yield Variable("instance", "Instance", f'label_values({within}job=~"$job"}}, instance)')


def to(uid: str, **variables: str) -> str:
    """Return the address of a dashboard, with what is chosen here and these variables."""
    chosen = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return f"/d/{uid}?{_KEPT}{chosen}"


def _variable(variable: Variable) -> build.QueryVariable:
    made = build.QueryVariable(variable.name).label(variable.label).datasource(DATASOURCE)
    made.query(variable.query).definition(variable.query).sort(model.VariableSort.NATURAL_ASC)
    made.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    if variable.several:
        made.multi(True).include_all(True).all_value(".+")
        made.current(model.VariableOption(selected=True, text="All", value="$__all"))
    return made


def _others() -> build.DashboardLink:
    others = build.DashboardLink("Uptime").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return others.as_dropdown(True).keep_time(True).include_vars(True).icon("external link")


def _runbooks() -> build.DashboardLink:
    address = limits.runbook("").removesuffix(".md")
    link = build.DashboardLink("Runbooks").type(model.DashboardLinkType.LINK).url(address)
    return link.icon("doc").tooltip("What to do about each alert").target_blank(True)


def _annotation(name: str, colour: str, expr: str, title: str, words: str) -> build.AnnotationQuery:
    asked = build.AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).icon_color(colour)
    return asked.expr(expr).step("60s").title_format(title).text_format(words)


def _alerts() -> build.AnnotationQuery:
    which = "alertname, severity, sla, target, circuit, app"
    expr = f"max by ({which}) (max_over_time(ALERTS{{{ALERTS}}}[$__interval]))"
    words = "{{severity}} {{sla}} {{target}} {{circuit}} {{app}}"
    return _annotation("Firing alerts", look.BAD, expr, "{{alertname}}", words)


def _restarts() -> build.AnnotationQuery:
    expr = f"max by (job, instance) (process_start_time_seconds{{{HERE}}}) * 1000"
    asked = _annotation("Restarts", look.BLUE, expr, "Restarted", "{{job}} {{instance}}")
    return asked.use_value_for_time(True)


def _openings() -> build.AnnotationQuery:
    opened = f'uptime_circuit_transitions_total{{{HERE}, to="open"}}'
    expr = f"sum by (app, circuit) (increase({opened}[$__rate_interval])) > 0"
    return _annotation("Circuit openings", look.SOON, expr, "Circuit opened", "{{app}}: {{circuit}}")


ANNOTATIONS = (_alerts, _restarts, _openings)


def _mended(board: dict[str, Any]) -> dict[str, Any]:
    """Put right what the SDK gets wrong by default."""
    for shown in (*board["links"], *board["annotations"]["list"]):
        shown.pop("placement", None)  # it hides them in a menu
    for variable in board["templating"]["list"]:
        for noise in ("auto", "auto_count", "auto_min"):  # of another kind of variable
            variable.pop(noise, None)
    for number, panel in enumerate(board["panels"], start=1):
        panel["id"] = number  # it gives none, and links to a panel need one
        panel.pop("repeatDirection", None)
        for column in panel.get("fieldConfig", {}).get("overrides", ()):
            for setting in column["properties"]:
                if setting["id"] == "links":
                    for link in setting["value"]:
                        link.pop("placement", None)
        for link in panel.get("fieldConfig", {}).get("defaults", {}).get("links", ()):
            link.pop("placement", None)
    return board
