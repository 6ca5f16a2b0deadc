"""When a plausible fix is doubted because of others that pass the same tests."""

from __future__ import annotations

import pytest

from councilor.adapters.workers.repair.rivalry import different, doubts, is_rivalled
from councilor.adapters.workers.repair.trial import TrialResult, Verdict
from councilor.domain.evidence import TestRun
from councilor.domain.localization import Suspicion
from councilor.domain.mutation import Mutant, Source, mutants
from councilor.domain.mutation.fix import Fix

TEXT = "def f(a):\n    if not a > 1:\n        return 0\n    return a < 9\n"
SOURCE = Source(path="a.py", text=TEXT)


def result(line: int, replacement: str, score: float) -> TrialResult:
    mutant = next(each for each in mutants(SOURCE) if each.line == line and each.replacement == replacement)
    return passing(mutant, score)


def passing(mutant: Mutant, score: float, source: Source = SOURCE) -> TrialResult:
    suspicion = Suspicion(path="a.py", line=mutant.line, score=1.0, failed=1, passed=0)
    fix = Fix(mutant=mutant, suspicion=suspicion, source=source, score=score)
    return TrialResult(fix=fix, verdict=Verdict.PLAUSIBLE, run=TestRun(records=()))


def score(found: TrialResult) -> float:
    return found.fix.score


@pytest.mark.parametrize(
    ("rival", "doubted"),
    [
        (result(4, "<=", 0.45), False),  # the same place: the order of its edits is known well
        (result(4, "<=", 0.6), True),
        (result(2, "<", 0.45), True),  # another place: which one is wrong is not
        (result(2, "<", 0.3), False),
    ],
)
def test_a_rival_at_another_place_is_a_reason_for_doubt_sooner(rival: TrialResult, doubted: bool) -> None:
    chosen = result(4, ">", 0.55)
    assert is_rivalled(chosen, (rival,), score) is doubted
    assert bool(doubts(chosen, (rival,), score)) is doubted


def test_without_rivals_nothing_is_doubted() -> None:
    assert doubts(result(4, ">", 0.5), (), score) == ()


def test_forms_are_worked_out_once() -> None:
    forms: dict[str, str] = {}
    chosen, rival = result(4, ">", 0.5), result(2, "<", 0.4)
    assert different(chosen, (rival, rival), forms) == (rival,)
    assert len(forms) == 2
    forms[rival.fix.digest] = forms[chosen.fix.digest]
    assert different(chosen, (rival,), forms) == ()
