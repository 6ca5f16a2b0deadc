"""The flags decide where measurements go; what is exported passes for what it should be."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from meters import read_page
from statsdserver import StatsdServer

from councilor import __version__
from councilor.adapters.prometheus import PrometheusMetrics
from councilor.adapters.prometheus.backend import NOT_OURS
from councilor.adapters.system import SystemClock
from councilor.app.metrics import open_metrics
from councilor.domain.metric import CATALOGUE, SERIES_BUDGET, Metric, MetricKind
from councilor.errors import MissingExtraError
from councilor.ports.metrics import NoMetrics
from councilor.settings import Settings, load_settings

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def server() -> Iterator[StatsdServer]:
    found = StatsdServer()
    yield found
    found.close()


def chosen(**flags: object) -> Settings:
    return load_settings(flags={name.replace("__", "."): value for name, value in flags.items()})


def test_no_flag_no_metrics():
    with open_metrics(chosen(), clock=SystemClock()) as measuring:
        assert isinstance(measuring.metrics, NoMetrics)
        assert measuring.exposition is None


def test_prometheus_says_what_runs_and_what_is_on():
    with open_metrics(chosen(observability__prometheus=True), clock=SystemClock()) as measuring:
        measuring.metrics.counter("v3.gate.seconds", {"gate": "lint"}, 1.5)
        assert measuring.exposition is not None
        kind, page = measuring.exposition.render("")
    assert kind.startswith("text/plain; version=0.0.4")
    reading = read_page(page.decode())
    assert reading.value("v3.gate.seconds", gate="lint") == 1.5
    assert reading.value("v3.feature.enabled", feature="observability.prometheus") == 1
    assert reading.value("v3.feature.enabled", feature="observability.statsd") == 0
    assert reading.value("v3.feature.enabled", feature="storage.db_artifacts") == 1
    (info,) = reading.sets("v3.build.info")
    assert dict(info)["version"] == __version__
    assert dict(info)["host"] == socket.gethostname()
    assert reading.total("v3.build.info") == 1


@pytest.mark.parametrize("dialect", ["plain", "dogstatsd"])
def test_statsd_alone(server, dialect):
    settings = chosen(observability__statsd=True, statsd__port=server.port, statsd__dialect=dialect)
    with open_metrics(settings, clock=SystemClock()) as measuring:
        assert measuring.exposition is None
        measuring.metrics.counter("v3.gate.seconds", {"gate": "lint"}, 1.5)
    lines = server.lines()
    assert ("v3.gate.ms.lint:1500|c" if dialect == "plain" else "v3.gate.ms:1500|c|#gate:lint") in lines
    assert any(line.startswith("v3.build.info") for line in lines)


def test_both_get_every_call_and_prometheus_tells_what_statsd_lost(server):
    settings = chosen(
        observability__statsd=True, observability__prometheus=True, statsd__port=server.port, statsd__flush_s=0.05
    )
    with open_metrics(settings, clock=SystemClock()) as measuring:
        measuring.metrics.bind({"gate": "lint"}).counter("v3.gate.seconds", {}, 1.5)
        server.wait(lambda: "v3.gate.ms.lint:1500|c" in "\n".join(body.decode() for body in server.datagrams))
        server.close()
        page = ""

        def is_told() -> bool:
            nonlocal page
            measuring.metrics.counter("v3.gate.seconds", {"gate": "lint"}, 0.5)
            page = measuring.exposition.render("")[1].decode() if measuring.exposition else ""
            return read_page(page).value("v3.metrics.failures", backend="statsd") > 0

        StatsdServer.wait(server, is_told)
    assert read_page(page).value("v3.gate.seconds", gate="lint") >= 2


def test_a_backend_that_is_not_installed_ends_the_start(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with (
        pytest.raises(MissingExtraError) as raised,
        open_metrics(chosen(observability__prometheus=True), clock=SystemClock()),
    ):
        pass
    assert "councilor[prometheus]" in raised.value.hint()
    with open_metrics(chosen(), clock=SystemClock()) as measuring:
        measuring.metrics.counter("v3.gate.seconds", {"gate": "lint"}, 1.5)


def everything(metrics: PrometheusMetrics) -> None:
    """As many series as the catalogue has, and more."""
    for metric in CATALOGUE.values():
        choices = [label.values or [f"{label.name}_{n}" for n in range(label.cap + 2)] for label in metric.labels]
        for values in itertools.product(*choices):
            labels = dict(zip((label.name for label in metric.labels), values, strict=True))
            emit(metrics, metric, labels)


def emit(metrics: PrometheusMetrics, metric: Metric, labels: dict[str, str]) -> None:
    match metric.kind:
        case MetricKind.COUNTER:
            metrics.counter(metric.id, labels, 1.5)
        case MetricKind.GAUGE:
            metrics.gauge(metric.id, labels, 1.5)
        case MetricKind.HISTOGRAM:
            metrics.histogram(metric.id, labels, 1.5)


def test_everything_at_once_is_under_the_budget():
    metrics = PrometheusMetrics()
    everything(metrics)
    lines = [line for line in metrics.render("")[1].decode().splitlines() if not line.startswith("#")]
    ours = [line for line in lines if line.startswith("v3_")]
    assert 900 < len(ours) <= SERIES_BUDGET - NOT_OURS
    assert len(lines) + 5 < SERIES_BUDGET, "with what Prometheus adds to each target"
    assert len({line.rsplit(" ", 1)[0] for line in lines}) == len(lines)


def test_promtool_and_the_parser_of_openmetrics_accept_the_page(service_missing):
    promtool = shutil.which("promtool")
    if promtool is None:
        service_missing("promtool is not installed (apt-get install prometheus)")
    metrics = PrometheusMetrics()
    everything(metrics)
    page = metrics.render("")[1]
    found = subprocess.run([str(promtool), "check", "metrics"], input=page, capture_output=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")
    other = metrics.render(OPENMETRICS)[1]
    assert read_page(other.decode(), openmetrics=True).values == read_page(page.decode()).values


def test_scraping_while_threads_emit_shows_whole_observations():
    metrics, done = PrometheusMetrics(), Event()
    labels = [{"port": f"p{number}", "method": "read"} for number in range(8)]

    def work(number: int) -> int:
        bound, turns = metrics.bind(labels[number]), 0
        while not done.is_set():
            bound.histogram("v3.port.seconds", {}, 0.25)
            metrics.counter("v3.gate.results", {"gate": f"g{turns % 40}", "status": "passed"})
            turns += 1
        return turns

    with ThreadPoolExecutor(8) as pool:
        working = [pool.submit(work, number) for number in range(8)]
        before = read_page(metrics.render("")[1].decode())
        for turn in range(30):
            accept = OPENMETRICS if turn % 2 else ""
            page = read_page(metrics.render(accept)[1].decode(), openmetrics=bool(accept))
            for series, count in page.counts.items():
                assert page.sums[series] == count * 0.25, "a sum and its count belong together"
                assert count >= before.counts.get(series, 0)
            before = page
        done.set()
        turns = [future.result() for future in working]
    last = read_page(metrics.render("")[1].decode())
    for number, labelled in enumerate(labels):
        assert last.count("v3.port.seconds", **labelled) == turns[number]
    assert last.total("v3.gate.results") == sum(turns)
