"""Objectives: what they may be, and what a budget's figures are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from councilor.app.store import DEADLINES_S
from councilor.domain.slo import BURNS, DAY_S, SLOS, Selector, Severity, Slo, Tally

TASKS = SLOS["task-completion"]


def test_what_the_roadmap_promises_is_an_objective():
    slo = SLOS["consensus-latency"]
    assert (slo.objective, slo.good and slo.good.within, slo.window_days) == (0.95, 5.0, 30)


@pytest.mark.parametrize("name", ["database-errors", "database-latency"])
def test_the_database_s_objectives_count_every_port_that_leads_there(name: str):
    slo = SLOS[name]
    for selector in filter(None, (slo.total, slo.good, slo.bad)):
        assert set(selector.where["port"]) == DEADLINES_S.keys() - {"checkpoints"}


@pytest.mark.parametrize("slo", SLOS.values(), ids=SLOS)
def test_a_window_of_allowed_errors_uses_up_the_budget_exactly(slo: Slo):
    allowed = Tally(total=1e6, bad=1e6 * slo.budget)
    assert slo.burn_rate(allowed) == pytest.approx(1)
    assert slo.budget_left(allowed) == pytest.approx(0)


def test_figures_of_a_budget():
    assert TASKS.burn_rate(Tally(total=200, bad=5)) == pytest.approx(2.5)
    assert TASKS.budget_left(Tally(total=200, bad=1)) == pytest.approx(0.5)
    assert TASKS.budget_left(Tally(total=10, bad=1)) == pytest.approx(-9)
    assert TASKS.budget_left(Tally(total=10, bad=0)) == 1


def test_without_an_event_nothing_is_known():
    nothing = Tally(total=0, bad=0)
    assert (nothing.ratio, TASKS.burn_rate(nothing), TASKS.budget_left(nothing)) == (None, None, None)


def test_an_extrapolated_count_makes_no_share_above_one_or_below_none():
    assert Tally(total=10, bad=10.7).ratio == 1
    assert Tally(total=10, bad=-0.2).ratio == 0


@pytest.mark.parametrize(
    ("burn", "share"), list(zip(BURNS, (0.02, 0.05, 0.10, 0.10), strict=True)), ids=["1h", "6h", "1d", "3d"]
)
def test_a_burn_uses_up_the_share_of_the_workbook_within_its_long_window(burn, share):
    assert burn.factor * burn.long_s / (30 * DAY_S) == pytest.approx(share)
    assert burn.long_s == 12 * burn.short_s, "the short window is a twelfth of the long one"
    assert (burn.severity is Severity.PAGE) == (burn.factor > 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": "v3.nothing"},
        {"metric": "v3.engine.queued"},
        {"metric": "v3.task.finished", "where": {"colour": ("red",)}},
        {"metric": "v3.task.finished", "where": {"state": ("fine",)}},
        {"metric": "v3.task.finished", "where": {"state": ()}},
        {"metric": "v3.council.consensus", "within": 4.0},
        {"metric": "v3.task.finished", "within": 1.0},
    ],
)
def test_a_selector_means_something_that_exists(wrong):
    with pytest.raises(ValueError, match=wrong["metric"]):
        Selector(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"objective": 1.0}, {"objective": 0.0}, {"objective": 0.9}, {"bad": None}, {"good": TASKS.total}]
)
def test_an_objective_can_be_kept_missed_and_alerted_on(wrong):
    with pytest.raises(ValueError, match="task-completion"):
        replace(TASKS, **wrong)
