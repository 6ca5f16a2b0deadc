"""The metric catalogue, its wire names, and the recorder that holds code to it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.metric import (
    CATALOGUE,
    OTHER,
    SERIES_BUDGET,
    Label,
    Metric,
    MetricKind,
    Unit,
    prometheus_name,
    statsd_name,
)
from councilor.ports.metrics import MetricsBackend, NoMetrics

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = pytest.mark.parametrize("metric", CATALOGUE.values(), ids=lambda metric: metric.id)


@ENTRIES
def test_an_entry_is_well_formed(metric: Metric):
    assert re.fullmatch(r"v3(\.[a-z][a-z_]*){2}", metric.id)
    assert metric.help.endswith(".")
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in metric.label_names)
    assert len(metric.label_names) == len(metric.labels)
    assert not metric.label_names & {"le", "quantile"}, "Prometheus's own"
    assert not metric.label_names & {"host", "commit"} or metric.id == "v3.build.info", "the target's"
    assert all(bool(label.values) != bool(label.cap) for label in metric.labels)
    assert all(OTHER not in label.values for label in metric.labels)
    assert bool(metric.buckets) == (metric.kind is MetricKind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))


@ENTRIES
def test_a_prometheus_name_is_one_that_promtool_accepts(metric: Metric):
    name = prometheus_name(metric)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert not re.search(r"_(ms|milliseconds|kilobytes|minutes)(_|$)|_(count|sum|bucket)$", name)
    if metric.unit is not Unit.COUNT:
        assert name.removesuffix("_total").endswith(f"_{metric.unit}")


def test_names_on_the_wire():
    consensus = CATALOGUE["v3.council.consensus"]
    assert prometheus_name(consensus) == "v3_council_consensus_seconds"
    assert statsd_name(consensus) == "v3.council.consensus"
    assert consensus.alias == "council.consensus.ms"
    assert prometheus_name(CATALOGUE["v3.port.seconds"]) == "v3_port_seconds"
    assert statsd_name(CATALOGUE["v3.port.seconds"]) == "v3.port.ms"
    assert prometheus_name(CATALOGUE["v3.verdict.decisions"]) == "v3_verdict_decisions_total"
    ratio = Metric(id="v3.cache.hit", kind=MetricKind.GAUGE, unit=Unit.RATIO, help="Hits.")
    assert prometheus_name(ratio) == "v3_cache_hit_ratio"


def test_wire_names_are_unique():
    for derive in (prometheus_name, statsd_name):
        assert len({derive(metric) for metric in CATALOGUE.values()}) == len(CATALOGUE)


def test_buckets_include_the_edges_of_the_service_levels():
    assert {0.5, 5.0} <= set(CATALOGUE["v3.council.consensus"].buckets)
    assert max(CATALOGUE["v3.council.consensus"].buckets) > 5.0


def test_everything_together_stays_within_the_series_budget():
    assert sum(metric.max_series for metric in CATALOGUE.values()) < SERIES_BUDGET


def test_series_are_counted_as_prometheus_does():
    labels = (Label(name="a", values=("x", "y")), Label(name="b", cap=5))
    histogram = Metric(
        id="v3.a.b", kind=MetricKind.HISTOGRAM, unit=Unit.SECONDS, help=".", labels=labels, buckets=(1, 2)
    )
    assert (histogram.max_sets, histogram.max_series) == (10, 50)
    capped = Metric(id="v3.a.b", kind=MetricKind.COUNTER, unit=Unit.COUNT, help=".", labels=labels, most_sets=4)
    assert (capped.max_sets, capped.max_series) == (4, 4)


def test_the_reference_page_is_what_the_catalogue_says():
    page = runpy.run_path(str(ROOT / "docs" / "generate.py"))["metrics_page"]()
    assert (ROOT / "docs/reference/metrics.md").read_text() == page, "run `python docs/generate.py`"


def test_recorder_adds_counters_and_keeps_observations_apart_by_label():
    metrics = RecordingMetrics()
    metrics.counter("v3.gate.results", {"gate": "lint", "status": "passed"})
    metrics.counter("v3.gate.results", {"status": "failed", "gate": "lint"}, 2)
    metrics.counter("v3.gate.results", {"gate": "lint", "status": "failed"}, 3)
    metrics.histogram("v3.council.consensus", {}, 0.25)
    metrics.histogram("v3.council.consensus", {}, 0.5)
    assert metrics.value("v3.gate.results", gate="lint") == 6
    assert metrics.value("v3.gate.results", status="failed") == 5
    assert metrics.value("v3.gate.results", gate="scope") == 0
    assert metrics.observations("v3.council.consensus") == [0.25, 0.5]
    assert metrics.names() == {"v3.gate.results", "v3.council.consensus"}


def test_recorder_sets_gauges():
    gauge = Metric(id="v3.pool.size", kind=MetricKind.GAUGE, unit=Unit.COUNT, help="Size.")
    metrics = RecordingMetrics(catalogue={gauge.id: gauge})
    metrics.gauge("v3.pool.size", {}, 4)
    metrics.gauge("v3.pool.size", {}, 3)
    assert metrics.value("v3.pool.size") == 3


def test_bound_labels_are_added_to_every_call():
    metrics = RecordingMetrics()
    bound = metrics.bind({"gate": "lint"})
    bound.counter("v3.gate.seconds", {}, 0.5)
    bound.bind({"status": "passed"}).counter("v3.gate.results", {})
    assert metrics.value("v3.gate.seconds", gate="lint") == 0.5
    assert metrics.value("v3.gate.results", gate="lint", status="passed") == 1


@pytest.mark.parametrize(
    ("emit", "why"),
    [
        (lambda m: m.counter("v3.gate.surprises", {}), "not in the metric catalogue"),
        (lambda m: m.histogram("v3.event.appended", {"type": "task.submitted"}, 1), "is a counter"),
        (lambda m: m.counter("v3.task.submitted", {"risk_tier": "1", "user": "me"}), "has the labels"),
        (lambda m: m.counter("v3.task.submitted", {}), "has the labels"),
        (lambda m: m.counter("v3.task.submitted", {"risk_tier": "4"}), "not a declared value"),
        (lambda m: m.counter("v3.task.submitted", {"risk_tier": "1"}, -1), "cannot fall"),
        (lambda m: m.histogram("v3.council.consensus", {}, float("nan")), "not a measurement"),
        (lambda m: m.histogram("v3.council.consensus", {}, -0.1), "below zero"),
        (lambda m: m.bind({"user": "me"}).histogram("v3.council.consensus", {}, 1), "has the labels"),
    ],
)
def test_recorder_refuses_what_is_not_declared(emit, why):
    metrics = RecordingMetrics()
    with pytest.raises(ValueError, match=why):
        emit(metrics)
    assert metrics.names() == frozenset()


def test_the_default_backend_takes_everything_and_keeps_nothing():
    metrics: MetricsBackend = NoMetrics()
    metrics.counter("anything", {"a": "b"}, 3)
    metrics.gauge("anything", {}, 1)
    metrics.histogram("anything", {}, 1)
    assert metrics.bind({"a": "b"}) is metrics
