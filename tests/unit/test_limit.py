"""Which limit holds: a flag, the spec's, or the settings'."""

from __future__ import annotations

import pytest

from councilor.domain.limit import Limit, Limits, Origin, as_data, in_words, overruled, settle

SETTINGS = Limits(iterations=3, time_s=7200.0)


@pytest.mark.parametrize(
    ("given", "wished", "flags", "held", "origin"),
    [
        (None, None, (), None, Origin.SETTING),
        (500, None, (), 500, Origin.SETTING),
        (None, 200, (), 200, Origin.SPEC),
        (500, 200, (), 200, Origin.SPEC),
        (500, 500, (), 500, Origin.SETTING),
        (500, 800, (), 500, Origin.SETTING),  # a repository's file cannot spend more than the operator allows
        (900, 200, (Limit.TOKENS,), 900, Origin.FLAG),
        (100, 200, (Limit.TOKENS,), 100, Origin.FLAG),
        (500, 200, (Limit.COST_USD,), 200, Origin.SPEC),  # another limit's flag is nothing to this one
    ],
)
def test_a_flag_holds_and_else_the_smaller(given, wished, flags, held, origin):
    found, origins = settle(Limits(tokens=given), Limits(tokens=wished), flags=flags)
    assert (found.tokens, origins.tokens) == (held, origin)


def test_each_limit_is_settled_by_itself():
    wished = Limits(iterations=5, time_s=60.0, tokens=10, cost_usd=0.5)
    held, origins = settle(SETTINGS, wished, flags=())
    assert held == Limits(iterations=3, time_s=60.0, tokens=10, cost_usd=0.5)
    assert [origins.get(limit).value for limit in Limit] == ["setting", "spec", "spec", "spec"]
    assert in_words(held, origins) == (
        "3 iterations (setting), 60 seconds (spec), 10 tokens (spec), 0.5 US dollars (spec)"
    )
    assert as_data(held, origins, wished)["iterations"] == {"value": 3, "origin": "setting", "spec": 5}


def test_what_a_spec_asks_for_in_vain_is_told():
    held, origins = settle(SETTINGS, Limits(iterations=5, time_s=60.0), flags=())
    assert overruled(Limits(iterations=5, time_s=60.0), held, origins) == (
        "The spec's limits.iterations of 5 is not used: the setting run.max_iterations says 3.",
    )
    held, origins = settle(Limits(tokens=900), Limits(tokens=200), flags=(Limit.TOKENS,))
    assert overruled(Limits(tokens=200), held, origins) == (
        "The spec's limits.tokens of 200 is not used: --max-tokens says 900.",
    )


def test_large_figures_are_written_out_and_old_tasks_name_no_origin():
    assert in_words(Limits(time_s=7200.0, tokens=12_345_678), None) == "7,200 seconds, 12,345,678 tokens"
    assert as_data(SETTINGS, None, Limits())["time_s"] == {"value": 7200.0, "origin": None, "spec": None}
