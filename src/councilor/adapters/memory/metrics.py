"""Measurements kept in memory, for tests and for reading a process's own figures.

Rules:
- Stricter than any exporter: a name that is not in the catalogue, the wrong kind, a missing or undeclared label, an
  undeclared value of a closed label, a counter that falls and an observation below zero are errors in our code and
  raise `ValueError`.
- Safe to use from several threads.

It exports nothing and has no buckets: every observation is kept, so it is not for a long-lived service.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import isfinite
from threading import Lock

from councilor.domain.metric import CATALOGUE, Metric, MetricKind
from councilor.ports.metrics import Labels

__all__ = ["RecordingMetrics"]

_Series = tuple[str, frozenset[tuple[str, str]]]


class RecordingMetrics:
    """A `MetricsBackend` that remembers every value by name and labels.

    Args:
        catalogue: what may be emitted.
    """

    def __init__(self, *, catalogue: Mapping[str, Metric] = CATALOGUE) -> None:
        self._catalogue = catalogue
        self._lock = Lock()
        self._values: dict[_Series, float] = {}
        self._observed: defaultdict[_Series, list[float]] = defaultdict(list)

    def counter(self, name: str, labels: Labels, v: float = 1) -> None:
        """Add v >= 0.

        Raises:
            ValueError: not declared so, or v is negative.
        """
        series = self._declared(name, labels, MetricKind.COUNTER, v)
        if v < 0:
            raise ValueError(f"{name}: a counter cannot fall by {-v}")
        with self._lock:
            self._values[series] = self._values.get(series, 0) + v

    def gauge(self, name: str, labels: Labels, v: float) -> None:
        """Set.

        Raises:
            ValueError: not declared so.
        """
        series = self._declared(name, labels, MetricKind.GAUGE, v)
        with self._lock:
            self._values[series] = v

    def histogram(self, name: str, labels: Labels, v: float) -> None:
        """Observe v >= 0 in the declared unit.

        Raises:
            ValueError: not declared so, or v is negative.
        """
        series = self._declared(name, labels, MetricKind.HISTOGRAM, v)
        if v < 0:
            raise ValueError(f"{name}: {v} is below zero")
        with self._lock:
            self._observed[series].append(v)

    def bind(self, labels: Labels) -> _Bound:
        """This sink with `labels` added to every call."""
        return _Bound(self, labels)

    def value(self, name: str, **labels: str) -> float:
        """The sum of a counter or gauge over all series that carry `labels`; 0 when there is none."""
        with self._lock:
            return sum(v for series, v in self._values.items() if _carries(series, name, labels))

    def observations(self, name: str, **labels: str) -> list[float]:
        """A histogram's observations over all series that carry `labels`, in order within each series."""
        with self._lock:
            return [v for series, seen in self._observed.items() if _carries(series, name, labels) for v in seen]

    def names(self) -> frozenset[str]:
        """Every name that was emitted."""
        with self._lock:
            return frozenset(name for name, _ in [*self._values, *self._observed])

    def _declared(self, name: str, labels: Labels, kind: MetricKind, v: float) -> _Series:
        metric = self._catalogue.get(name)
        if metric is None:
            raise ValueError(f"{name} is not in the metric catalogue")
        if metric.kind is not kind:
            raise ValueError(f"{name} is a {metric.kind}, not a {kind}")
        if labels.keys() != metric.label_names:
            raise ValueError(f"{name} has the labels {sorted(metric.label_names)}, not {sorted(labels)}")
        for label in metric.labels:
            if not label.allows(labels[label.name]):
                raise ValueError(f"{name}: {labels[label.name]!r} is not a declared value of {label.name}")
        if not isfinite(v):
            raise ValueError(f"{name}: {v} is not a measurement")
        return name, frozenset((key, str(value)) for key, value in labels.items())


class _Bound:
    """A recorder with labels fixed beforehand."""

    def __init__(self, sink: RecordingMetrics, labels: Labels) -> None:
        self._sink = sink
        self._labels = dict(labels)

    def counter(self, name: str, labels: Labels, v: float = 1) -> None:
        self._sink.counter(name, {**self._labels, **labels}, v)

    def gauge(self, name: str, labels: Labels, v: float) -> None:
        self._sink.gauge(name, {**self._labels, **labels}, v)

    def histogram(self, name: str, labels: Labels, v: float) -> None:
        self._sink.histogram(name, {**self._labels, **labels}, v)

    def bind(self, labels: Labels) -> _Bound:
        return _Bound(self._sink, {**self._labels, **labels})


def _carries(series: _Series, name: str, labels: Mapping[str, str]) -> bool:
    return series[0] == name and labels.items() <= dict(series[1]).items()
