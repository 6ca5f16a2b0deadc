"""How long a search goes on after a glance, when it finds nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from councilor.adapters.workers.repair.candidates import Base
from councilor.adapters.workers.repair.glance import glanced_files, patience_s, wanted_failures
from councilor.adapters.workers.repair.memory import SearchMemory
from councilor.adapters.workers.repair.search import Search
from councilor.adapters.workers.repair.trial import TrialResult, Verdict
from councilor.domain.evidence import TestRun
from councilor.domain.localization import Suspicion
from councilor.domain.mutation import Source, mutants
from councilor.domain.mutation.fix import Fix

TEXT = "def f(a):\n    return a\n"
SOURCE = Source(path="a.py", text=TEXT)
MUTANT = next(iter(mutants(SOURCE)))
EMPTY = TestRun(records=())


class Vain:
    """Trials that all fail, and take their time."""

    def __init__(self, takes_s: float, left_s: float) -> None:
        self.base = Base(run=EMPTY, targets=("t",), others=(), whole=False)
        self.takes_s, self.left_s, self.tried = takes_s, left_s, 0

    async def try_fix(self, fix: Fix, *, remaining_s: float, wanted: Callable[[Fix], bool], confirm: bool) -> Any:
        self.left_s -= self.takes_s
        self.tried += 1
        return TrialResult(fix=fix, verdict=Verdict.STILL_FAILS, run=EMPTY)


def fixes(count: int) -> list[Fix]:
    suspicion = Suspicion(path="a.py", line=2, score=1.0, failed=1, passed=0)
    return [
        Fix(mutant=replace(MUTANT, replacement=f"{number}"), suspicion=suspicion, source=SOURCE, score=1.0)
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("takes_s", "tried"),
    [(0.01, 401), (0.03, 150), (0.1, 81), (5.0, 2)],
    ids=["quick trials", "enough trials", "slow trials", "very slow ones"],
)
async def test_it_ends_after_its_patience(tmp_path: Path, takes_s: float, tried: int) -> None:
    trial = Vain(takes_s, 100.0)
    search = Search(
        trial=trial, memory=SearchMemory(file=tmp_path / "m"), max_candidates=5000, parallel=1, patience_s=4.0,
        remaining_s=lambda: trial.left_s, on_start=lambda begun, fix: None,
    )  # type: ignore[arg-type]  # fmt: skip
    await search.run(fixes(1000))
    assert abs(trial.tried - tried) <= 1
    assert search.chosen is None and not search.exhausted


def test_patience_is_a_share_of_what_is_left() -> None:
    assert [patience_s(left_s) for left_s in (1.0, 20.0, 600.0)] == [2.0, 4.0, 10.0]


def test_a_small_suite_is_loaded_whole_and_of_a_large_one_the_named_files(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("x" * 1000)
    (tmp_path / "test_b.py").write_text("x" * 1000)
    files = ("test_a.py", "test_b.py")
    assert glanced_files(tmp_path, files, ("test_a.py::test_it",)) == ()
    (tmp_path / "test_b.py").write_text("x" * 100_000)
    assert glanced_files(tmp_path, files, ("test_a.py::test_it", "test_a.py::T::test_it[1]")) == ("test_a.py",)
    assert glanced_files(tmp_path, files, ("test_gone.py::test_it",)) is None
    assert glanced_files(tmp_path, files, ()) is None


def test_parameters_of_an_acceptance_test_are_all_wanted() -> None:
    assert wanted_failures(("t::a[1]", "t::a[2]", "t::b[1]", "t::c"), ("t::a", "t::b[1]", "t::d")) == (
        "t::a[1]", "t::a[2]", "t::b[1]",
    )  # fmt: skip
