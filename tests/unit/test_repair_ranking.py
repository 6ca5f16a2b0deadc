"""The order of edits: likely ones first, hints move them up, nothing is made before its turn; joined edits."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from councilor.adapters.workers.repair.pairs import joined, pairs
from councilor.domain.failure import Failure
from councilor.domain.localization import Suspicion
from councilor.domain.mutation import OPERATORS, Source, mutants
from councilor.domain.mutation.checking import Checker
from councilor.domain.mutation.fix import Fix
from councilor.domain.mutation.ranking import PRIORS, ranked_fixes

TEXT = """\
class A:
    def __init__(self, size):
        self.count = 0

    def full(self, more):
        for item in more:
            if item > 3:
                self.count = self.count - 1
        return self.count + self.size < 9 and not more
"""


def suspected(*lines: int, score: float = 0.5) -> list[Suspicion]:
    return [Suspicion(path="a.py", line=line, score=score, failed=1, passed=3) for line in lines]


def ranked(lines: list[Suspicion], failure: Failure | None = None, text: str = TEXT) -> list[Fix]:
    return list(ranked_fixes(lines, {"a.py": Source(path="a.py", text=text)}, failure))


def place(fixes: list[Fix], replacement: str) -> int:
    return next(rank for rank, fix in enumerate(fixes) if fix.mutant.replacement.strip() == replacement)


def test_every_kind_of_edit_has_a_prior() -> None:
    assert set(PRIORS) == {operator.name for operator in OPERATORS}


def test_it_is_every_mutant_of_the_lines_once_and_best_first() -> None:
    fixes = ranked([*suspected(3, 6), *suspected(7, 8, score=0.9)])
    assert all(left.score >= right.score for left, right in pairwise(fixes))
    every = mutants(Source(path="a.py", text=TEXT), lines={3, 6, 7, 8})
    assert len(fixes) == len({fix.digest for fix in fixes}) == len(every)
    assert fixes[0].mutant.line in {7, 8}


@pytest.mark.parametrize(
    ("failure", "replacement"),
    [
        (Failure(missing_attributes=frozenset({"size"})), "self.size = size"),
        (Failure(expected=frozenset({"ValueError"})), "raise ValueError()"),
        (Failure(met_none=True), "return item"),
    ],
)
def test_what_a_failure_names_moves_up(failure: Failure, replacement: str) -> None:
    lines = suspected(3, 6, 7, 8)
    assert place(ranked(lines, failure), replacement) < place(ranked(lines), replacement)


def test_the_deepest_frame_moves_up() -> None:
    lines = suspected(7, 8, 9)
    before, after = ranked(lines), ranked(lines, Failure(deepest=frozenset({("a.py", 8)})))
    assert sum(fix.mutant.line == 8 for fix in after[:20]) > sum(fix.mutant.line == 8 for fix in before[:20])


def test_no_line_is_exhausted_before_the_next() -> None:
    first = ranked(suspected(6, 7, 8, 9))[:20]
    assert {fix.mutant.line for fix in first} >= {7, 8, 9}


def test_only_what_is_asked_for_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, source = suspected(*range(1, 10)), Source(path="a.py", text=TEXT)
    checked: list[object] = []
    admits = Checker.admits
    monkeypatch.setattr(Checker, "admits", lambda *given: checked.append(given) or admits(*given))
    few = [fix.digest for fix in islice(ranked_fixes(lines, {"a.py": source}), 3)]
    assert len(checked) < 10
    assert few == [fix.digest for fix in ranked(lines)[:3]]


def test_joined_edits_change_both_places() -> None:
    fixes = ranked(suspected(7, 8))
    greater = next(fix for fix in fixes if fix.mutant.replacement == ">=")
    plus = next(fix for fix in fixes if fix.mutant.replacement == "+" and fix.mutant.original == "-")
    both = joined(greater, plus)
    assert both is not None
    assert both.files == {"a.py": TEXT.replace("> 3", ">= 3").replace("count - 1", "count + 1").encode()}
    assert both.lines == {"a.py": {7, 8}}
    assert both.digest == joined(plus, greater).digest  # type: ignore[union-attr]
    assert joined(greater, greater) is None
    assert joined(both, plus) is None


def test_pairs_are_proposed_once_and_never_overlap() -> None:
    found = list(pairs(ranked(suspected(7, 8))[:30], [], []))
    assert len(found) == len({fix.digest for fix in found}) > 100
    for fix in found:
        first, second = sorted(fix.parts, key=lambda part: part.mutant.start)[:2]
        assert first.mutant.end <= second.mutant.start
