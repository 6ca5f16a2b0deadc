"""The search: fixes tried in order, a few at a time, until enough is known, or candidates or time run out.

Rules:
- `parallel` trials run at once; each takes the next fix of the list.
- Of the plausible fixes the smallest edit wins; among equals the more promising one.
- Once there is a plausible fix, only fixes that could still win are tried: smaller ones about as promising. A trial of
  another one that is under way ends after its stage.
- Time and budget are looked at before every trial, so the search ends at most one trial late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from councilor.adapters.workers.repair.candidates import Fix
from councilor.adapters.workers.repair.memory import SearchMemory
from councilor.adapters.workers.repair.trial import Trial, TrialResult, Verdict

__all__ = ["Search", "best"]

ABOUT_AS_PROMISING = 0.9
"""Share of the found fix's score that a smaller one needs, so that the search ends soon after the first find."""


def best(results: Sequence[TrialResult]) -> TrialResult | None:
    """The plausible fix to offer, if there is one."""
    plausible = [result for result in results if result.verdict is Verdict.PLAUSIBLE]
    return min(plausible, key=lambda result: (result.fix.mutant.size, -result.fix.score), default=None)


@dataclass(kw_only=True, slots=True)
class Search:
    """One iteration's search.

    Args:
        remaining_s: seconds left until the deadline.
        on_start: told the number of trials begun and the fix that is tried next.
    """

    trial: Trial
    memory: SearchMemory
    max_candidates: int
    parallel: int
    remaining_s: Callable[[], float]
    on_start: Callable[[int, Fix], None]
    results: list[TrialResult] = field(default_factory=list)
    _begun: int = 0

    async def run(self, fixes: Iterable[Fix]) -> None:
        """Try fixes; the outcome is in `results`."""
        waiting = iter([*self._known_good(fixes), *self._new(fixes)])
        async with asyncio.TaskGroup() as group:
            for _ in range(self.parallel):
                group.create_task(self._take_turns(waiting))

    def _known_good(self, fixes: Iterable[Fix]) -> list[Fix]:
        return [fix for fix in fixes if fix.digest in self.memory.plausible - self.memory.offered]

    def _new(self, fixes: Iterable[Fix]) -> list[Fix]:
        known = self.memory.plausible | self.memory.offered | self.memory.failed
        return [fix for fix in fixes if fix.digest not in known]

    async def _take_turns(self, waiting: Iterable[Fix]) -> None:
        for fix in waiting:
            if self._begun >= self.max_candidates or self.remaining_s() <= 0:
                return
            if not self._wanted(fix):
                continue
            self._begun += 1
            self.on_start(self._begun, fix)
            result = await self.trial.try_fix(fix, remaining_s=self.remaining_s(), wanted=self._wanted)
            if result is not None:
                self._note(result)

    def _wanted(self, fix: Fix) -> bool:
        """Whether a fix could still win."""
        found = best(self.results)
        if found is None:
            return True
        return fix.mutant.size < found.fix.mutant.size and fix.score >= ABOUT_AS_PROMISING * found.fix.score

    def _note(self, result: TrialResult) -> None:
        self.results.append(result)
        plausible = result.verdict is Verdict.PLAUSIBLE
        (self.memory.plausible if plausible else self.memory.failed).add(result.fix.digest)
