"""Lines and datagrams as StatsD servers read them; the datadog client is asked what it would send."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest
from datadog.dogstatsd import DogStatsd
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.statsd.wire import MOST_DATAGRAM_BYTES, Dialect, Line, datagrams, line_for
from councilor.domain.metric import CATALOGUE, OTHER, Metric, MetricKind, Unit, statsd_name

GATE = CATALOGUE["v3.gate.results"]
PORT = CATALOGUE["v3.port.seconds"]
ENTRIES = CATALOGUE["v3.cache.entries"]


def text(metric: Metric, values: tuple[str, ...], v: float, dialect: Dialect = Dialect.DOGSTATSD) -> str:
    return line_for(metric, values, dialect).text(v)


def test_tags_of_dogstatsd_and_names_of_plain():
    assert text(GATE, ("lint", "passed"), 1) == "v3.gate.results:1|c|#gate:lint,status:passed"
    assert text(GATE, ("lint", "passed"), 1, Dialect.PLAIN) == "v3.gate.results.lint.passed:1|c"
    assert text(ENTRIES, (), 7) == text(ENTRIES, (), 7, Dialect.PLAIN) == "v3.cache.entries:7|g"


@pytest.mark.parametrize("dialect", Dialect)
def test_durations_are_in_milliseconds(dialect):
    timed = line_for(CATALOGUE["v3.council.consensus"], (), dialect)
    assert timed.text(0.0123) == "v3.council.consensus:12.3|ms"
    assert timed.text(0.57) == "v3.council.consensus:570|ms", "no noise of the conversion"
    assert timed.text(0) == "v3.council.consensus:0|ms"
    gate = line_for(CATALOGUE["v3.gate.seconds"], ("lint",), dialect)
    assert gate.text(0.0004).partition(":")[2].startswith("0.4|c")
    assert gate.name.startswith("v3.gate.ms")


def test_another_histogram_is_one_where_the_dialect_has_it():
    sizes = Metric(id="v3.a.sizes", kind=MetricKind.HISTOGRAM, unit=Unit.BYTES, help="Sizes.", buckets=(1.0,))
    assert text(sizes, (), 2.5) == "v3.a.sizes:2.5|h"
    assert text(sizes, (), 2.5, Dialect.PLAIN) == "v3.a.sizes:2.5|ms"


def test_plain_sets_a_gauge_below_zero_in_two_steps():
    assert text(ENTRIES, (), -3, Dialect.PLAIN) == "v3.cache.entries:0|g\nv3.cache.entries:-3|g"
    assert text(ENTRIES, (), -3) == "v3.cache.entries:-3|g"


@pytest.mark.parametrize(("value", "written"), [(1e20, "1e+20"), (2.0**53, "9.00719925474099e+15"), (1e-7, "1e-07")])
def test_numbers_that_are_large_or_small(value, written):
    assert text(ENTRIES, (), value) == f"v3.cache.entries:{written}|g"
    assert float(written) == pytest.approx(value)


def test_a_sum_beyond_all_numbers_is_still_a_number():
    assert text(GATE, ("lint", "passed"), float("inf")).startswith("v3.gate.results:1.79769313486232e+308|c")


def test_an_empty_value_is_no_tag():
    assert text(PORT, ("", "read"), 1) == "v3.port.ms:1000|ms|#method:read"
    assert text(PORT, ("", ""), 1) == "v3.port.ms:1000|ms"
    assert text(PORT, ("", "read"), 1, Dialect.PLAIN) == "v3.port.ms.none.read:1000|ms"


@given(st.sampled_from(list(Dialect)), st.lists(st.text(), min_size=2, max_size=2))
def test_no_value_of_a_label_breaks_out_of_its_place(dialect, values):
    line = text(PORT, tuple(values), 1, dialect)
    assert line.count("\n") == 0
    assert line.count("|") == (2 if "#" in line else 1)
    if dialect is Dialect.PLAIN:
        name, _, rest = line.partition(":")
        assert rest == "1000|ms"
        assert name.count(".") == 4
    else:
        assert line.startswith("v3.port.ms:1000|ms")
        assert line.count(",") <= 1


class Listener:
    """Hears what the datadog client sends."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.client = DogStatsd(
            host="127.0.0.1",
            port=self.socket.getsockname()[1],
            disable_telemetry=True,
            disable_buffering=True,
            origin_detection_enabled=False,
        )

    def hear(self, send: str, *args: object, tags: list[str]) -> str:
        getattr(self.client, send)(*args, tags=tags)
        return self.socket.recv(65_536).decode().rstrip("\n")


@pytest.fixture
def datadog() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.client.stop()
    listener.socket.close()


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=lambda metric: metric.id)
def test_every_metric_is_sent_as_the_datadog_client_sends_it(datadog, metric):
    send = {MetricKind.COUNTER: "increment", MetricKind.GAUGE: "gauge", MetricKind.HISTOGRAM: "timing"}[metric.kind]
    odd = ("lint", "größe", 'a b"c', "a|b,c#d:e", OTHER, "x/y-z_1.2")
    for number, v in enumerate((1, 3, 17, 2.5, 1234567)):
        values = tuple(
            label.values[number % len(label.values)] if label.values else odd[(number + place) % len(odd)]
            for place, label in enumerate(metric.labels)
        )
        factor = 1000 if metric.unit is Unit.SECONDS else 1
        tags = [f"{label.name}:{value}" for label, value in zip(metric.labels, values, strict=True)]
        heard = datadog.hear(send, statsd_name(metric), v * factor, tags=tags)
        name, _, rest = heard.partition(":")
        number_text, _, ending = rest.partition("|")
        ours = line_for(metric, values, Dialect.DOGSTATSD)
        assert ours.text(v) == f"{name}:{float(number_text):.15g}|{ending}"


LINES = st.builds(
    Line, name=st.text("abc.", min_size=1, max_size=60), ending=st.sampled_from(["c", "g", "ms"]), is_own=st.booleans()
)


@given(st.lists(st.tuples(LINES, st.floats(0, 1e9)), max_size=60), st.integers(80, 400))
def test_datagrams_hold_every_line_in_order_and_no_more_than_fits(values, most_bytes):
    sent = list(datagrams(values, most_bytes=most_bytes))
    assert [line for body, _ in sent for line in body.decode().split("\n")] == [line.text(v) for line, v in values]
    assert all(len(body) <= most_bytes for body, _ in sent)
    assert sum(count for _, count in sent) == sum(not line.is_own for line, _ in values)
    for (first, _), (second, _) in pairwise(sent):
        assert len(first) + 1 + len(second.split(b"\n")[0]) > most_bytes, "as few as there can be"


def test_a_line_that_fits_nowhere_goes_alone():
    long, short = Line(name="l" * 2 * MOST_DATAGRAM_BYTES, ending="c"), Line(name="s", ending="c")
    assert [count for _, count in datagrams([(short, 1), (long, 1), (short, 1)])] == [1, 1, 1]


def test_what_is_about_metrics_is_not_counted_as_lost():
    line = line_for(CATALOGUE["v3.metrics.failures"], ("statsd",), Dialect.PLAIN)
    assert [count for _, count in datagrams([(line, 1)])] == [0]
