"""The ways to count and to time, each with 4 labels, that `make bench-metrics` compares."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram

from councilor.adapters.prometheus import PrometheusMetrics
from councilor.adapters.statsd import Dialect, StatsdMetrics
from councilor.adapters.system import SystemClock
from councilor.domain.metric import CATALOGUE, Label, Metric, MetricKind, Unit
from councilor.guards.cardinality import OWN
from councilor.guards.fanout import Fanout
from councilor.ports.metrics import MetricsBackend, NoMetrics

__all__ = ["Contender", "line_up", "ratio"]

CALLS = 1_000
"""Of a block: well below the time for which a busy machine lets a process run."""
BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
NAMES = ("port", "method", "outcome", "risk_tier")
LABELS = {"port": "artifacts", "method": "put", "outcome": "finished", "risk_tier": "2"}

Block = Callable[[int], None]


@dataclass
class Contender:
    """One way to count, and the same way to time."""

    name: str
    counter: Block
    histogram: Block
    counter_ns: list[float] = field(default_factory=list)
    histogram_ns: list[float] = field(default_factory=list)

    def take_a_turn(self) -> None:
        """One block of each."""
        self.counter_ns.append(nanoseconds(self.counter))
        self.histogram_ns.append(nanoseconds(self.histogram))


def nanoseconds(block: Block) -> float:
    """Of one call, the loop's own included."""
    began = time.perf_counter_ns()
    block(CALLS)
    return (time.perf_counter_ns() - began) / CALLS


def catalogue() -> dict[str, Metric]:
    """A counter and a histogram with 4 labels, and what backends say about themselves."""
    labels = tuple(Label(name=name, cap=4) for name in NAMES)
    made = (
        Metric(id="v3.bench.calls", kind=MetricKind.COUNTER, unit=Unit.COUNT, help="Calls.", labels=labels),
        Metric(
            id="v3.bench.seconds",
            kind=MetricKind.HISTOGRAM,
            unit=Unit.SECONDS,
            help="Time.",
            labels=labels,
            buckets=BUCKETS,
            most_sets=16,
        ),
    )
    return {metric.id: metric for metric in made} | {name: CATALOGUE[name] for name in OWN}


def empty() -> Contender:
    """The loop itself."""

    def block(calls: int) -> None:
        for _ in range(calls):
            pass

    return Contender("loop", block, block)


def raw() -> Contender:
    """Children of prometheus_client that are kept."""
    registry = CollectorRegistry()
    inc = Counter("raw_calls", "Calls.", NAMES, registry=registry).labels(*LABELS.values())
    observe = Histogram("raw_seconds", "Time.", NAMES, registry=registry, buckets=BUCKETS).labels(*LABELS.values())

    def count(calls: int) -> None:
        for _ in range(calls):
            inc.inc()

    def time_it(calls: int) -> None:
        for _ in range(calls):
            observe.observe(0.3)

    return Contender("prometheus_client, child kept", count, time_it)


def looked_up() -> Contender:
    """prometheus_client with `labels` at each call."""
    registry = CollectorRegistry()
    counter = Counter("labels_calls", "Calls.", NAMES, registry=registry)
    histogram = Histogram("labels_seconds", "Time.", NAMES, registry=registry, buckets=BUCKETS)

    def count(calls: int) -> None:
        for _ in range(calls):
            counter.labels(port="artifacts", method="put", outcome="finished", risk_tier="2").inc()

    def time_it(calls: int) -> None:
        for _ in range(calls):
            histogram.labels(port="artifacts", method="put", outcome="finished", risk_tier="2").observe(0.3)

    return Contender("prometheus_client, labels()", count, time_it)


def bound(name: str, metrics: MetricsBackend) -> Contender:
    """Ours with the labels bound beforehand."""
    sink = metrics.bind(LABELS)

    def count(calls: int) -> None:
        for _ in range(calls):
            sink.counter("v3.bench.calls", {})

    def time_it(calls: int) -> None:
        for _ in range(calls):
            sink.histogram("v3.bench.seconds", {}, 0.3)

    return Contender(f"{name}, bound", count, time_it)


def unbound(name: str, metrics: MetricsBackend) -> Contender:
    """Ours with the labels at each call."""

    def count(calls: int) -> None:
        for _ in range(calls):
            metrics.counter(
                "v3.bench.calls", {"port": "artifacts", "method": "put", "outcome": "finished", "risk_tier": "2"}
            )

    def time_it(calls: int) -> None:
        for _ in range(calls):
            metrics.histogram(
                "v3.bench.seconds", {"port": "artifacts", "method": "put", "outcome": "finished", "risk_tier": "2"}, 0.3
            )

    return Contender(f"{name}, unbound", count, time_it)


def telemetry() -> Contender:
    """OpenTelemetry's SDK."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    meter = MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("bench")
    counter = meter.create_counter("v3.bench.calls")
    histogram = meter.create_histogram("v3.bench.seconds", explicit_bucket_boundaries_advisory=BUCKETS)

    def count(calls: int) -> None:
        for _ in range(calls):
            counter.add(1, {"port": "artifacts", "method": "put", "outcome": "finished", "risk_tier": "2"})

    def time_it(calls: int) -> None:
        for _ in range(calls):
            histogram.record(0.3, {"port": "artifacts", "method": "put", "outcome": "finished", "risk_tier": "2"})

    return Contender("OpenTelemetry SDK", count, time_it)


def statsd(stack: ExitStack, metrics: dict[str, Metric]) -> StatsdMetrics:
    """StatsD whose server is a socket that is never read."""
    server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    server.bind(("127.0.0.1", 0))
    return stack.enter_context(
        StatsdMetrics(
            host="127.0.0.1",
            port=server.getsockname()[1],
            dialect=Dialect.DOGSTATSD,
            flush_s=1.0,
            clock=SystemClock(),
            catalogue=metrics,
        )
    )


def line_up(stack: ExitStack) -> list[Contender]:
    """Everybody: the empty loop, prometheus_client, ours bound and unbound, OpenTelemetry, and then the rest."""
    metrics = catalogue()
    ours, datagrams = PrometheusMetrics(catalogue=metrics), statsd(stack, metrics)
    both = Fanout({"prometheus": PrometheusMetrics(catalogue=metrics), "statsd": datagrams})
    return [
        empty(),
        raw(),
        bound("ours", ours),
        unbound("ours", ours),
        telemetry(),
        looked_up(),
        bound("ours, no-op", NoMetrics()),
        unbound("ours, no-op", NoMetrics()),
        bound("ours, StatsD", datagrams),
        unbound("ours, StatsD", datagrams),
        bound("ours, both", both),
        unbound("ours, both", both),
    ]


def ratio(of: Sequence[float], to: Sequence[float], loop: Sequence[float]) -> float:
    """The median over rounds of the ratio within the round, the loop taken off both."""
    return statistics.median((a - c) / (b - c) for a, b, c in zip(of, to, loop, strict=True))
