"""What each metrics backend exports, read back into the catalogue's own names, labels and units."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic
from statsdserver import StatsdServer

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.prometheus import PrometheusMetrics
from councilor.adapters.statsd import Dialect, StatsdMetrics
from councilor.adapters.system import SystemClock
from councilor.domain.metric import CATALOGUE, Metric, MetricKind, Unit, prometheus_name, statsd_name
from councilor.guards.fanout import Fanout
from councilor.ports.metrics import Labels, MetricsBackend

__all__ = [
    "METERS",
    "BrokenMetrics",
    "FanoutMeter",
    "Meter",
    "PrometheusMeter",
    "Reading",
    "RecordingMeter",
    "StatsdMeter",
    "read_page",
]

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass
class Reading:
    """Everything that was exported."""

    values: dict[Series, float] = field(default_factory=dict)
    counts: dict[Series, int] = field(default_factory=dict)
    sums: dict[Series, float] = field(default_factory=dict)

    def value(self, name: str, **labels: str) -> float:
        return self.values.get((name, frozenset(labels.items())), 0.0)

    def count(self, name: str, **labels: str) -> int:
        return self.counts.get((name, frozenset(labels.items())), 0)

    def sum(self, name: str, **labels: str) -> float:
        return self.sums.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str) -> float:
        return sum(v for series, v in self.values.items() if series[0] == name)

    def sets(self, name: str) -> set[frozenset[tuple[str, str]]]:
        return {labels for found, labels in [*self.values, *self.counts] if found == name}


class Meter(Protocol):
    """A backend and a way to see what it exports."""

    metrics: MetricsBackend

    def read(self) -> Reading: ...

    def close(self) -> None: ...


class RecordingMeter:
    def __init__(self) -> None:
        self.metrics = RecordingMetrics()

    def read(self) -> Reading:
        reading = Reading(values={series: float(v) for series, v in self.metrics._values.items()})
        for series, seen in self.metrics._observed.items():
            reading.counts[series], reading.sums[series] = len(seen), sum(seen)
        return reading

    def close(self) -> None: ...


class PrometheusMeter:
    def __init__(self) -> None:
        self.metrics = PrometheusMetrics()

    def read(self) -> Reading:
        return read_page(self.metrics.render("")[1].decode())

    def close(self) -> None: ...


class StatsdMeter:
    def __init__(self, dialect: Dialect = Dialect.DOGSTATSD) -> None:
        self.server, self.dialect = StatsdServer(), dialect
        self.metrics = StatsdMetrics(
            host="127.0.0.1", port=self.server.port, dialect=dialect, flush_s=0.05, clock=SystemClock()
        )
        self.metrics.__enter__()

    def read(self) -> Reading:
        """Ends the sending, so that all of it is here."""
        self.metrics.__exit__(None, None, None)
        reading = Reading()
        for line in self.server.lines():
            self._read_line(line, reading)
        return reading

    def _read_line(self, line: str, reading: Reading) -> None:
        name, _, rest = line.partition(":")
        number, kind, *tags = rest.split("|")
        metric, labels = self._named(name, tags)
        value = float(number) / (1000 if metric.unit is Unit.SECONDS else 1)
        series = metric.id, frozenset(labels.items())
        if metric.kind is MetricKind.HISTOGRAM:
            assert kind == ("ms" if metric.unit is Unit.SECONDS else "h")
            reading.counts[series] = reading.counts.get(series, 0) + 1
            reading.sums[series] = reading.sums.get(series, 0.0) + value
        elif metric.kind is MetricKind.COUNTER:
            assert kind == "c"
            reading.values[series] = reading.values.get(series, 0.0) + value
        else:
            assert kind == "g"
            is_change = self.dialect is Dialect.PLAIN and number.startswith(("-", "+"))
            reading.values[series] = reading.values[series] + value if is_change else value

    def _named(self, name: str, tags: list[str]) -> tuple[Metric, dict[str, str]]:
        if self.dialect is Dialect.DOGSTATSD:
            (metric,) = (metric for metric in CATALOGUE.values() if statsd_name(metric) == name)
            pairs = tags[0].removeprefix("#").split(",") if tags else []
            return metric, dict(pair.split(":", 1) for pair in pairs)
        assert not tags
        found = [each for each in CATALOGUE.values() if f"{name}.".startswith(f"{statsd_name(each)}.")]
        metric = max(found, key=lambda each: len(statsd_name(each)))
        values = name.removeprefix(statsd_name(metric)).split(".")[1:]
        return metric, dict(zip((label.name for label in metric.labels), values, strict=True))

    def close(self) -> None:
        self.metrics.__exit__(None, None, None)
        self.server.close()


class BrokenMetrics:
    """A backend that raises at every call."""

    def counter(self, name: str, labels: Labels, v: float = 1) -> None:
        raise RuntimeError("broken")

    def gauge(self, name: str, labels: Labels, v: float) -> None:
        raise RuntimeError("broken")

    def histogram(self, name: str, labels: Labels, v: float) -> None:
        raise RuntimeError("broken")

    def bind(self, labels: Labels) -> MetricsBackend:
        raise RuntimeError("broken")


class FanoutMeter(PrometheusMeter):
    """Read where Prometheus would; a broken backend and a StatsD that nobody hears get the calls, too."""

    def __init__(self) -> None:
        self._prometheus = PrometheusMetrics()
        self._statsd = StatsdMetrics(
            host="127.0.0.1", port=9, dialect=Dialect.PLAIN, flush_s=0.05, clock=SystemClock(), report=self._prometheus
        )
        self._statsd.__enter__()
        backends: dict[str, MetricsBackend] = {"broken": BrokenMetrics(), "statsd": self._statsd}
        self.metrics = Fanout(backends | {"prometheus": self._prometheus})  # type: ignore[assignment]

    def read(self) -> Reading:
        return read_page(self._prometheus.render("")[1].decode())

    def close(self) -> None:
        self._statsd.__exit__(None, None, None)


METERS = {
    "recording": RecordingMeter,
    "prometheus": PrometheusMeter,
    "dogstatsd": StatsdMeter,
    "plain statsd": lambda: StatsdMeter(Dialect.PLAIN),
    "fan-out": FanoutMeter,
}


def read_page(page: str, *, openmetrics: bool = False) -> Reading:
    """What a page for Prometheus says, checked on the way: buckets grow, and the last one is the count."""
    families = parse_openmetrics(page) if openmetrics else parse_classic(page)
    reading, named = Reading(), {prometheus_name(metric): metric for metric in CATALOGUE.values()}
    for family in families:
        metric = named.get(family.name) or named.get(f"{family.name}_total")
        if metric is None:
            assert family.name.startswith("process_"), family.name
        elif metric.kind is MetricKind.HISTOGRAM:
            _read_histogram(metric, family.samples, reading)
        else:
            for sample in family.samples:
                reading.values[metric.id, frozenset(sample.labels.items())] = sample.value
    return reading


def _read_histogram(metric: Metric, samples: list, reading: Reading) -> None:
    buckets: dict[Series, dict[float, float]] = {}
    for sample in samples:
        labels = dict(sample.labels)
        edge = float(labels.pop("le", "nan"))
        series = metric.id, frozenset(labels.items())
        if sample.name.endswith("_bucket"):
            buckets.setdefault(series, {})[edge] = sample.value
        elif sample.name.endswith("_count"):
            reading.counts[series] = int(sample.value)
        elif sample.name.endswith("_sum"):
            reading.sums[series] = sample.value
    for series, edges in buckets.items():
        assert tuple(edges) == (*metric.buckets, inf)
        assert list(edges.values()) == sorted(edges.values())
        assert edges[inf] == reading.counts[series]
