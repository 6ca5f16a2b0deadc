"""What a measurement costs: ours against a bare prometheus_client child and OpenTelemetry's SDK, in one run.

What is measured, in nanoseconds for one call with 4 labels:
- raw: `child.inc()` and `child.observe()` of prometheus_client, the child kept. Nothing can be cheaper on this library.
- ours, bound: `metrics.bind(labels)` once, then `bound.counter(name, {})`: names, kinds and values are checked.
- ours, unbound: `metrics.counter(name, {four labels})`, the labels written out at the call as everywhere in the source.
- ours in a fan-out with StatsD, StatsD alone (its thread sends to a socket that nobody reads), and the no-op.
- prometheus_client as most code has it: `metric.labels(...).inc()` each time.
- OpenTelemetry's SDK: `counter.add(1, attributes)`, an in-memory reader, no views.
- A scrape: `render` of at least 1,000 series with one label set in four changed in between, both formats.

Contenders take turns in rounds, each a block of calls in this thread, garbage collection off inside a block; a figure
is the median of its blocks. A ratio is the median over rounds of the ratio within the round: load that comes and goes
hits both sides. `loop` is the empty loop, which is taken off every figure.

`QUICK=1` takes fewer rounds. The last line is JSON: {"bound_x_raw", "unbound_x_raw", "otel_x_ours", "scrape_ms_1000"};
the ratios are of counters and histograms together (the worse of both for the first two, the lesser for the third, which
is OpenTelemetry against ours unbound).
"""

from __future__ import annotations

import gc
import json
import os
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram

from councilor.adapters.prometheus import PrometheusMetrics
from councilor.adapters.statsd import Dialect, StatsdMetrics
from councilor.adapters.system import SystemClock
from councilor.domain.metric import Label, Metric, MetricKind, Unit
from councilor.guards.fanout import Fanout
from councilor.ports.metrics import MetricsBackend, NoMetrics

ROUNDS, QUICK_ROUNDS = 120, 25
CALLS = 5_000
SCRAPES, QUICK_SCRAPES = 150, 40
BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
NAMES = ("port", "method", "outcome", "risk_tier")
LABELS = {"port": "artifacts", "method": "put", "outcome": "finished", "risk_tier": "2"}
AIMS = {"bound_x_raw": "<= 1.5", "unbound_x_raw": "<= 3", "scrape_ms_1000": "<= 12"}

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
    gc.collect()
    gc.disable()
    began = time.perf_counter_ns()
    block(CALLS)
    elapsed = time.perf_counter_ns() - began
    gc.enable()
    return elapsed / CALLS


def catalogue() -> dict[str, Metric]:
    """A counter and a histogram with 4 labels, and what backends say about themselves."""
    from councilor.domain.metric import CATALOGUE
    from councilor.guards.cardinality import OWN

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


def scrapes_ms(times: int) -> dict[str, float]:
    """The median of a page with a thousand series of real metrics."""
    from councilor.domain.metric import CATALOGUE

    metrics, sets = PrometheusMetrics(), list[tuple[Metric, dict[str, str]]]()
    for metric in CATALOGUE.values():
        for number in range(metric.max_sets):
            sets.append((metric, nth(metric, number)))
            emit(metrics, *sets[-1])
    taken: dict[str, list[float]] = {"": [], "application/openmetrics-text": []}
    for turn in range(times):
        for metric, labels in sets[turn % 4 :: 4]:
            emit(metrics, metric, labels)
        for accept, found in taken.items():
            began = time.perf_counter()
            body = metrics.render(accept)[1]
            found.append(1000 * (time.perf_counter() - began))
    series = sum(not line.startswith(b"#") for line in body.splitlines())
    classic, openmetrics = (statistics.median(found) for found in taken.values())
    return {"series": series, "classic": classic * 1000 / series, "openmetrics": openmetrics * 1000 / series}


def nth(metric: Metric, number: int) -> dict[str, str]:
    """The nth combination of a metric's labels."""
    labels = {}
    for label in metric.labels:
        number, index = divmod(number, label.size)
        labels[label.name] = label.values[index] if label.values else f"{label.name}_{index}"
    return labels


def emit(metrics: MetricsBackend, metric: Metric, labels: dict[str, str]) -> None:
    """One value of any metric."""
    match metric.kind:
        case MetricKind.COUNTER:
            metrics.counter(metric.id, labels, 1.5)
        case MetricKind.GAUGE:
            metrics.gauge(metric.id, labels, 1.5)
        case MetricKind.HISTOGRAM:
            metrics.histogram(metric.id, labels, 0.3)


def ratio(of: list[float], to: list[float], loop: list[float]) -> float:
    """The median over rounds."""
    return statistics.median((a - c) / (b - c) for a, b, c in zip(of, to, loop, strict=True))


def compare(rounds: int) -> list[Contender]:
    """Everybody's turns: the loop, raw, ours bound and unbound come first, then OpenTelemetry, then the rest."""
    metrics = catalogue()
    with ExitStack() as stack:
        ours, datagrams = PrometheusMetrics(catalogue=metrics), statsd(stack, metrics)
        both = Fanout({"prometheus": PrometheusMetrics(catalogue=metrics), "statsd": datagrams})
        contenders = [
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
        for turn in range(rounds):
            for place in range(len(contenders)):
                contenders[(place + turn) % len(contenders)].take_a_turn()
    return contenders


def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    quick, began = bool(os.environ.get("QUICK")), time.perf_counter()
    contenders = compare(QUICK_ROUNDS if quick else ROUNDS)
    loop, bare, fixed, free, otel, *_ = contenders
    print(f"{'ns for one call, 4 labels':<32}{'counter':>10}{'x raw':>8}{'histogram':>12}{'x raw':>8}")
    for each in contenders[1:]:
        count = statistics.median(each.counter_ns) - statistics.median(loop.counter_ns)
        observe = statistics.median(each.histogram_ns) - statistics.median(loop.histogram_ns)
        times = ratio(each.counter_ns, bare.counter_ns, loop.counter_ns)
        times_h = ratio(each.histogram_ns, bare.histogram_ns, loop.histogram_ns)
        print(f"{each.name:<32}{count:>10.0f}{times:>8.2f}{observe:>12.0f}{times_h:>8.2f}")
    pages = scrapes_ms(QUICK_SCRAPES if quick else SCRAPES)
    print(
        f"a scrape, for 1,000 series: classic {pages['classic']:.1f} ms, OpenMetrics {pages['openmetrics']:.1f} ms"
        f" (measured with {pages['series']:.0f})"
    )
    figures = {
        "bound_x_raw": max(worse(fixed, bare, loop)),
        "unbound_x_raw": max(worse(free, bare, loop)),
        "otel_x_ours": min(worse(otel, free, loop)),
        "scrape_ms_1000": max(pages["classic"], pages["openmetrics"]),
    }
    print("aims: " + ", ".join(f"{name} {aim}" for name, aim in AIMS.items()))
    found = {name: round(value, 2) for name, value in figures.items()}
    print(json.dumps(found | {"elapsed_s": round(time.perf_counter() - began, 1)}))


def worse(of: Contender, to: Contender, loop: Contender) -> tuple[float, float]:
    """The ratios of counters and of histograms."""
    return (
        ratio(of.counter_ns, to.counter_ns, loop.counter_ns),
        ratio(of.histogram_ns, to.histogram_ns, loop.histogram_ns),
    )


if __name__ == "__main__":
    main()
