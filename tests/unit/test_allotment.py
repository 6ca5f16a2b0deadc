"""What a run may spend and who works on it: options before settings."""

from __future__ import annotations

import json

import pytest

from councilor.domain.limit import Limit
from councilor.errors import InputError
from councilor.settings import load_settings
from councilor.surfaces.cli.allotment import read_allotment


@pytest.fixture
def settings(tmp_path):
    config = tmp_path / "config.yaml"
    worker = {"kind": "command", "command": ["true"]}
    run = {"max_tokens": 500, "max_cost_usd": 2.0, "candidates": {"tier_1": 3}}
    config.write_text(json.dumps({"workers": {"a": worker, "b": worker}, "run": run}))
    return load_settings(config=config, flags={"data_dir": str(tmp_path)})


def read(settings, **options):
    given = {"workers": None, "candidates": None, "max_tokens": None, "max_cost_usd": None}
    return read_allotment(settings, **(given | options))


def test_settings_stand_where_no_option_is_given(settings):
    found = read(settings)
    assert (found.worker, found.crew, found.max_tokens, found.max_cost_usd) == ("repair", (), 500, 2.0)
    assert found.candidates == {1: 3, 2: 1, 3: 1}


def test_options_come_first(settings):
    found = read(settings, workers=["a", "b"], candidates=4, max_tokens=7, max_cost_usd=0.5)
    assert (found.worker, found.crew, found.max_tokens, found.max_cost_usd) == ("a", ("b",), 7, 0.5)
    assert set(found.candidates.values()) == {4}


def test_which_limits_are_flags_is_known(settings):
    assert read(settings).flags == frozenset()
    found = read(settings, iterations=2, deadline_s=9.0, max_tokens=7, max_cost_usd=0.5)
    assert found.flags == frozenset(Limit) and (found.max_iterations, found.deadline_s) == (2, 9.0)
    assert read(settings, max_tokens=7).flags == {Limit.TOKENS}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"workers": ["a", "nobody"]}, "run.worker"),
        ({"workers": ["a", "b"], "candidates": 1}, "--candidates"),
        ({"workers": ["a"] * 17}, "--worker"),
        ({"workers": ["a"] * 17, "candidates": 16}, "--candidates"),
        ({"max_cost_usd": 0.0}, "--max-cost-usd"),
        ({"max_cost_usd": float("nan")}, "--max-cost-usd"),
        ({"deadline_s": float("inf")}, "--deadline"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, options, field):
    with pytest.raises(InputError) as refused:
        read(settings, **options)
    assert refused.value.field == field and refused.value.hint()
