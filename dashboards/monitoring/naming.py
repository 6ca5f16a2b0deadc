"""What catalogue metrics are called in expressions."""

from __future__ import annotations

from councilor.domain.metric import CATALOGUE, MetricKind, prometheus_name

__all__ = ["JOB", "born", "name", "rose"]

JOB = "councilor"
"""The scrape job that the rules speak of."""


def name(metric: str, part: str = "") -> str:
    """A metric's series in Prometheus; of a histogram the `part` `_bucket`, `_count` or `_sum`."""
    declared = CATALOGUE[metric]
    if bool(part) != (declared.kind is MetricKind.HISTOGRAM):
        raise ValueError(f"{metric} is a {declared.kind}: no {part or 'whole'}")
    return prometheus_name(declared) + part


def born(series: str, window: str) -> str:
    """Series that are younger than `window`, with their last value: `increase` does not see a first value."""
    return f"(last_over_time({series}[{window}]) > 0 unless {series} offset {window})"


def rose(series: str, window: str, *by: str) -> str:
    """By how much a counter rose in a window, also one that did not exist before; nothing where it did not."""
    grouped = f" by ({', '.join(by)}) " if by else ""
    return f"sum{grouped}((increase({series}[{window}]) > 0) or {born(series, window)})"
