"""Which plausible fixes contradict the chosen one, and when that is a reason for doubt.

Rules:
- Two fixes are rivals when they make different programs, as far as the text tells: see `domain/mutation/equivalence`.
- Scores are taken as likelihoods. The chosen fix is doubted when its share among all plausible ones that differ is
  below `SURE`: then the tests do not tell which one is meant.
- Priors order the edits of one place; which place is wrong they tell less. So a chosen fix that is not `SURE_OF_PLACE`
  among those that change other statements is doubted, too.
- It is doubted too when other failing tests execute it and go on failing, and when it removes code: that often passes
  by accident.

Source: posterior over plausible patches after Long & Rinard 2016, "Automatic patch generation by learning correct code"
(Prophet); overfitting of test-passing patches, Smith et al. 2015, "Is the cure worse than the disease?".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from councilor.adapters.workers.repair.trial import TrialResult
from councilor.domain.mutation import normal_form
from councilor.domain.mutation.fix import Fix

__all__ = ["different", "doubts", "is_rivalled", "share", "shares_a_line"]

SURE = 0.5
"""As likely as all the others together."""
SURE_OF_PLACE = 0.6
MAX_NAMED = 3


def different(
    chosen: TrialResult, results: Sequence[TrialResult], forms: dict[str, str] | None = None
) -> tuple[TrialResult, ...]:
    """Those of some passing fixes that do something else than the chosen one and than each other, in their order.

    Args:
        forms: a fix's digest -> its form, for those that were compared before; added to.
    """
    known: dict[str, str] = {} if forms is None else forms
    seen = {_known_form(chosen.fix, known)}
    found = []
    for result in results:
        if (form := _known_form(result.fix, known)) not in seen:
            seen.add(form)
            found.append(result)
    return tuple(found)


def _known_form(fix: Fix, forms: dict[str, str]) -> str:
    digest = fix.digest
    if digest not in forms:
        forms[digest] = _form(fix)
    return forms[digest]


def _form(fix: Fix) -> str:
    """The changed files in a form that is equal for edits which mean the same."""
    return "\0".join(f"{path}\0{normal_form(old, new)}" for path, (old, new) in sorted(fix.texts.items()))


def share(chosen: TrialResult, rivals: Sequence[TrialResult], merit: Callable[[TrialResult], float]) -> float:
    """The chosen fix's part of the likelihood of all passing ones, 0 to 1."""
    whole = merit(chosen) + sum(map(merit, rivals))
    return merit(chosen) / whole if whole else 1.0


def is_rivalled(chosen: TrialResult, rivals: Sequence[TrialResult], merit: Callable[[TrialResult], float]) -> bool:
    """Whether rivals alone are a reason to doubt the chosen fix."""
    if not rivals:
        return False
    elsewhere = [rival for rival in rivals if not shares_a_line(chosen.fix, rival.fix)]
    return share(chosen, rivals, merit) < SURE or share(chosen, elsewhere, merit) < SURE_OF_PLACE


def shares_a_line(left: Fix, right: Fix) -> bool:
    """Whether two fixes change the same place."""
    lines = right.lines
    return any(numbers & lines.get(path, frozenset()) for path, numbers in left.lines.items())


def doubts(
    chosen: TrialResult,
    rivals: Sequence[TrialResult],
    merit: Callable[[TrialResult], float],
    still_failing: Sequence[str] = (),
) -> tuple[str, ...]:
    """Why the chosen fix may be the wrong one, in plain sentences; empty when nothing speaks against it.

    Args:
        merit: how likely a passing fix is, beside others.
        still_failing: tests that failed before, execute the change, and go on failing with it.
    """
    found = []
    if still_failing:
        count = "Another test" if len(still_failing) == 1 else f"{len(still_failing)} other tests"
        ends = "executes the change and goes" if len(still_failing) == 1 else "execute the change and go"
        found.append(f"{count} that failed before {ends} on failing: {', '.join(still_failing[:MAX_NAMED])}.")
    if is_rivalled(chosen, rivals, merit):
        named = "; ".join(rival.fix.label for rival in rivals[:MAX_NAMED])
        more = f" and {len(rivals) - MAX_NAMED} more" if len(rivals) > MAX_NAMED else ""
        count = "another that passes" if len(rivals) == 1 else f"{len(rivals)} others that pass"
        found.append(f"The tests do not tell this change from {count} them too: {named}{more}.")
    if any(part.mutant.operator == "removal" for part in chosen.fix.parts):
        found.append("The change removes code, which often only hides what the tests look at.")
    return tuple(found)
