"""Objectives in Prometheus' language."""

from __future__ import annotations

import pytest

from councilor.domain.promql import (
    bad_events,
    duration,
    error_ratio,
    events,
    increase,
    indicator_ratio,
    series,
    tally_query,
)
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
    name, failed = "v3_task_finished_total", 'v3_task_finished_total{state="failed"}'
    new = f"last_over_time({name}[5m]) unless {name} offset 5m unless resets({name}[5m]) > 0"
    assert events(slo, 300) == f"sum(({new}) or increase({name}[5m]))"
    bad = f"({events(slo, 300).replace(name, failed)} or vector(0))"
    assert bad_events(slo, 300) == bad
    assert error_ratio(slo, 300) == f"{bad} / ({events(slo, 300)} > 0)"


def test_a_ratio_of_good_events_is_what_is_missing_of_them():
    slo = SLOS["consensus-latency"]
    assert slo.good is not None
    bad = f"({increase(slo.total, 3600)} - {increase(slo.good, 3600)})"
    assert bad_events(slo, 3600) == bad
    assert error_ratio(slo, 3600) == f"{bad} / ({increase(slo.total, 3600)} > 0)"


def test_one_question_asks_for_many_windows():
    slo = SLOS["task-completion"]
    query = tally_query([(slo, 300.0), (slo, 3600.0)])
    assert query.count(" or label_replace(label_replace(") == 3
    assert f'label_replace(label_replace({events(slo, 3600)}, "n", "1", "", ""), "part", "total", "", "")' in query


def test_an_indicator_is_a_share():
    hits = next(item for item in INDICATORS if item.name == "cache-hits")
    assert indicator_ratio(hits, "5m") == (
        '(sum(rate(v3_cache_requests_total{outcome=~"local|shared"}[5m])) or vector(0))'
        " / (sum(rate(v3_cache_requests_total[5m])) > 0)"
    )
