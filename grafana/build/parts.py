"""Panels and queries with the defaults that the SDK does not have: legible, described, with a word for no data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shape
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.build import look
from grafana.build.look import Look

DATASOURCE = shape.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24
REF_IDS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


Panel = Builder[model.Panel]
"""Anything that builds a panel."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus, and what its answers are called."""

    expr: str
    legend: str = ""
    colour: str = ""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: a label, or the value of a query."""

    name: str
    expr: str = ""
    label: str = ""
    look: Look = field(default_factory=lambda: look.COUNT)
    link: str = ""
    link_title: str = ""
    width: int = 0
    painted: bool = False
    """Whether the cell takes the colour of its value."""


AnyPanel = TypeVar("AnyPanel", stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel)


def verdict(
    title: str,
    about: str,
    shown: Look,
    *,
    good: Query,
    soon: Query,
    bad: Query,
    link: str = "",
    span: int = 4,
    height: int = 5,
) -> stat.Panel:
    """Return a number whose colour and word say which of three questions was answered.

    Each question has an answer only where its verdict is true, so limits may be metrics themselves.
    """
    panel = _dressed(stat.Panel(), title, about, shown, (span, height))
    for ref, query, sign, colour in zip(
        "ABC", (good, soon, bad), "✓!✗", (look.GOOD, look.SOON, look.BAD), strict=True
    ):
        panel.with_target(_instant(query.expr, ref).legend_format(f"{sign} {query.legend}"))
        panel.override_by_query(ref, [_fixed(colour)])
    if link:
        panel.data_links([_link("Open", link)])
    return _stat(panel).text_mode(shape.BigValueTextMode.VALUE_AND_NAME).wide_layout(False)


def single(title: str, about: str, shown: Look, expr: str, *, span: int = 4, link: str = "") -> stat.Panel:
    """Return one number."""
    panel = _dressed(stat.Panel(), title, about, shown, (span, 4)).with_target(_instant(expr, "A"))
    if link:
        panel.data_links([_link("Open", link)])
    _stat(panel).text_mode(shape.BigValueTextMode.VALUE)
    return panel if shown.steps or shown.words else panel.color_mode(shape.BigValueColorMode.NONE)


def text(title: str, about: str, expr: str, legend: str, *, span: int = 4) -> stat.Panel:
    """Return what a label says rather than a number."""
    panel = _dressed(stat.Panel(), title, about, Look("none"), (span, 4))
    panel.with_target(_instant(expr, "A").legend_format(legend))
    return _stat(panel).text_mode(shape.BigValueTextMode.NAME).color_mode(shape.BigValueColorMode.NONE)


def _stat(panel: stat.Panel) -> stat.Panel:
    calcs = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    return (
        panel.reduce_options(calcs)
        .color_mode(shape.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(shape.BigValueGraphMode.NONE)
        .justify_mode(shape.BigValueJustifyMode.CENTER)
    )


def lines(
    title: str,
    about: str,
    shown: Look,
    *queries: Query,
    span: int = 12,
    height: int = 8,
    stacked: bool = False,
    bars: bool = False,
) -> timeseries.Panel:
    """Return curves over time; limits are drawn as dashed lines."""
    panel = _dressed(timeseries.Panel(), title, about, shown, (span, height))
    for ref, query in zip(REF_IDS, queries, strict=False):
        panel.with_target(_range(query.expr, ref).legend_format(query.legend))
        if query.colour or query.dashed:
            panel.override_by_query(ref, _line(query))
    panel.color_scheme(build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
    panel.line_width(2).fill_opacity(40 if stacked or bars else 0).show_points(shape.VisibilityMode.AUTO)
    panel.span_nulls(False)
    if stacked:
        panel.stacking(common.StackingConfig().mode(shape.StackingMode.NORMAL).group("A"))
    if bars:
        panel.draw_style(shape.GraphDrawStyle.BARS)
    if shown.steps:
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(shape.GraphThresholdsStyleMode.DASHED)
        )
    return panel.legend(_legend()).tooltip(_tooltip())


def timeline(
    title: str,
    about: str,
    words: Mapping[int, look.Word],
    *queries: Query,
    span: int = 24,
    height: int = 8,
    nothing: str = "? unknown",
) -> statetimeline.Panel:
    """Return states over time, a row for each; where nothing is known there is nothing."""
    shown = Look("none", words=words, nothing=nothing)
    panel = _dressed(statetimeline.Panel(), title, about, shown, (span, height))
    for ref, query in zip(REF_IDS, queries, strict=False):
        panel.with_target(_range(query.expr, ref).legend_format(query.legend))
    return (
        panel.merge_values(True)
        .show_value(shape.VisibilityMode.AUTO)
        .row_height(0.8)
        .fill_opacity(80)
        .per_page(10)
        .legend(_legend(shape.LegendDisplayMode.LIST))
        .tooltip(_tooltip())
    )


def rows(
    title: str,
    about: str,
    *columns: Column,
    sort: str,
    descending: bool = False,
    span: int = 24,
    height: int = 8,
    nothing: str = look.NO_DATA,
) -> table.Panel:
    """Return a table with a row for each set of labels; each query is a column."""
    panel = _dressed(table.Panel(), title, about, Look("none", nothing=nothing), (span, height))
    questions = [column for column in columns if column.expr]
    for ref, column in zip(REF_IDS, questions, strict=False):
        panel.with_target(_instant(column.expr, ref).format(PromQueryFormat.TABLE))
    values = {f"Value #{ref}": column.name for ref, column in zip(REF_IDS, questions, strict=False)}
    if len(questions) == 1:
        values = {"Value": questions[0].name}
    else:
        panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    labels = {column.label: column.name for column in columns if column.label}
    return _columns(panel, columns, labels | values, ["Time"]).sort_by(
        [common.TableSortByFieldState().display_name(sort).desc(descending)]
    )


_EVENTS = 5000
"""Steps of a table of events: as many as the panel has pixels would leave hours out on a narrow screen."""


def events(
    title: str,
    about: str,
    expr: str,
    *columns: Column,
    every: str,
    span: int = 24,
    height: int = 8,
    nothing: str,
) -> table.Panel:
    """Return a table with a row for each time at which a question has an answer, the latest first."""
    panel = _dressed(table.Panel(), title, about, Look("none", nothing=nothing), (span, height))
    panel.with_target(_range(expr, "A").format(PromQueryFormat.TABLE).interval(every)).max_data_points(
        _EVENTS
    )
    names = {column.label: column.name for column in columns}
    return _columns(panel, columns, names, []).sort_by(
        [common.TableSortByFieldState().display_name(columns[0].name).desc(True)]
    )


def _columns(
    panel: table.Panel, columns: Sequence[Column], names: Mapping[str, str], hidden: Sequence[str]
) -> table.Panel:
    places = {column.name: place for place, column in enumerate(columns)}
    options = {
        "excludeByName": dict.fromkeys(hidden, True),
        "includeByName": {},
        "indexByName": {given: places[name] for given, name in names.items()},
        "renameByName": dict(names),
    }
    panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))
    for column in columns:
        panel.override_by_name(column.name, _cells(column))
    return panel.cell_height(shape.TableCellHeight.SM).show_header(True).min_width(60)


def _cells(column: Column) -> list[model.DynamicConfigValue]:
    shown = column.look
    properties: dict[str, Any] = {}
    if column.width:
        properties["custom.width"] = column.width
    if not column.expr and column.label not in ("Value", "Time"):
        properties["noValue"] = "\N{EN DASH}"  # the panel's own word is for an empty table
    else:
        properties |= {"unit": shown.unit, "decimals": shown.decimals, "noValue": shown.nothing}
        properties |= {"mappings": shown.mappings(), "thresholds": shown.thresholds().build()}
    if column.painted:
        properties["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
    if column.link:
        properties["links"] = [_link(column.link_title, column.link).build()]
    return [model.DynamicConfigValue(id_val=key, value=value) for key, value in properties.items()]


def _dressed(panel: AnyPanel, title: str, about: str, shown: Look, size: tuple[int, int]) -> AnyPanel:
    span, height = size
    panel.title(title).description(about).datasource(DATASOURCE).span(span).height(height)
    panel.unit(shown.unit).decimals(shown.decimals).no_value(shown.nothing)
    panel.mappings(shown.mappings()).thresholds(shown.thresholds())
    panel.color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    if shown.lowest is not None:
        panel.min(shown.lowest)
    if shown.highest is not None:
        panel.max(shown.highest)
    return panel


def _instant(expr: str, ref: str) -> prometheus.Dataquery:
    return _query(expr, ref).instant()


def _range(expr: str, ref: str) -> prometheus.Dataquery:
    return _query(expr, ref).range()


def _query(expr: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expr).ref_id(ref).datasource(DATASOURCE)


def _fixed(colour: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def _line(query: Query) -> list[model.DynamicConfigValue]:
    properties = [_fixed(query.colour)] if query.colour else []
    if query.dashed:
        style = {"fill": "dash", "dash": [8, 8]}
        properties.append(model.DynamicConfigValue(id_val="custom.lineStyle", value=style))
    return properties


def _link(title: str, url: str) -> build.DashboardLink:
    return build.DashboardLink(title).url(url)


def _legend(mode: shape.LegendDisplayMode = shape.LegendDisplayMode.LIST) -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(mode)
        .placement(shape.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(shape.TooltipDisplayMode.MULTI).sort(shape.SortOrder.DESCENDING)
