"""Metrics in a registry that Prometheus scrapes.

Rules:
- Names, units, help and buckets come from the catalogue. No constant labels: what runs where is in `v3_build_info`.
- A registry of its own: what other libraries register is not exposed. The process's memory, processor time, open files
  and start are.
- A series appears with its first value, never with a zero that nobody measured.
- No `_created` series: they would take more of the budget than the counters themselves.
- All series of a scrape, those that Prometheus adds itself included, stay under `SERIES_BUDGET`.

One registry is one process's, and several processes are several targets: the library's mode for many processes is not
used (docs/adr/0008-metrics.md). It listens nowhere; whoever serves HTTP calls `render`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from councilor.adapters.prometheus.negotiation import CLASSIC, OPENMETRICS, prefers_openmetrics
from councilor.domain.metric import CATALOGUE, SERIES_BUDGET, Metric, MetricKind, Unit, prometheus_name
from councilor.errors import MissingExtraError
from councilor.guards.cardinality import Cardinality
from councilor.guards.instruments import Instruments, Write

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["NOT_OURS", "PrometheusMetrics"]

NOT_OURS = 12
"""Series of a target outside the catalogue: six of the process, five that Prometheus adds, and one to stay under."""

_METHODS = {MetricKind.COUNTER: "inc", MetricKind.GAUGE: "set", MetricKind.HISTOGRAM: "observe"}


class PrometheusMetrics(Instruments):
    """A `MetricsBackend` and an `Exposition`.

    Args:
        catalogue: every metric that there is.

    Raises:
        MissingExtraError: prometheus_client is not installed.
    """

    def __init__(self, *, catalogue: Mapping[str, Metric] = CATALOGUE) -> None:
        try:
            import prometheus_client
            from prometheus_client.openmetrics import exposition as openmetrics
        except ImportError as error:
            raise MissingExtraError(extra="prometheus") from error
        disable_created: Callable[[], None] = prometheus_client.disable_created_metrics
        disable_created()
        self._client = prometheus_client
        self._renderers: dict[str, Callable[[CollectorRegistry], bytes]] = {
            CLASSIC: prometheus_client.generate_latest,
            OPENMETRICS: openmetrics.generate_latest,
        }
        self._registry = prometheus_client.CollectorRegistry()
        self._families: dict[str, Counter | Gauge | Histogram] = {}
        prometheus_client.ProcessCollector(registry=self._registry)
        super().__init__(
            self._series,
            backend="prometheus",
            cardinality=Cardinality(budget=SERIES_BUDGET - NOT_OURS, catalogue=catalogue),
            catalogue=catalogue,
        )

    def render(self, accept: str) -> tuple[str, bytes]:
        """The content type and the text of everything measured so far."""
        kind = OPENMETRICS if prefers_openmetrics(accept) else CLASSIC
        return kind, self._renderers[kind](self._registry)

    def _series(self, metric: Metric, values: tuple[str, ...]) -> Write:
        family = self._families.get(metric.id)
        if family is None:
            family = self._families[metric.id] = self._family(metric)
        child = family.labels(*values) if values else family
        write: Write = getattr(child, _METHODS[metric.kind])
        return write

    def _family(self, metric: Metric) -> Counter | Gauge | Histogram:
        name, labels = prometheus_name(metric), [label.name for label in metric.labels]
        unit = "" if metric.unit is Unit.COUNT else str(metric.unit)
        match metric.kind:
            case MetricKind.COUNTER:
                return self._client.Counter(name, metric.help, labels, unit=unit, registry=self._registry)
            case MetricKind.GAUGE:
                return self._client.Gauge(name, metric.help, labels, unit=unit, registry=self._registry)
            case MetricKind.HISTOGRAM:
                return self._client.Histogram(
                    name, metric.help, labels, unit=unit, registry=self._registry, buckets=metric.buckets
                )
