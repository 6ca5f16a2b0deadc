"""Whether the tests tell a change from others: what contests it, and what follows for the verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases import clean_case

from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.domain.difference import DifferentialRun
from councilor.domain.spec import Mode
from councilor.domain.strength import Fate, MutantTrial, PieceTrial, Strength
from councilor.domain.verdict import Decision, Verdict
from councilor.pipeline.council import Case, alike_of, deliberate
from councilor.pipeline.council.contest import contest_of, is_proven
from councilor.ports.metrics import NoMetrics


def mutant(fate: Fate = Fate.KILLED) -> MutantTrial:
    return MutantTrial(
        path="src/a.py", line=2, start=9, operator="boundary", original="1", replacement="2",
        description="replaces `1` by `2`", fate=fate,
    )  # fmt: skip


PIECE = PieceTrial(path="src/a.py", lines=(2, 2), text="`1` -> `2`", needed=True, killer="t")
STRONG = Strength(
    lines=2, covered=2, mutants=(mutant(),) * 8, neighbours=(mutant(),) * 8, pieces=(PIECE,), rivals_tried=40,
    reaching=3, complete=True,
)  # fmt: skip
SURVIVED = mutant(Fate.SURVIVED)


def case_of(strength: Strength | None, **more: Any) -> Case:
    return replace(clean_case(), strength=strength, **more)


async def judged(case: Case) -> Verdict:
    return await deliberate(case, clock=FakeClock(), ids=SequentialIds(), metrics=NoMetrics())


async def test_strong_tests_prove_a_change_and_what_is_not_measured_proves_nothing() -> None:
    assert contest_of(case_of(STRONG)) == contest_of(case_of(None)) == ()
    assert is_proven(case_of(STRONG)) and not is_proven(case_of(None))
    strong, unknown = await judged(case_of(STRONG)), await judged(case_of(None))
    assert strong.decision is unknown.decision is Decision.ACCEPT
    assert strong.probability > unknown.probability


@pytest.mark.parametrize(
    ("weak", "said"),
    [
        ({"pieces": (PIECE, replace(PIECE, needed=False))}, "1 of 2 pieces"),
        ({"rivals": (SURVIVED,)}, "1 other edits of the base pass the same tests"),
        ({"mutants": (mutant(),) + (SURVIVED,) * 3}, "tests notice 25% of small edits of the changed lines"),
        ({"neighbours": (mutant(),) * 2 + (SURVIVED,) * 2}, "tests notice 50% of small edits of the lines around them"),
        (
            {"neighbours": (replace(mutant(), by_own=True),) * 4},
            "tests notice 0% of small edits of the lines around them",
        ),
        ({"complete": False, "why": "the suite was lost"}, "could not be measured whole"),
        (
            {"out_of_time": True, "mutants": (mutant(),), "neighbours": (), "rivals_tried": 2},
            "time was over when 3 small edits had been tried",
        ),
    ],
)
async def test_a_contested_change_is_neither_accepted_nor_rejected(weak: dict[str, Any], said: str) -> None:
    case = case_of(replace(STRONG, **weak))
    (reason,) = contest_of(case)
    assert said in reason
    verdict = await judged(case)
    assert verdict.decision is Decision.NEEDS_EVIDENCE
    assert any(said in each for each in verdict.missing_evidence)


def test_a_measurement_that_tried_enough_before_its_time_was_over_counts() -> None:
    assert is_proven(case_of(replace(STRONG, out_of_time=True)))


def test_a_refactoring_needs_no_test_that_fails_without_it() -> None:
    weak = replace(STRONG, pieces=(replace(PIECE, needed=False),))
    assert contest_of(case_of(weak, mode=Mode.REFACTOR)) == ()
    assert not is_proven(case_of(STRONG, mode=Mode.REFACTOR))


def test_a_rival_that_does_the_same_on_every_input_contests_nothing() -> None:
    rivals = replace(STRONG, rivals=(SURVIVED, SURVIVED))
    assert contest_of(case_of(rivals, alike=("rival1", "rival2"))) == ()
    assert len(contest_of(case_of(rivals, alike=("rival2",)))) == 1


def test_only_enough_inputs_without_a_difference_make_rivals_alike() -> None:
    run = DifferentialRun(
        compared={"rival1": 30, "rival2": 30, "rival3": 3, "mutant1": 30, "base": 30}, differing={"rival2": 1}
    )
    assert alike_of(run) == ("rival1",)
    assert alike_of(None) == ()
