"""What holds for every backend on top of any way to write: nothing reaches the caller, and losses are told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.metric import CATALOGUE, Metric
from councilor.guards.cardinality import Cardinality
from councilor.guards.instruments import Instruments, Write


class Sink:
    """Writes into a dictionary, or raises."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        self.made = 0
        self.broken: set[str] = set()
        self.unmakeable: set[str] = set()

    def make(self, metric: Metric, values: tuple[str, ...]) -> Write:
        self.made += 1
        if metric.id in self.unmakeable:
            raise OSError("no series today")
        seen = self.seen.setdefault((metric.id, values), [])

        def write(v: float) -> None:
            if metric.id in self.broken:
                raise RuntimeError("broken")
            seen.append(v)

        return write

    def values(self, name: str, *labels: str) -> list[float]:
        return self.seen.get((name, labels), [])


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def instruments(sink: Sink) -> Instruments:
    return Instruments(sink.make, backend="statsd", cardinality=Cardinality())


def test_a_series_is_made_once(sink, instruments):
    bound = instruments.bind({"gate": "lint"})
    for _ in range(3):
        instruments.counter("v3.gate.seconds", {"gate": "lint"}, 2)
        bound.counter("v3.gate.seconds", {}, 3)
    assert sink.values("v3.gate.seconds", "lint") == [2, 3, 2, 3, 2, 3]
    assert sink.made == 1


def test_threads_make_a_series_once(sink, instruments):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: instruments.counter("v3.gate.seconds", {"gate": "lint"}, 1), range(400)))
    assert sink.values("v3.gate.seconds", "lint") == [1] * 400
    assert sink.made == 1


@pytest.mark.parametrize("way", ["broken", "unmakeable"])
def test_a_backend_that_raises_does_not_break_the_caller(sink, instruments, caplog, way):
    getattr(sink, way).update({"v3.council.consensus", "v3.cache.entries", "v3.gate.seconds"})
    for metrics in (instruments, instruments.bind({})):
        for _ in range(3):
            metrics.histogram("v3.council.consensus", {}, 1)
            metrics.gauge("v3.cache.entries", {}, 1)
            metrics.counter("v3.gate.seconds", {"gate": "lint"}, 1)
    assert sum(sink.values("v3.metrics.failures", "statsd")) == 18
    told = [(record.backend, record.metric, record.problem) for record in caplog.records]
    assert len(told) == len(set(told)) == 3
    assert {backend for backend, _, _ in told} == {"statsd"}


def test_a_backend_that_cannot_even_count_its_failures_ends_there(sink, instruments, caplog):
    sink.unmakeable.update(CATALOGUE)
    instruments.counter("v3.gate.seconds", {"gate": "lint"}, 1)
    instruments.counter("v3.metrics.failures", {"backend": "statsd"}, 1)
    assert [record.metric for record in caplog.records] == ["v3.gate.seconds", "v3.metrics.failures"]


def test_failures_are_counted_where_they_are_heard(sink):
    heard = RecordingMetrics()
    instruments = Instruments(sink.make, backend="statsd", cardinality=Cardinality(), report=heard)
    instruments.counter("v3.gate.surprises", {})
    instruments.count_lost(7)
    assert heard.value("v3.metrics.failures", backend="statsd") == 8


def test_a_backend_that_works_again_takes_values_again(sink, instruments):
    sink.unmakeable.add("v3.gate.seconds")
    instruments.counter("v3.gate.seconds", {"gate": "lint"}, 1)
    sink.unmakeable.clear()
    instruments.counter("v3.gate.seconds", {"gate": "lint"}, 5)
    assert sink.values("v3.gate.seconds", "lint") == [5]


def test_a_wrong_kind_is_not_found_by_a_shortcut(sink, instruments):
    instruments.counter("v3.gate.seconds", {"gate": "lint"}, 1)
    instruments.gauge("v3.gate.seconds", {"gate": "lint"}, 9)
    instruments.bind({"gate": "lint"}).histogram("v3.gate.seconds", {}, 9)
    assert sink.values("v3.gate.seconds", "lint") == [1]
    assert sum(sink.values("v3.metrics.failures", "statsd")) == 2


def test_a_label_too_many_is_left_out_every_time(sink, instruments):
    for labels in ({"gate": "lint"}, {"gate": "lint", "host": "a"}, {"host": "b", "gate": "lint"}):
        instruments.counter("v3.gate.seconds", labels, 1)
        instruments.bind(labels).counter("v3.gate.seconds", {}, 1)
    assert sink.values("v3.gate.seconds", "lint") == [1] * 6


def test_labels_in_another_order_are_not_mixed_up(sink, instruments):
    for _ in range(2):
        instruments.counter("v3.model.tokens", {"model": "input", "direction": "output"}, 1)
        instruments.counter("v3.model.tokens", {"direction": "input", "model": "output"}, 2)
    assert sink.values("v3.model.tokens", "input", "output") == [1, 1]
    assert sink.values("v3.model.tokens", "output", "input") == [2, 2]


def test_what_does_not_fit_any_more_is_dropped_and_counted(sink):
    instruments = Instruments(sink.make, backend="statsd", cardinality=Cardinality(budget=0))
    instruments.counter("v3.gate.seconds", {"gate": "lint"}, 1)
    instruments.bind({"gate": "lint"}).counter("v3.gate.seconds", {}, 1)
    assert sink.values("v3.metrics.overflow", "v3.gate.seconds") == [1, 1]
    assert {name for name, _ in sink.seen} == {"v3.metrics.overflow"}


def test_what_is_told_is_bounded(sink, instruments, caplog):
    for number in range(1_000):
        instruments.counter(f"v3.no.{number}{'x' * 10_000}", {})
    assert len(caplog.records) <= 256
    assert max(len(record.metric) for record in caplog.records) == 100
    assert sum(sink.values("v3.metrics.failures", "statsd")) == 1_000


def test_being_interrupted_is_not_swallowed(instruments, sink):
    def interrupt(metric: Metric, values: tuple[str, ...]) -> Write:
        raise KeyboardInterrupt

    instruments = Instruments(interrupt, backend="statsd", cardinality=Cardinality())
    with pytest.raises(KeyboardInterrupt):
        instruments.counter("v3.gate.seconds", {"gate": "lint"}, 1)
