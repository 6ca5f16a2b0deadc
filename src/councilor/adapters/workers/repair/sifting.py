"""Rivals after a glance: which of them do the tests that were not looked at tell from the chosen fix?

Rules:
- Only where there are rivals enough to doubt the chosen fix, and time; most likely rivals first, `MAX_SIFTED` of them.
- The chosen fix has passed the whole suite. A rival that fails a test of it on the loaded suite, where the chosen fix
  passes that test, is none.
- Tests are run fastest first, `TESTS_S` of them at most. A rival that was not sifted stays a rival.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from councilor.adapters.workers.repair.pool import Pool
from councilor.adapters.workers.repair.search import Search
from councilor.domain.evidence import Outcome, TestRun
from councilor.domain.mutation.fix import Fix
from councilor.guards.standstill import Allowance
from councilor.ports.analyzer import TrialMode, TrialRequest

__all__ = ["sift"]

MAX_SIFTED = 12
TESTS_S = 10.0
SLACK_S, START_S = 0.5, 10.0
UNFIT = 10
"""Tests that may turn out to fail with the chosen fix, too, on a loaded suite, before a rival is left a rival."""


async def sift(
    search: Search, open_pool: Callable[[], AbstractAsyncContextManager[Pool]], *, remaining_s: Callable[[], float]
) -> None:
    """Take out of the search's rivals those that other tests tell from the chosen fix.

    Args:
        open_pool: loads the whole suite.
        remaining_s: seconds until the deadline; when they are over, what is left stays.
    """
    chosen = search.chosen
    base = search.trial.base
    if chosen is None or base.whole or not search.is_rivalled:
        return
    unseen = _unseen(chosen.run, frozenset(base.run.outcomes))
    if not unseen:
        return
    try:
        async with Allowance(max(0.1, remaining_s())), open_pool() as pool:
            sifter = _Sifter(pool=pool, chosen=chosen.fix, durations_s=unseen)
            for rival in search.rivals[:MAX_SIFTED]:
                if not search.is_rivalled:
                    return
                if (test := await sifter.telling(rival.fix)) is not None:
                    search.beaten(rival, test)
    except TimeoutError:
        return


def _unseen(run: TestRun, seen: frozenset[str]) -> dict[str, float]:
    """Tests of a run that passed and are not among `seen` -> their seconds; the fastest first, `TESTS_S` together."""
    passed = [each for each in run.records if each.outcome is Outcome.PASSED and each.nodeid not in seen]
    found, left_s = {}, TESTS_S
    for record in sorted(passed, key=lambda each: each.duration_s):
        left_s -= record.duration_s
        if left_s < 0:
            break
        found[record.nodeid] = record.duration_s
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sifter:
    pool: Pool
    chosen: Fix
    durations_s: dict[str, float]

    async def telling(self, rival: Fix) -> str | None:
        """A test that the rival fails and the chosen fix passes."""
        waiting = tuple(self.durations_s)
        for _ in range(UNFIT):
            failed = await self._first_failure(rival, waiting)
            if failed is None:
                return None
            if await self._first_failure(self.chosen, (failed,)) is None:
                return failed
            waiting = waiting[waiting.index(failed) + 1 :]
        return None

    async def _first_failure(self, fix: Fix, nodeids: tuple[str, ...]) -> str | None:
        """The first of some tests that does not pass; None when all do, or where it cannot be known."""
        if not nodeids:
            return None
        limits = {nodeid: SLACK_S + 3.0 * self.durations_s[nodeid] for nodeid in nodeids}
        request = TrialRequest(files=fix.files, nodeids=nodeids, tests_s=limits, start_s=START_S)
        run = await self.pool.run(request, known=lambda key: False)
        if run is None or run.mode not in {TrialMode.HOT, TrialMode.WARM}:
            return None
        passed = {record.nodeid for record in run.records if record.outcome is Outcome.PASSED}
        return next((nodeid for nodeid in nodeids if nodeid not in passed), None)
