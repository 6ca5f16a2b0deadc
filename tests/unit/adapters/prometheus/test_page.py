"""The page is, byte for byte, what prometheus_client would have written."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meters import RecordingMeter, read_page
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from councilor.adapters.prometheus import PrometheusMetrics
from councilor.domain.metric import CATALOGUE, Label, Metric, MetricKind, Unit, prometheus_name
from councilor.ports.metrics import MetricsBackend

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
AMOUNTS = st.one_of(
    st.sampled_from([0, 1, 0.1, 0.005, 0.5, 5.0, 1e-9, 123456.0, 1234567.0, 1e15, 1e17, 1e300, 2**53 + 1, True]),
    st.floats(0, 1e6),
    st.integers(0, 10**12),
)


@st.composite
def emits(draw: st.DrawFn) -> tuple[Metric, dict[str, str], float]:
    metric = draw(st.sampled_from(sorted(CATALOGUE.values(), key=lambda metric: metric.id)))
    # Few values, so that series meet; all of them are ones that a backend keeps as they are.
    labels = {
        label.name: draw(st.sampled_from(label.values or ("a", 'q"uote', "back\\slash", "größe")[: label.cap]))
        for label in metric.labels
    }
    amount = draw(AMOUNTS)
    return metric, labels, -amount if metric.kind is MetricKind.GAUGE and draw(st.booleans()) else amount


def emit(metrics: MetricsBackend, metric: Metric, labels: dict[str, str], v: float) -> None:
    getattr(metrics, metric.kind)(metric.id, labels, v)


class Library:
    """The same metrics, kept and written by prometheus_client alone."""

    def __init__(self) -> None:
        self.kept: dict[str, list[tuple[dict[str, str], float]]] = {}

    def emit(self, metric: Metric, labels: dict[str, str], v: float) -> None:
        self.kept.setdefault(metric.id, []).append((labels, v))

    def registry(self, catalogue: dict[str, Metric]) -> prometheus_client.CollectorRegistry:
        registry = prometheus_client.CollectorRegistry()
        for metric in catalogue.values():
            if metric.id in self.kept:
                family = self._family(metric, registry)
                for labels, v in self.kept[metric.id]:
                    child = family.labels(**labels) if labels else family
                    write = {MetricKind.COUNTER: "inc", MetricKind.GAUGE: "set", MetricKind.HISTOGRAM: "observe"}
                    getattr(child, write[metric.kind])(v)
        return registry

    def _family(self, metric: Metric, registry: prometheus_client.CollectorRegistry):
        more = {"buckets": metric.buckets} if metric.kind is MetricKind.HISTOGRAM else {}
        make = {
            MetricKind.COUNTER: prometheus_client.Counter,
            MetricKind.GAUGE: prometheus_client.Gauge,
            MetricKind.HISTOGRAM: prometheus_client.Histogram,
        }[metric.kind]
        names = [label.name for label in metric.labels]
        unit = "" if metric.unit is Unit.COUNT else str(metric.unit)
        return make(prometheus_name(metric), metric.help, names, unit=unit, registry=registry, **more)


@pytest.fixture(autouse=True, scope="module")
def _without_created() -> Iterator[None]:
    prometheus_client.disable_created_metrics()
    yield
    prometheus_client.enable_created_metrics()


def pages(metrics: PrometheusMetrics) -> tuple[str, str]:
    """Both formats, without the part about the process."""
    classic, openmetrics = (metrics.render(accept)[1].decode() for accept in ("", OPENMETRICS))
    assert openmetrics.endswith("# EOF\n")
    cut = "# HELP process_virtual_memory_bytes"
    assert classic.count(cut) == openmetrics.count(cut) == 1
    return classic.split(cut)[0], openmetrics.split(cut)[0]


@given(st.lists(emits(), max_size=30))
def test_the_page_is_what_the_library_writes(given_emits):
    ours, library = PrometheusMetrics(), Library()
    for metric, labels, v in given_emits:
        emit(ours, metric, labels, v)
        library.emit(metric, labels, v)
    registry = library.registry(dict(CATALOGUE))
    classic, openmetrics = pages(ours)
    assert classic == prometheus_client.generate_latest(registry).decode()
    assert openmetrics + "# EOF\n" == generate_openmetrics(registry).decode()


def test_hostile_help_is_escaped_as_the_library_does():
    metric = Metric(
        id="v3.test.odd",
        kind=MetricKind.HISTOGRAM,
        unit=Unit.BYTES,
        help='A "quoted" \\ help\nof two lines.',
        labels=(Label(name="zone", cap=2), Label(name="area", cap=2)),
        buckets=(0.5, 10.0, 1e7, 2.5e9),
    )
    ours, library = PrometheusMetrics(catalogue={metric.id: metric}), Library()
    ours.histogram(metric.id, {"zone": "a\\b", "area": '"'}, 11)
    library.emit(metric, {"zone": "a\\b", "area": '"'}, 11)
    registry = library.registry({metric.id: metric})
    classic, openmetrics = pages(ours)
    assert classic == prometheus_client.generate_latest(registry).decode()
    assert openmetrics + "# EOF\n" == generate_openmetrics(registry).decode()


@given(st.lists(emits(), max_size=40))
def test_both_formats_say_what_was_emitted(given_emits):
    ours, model = PrometheusMetrics(), RecordingMeter()
    for metric, labels, v in given_emits:
        emit(ours, metric, labels, v)
        emit(ours.bind(labels), metric, {}, v)
        for _ in range(2):
            emit(model.metrics, metric, dict(reversed(labels.items())), v)
    expected = model.read()
    for accept in ("", OPENMETRICS):
        found = read_page(ours.render(accept)[1].decode(), openmetrics=bool(accept))
        assert found.values == pytest.approx(expected.values)
        assert found.counts == expected.counts
        assert found.sums == pytest.approx(expected.sums)


def test_an_observation_on_an_edge_is_within_it():
    ours, edges = PrometheusMetrics(), CATALOGUE["v3.council.consensus"].buckets
    for edge in edges:
        ours.histogram("v3.council.consensus", {}, edge)
    lines = [line for line in ours.render("")[1].decode().splitlines() if "consensus_seconds_bucket" in line]
    assert [float(line.split()[-1]) for line in lines] == [*range(1, len(edges) + 1), len(edges)]
    assert lines[-1].startswith('v3_council_consensus_seconds_bucket{le="+Inf"}')


def test_a_sum_beyond_all_numbers_is_still_a_page():
    ours = PrometheusMetrics()
    for _ in range(3):
        ours.counter("v3.gate.seconds", {"gate": "lint"}, 1.7e308)
    assert read_page(ours.render("")[1].decode()).value("v3.gate.seconds", gate="lint") == inf


def test_nothing_is_shown_that_was_not_measured():
    assert pages(PrometheusMetrics()) == ("", "")


def test_backends_of_one_process_do_not_share_series():
    first, second = PrometheusMetrics(), PrometheusMetrics()
    first.counter("v3.gate.seconds", {"gate": "lint"}, 1)
    assert "v3_gate_seconds_total" not in second.render("")[1].decode()
