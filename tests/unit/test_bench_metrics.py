"""What `make bench-metrics` computes: each must be able to be wrong."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from counting.contenders import line_up, ratio
from counting.pages import FORMATS, measure_pages


def test_a_ratio_is_of_rounds_and_without_the_loop():
    assert ratio([30.0, 220.0, 31.0], [20.0, 120.0, 17.0], [10.0, 20.0, 10.0]) == 2.0
    assert ratio([20.0], [20.0], [0.0]) == 1.0


def test_everybody_does_what_is_timed():
    with ExitStack() as stack:
        contenders = line_up(stack)
        assert [each.name for each in contenders[:5]] == [
            "loop",
            "prometheus_client, child kept",
            "ours, bound",
            "ours, unbound",
            "OpenTelemetry SDK",
        ]
        for each in contenders:
            each.take_a_turn()
        assert all(each.counter_ns[0] > 0 and each.histogram_ns[0] > 0 for each in contenders)


def test_both_pages_have_the_same_thousand_series():
    series, pages = measure_pages(2)
    assert 900 < series < 1_000
    assert {name: set(found) for name, found in pages.items()} == {"ours": set(FORMATS), "library": set(FORMATS)}
    assert min(value for found in pages.values() for value in found.values()) > 0


@pytest.fixture(autouse=True)
def _library_as_it_was():
    yield
    import prometheus_client

    prometheus_client.enable_created_metrics()
