"""Metrics that Prometheus scrapes.

Rules:
- Names, units, help and buckets come from the catalogue. No constant labels: what runs where is in `v3_build_info`.
- What other libraries register with prometheus_client is not exposed. The process's memory, processor time, open files
  and start are, read by that library.
- A series appears with its first value, never with a zero that nobody measured, and has no `_created` beside it.
- All series of a scrape, those that Prometheus adds itself included, stay under `SERIES_BUDGET`.

One page is one process's, and several processes are several targets: prometheus_client's mode for many processes is not
used (docs/adr/0008-metrics.md). It listens nowhere; whoever serves HTTP calls `render`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from councilor.adapters.prometheus.cells import Distribution
from councilor.adapters.prometheus.negotiation import CLASSIC, OPENMETRICS, prefers_openmetrics
from councilor.adapters.prometheus.page import Family
from councilor.domain.metric import CATALOGUE, SERIES_BUDGET, Metric, MetricKind
from councilor.errors import MissingExtraError
from councilor.guards.cardinality import Cardinality
from councilor.guards.instruments import Instruments, Write

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["NOT_OURS", "PrometheusMetrics"]

NOT_OURS = 12
"""Series of a target outside the catalogue: six of the process, five that Prometheus adds, and one to stay under."""


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
            from prometheus_client.utils import floatToGoString
        except ImportError as error:
            raise MissingExtraError(extra="prometheus") from error
        self._written: Callable[[float], str] = floatToGoString
        self._process = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self._process)
        self._process_pages: dict[str, Callable[[CollectorRegistry], bytes]] = {
            CLASSIC: prometheus_client.generate_latest,
            OPENMETRICS: openmetrics.generate_latest,
        }
        self._metrics = catalogue
        self._families: dict[str, Family] = {}
        super().__init__(
            self._series,
            backend="prometheus",
            cardinality=Cardinality(budget=SERIES_BUDGET - NOT_OURS, catalogue=catalogue),
            catalogue=catalogue,
        )

    def render(self, accept: str) -> tuple[str, bytes]:
        """The content type and the text of everything measured so far."""
        kind = OPENMETRICS if prefers_openmetrics(accept) else CLASSIC
        known = [self._families[name] for name in self._metrics if name in self._families]
        text = "".join(line for family in known for line in family.lines(openmetrics=kind is OPENMETRICS))
        return kind, text.encode() + self._process_pages[kind](self._process)

    def _series(self, metric: Metric, values: tuple[str, ...]) -> Write:
        family = self._families.get(metric.id)
        if family is None:
            family = self._families[metric.id] = Family(metric, self._written)
        cell = family.add(values)
        if isinstance(cell, Distribution):
            return cell.observe
        return cell.add if metric.kind is MetricKind.COUNTER else cell.put
