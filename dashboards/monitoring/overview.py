"""The dashboards that one looks at first: the overview, and what is left of the error budgets."""

from __future__ import annotations

from councilor.domain.promql import duration
from councilor.domain.slo import BURNS, SERVICE, WINDOWS_S
from monitoring.naming import JOB
from monitoring.panel import Board, Form, Panel, Query, Row, grown, quantile, value

__all__ = ["OBJECTIVES", "OVERVIEW"]

_OWN = f'sloth_service="{SERVICE}"'
_LEFT = Panel(
    title="Error budgets left",
    says="Of each objective's 30 days; below zero it is missed.",
    unit="percentunit",
    form=Form.FIGURE,
    queries=(Query(expr=f"slo:period_error_budget_remaining:ratio{{{_OWN}}}", legend="{{sloth_slo}}"),),
    limits=(0.5, 0.1),
    low_is_bad=True,
)

_NOW = Row(
    title="Now",
    panels=(
        Panel(
            title="Alerts that fire",
            says="docs/howto/monitoring.md says for each of them what to do.",
            form=Form.FIGURE,
            queries=(
                Query(
                    expr='count by (alertname, severity) (ALERTS{alertname=~"Councilor.+",alertstate="firing"})',
                    legend="{{alertname}} ({{severity}})",
                ),
            ),
            limits=(1, 1),
        ),
        _LEFT,
        Panel(
            title="Health",
            says="The worst component of each instance: 1 pass, 0.5 warn, 0 fail.",
            form=Form.FIGURE,
            queries=(Query(expr=f"min by (instance) ({value('v3.health.status')})", legend="{{instance}}"),),
            limits=(1, 0.5),
            low_is_bad=True,
        ),
        Panel(
            title="Consensus",
            says="95th percentile; 5 s is promised.",
            unit="s",
            form=Form.FIGURE,
            queries=(Query(expr=quantile("v3.council.consensus", 0.95), legend="p95"),),
            limits=(0.5, 5.0),
        ),
        Panel(
            title="Runs",
            says="Executed, and waiting for an executor.",
            form=Form.FIGURE,
            queries=(
                Query(expr=f"sum({value('v3.engine.running')})", legend="running"),
                Query(expr=f"max({value('v3.engine.queued')})", legend="waiting"),  # of one queue
            ),
        ),
        Panel(
            title="Breakers that are not closed",
            says="0 where every backend is used.",
            form=Form.FIGURE,
            queries=(Query(expr=f"count({value('v3.breaker.state')} > 0) or vector(0)", legend="not closed"),),
            limits=(1, 2),
        ),
    ),
)

_LATELY = Row(
    title="In the time shown",
    panels=(
        Panel(
            title="Ends of tasks",
            says="How tasks ended.",
            form=Form.FIGURE,
            queries=(Query(expr=grown("v3.task.finished", "state"), legend="{{state}}"),),
        ),
        Panel(
            title="Verdicts",
            says="What the council decided.",
            form=Form.FIGURE,
            queries=(Query(expr=grown("v3.verdict.decisions", "decision"), legend="{{decision}}"),),
        ),
        Panel(
            title="Processes",
            says="Which version runs where.",
            form=Form.FIGURE,
            queries=(
                Query(
                    expr=f"count by (version, commit, host) ({value('v3.build.info')})",
                    legend="{{version}} {{commit}} {{host}}",
                ),
            ),
        ),
        Panel(
            title="Features",
            says="Which flags are on, in how many processes.",
            form=Form.FIGURE,
            queries=(Query(expr=f"sum by (feature) ({value('v3.feature.enabled')})", legend="{{feature}}"),),
        ),
        Panel(
            title="Reachable",
            says="Whether Prometheus can scrape an instance.",
            form=Form.FIGURE,
            queries=(Query(expr=f'up{{job="{JOB}"}}', legend="{{instance}}"),),
            limits=(1, 1),
            low_is_bad=True,
        ),
    ),
)

OVERVIEW = Board(name="overview", title="councilor: overview", rows=(_NOW, _LATELY))

_BUDGETS = Row(
    title="Error budgets",
    panels=(
        _LEFT,
        Panel(
            title="Objectives",
            says="The share of events that is to be good.",
            unit="percentunit",
            form=Form.FIGURE,
            queries=(Query(expr=f"slo:objective:ratio{{{_OWN}}}", legend="{{sloth_slo}}"),),
        ),
        Panel(
            title="Burn rate now",
            says="1 uses up the budget in exactly its window.",
            queries=(Query(expr=f"slo:current_burn_rate:ratio{{{_OWN}}}", legend="{{sloth_slo}}"),),
            limits=(1, max(burn.factor for burn in BURNS)),
        ),
        Panel(
            title="Burn rate of the window",
            says="Above 1 the objective is missed.",
            queries=(Query(expr=f"slo:period_burn_rate:ratio{{{_OWN}}}", legend="{{sloth_slo}}"),),
            limits=(1, 2),
        ),
        *(
            Panel(
                title=f"Bad events, {duration(window)}",
                says="Their share; no line where there was no event.",
                unit="percentunit",
                queries=(Query(expr=f"slo:sli_error:ratio_rate{duration(window)}{{{_OWN}}}", legend="{{sloth_slo}}"),),
            )
            for window in WINDOWS_S
        ),
        Panel(
            title="Indicators",
            says="Shares without a promise.",
            unit="percentunit",
            queries=(Query(expr="councilor:indicator:ratio_rate5m", legend="{{indicator}}"),),
        ),
    ),
)

OBJECTIVES = Board(name="objectives", title="councilor: objectives", rows=(_BUDGETS,))
