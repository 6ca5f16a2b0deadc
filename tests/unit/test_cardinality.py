"""Which labels a call keeps: what is declared, up to the caps and the budget."""

from __future__ import annotations

from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.domain.metric import CATALOGUE, OTHER, SERIES_BUDGET, Label, Metric, MetricKind, Unit
from councilor.guards.cardinality import MOST_VALUE_CHARS, OWN, Cardinality


def counter(name: str, *labels: Label, most_sets: int | None = None) -> Metric:
    return Metric(id=name, kind=MetricKind.COUNTER, unit=Unit.COUNT, help="Help.", labels=labels, most_sets=most_sets)


CLOSED = Label(name="side", values=("left", "right"))
OPEN = Label(name="name", cap=3)
ONE = counter("v3.test.one", CLOSED, OPEN)
TIMES = Metric(
    id="v3.test.seconds", kind=MetricKind.HISTOGRAM, unit=Unit.SECONDS, help="Help.", labels=(OPEN,), buckets=(1.0, 2.0)
)


def alone(*metrics: Metric, budget: int = SERIES_BUDGET) -> Cardinality:
    return Cardinality(budget=budget, catalogue={metric.id: metric for metric in metrics})


def test_declared_labels_are_kept_in_their_order():
    assert alone(ONE).admit(ONE, {"name": "a", "side": "left", "host": "h"}) == (("left", "a"), False)


def test_a_missing_label_is_empty_and_an_undeclared_value_other():
    limits = alone(ONE)
    assert limits.admit(ONE, {"name": "a"}) == (("", "a"), False)
    assert limits.admit(ONE, {"side": "up", "name": "a"}) == ((OTHER, "a"), True)
    assert limits.admit(ONE, {"side": OTHER, "name": "a"}) == ((OTHER, "a"), False)


def test_an_open_label_takes_its_first_values_for_good():
    limits = alone(ONE)
    for name in "abcab":
        assert limits.admit(ONE, {"side": "left", "name": name}) == (("left", name), False)
    assert limits.admit(ONE, {"side": "left", "name": "d"}) == (("left", OTHER), True)
    assert limits.admit(ONE, {"side": "left", "name": "a"}) == (("left", "a"), False)


class Colour(Enum):
    RED = "red"


class Loud:
    def __str__(self) -> str:
        raise AssertionError("asked")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("x" * MOST_VALUE_CHARS, "x" * MOST_VALUE_CHARS),
        ("x" * (MOST_VALUE_CHARS + 1), OTHER),
        ("x" * 2**20, OTHER),
        ("a\nb", OTHER),
        ("a\0b", OTHER),
        ("\ud800", OTHER),
        ("\u202eb", OTHER),
        ('a"b\\', 'a"b\\'),
        ("größe", "größe"),
        (3, "3"),
        (True, "True"),
        (Colour.RED, "red"),
        (None, OTHER),
        (b"a", OTHER),
        (Loud(), OTHER),
    ],
)
def test_only_short_printable_text_is_a_value(value, kept):
    assert alone(ONE).admit(ONE, {"side": "left", "name": value}).values == ("left", kept)


def test_a_metric_keeps_its_first_combinations():
    narrow = counter("v3.test.narrow", CLOSED, OPEN, most_sets=2)
    limits = alone(narrow)
    for name in "ab":
        assert not limits.admit(narrow, {"side": "left", "name": name}).folded
    assert limits.admit(narrow, {"side": "left", "name": "c"}) == ((OTHER, OTHER), True)
    assert limits.admit(narrow, {"side": "right", "name": "a"}) == ((OTHER, OTHER), True)
    assert limits.admit(narrow, {"side": "left", "name": "a"}) == (("left", "a"), False)


def test_a_value_that_got_no_series_takes_no_place_of_its_label():
    narrow = counter("v3.test.narrow", CLOSED, OPEN, most_sets=1)
    limits = alone(narrow)
    limits.admit(narrow, {"side": "left", "name": "a"})
    for number in range(100):
        limits.admit(narrow, {"side": "right", "name": f"n{number}"})
    assert limits._seen["v3.test.narrow", "name"] == {"a"}


def test_a_histogram_takes_all_its_series_of_the_budget():
    limits = alone(TIMES, budget=10)  # five for each set of labels
    assert limits.admit(TIMES, {"name": "a"}) == (("a",), False)
    assert limits.admit(TIMES, {"name": "b"}) == (("b",), False)
    assert limits.admit(TIMES, {"name": "c"}) == (None, True), "not even an overflow series fits"


def test_beyond_the_budget_the_overflow_series_is_used_where_there_is_one():
    limits = alone(ONE, TIMES, budget=8)
    assert limits.admit(TIMES, {"name": "\n"}) == ((OTHER,), True)
    for name in "abc":
        limits.admit(ONE, {"side": "left", "name": name})
    assert limits.admit(TIMES, {"name": "a"}) == ((OTHER,), True)
    assert limits.admit(ONE, {"side": "right", "name": "a"}) == (None, True)
    assert limits.admit(ONE, {"side": "left", "name": "a"}) == (("left", "a"), False)


def test_what_counts_losses_has_its_room_however_full_it_is():
    limits = Cardinality()
    for metric in CATALOGUE.values():
        if metric.id not in OWN:
            for number in range(metric.max_sets + 5):
                limits.admit(metric, nth(metric, number))
    for name in OWN:
        metric = CATALOGUE[name]
        for number in range(metric.max_sets):
            assert not limits.admit(metric, nth(metric, number)).folded
        assert limits.admit(metric, {metric.labels[0].name: "x" * 1000}).values == (OTHER,)


def nth(metric: Metric, number: int) -> dict[str, str]:
    labels = {}
    for label in metric.labels:
        number, index = divmod(number, label.size)
        labels[label.name] = label.values[index] if label.values else f"{label.name}_{index}"
    if number:
        labels = dict.fromkeys(labels, f"beyond_{number}")
    return labels


@given(st.lists(st.tuples(st.sampled_from(sorted(CATALOGUE)), st.integers(0, 10**6), st.text(max_size=3))))
def test_whatever_is_emitted_all_series_stay_within_the_budget(emits):
    limits, made = Cardinality(), dict[tuple[str, tuple[str, ...]], int]()
    for name, number, text in emits:
        metric = CATALOGUE[name]
        labels = {label.name: f"{text}{number}" for label in metric.labels} if number % 2 else nth(metric, number)
        values, folded = limits.admit(metric, labels)
        assert limits.admit(metric, labels) == (values, folded), "the same answer again"
        if values is not None:
            made[name, values] = metric.max_series // metric.max_sets
    assert sum(made.values()) <= SERIES_BUDGET


def test_everything_at_once_stays_within_the_budget():
    limits, series = Cardinality(), dict[tuple[str, tuple[str, ...]], int]()
    for metric in CATALOGUE.values():
        for number in range(2 * metric.max_sets + 10):
            for labels in (nth(metric, number), {label.name: f"v{number}" for label in metric.labels}):
                values = limits.admit(metric, labels).values
                if values is not None:
                    series[metric.id, values] = metric.max_series // metric.max_sets
    assert 900 < sum(series.values()) <= SERIES_BUDGET
