"""Two edits at once, for bugs that no single edit repairs.

Rules, in the order in which pairs are proposed:
- The same mistake repeated: the same edit at all its places in one function, and at each two of them.
- Partial progress: an edit that makes some of the failing tests pass, with every other edit, the promising first.
- Two edits of one function: an edit that moved the failure elsewhere with the promising ones of the same function, then
  the promising ones with each other.
- Edits that overlap are never joined, and each pair is proposed once.

Source: Le Goues et al. 2012, "GenProg" (edits that fix some tests are kept and joined); the same edit at several places
after Saha et al. 2019, "Harnessing evolution for multi-hunk program repair" (Hercules).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

from councilor.adapters.workers.repair.trial import TrialResult
from councilor.domain.mutation.fix import Fix

__all__ = ["function_of", "joined", "pairs"]

MAX_REPEATED = 60
MAX_PARTIAL = 4
MAX_IN_FUNCTION = 24
JOINED = 0.3
"""How much less likely two edits are than their likelier one alone."""


def joined(*fixes: Fix) -> Fix | None:
    """Some fixes as one; None when they overlap."""
    parts = sorted(
        (part for fix in fixes for part in fix.parts), key=lambda part: (part.mutant.path, part.mutant.start)
    )
    for left, right in pairwise(parts):
        same = left.mutant.path == right.mutant.path
        if same and (right.mutant.start < left.mutant.end or right.mutant.start == left.mutant.start):
            return None
    first, *others = parts
    score = JOINED * max(fix.score for fix in fixes)
    return replace(first, score=score, more=tuple(replace(part, more=()) for part in others))


def pairs(
    seen: Sequence[Fix], partial: Sequence[tuple[int, TrialResult]], moved: Sequence[TrialResult]
) -> Iterator[Fix]:
    """Pairs of single edits.

    Args:
        seen: single edits, most promising first.
        partial: number of failing tests that pass -> the trial.
        moved: trials after which the failing tests failed in another way.
    """
    done: set[frozenset[int]] = set()
    for group in (*_repeated(seen), *_onto_partial(seen, partial), *_in_function(seen, moved)):
        key = frozenset(id(fix) for fix in group)
        if key in done or len(key) < 2:
            continue
        done.add(key)
        if (fix := joined(*group)) is not None:
            yield fix


def _repeated(seen: Sequence[Fix]) -> Iterator[tuple[Fix, ...]]:
    groups: dict[tuple[str, ...], list[Fix]] = defaultdict(list)
    for fix in seen:
        mutant = fix.mutant
        if mutant.operator != "insertion":
            groups[mutant.path, function_of(fix), mutant.operator, mutant.original, mutant.replacement].append(fix)
    several = [group for group in groups.values() if len(group) > 1]
    for group in several[:MAX_REPEATED]:
        yield tuple(group)
        if len(group) > 2:
            yield from list(combinations(group, 2))[:MAX_REPEATED]


def _onto_partial(seen: Sequence[Fix], partial: Sequence[tuple[int, TrialResult]]) -> Iterator[tuple[Fix, ...]]:
    best = sorted(partial, key=lambda item: (-item[0], -item[1].fix.score))[:MAX_PARTIAL]
    for fix in seen:
        for _, result in best:
            yield result.fix, fix


def _in_function(seen: Sequence[Fix], moved: Sequence[TrialResult]) -> Iterator[tuple[Fix, ...]]:
    by_function: dict[tuple[str, str], list[Fix]] = defaultdict(list)
    for fix in seen:
        by_function[fix.mutant.path, function_of(fix)].append(fix)
    for result in moved[:MAX_IN_FUNCTION]:
        for fix in by_function[result.fix.mutant.path, function_of(result.fix)][:MAX_IN_FUNCTION]:
            yield result.fix, fix
    for group in by_function.values():
        yield from sorted(combinations(group[:MAX_IN_FUNCTION], 2), key=lambda pair: -pair[0].score * pair[1].score)


def function_of(fix: Fix) -> str:
    """The dotted name of the innermost function around a fix's first edit; empty at module level."""
    return ".".join(scope.name for scope in fix.source.scopes_at(fix.mutant.line))
