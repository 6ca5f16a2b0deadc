"""How strong tests are: the figures, the alternative source, and that all of it can be stored."""

from __future__ import annotations

import json

import pytest

from councilor.domain.codec import decode, encode
from councilor.domain.strength import Fate, MutantTrial, PieceTrial, Strength, alternative_source
from councilor.errors import InputError

TEXT = "def f(a):\n    return a > 1\n"


def mutant(fate: Fate, **more: object) -> MutantTrial:
    values: dict[str, object] = {
        "path": "a.py", "line": 2, "start": TEXT.index(">"), "operator": "comparison", "original": ">",
        "replacement": ">=", "description": "replaces `>` by `>=`", "fate": fate, "function": "f",
    }  # fmt: skip
    return MutantTrial(**(values | more))  # type: ignore[arg-type]  # as above


def test_the_score_counts_what_could_not_be_tried_as_not_killed() -> None:
    strength = Strength(mutants=tuple(mutant(fate) for fate in Fate))
    assert [each.fate for each in strength.survivors] == [Fate.SURVIVED, Fate.UNREACHED, Fate.UNTRIED]
    assert strength.score == strength.score_with_own == 2 / 5


def test_what_only_the_workers_own_tests_kill_is_counted_apart() -> None:
    strength = Strength(mutants=(mutant(Fate.KILLED), mutant(Fate.KILLED, by_own=True), mutant(Fate.SURVIVED)))
    assert (strength.score, strength.score_with_own, strength.killed_by_own) == (1 / 3, 2 / 3, 1)


def test_nothing_measured_has_no_share() -> None:
    nothing = Strength()
    assert (nothing.score, nothing.score_with_own, nothing.coverage, nothing.complete) == (None, None, None, False)


@pytest.mark.parametrize(
    ("figures", "share"),
    [
        ({"lines": 4, "covered": 4}, 1.0),
        ({"lines": 4, "covered": 2, "covered_by_own": 1}, 0.75),
        ({"lines": 4, "covered": 4, "branches": 2, "branches_taken": 1}, 0.5),
        ({"lines": 4, "covered": 1, "branches": 2, "branches_taken": 1, "branches_taken_by_own": 1}, 0.25),
    ],
)
def test_coverage_is_the_lesser_share(figures: dict[str, int], share: float) -> None:
    assert Strength(**figures).coverage == share


def test_only_pieces_that_were_tried_are_unneeded() -> None:
    pieces = tuple(PieceTrial(path="a.py", lines=(1, 1), text="x", needed=needed) for needed in (True, False, None))
    assert Strength(pieces=pieces).unneeded == pieces[1:2]


def test_the_alternative_is_the_whole_file_with_the_edit() -> None:
    assert alternative_source(TEXT, mutant(Fate.SURVIVED)) == TEXT.replace(">", ">=")
    with pytest.raises(InputError):
        alternative_source("# another text\n" + TEXT, mutant(Fate.SURVIVED))


def test_it_can_be_stored() -> None:
    strength = Strength(
        mutants=(mutant(Fate.KILLED, killer="t.py::a"),), rivals=(mutant(Fate.SURVIVED),),
        missed_lines={"a.py": (1, 2)},
        pieces=(PieceTrial(path="a.py", lines=(2, 1), text="x", needed=None),), reaching_tests=("t.py::a",),
    )  # fmt: skip
    assert decode(Strength, json.loads(json.dumps(encode(strength)))) == strength
