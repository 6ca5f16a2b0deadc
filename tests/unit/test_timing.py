"""Timings: the interval of a ratio, when it says nothing, and what a spec asks to be timed."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.domain.analysis import AnalysisKind
from councilor.domain.spec import WorkingSpec, draft_spec, load_spec
from councilor.domain.timing import LEAST_ROUNDS, Timing, ratio_interval
from councilor.pipeline.claims import claims_in
from councilor.pipeline.claims.wishes import wishes_of
from councilor.pipeline.timing import Timed, timed_of_spec

TIMES = st.lists(st.floats(min_value=0.001, max_value=100), min_size=LEAST_ROUNDS, max_size=15)


@given(TIMES, TIMES)
def test_the_interval_holds_the_ratio_and_repeats(base: list[float], candidate: list[float]) -> None:
    interval = ratio_interval(base, candidate)
    assert interval.low <= interval.ratio <= interval.high
    assert interval.ratio == pytest.approx(statistics.median(base) / statistics.median(candidate))
    assert ratio_interval(base, candidate) == interval


def test_noise_widens_the_interval() -> None:
    steady = ratio_interval([0.3] * 9, [0.1] * 9)
    noisy = ratio_interval([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [0.05, 0.1, 0.15])
    assert (steady.low, steady.high) == (pytest.approx(3), pytest.approx(3))
    assert noisy.high / noisy.low > 3


@pytest.mark.parametrize(
    "more",
    [
        {"error": "the test does not pass on the base"},
        {"base_s": (0.3,) * (LEAST_ROUNDS - 1)},
        {"base_outer_s": (1.0,) * 9, "candidate_outer_s": (1.0,) * 9},
    ],
    ids=["error", "too few rounds", "a clock that only the test sees"],
)
def test_a_timing_that_decides_nothing(more: dict[str, Any]) -> None:
    values: dict[str, Any] = {"subject": "x", "base_s": (0.3,) * 9, "candidate_s": (0.1,) * 9}
    assert Timing(**values).interval is not None
    assert Timing(**(values | more)).interval is None


def test_what_is_saved_is_seen_from_outside() -> None:
    outer = {"base_outer_s": (1.3,) * 9, "candidate_outer_s": (1.1,) * 9}
    timing = Timing(subject="x", base_s=(0.3,) * 9, candidate_s=(0.1,) * 9, **outer)
    assert timing.interval is not None


def spec_with(performance: Any) -> WorkingSpec:
    spec = load_spec(draft_spec("Hurry", number=1), source="draft")
    return spec.model_copy(
        update={"non_functional": spec.non_functional.model_copy(update={"performance": performance})}
    )


@pytest.mark.parametrize(
    ("performance", "expected"),
    [
        (None, ()),
        ("p95 below 200 ms", ()),
        ({"command": "python bench.py --n 3"}, (Timed(argv=("python", "bench.py", "--n", "3")),)),
        ({"test": "tests/t.py::test_x", "about": "f"}, (Timed(nodeid="tests/t.py::test_x", about=("f",)),)),
        ([{"command": "a"}, {"command": "b"}, "c"], (Timed(argv=("a",)), Timed(argv=("b",)))),
        ({"command": "'"}, ()),
        ({"command": 3}, ()),
        ({"test": "--evil::x"}, ()),
        ([{"command": str(number)} for number in range(9)], tuple(Timed(argv=(str(n),)) for n in range(3))),
    ],
)
def test_what_a_spec_wants_timed(performance: Any, expected: tuple[Timed, ...]) -> None:
    assert timed_of_spec(spec_with(performance)) == expected


def test_a_report_decides_what_is_measured_and_never_what_is_run() -> None:
    spec = spec_with({"command": "python bench.py", "about": "f"})
    tests = ("tests/t.py::test_a", "tests/t.py::test_b")

    def wanted(text: str) -> Any:
        return wishes_of(claims_in(text), spec, tests)

    assert wanted("All tests pass.") == wishes_of((), spec, tests)
    assert wanted("`test_a` is 3x faster.").timed == (Timed(nodeid="tests/t.py::test_a"),)
    assert wanted("`f` is 3x faster.").timed == (Timed(argv=("python", "bench.py"), about=("f",)),)
    assert wanted("`rm -rf /` is 3x faster.").timed == (Timed(argv=("python", "bench.py"), about=("f",)),)
    assert wanted("Ruff is clean and no new type errors.").whole == (AnalysisKind.LINT,)
    assert wanted("Mypy is clean.").whole == (AnalysisKind.TYPES,)
