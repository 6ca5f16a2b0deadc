"""The text that Prometheus scrapes, of the metrics in the catalogue.

Rules:
- Byte for byte what prometheus_client writes for the same samples; tests compare the two. Only that here the names and
  labels of a series, which never change, are written once and not at every scrape.
- Label names are in alphabetical order, a bucket's `le` among them; families in the order of the catalogue.
- In OpenMetrics a counter's family has no `_total`, and a unit has its line.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/; OpenMetrics 1.0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from councilor.adapters.prometheus.cells import Distribution, Number
from councilor.domain.metric import Metric, MetricKind, Unit, prometheus_name

__all__ = ["Family"]

_QUOTE = r"\""

Written = Callable[[float], str]
"""How a number is written."""


class Family:
    """One metric with all its series.

    Args:
        metric: what the catalogue says about it.
        written: how a number is written.
    """

    def __init__(self, metric: Metric, written: Written) -> None:
        self._metric = metric
        self._written = written
        self._name = prometheus_name(metric)
        self._series: list[tuple[list[str], Number | Distribution]] = []

    def add(self, values: tuple[str, ...]) -> Number | Distribution:
        """A new series.

        Args:
            values: of its labels, in declared order.
        """
        labels = dict(zip((label.name for label in self._metric.labels), values, strict=True))
        if self._metric.kind is MetricKind.HISTOGRAM:
            cell: Number | Distribution = Distribution(self._metric.buckets)
            self._series.append((list(self._parts(labels)), cell))
        else:
            cell = Number()
            self._series.append(([_sample(self._name, labels)], cell))
        return cell

    def lines(self, *, openmetrics: bool) -> Iterator[str]:
        """Its part of the page."""
        yield from self._head(openmetrics)
        written = self._written
        for samples, cell in self._series:
            for sample, value in zip(samples, cell.read(), strict=True):
                yield f"{sample}{written(value)}\n"

    def _head(self, openmetrics: bool) -> Iterator[str]:
        metric = self._metric
        name = self._name.removesuffix("_total") if openmetrics and metric.kind is MetricKind.COUNTER else self._name
        told = _escaped(metric.help)
        yield f"# HELP {name} {told if openmetrics else told.replace(_QUOTE, _QUOTE[1:])}\n"
        yield f"# TYPE {name} {metric.kind}\n"
        if openmetrics and metric.unit is not Unit.COUNT:
            yield f"# UNIT {name} {metric.unit}\n"

    def _parts(self, labels: dict[str, str]) -> Iterator[str]:
        for edge in (*self._metric.buckets, float("inf")):
            yield _sample(f"{self._name}_bucket", labels | {"le": self._written(edge)})
        yield _sample(f"{self._name}_count", labels)
        yield _sample(f"{self._name}_sum", labels)


def _sample(name: str, labels: dict[str, str]) -> str:
    pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in sorted(labels.items()))
    return f"{name}{{{pairs}}} " if pairs else f"{name} "


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
