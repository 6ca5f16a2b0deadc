"""Recording rules and alerts of the objectives, in the naming of sloth, so that its dashboards work with them too.

Rules:
- `slo:sli_error:ratio_rate<window>` for every window that an alert looks at, and for the objective's own.
- The ratio of the objective's window comes from its events, not from averages of ratios: a quiet night has no weight.
- The rules of one objective are one group, so that each sees what the ones before it have just recorded.
- An alert needs both windows of a pair, and enough events in the long one. Two pairs make a page, two a ticket.

Source: https://sloth.dev (the rules that it generates for its first example); The Site Reliability Workbook, chapter 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from councilor.domain.promql import duration, error_ratio, events, indicator_ratio
from councilor.domain.slo import BURNS, INDICATORS, SERVICE, SLOS, WINDOWS_S, Burn, Severity, Slo
from monitoring.alert import Alert
from monitoring.burncases import burn_cases

__all__ = ["BUDGET_ALERTS", "indicator_rules", "recording_rules", "sloth_labels"]

_ORIGIN = {"sloth_mode": SERVICE, "sloth_spec": f"{SERVICE}/v1"}
"""Where sloth would say how it was called: these rules are not its own."""
_PACE = {Severity.PAGE: "far faster than it lasts", Severity.TICKET: "faster than it lasts"}


def sloth_labels(slo: Slo) -> Mapping[str, str]:
    """The labels by which its series are found."""
    return {"sloth_id": f"{SERVICE}-{slo.name}", "sloth_service": SERVICE, "sloth_slo": slo.name}


def recording_rules(slo: Slo) -> Sequence[Mapping[str, object]]:
    """An objective's ratios, then what is made of them."""
    ratios = [
        _rule(f"slo:sli_error:ratio_rate{duration(window_s)}", error_ratio(slo, window_s), slo, window_s)
        for window_s in (*WINDOWS_S, slo.window_s)
    ]
    return [*ratios, *_figures(slo)]


def _figures(slo: Slo) -> Sequence[Mapping[str, object]]:
    chosen = ",".join(f'{name}="{value}"' for name, value in sloth_labels(slo).items())
    shortest, whole = duration(WINDOWS_S[0]), duration(slo.window_s)
    budget = f"on(sloth_id, sloth_slo, sloth_service) group_left slo:error_budget:ratio{{{chosen}}}"
    return [
        _rule("slo:objective:ratio", f"vector({slo.objective})", slo),
        _rule("slo:error_budget:ratio", f"vector({slo.budget})", slo),
        _rule("slo:time_period:days", f"vector({slo.window_days})", slo),
        _rule("slo:current_burn_rate:ratio", f"slo:sli_error:ratio_rate{shortest}{{{chosen}}} / {budget}", slo),
        _rule("slo:period_burn_rate:ratio", f"slo:sli_error:ratio_rate{whole}{{{chosen}}} / {budget}", slo),
        _rule("slo:period_error_budget_remaining:ratio", f"1 - slo:period_burn_rate:ratio{{{chosen}}}", slo),
        _rule("sloth_slo_info", "vector(1)", slo, extra=_ORIGIN | {"sloth_objective": f"{slo.objective * 100:g}"}),
    ]


def _rule(
    record: str, expr: str, slo: Slo, window_s: float | None = None, *, extra: Mapping[str, str] | None = None
) -> Mapping[str, object]:
    window = {} if window_s is None else {"sloth_window": duration(window_s)}
    return {"record": record, "expr": expr, "labels": {**sloth_labels(slo), **window, **(extra or {})}}


def indicator_rules() -> Sequence[Mapping[str, object]]:
    """Shares without an objective."""
    return [
        {
            "record": "councilor:indicator:ratio_rate5m",
            "expr": indicator_ratio(indicator, "5m"),
            "labels": {"indicator": indicator.name},
        }
        for indicator in INDICATORS
    ]


def _alert(slo: Slo, severity: Severity) -> Alert:
    firing, quiet = burn_cases(slo, severity)
    return Alert(
        name=f"Councilor{slo.name.title().replace('-', '')}{'Burn' if severity is Severity.PAGE else 'Wear'}",
        severity=severity,
        expr=" or ".join(_condition(slo, burn) for burn in BURNS if burn.severity is severity),
        for_="0m",
        summary=f"{slo.name}: the error budget is used up {_PACE[severity]}.",
        description=f"{slo.title} Objective: {slo.objective * 100:g} % in {slo.window_days} days.",
        labels={**sloth_labels(slo), "sloth_severity": severity.value},
        fires=firing[0],
        fires_too=firing[1:],
        quiet=tuple(quiet),
    )


def _condition(slo: Slo, burn: Burn) -> str:
    chosen = ", ".join(f'{name}="{value}"' for name, value in sloth_labels(slo).items())
    limit = f"({burn.factor:g} * {slo.budget:g})"
    pair = " and ".join(
        f"max(slo:sli_error:ratio_rate{duration(window)}{{{chosen}}} > {limit}) without (sloth_window)"
        for window in (burn.short_s, burn.long_s)
    )
    return f"({pair} and on() {events(slo, burn.long_s)} >= {slo.least})"


BUDGET_ALERTS = {name: tuple(_alert(slo, severity) for severity in Severity) for name, slo in SLOS.items()}
"""A page and a ticket for each objective."""
