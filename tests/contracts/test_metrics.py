"""Every metrics backend takes the same calls, exports the same figures, and lets nothing out of hand."""

from __future__ import annotations

import itertools
import signal
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

import pytest
from meters import METERS, Meter

from councilor.domain.gate import GateStatus
from councilor.domain.metric import CATALOGUE, OTHER
from councilor.ports.metrics import MetricsBackend, NoMetrics

EXPORTING = tuple(name for name in METERS if name != "recording")
CONSENSUS = CATALOGUE["v3.council.consensus"]


@pytest.fixture(params=METERS)
def meter(request: pytest.FixtureRequest) -> Iterator[Meter]:
    """Every backend that keeps or sends something."""
    found = METERS[request.param]()
    yield found
    found.close()


@pytest.fixture(params=EXPORTING)
def exporting(request: pytest.FixtureRequest) -> Iterator[Meter]:
    """Every backend of a service: these take anything."""
    found = METERS[request.param]()
    yield found
    found.close()


@pytest.fixture(params=[*EXPORTING, "none"])
def tolerant(request: pytest.FixtureRequest) -> Iterator[MetricsBackend]:
    if request.param == "none":
        yield NoMetrics()
        return
    found = METERS[request.param]()
    yield found.metrics
    found.close()


def test_a_counter_adds_up(meter):
    for v in (1, 2.5, 0):
        meter.metrics.counter("v3.gate.results", {"gate": "lint", "status": "passed"}, v)
    meter.metrics.counter("v3.gate.results", {"gate": "lint", "status": "failed"})
    reading = meter.read()
    assert reading.value("v3.gate.results", gate="lint", status="passed") == 3.5
    assert reading.value("v3.gate.results", gate="lint", status="failed") == 1


def test_the_order_of_labels_and_the_type_of_a_text_do_not_matter(meter):
    meter.metrics.counter("v3.gate.results", {"gate": "lint", "status": "passed"})
    meter.metrics.counter("v3.gate.results", {"status": "passed", "gate": "lint"})
    meter.metrics.counter("v3.gate.results", {"status": GateStatus.PASSED, "gate": "lint"})
    assert meter.read().value("v3.gate.results", gate="lint", status="passed") == 3


def test_a_gauge_says_its_last_value(meter):
    for v in (4, -7.5, 3, -2):
        meter.metrics.gauge("v3.cache.entries", {}, v)
    assert meter.read().value("v3.cache.entries") == -2


def test_a_histogram_counts_and_sums_in_seconds(meter):
    for v in (0.0, 0.0123, 0.3, 4.0, 5.0, 900.0):
        meter.metrics.histogram("v3.port.seconds", {"port": "artifacts", "method": "put"}, v)
    reading = meter.read()
    assert reading.count("v3.port.seconds", port="artifacts", method="put") == 6
    assert reading.sum("v3.port.seconds", port="artifacts", method="put") == pytest.approx(909.3123)


def test_a_counter_of_seconds_keeps_its_fractions(meter):
    for _ in range(3):
        meter.metrics.counter("v3.gate.seconds", {"gate": "lint"}, 0.0004)
    assert meter.read().value("v3.gate.seconds", gate="lint") == pytest.approx(0.0012)


def test_bound_and_unbound_calls_are_the_same_series(meter):
    labels = {"gate": "lint", "status": "passed"}
    bound = meter.metrics.bind(labels)
    for _ in range(3):
        bound.counter("v3.gate.results", {})
    meter.metrics.counter("v3.gate.results", labels)
    meter.metrics.bind({"gate": "lint"}).counter("v3.gate.results", {"status": "passed"})
    meter.metrics.bind({"gate": "lint"}).bind({"status": "passed"}).counter("v3.gate.results", {})
    meter.metrics.bind({"gate": "style", "status": "failed"}).counter("v3.gate.results", labels)
    timed = meter.metrics.bind({"port": "log", "method": "read"})
    timed.histogram("v3.port.seconds", {}, 0.5)
    timed.histogram("v3.port.seconds", {}, 0.5)
    meter.metrics.bind({}).gauge("v3.cache.entries", {}, 9)
    reading = meter.read()
    assert reading.value("v3.gate.results", gate="lint", status="passed") == 7
    assert reading.sum("v3.port.seconds", port="log", method="read") == 1
    assert reading.value("v3.cache.entries") == 9


def test_labels_that_are_changed_after_binding_change_nothing(meter):
    labels = {"gate": "lint"}
    bound = meter.metrics.bind(labels)
    labels["gate"] = "style"
    bound.counter("v3.gate.seconds", {}, 2)
    assert meter.read().value("v3.gate.seconds", gate="lint") == 2


def test_many_threads_lose_nothing(meter):
    tiers = ("1", "2", "3")

    def emit(worker: int) -> None:
        bound = meter.metrics.bind({"risk_tier": tiers[worker % 3]})
        for turn in range(500):
            bound.counter("v3.task.submitted", {})
            meter.metrics.counter("v3.task.submitted", {"risk_tier": tiers[turn % 3]})
            meter.metrics.histogram("v3.council.consensus", {}, 0.25)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(emit, range(8)))
    reading = meter.read()
    assert sum(reading.value("v3.task.submitted", risk_tier=tier) for tier in tiers) == 8_000
    assert (reading.count(CONSENSUS.id), reading.sum(CONSENSUS.id)) == (4_000, 1_000)


def test_a_signal_in_the_middle_of_a_change_does_not_wait_for_ever(exporting):
    """Its handler runs in the thread that it interrupts, between any two steps of it."""

    def handle(_number: int, _frame: object) -> None:
        exporting.metrics.counter("v3.gate.seconds", {"gate": "lint"}, 1)
        exporting.metrics.histogram("v3.council.consensus", {}, 0.25)

    before = signal.signal(signal.SIGPROF, handle)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    try:
        until = time.monotonic() + 0.15
        while time.monotonic() < until:
            for _ in range(20):
                exporting.metrics.counter("v3.gate.seconds", {"gate": "lint"}, 1)
                exporting.metrics.histogram("v3.council.consensus", {}, 0.25)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert exporting.read().count("v3.council.consensus") > 20


class Unruly:
    """An object that is no text and does not like to be looked at."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        raise RuntimeError("no")


class Shape(StrEnum):
    ROUND = "round"


WRONG = [
    ("counter", "v3.gate.surprises", {}, 1),
    ("counter", "", {}, 1),
    ("counter", "x" * 2**20, {}, 1),
    ("counter", None, {}, 1),
    ("counter", Unruly(), {}, 1),
    ("gauge", ["v3.cache.entries"], {}, 1),
    ("gauge", "v3.task.submitted", {"risk_tier": "1"}, 1),
    ("histogram", "v3.cache.entries", {}, 1),
    ("counter", "v3.council.consensus", {}, 1),
    ("counter", "v3.task.submitted", {"risk_tier": "1"}, -1),
    ("counter", "v3.task.submitted", {"risk_tier": "1"}, float("nan")),
    ("counter", "v3.task.submitted", {"risk_tier": "1"}, float("inf")),
    ("counter", "v3.task.submitted", {"risk_tier": "1"}, 10**400),
    ("counter", "v3.task.submitted", {"risk_tier": "1"}, "1"),
    ("counter", "v3.task.submitted", {"risk_tier": "1"}, None),
    ("counter", "v3.task.submitted", {"risk_tier": "1"}, Unruly()),
    ("counter", "v3.task.submitted", None, 1),
    ("counter", "v3.task.submitted", ["risk_tier"], 1),
    ("gauge", "v3.cache.entries", {}, float("nan")),
    ("gauge", "v3.cache.entries", {}, float("-inf")),
    ("gauge", "v3.cache.entries", {}, object()),
    ("histogram", "v3.council.consensus", {}, -0.001),
    ("histogram", "v3.council.consensus", {}, float("nan")),
    ("histogram", "v3.council.consensus", {}, float("inf")),
]
ODD_LABELS = [
    {"gate": 'quote"quote'},
    {"gate": "back\\slash"},
    {"gate": "line\nline"},
    {"gate": "carriage\r"},
    {"gate": "nul\0"},
    {"gate": "\ud800"},
    {"gate": "\u202egnp.exe"},
    {"gate": "a|c\nv3.task.submitted:99|c"},
    {"gate": "a,b:c#d|e@f"},
    {"gate": "ä" * 50},
    {"gate": "x" * 2**20},
    {"gate": ""},
    {"gate": None},
    {"gate": b"bytes"},
    {"gate": 7},
    {"gate": 10**5000},
    {"gate": float("nan")},
    {"gate": True},
    {"gate": Shape.ROUND},
    {"gate": Unruly()},
    {"gate": ["lint"]},
    {"gate": {"a": 1}},
    {},
    {"gate": "lint", "host": "h"},
    {"host": "h"},
    {1: 2},
]


@pytest.mark.parametrize("bound", [False, True], ids=["unbound", "bound"])
def test_nothing_that_is_wrong_reaches_the_caller(tolerant, bound):
    for kind, name, labels, v in WRONG:
        if bound:
            getattr(tolerant.bind(labels), kind)(name, {}, v)
        getattr(tolerant, kind)(name, labels, v)
    for labels in ODD_LABELS:
        (tolerant.bind(labels) if bound else tolerant).counter("v3.gate.seconds", {} if bound else labels, 1)
        tolerant.bind({"gate": "lint"}).counter("v3.gate.seconds", labels)
        tolerant.bind({"gate": "lint"}).bind(labels).counter("v3.gate.seconds", {})


def test_what_is_wrong_is_counted_and_told_once(exporting, caplog):
    for _ in range(5):
        for kind, name, labels, v in WRONG:
            getattr(exporting.metrics, kind)(name, labels, v)
    exporting.metrics.counter("v3.task.submitted", {"risk_tier": "2"}, 3)
    told = [record for record in caplog.records if record.message == "a measurement was dropped"]
    reading = exporting.read()
    assert reading.total("v3.metrics.failures") >= 5 * len(WRONG)
    assert reading.value("v3.task.submitted", risk_tier="2") == 3
    assert len({(r.backend, r.metric, r.problem) for r in told}) == len(told) <= 2 * len(WRONG)
    assert max(len(f"{record.__dict__}") for record in told) < 5_000


def test_a_value_that_is_refused_makes_no_series(exporting):
    for kind, name, labels, v in WRONG:
        getattr(exporting.metrics, kind)(name, labels, v)
        exporting.metrics.bind({"risk_tier": "3"}).counter("v3.task.submitted", {}, float("nan"))
    reading = exporting.read()
    assert {name for name, _ in [*reading.values, *reading.counts]} <= {"v3.metrics.failures"}


def test_hostile_labels_stay_one_label(exporting):
    for labels in ODD_LABELS:
        exporting.metrics.counter("v3.gate.seconds", labels, 1)
    reading = exporting.read()
    assert reading.total("v3.gate.seconds") == len(ODD_LABELS) - 4, "a value that cannot be looked up is a failure"
    assert reading.value("v3.task.submitted") == 0
    assert reading.value("v3.gate.seconds", gate="lint") == 1, "a label too many is left out"
    assert reading.value("v3.gate.seconds", gate="7") == reading.value("v3.gate.seconds", gate="round") == 1
    assert all(len(value) <= 100 for series in reading.values for _, value in series[1])


def test_an_undeclared_value_is_other(exporting):
    exporting.metrics.counter("v3.task.finished", {"state": "failed", "risk_tier": "7"})
    exporting.metrics.bind({"state": "exploded", "risk_tier": "1"}).counter("v3.task.finished", {}, 2)
    reading = exporting.read()
    assert reading.value("v3.task.finished", state="failed", risk_tier=OTHER) == 1
    assert reading.value("v3.task.finished", state=OTHER, risk_tier="1") == 2
    assert reading.total("v3.metrics.overflow") == 2


def test_more_values_than_a_label_takes_go_to_other(exporting):
    cap = next(label.cap for label in CATALOGUE["v3.gate.seconds"].labels)
    for number in range(cap + 10):
        exporting.metrics.counter("v3.gate.seconds", {"gate": f"gate_{number}"}, 1)
        exporting.metrics.bind({"gate": f"gate_{number}"}).counter("v3.gate.seconds", {}, 1)
    reading = exporting.read()
    assert len(reading.sets("v3.gate.seconds")) == cap + 1
    assert reading.value("v3.gate.seconds", gate="gate_0") == 2
    assert reading.value("v3.gate.seconds", gate=OTHER) == 20
    assert reading.total("v3.metrics.overflow") == 20


def test_more_combinations_than_a_metric_takes_go_to_its_overflow_series(exporting):
    metric = CATALOGUE["v3.port.seconds"]
    ports, methods = (range(label.cap) for label in metric.labels)
    for port, method in itertools.product(ports, methods):
        exporting.metrics.histogram(metric.id, {"port": f"p{port}", "method": f"m{method}"}, 0.5)
    reading = exporting.read()
    made = len(ports) * len(methods)
    assert len(reading.sets(metric.id)) == metric.max_sets + 1
    assert reading.count(metric.id, port=OTHER, method=OTHER) == made - metric.max_sets
    assert reading.total("v3.metrics.overflow") == made - metric.max_sets


@pytest.mark.parametrize("bound", [False, True], ids=["unbound", "bound"])
def test_ten_thousand_values_thrown_at_one_metric_stay_bounded(exporting, bound):
    metrics = exporting.metrics

    def throw(numbers: range) -> None:
        for number in numbers:
            labels = {"port": f'p{number}{chr(number)}\n"\0' * (1 + number % 300), "method": f"m{number}" * 5}
            if bound:
                metrics.bind(labels).histogram("v3.port.seconds", {}, 0.5)
            else:
                metrics.histogram("v3.port.seconds", labels, 0.5)

    throw(range(8_000))
    tracemalloc.start()
    throw(range(8_000, 10_000))
    grown_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    reading = exporting.read()
    assert sum(count for series, count in reading.counts.items() if series[0] == "v3.port.seconds") == 10_000
    assert len(reading.sets("v3.port.seconds")) <= CATALOGUE["v3.port.seconds"].max_sets + 1
    assert reading.total("v3.metrics.overflow") >= 9_000
    assert grown_bytes < 2**20, "a fifth of what the labels alone take; a server that listens in this process has some"
