"""How long a scrape of a thousand series takes: ours, and prometheus_client's own for the same samples."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import prometheus_client
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from councilor.adapters.prometheus import PrometheusMetrics
from councilor.domain.metric import CATALOGUE, Metric, MetricKind, prometheus_name

__all__ = ["FORMATS", "measure_pages"]

FORMATS = ("classic", "OpenMetrics")
_ACCEPTS = ("text/plain", "application/openmetrics-text; version=1.0.0")
_METHODS = {MetricKind.COUNTER: "inc", MetricKind.GAUGE: "set", MetricKind.HISTOGRAM: "observe"}

Write = Callable[[float], object]


def measure_pages(times: int) -> tuple[int, dict[str, dict[str, float]]]:
    """The number of series, and for ours and the library the median milliseconds of each format for 1,000 of them."""
    ours, registry = PrometheusMetrics(), prometheus_client.CollectorRegistry()
    prometheus_client.disable_created_metrics()
    prometheus_client.ProcessCollector(registry=registry)
    writes = [write for metric in CATALOGUE.values() for write in _series(metric, ours, registry)]
    renderers: dict[tuple[str, str], Callable[[], bytes]] = {
        ("ours", FORMATS[0]): lambda: ours.render(_ACCEPTS[0])[1],
        ("ours", FORMATS[1]): lambda: ours.render(_ACCEPTS[1])[1],
        ("library", FORMATS[0]): lambda: prometheus_client.generate_latest(registry),
        ("library", FORMATS[1]): lambda: generate_openmetrics(registry),
    }
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in renderers}
    for turn in range(times):
        for number, write in enumerate(writes):
            if number % 4 == turn % 4:
                write(0.3 + turn)
        for key, render in renderers.items():
            began = time.perf_counter()
            body = render()
            taken[key].append(1000 * (time.perf_counter() - began))
    series = sum(not line.startswith(b"#") for line in body.splitlines())
    found: dict[str, dict[str, float]] = {"ours": {}, "library": {}}
    for (whose, form), each_ms in taken.items():
        found[whose][form] = statistics.median(each_ms) * 1000 / series
    return series, found


def _series(metric: Metric, ours: PrometheusMetrics, registry: prometheus_client.CollectorRegistry) -> list[Write]:
    """Each series that the catalogue allows, so that a value goes to both."""
    names = [label.name for label in metric.labels]
    kinds = {
        MetricKind.COUNTER: prometheus_client.Counter,
        MetricKind.GAUGE: prometheus_client.Gauge,
        MetricKind.HISTOGRAM: prometheus_client.Histogram,
    }
    more = {"buckets": metric.buckets} if metric.buckets else {}
    family = kinds[metric.kind](prometheus_name(metric), metric.help, names, registry=registry, **more)

    def both(labels: dict[str, str]) -> Write:
        theirs = getattr(family.labels(**labels) if labels else family, _METHODS[metric.kind])
        emit = getattr(ours.bind(labels), metric.kind)

        def write(v: float) -> None:
            theirs(v)
            emit(metric.id, {}, v)

        return write

    return [both(_nth(metric, number)) for number in range(metric.max_sets)]


def _nth(metric: Metric, number: int) -> dict[str, str]:
    """The nth combination of a metric's labels."""
    labels = {}
    for label in metric.labels:
        number, index = divmod(number, label.size)
        labels[label.name] = label.values[index] if label.values else f"{label.name}_{index}"
    return labels
