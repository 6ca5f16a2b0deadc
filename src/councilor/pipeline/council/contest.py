"""Whether the tests tell a change from others: what speaks against taking "every test passes" for "it is right".

Rules, for fixes and features whose tests' strength was measured:
- A piece of the change that no test needs: the tests say nothing about it.
- A rival: another small edit of the base passes the same tests. It does not count when it did what the candidate does
  on every one of at least `ALIKE_INPUTS` inputs.
- Tests notice too few small edits of the changed lines, or of the lines around them in the same functions: where they
  do not look, the rest of the bug may be. What only the worker's own new tests notice does not count: wrong changes
  come with tests of their own, too.
- A measurement that is not complete, or whose time was over before `LEAST_TRIED` edits were tried: it says nothing.

A contested change may well be right. Other modes are not looked at: a refactoring needs no test to fail without it.
The bounds are set on AcceptBench's cases of `parse` and `boltons` (docs/adr/0007-judgement.md). What was tried and does
not tell right from wrong there: the mutants' score alone, coverage, the number of tests, new crashes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from councilor.domain.difference import DifferentialRun
from councilor.domain.spec import Mode
from councilor.domain.strength import MutantTrial, Strength
from councilor.pipeline.council.case import Case

__all__ = ["alike_of", "contest_of", "is_proven"]

MODES = frozenset({Mode.FIX, Mode.FEATURE})
LEAST_TRIED = 8
"""Edits that must have been tried when there was no time for all of them."""
ALIKE_INPUTS = 20
"""Inputs on which a rival must do the same before it counts as the same."""
LEAST_SCORE, LEAST_AROUND = 0.3, 0.6
"""Shares of the mutants of the changed lines, and of those around them, that tests must kill."""


def alike_of(run: DifferentialRun | None) -> tuple[str, ...]:
    """The rivals that answered every input as the candidate does, and enough of them."""
    if run is None:
        return ()
    same = (each for each, inputs in run.compared.items() if inputs >= ALIKE_INPUTS and not run.differing.get(each))
    return tuple(sorted(each for each in same if each.startswith("rival")))


def contest_of(case: Case) -> tuple[str, ...]:
    """Why the tests do not tell this change from others, each as half a sentence; empty when nothing was measured."""
    if case.strength is None or case.mode not in MODES:
        return ()
    return tuple(_reasons(case.strength, case.alike))


def is_proven(case: Case) -> bool:
    """Whether the tests' strength was measured, and tells the change from others."""
    return case.strength is not None and case.mode in MODES and not contest_of(case)


def _reasons(strength: Strength, alike: Sequence[str]) -> Iterator[str]:
    if not strength.complete:
        yield "how strong the tests are could not be measured whole"
    tried = len(strength.mutants) + len(strength.neighbours) + strength.rivals_tried
    if strength.out_of_time and tried < LEAST_TRIED:
        yield f"time was over when {tried} small edits had been tried"
    if strength.unneeded:
        yield f"{len(strength.unneeded)} of {len(strength.pieces)} pieces of the change are needed by no test"
    rivals = [each for number, each in enumerate(strength.rivals, 1) if f"rival{number}" not in alike]
    if rivals:
        yield f"{len(rivals)} other edits of the base pass the same tests, such as one that {rivals[0].description}"
    for where, trials, least in (
        ("of the changed lines", strength.mutants, LEAST_SCORE),
        ("of the lines around them", strength.neighbours, LEAST_AROUND),
    ):
        if (share := _killed(trials)) < least:
            yield f"tests notice {share:.0%} of small edits {where}"


def _killed(trials: Sequence[MutantTrial]) -> float:
    return sum(each.killed and not each.by_own for each in trials) / len(trials) if trials else 1.0
