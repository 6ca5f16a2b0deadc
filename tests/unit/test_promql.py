"""Objectives in Prometheus' language."""

from __future__ import annotations

import pytest

from councilor.domain.promql import bad_events, duration, error_ratio, events, indicator_ratio, series
from councilor.domain.slo import INDICATORS, SLOS, Selector


@pytest.mark.parametrize(
    ("seconds", "text"), [(15, "15s"), (300, "5m"), (90, "90s"), (7200, "2h"), (86400, "1d"), (30 * 86400, "30d")]
)
def test_a_duration_is_written_in_its_largest_unit(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (Selector(metric="v3.task.submitted"), "v3_task_submitted_total"),
        (
            Selector(metric="v3.task.finished", where={"state": ("failed",)}),
            'v3_task_finished_total{state="failed"}',
        ),
        (Selector(metric="v3.council.consensus"), "v3_council_consensus_seconds_count"),
        (
            Selector(metric="v3.port.seconds", where={"port": ("events", "log")}, within=5.0),
            'v3_port_seconds_bucket{port=~"events|log",le="5.0"}',
        ),
    ],
)
def test_a_selector_is_a_series(selector, text):
    assert series(selector) == text


def test_a_ratio_of_bad_events_is_zero_without_bad_ones_and_nothing_without_events():
    slo = SLOS["task-completion"]
    assert error_ratio(slo, 300) == (
        '(sum(rate(v3_task_finished_total{state="failed"}[5m])) or vector(0))'
        " / (sum(rate(v3_task_finished_total[5m])) > 0)"
    )
    assert bad_events(slo, 300) == '(sum(increase(v3_task_finished_total{state="failed"}[5m])) or vector(0))'
    assert events(slo, 300) == "sum(increase(v3_task_finished_total[5m]))"


def test_a_ratio_of_good_events_is_what_is_missing_of_them():
    slo = SLOS["consensus-latency"]
    name = "v3_council_consensus_seconds"
    assert error_ratio(slo, 3600) == (
        f'1 - sum(rate({name}_bucket{{le="5.0"}}[1h])) / (sum(rate({name}_count[1h])) > 0)'
    )
    assert bad_events(slo, 60) == f'(sum(increase({name}_count[1m])) - sum(increase({name}_bucket{{le="5.0"}}[1m])))'


def test_an_indicator_is_a_share():
    hits = next(item for item in INDICATORS if item.name == "cache-hits")
    assert indicator_ratio(hits, "5m") == (
        '(sum(rate(v3_cache_requests_total{outcome=~"local|shared"}[5m])) or vector(0))'
        " / (sum(rate(v3_cache_requests_total[5m])) > 0)"
    )
