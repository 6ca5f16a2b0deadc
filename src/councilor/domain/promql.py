"""What objectives and catalogue metrics are in PromQL, Prometheus' query language.

Rules:
- A ratio has no value where nothing happened: neither 0 nor NaN stands for "no data".
- A counter of bad events that does not exist yet counts as 0, and one that is new with its first value.
- Every text that stands between quotes comes from the catalogue or from our own source.

It does not ask a server.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ (selectors, durations); an edge is written as the
exposition writes it, `5.0`.
"""

from __future__ import annotations

from collections.abc import Sequence

from councilor.domain.metric import CATALOGUE, MetricKind, prometheus_name
from councilor.domain.slo import Indicator, Selector, Slo

__all__ = ["bad_events", "duration", "error_ratio", "events", "increase", "indicator_ratio", "series", "tally_query"]

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def duration(seconds: float) -> str:
    """A duration such as `5m`, in the largest unit that divides it."""
    whole = round(seconds)
    unit, letter = next((unit, letter) for unit, letter in _UNITS if whole % unit == 0)
    return f"{whole // unit}{letter}"


def series(selector: Selector) -> str:
    """The series that a selector means; of a histogram its count, or one bucket."""
    metric = CATALOGUE[selector.metric]
    name = prometheus_name(metric)
    matchers = [_matcher(label, values) for label, values in selector.where.items()]
    if metric.kind is MetricKind.HISTOGRAM:
        name += "_count" if selector.within is None else "_bucket"
    if selector.within is not None:
        matchers.append(f'le="{float(selector.within)}"')
    return f"{name}{{{','.join(matchers)}}}" if matchers else name


def _matcher(label: str, values: tuple[str, ...]) -> str:
    return f'{label}="{values[0]}"' if len(values) == 1 else f'{label}=~"{"|".join(values)}"'


def increase(selector: Selector, window_s: float) -> str:
    """How often it happened in a window, over all instances.

    `increase` does not see the value that a series begins with, and the first fault is such a value. So a series that
    was not there when the window began counts with its last value, unless it was reset since.
    """
    each, window = series(selector), duration(window_s)
    new = f"last_over_time({each}[{window}]) unless {each} offset {window} unless resets({each}[{window}]) > 0"
    return f"sum(({new}) or increase({each}[{window}]))"


def events(slo: Slo, window_s: float) -> str:
    """How many events a window had."""
    return increase(slo.total, window_s)


def bad_events(slo: Slo, window_s: float) -> str:
    """How many of them were bad."""
    if slo.bad is not None:
        return f"({increase(slo.bad, window_s)} or vector(0))"
    assert slo.good is not None
    return f"({increase(slo.total, window_s)} - {increase(slo.good, window_s)})"


def error_ratio(slo: Slo, window_s: float) -> str:
    """The share of bad events in a window; nothing where there was none."""
    return f"{bad_events(slo, window_s)} / ({events(slo, window_s)} > 0)"


def indicator_ratio(indicator: Indicator, window: str) -> str:
    """An indicator's share in a window such as `5m`."""
    part = f"(sum(rate({series(indicator.part)}[{window}])) or vector(0))"
    return f"{part} / (sum(rate({series(indicator.total)}[{window}])) > 0)"


def tally_query(asked: Sequence[tuple[Slo, float]]) -> str:
    """One expression for totals and bad events of many windows: series with the labels `n` and `part`.

    Args:
        asked: objectives and windows in seconds; `n` is the place in here.
    """
    parts = [
        _labelled(expression, n, part)
        for n, (slo, window_s) in enumerate(asked)
        for part, expression in (("total", events(slo, window_s)), ("bad", bad_events(slo, window_s)))
    ]
    return " or ".join(parts)


def _labelled(expression: str, n: int, part: str) -> str:
    return f'label_replace(label_replace({expression}, "n", "{n}", "", ""), "part", "{part}", "", "")'
