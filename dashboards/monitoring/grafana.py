"""Dashboards as the JSON that Grafana reads, made with Grafana's own builders.

Rules:
- Every dashboard asks for its data source, and works with any Prometheus.
- Panels are numbered in their order, so that the same code gives the same bytes.
"""

from __future__ import annotations

import itertools
import json

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueTextMode, LegendDisplayMode, LegendPlacement, StackingMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)

from monitoring.backing import BACKING
from monitoring.judging import JUDGING
from monitoring.naming import JOB
from monitoring.overview import OBJECTIVES, OVERVIEW
from monitoring.panel import Board, Form, Panel
from monitoring.working import WORKING

__all__ = ["BOARDS", "dashboard_json"]

BOARDS = (OVERVIEW, JUDGING, WORKING, BACKING, OBJECTIVES)
"""Every dashboard."""

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_WIDTH, _HEIGHT = 8, 8
"""Three panels beside each other, of Grafana's 24 columns."""


def dashboard_json(board: Board) -> str:
    """One dashboard's file."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(f"councilor-{board.name}")
        .tags(["councilor"])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus").label("Data source"))
        .with_variable(_instances())
        .link(dashboard.DashboardLink("councilor").tags(["councilor"]).as_dropdown(True).keep_time(True))
    )
    number = itertools.count(1)
    for row in board.rows:
        made = made.with_row(dashboard.Row(row.title).id(next(number)))
        for panel in row.panels:
            made = made.with_panel(_panel(panel).id(next(number)))
    text = JSONEncoder(sort_keys=True, indent=2).encode(made.build())
    return json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def _instances() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("instance")
        .label("Instance")
        .datasource(_SOURCE)
        .query(f'label_values(up{{job="{JOB}"}}, instance)')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _panel(panel: Panel) -> timeseries.Panel | stat.Panel:
    made = _figure() if panel.form is Form.FIGURE else _lines(panel)
    made = made.title(panel.title).description(panel.says).unit(panel.unit).datasource(_SOURCE)
    made = made.span(_WIDTH).height(_HEIGHT).thresholds(_thresholds(panel))
    for index, query in enumerate(panel.queries):
        asked = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + index))
        made = made.with_target(asked.instant() if panel.form is Form.FIGURE else asked.range())
    return made


def _figure() -> stat.Panel:
    return (
        stat.Panel()
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _lines(panel: Panel) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .calcs(["lastNotNull"])
    )
    made = timeseries.Panel().legend(legend).min(0)
    if panel.form is Form.STACKED:
        made = made.fill_opacity(30).stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    return made


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    steps = [Threshold(value=None, color="green")]
    if panel.limits and panel.low_is_bad:
        orange, red = panel.limits
        steps = [Threshold(value=None, color="red"), Threshold(value=red, color="orange")]
        steps.append(Threshold(value=orange, color="green"))
    elif panel.limits:
        orange, red = panel.limits
        steps += [Threshold(value=orange, color="orange"), Threshold(value=red, color="red")]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
