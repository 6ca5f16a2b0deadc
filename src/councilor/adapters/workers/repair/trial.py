"""Does one fix work? The failing tests first, then the passing tests that execute the line, then everything, cold.

Rules:
- Every run happens in its own fresh export of the base tree, in the runner's sandbox, and the export is removed after.
- The first stage that fails ends the trial; the stages go from the cheapest to the surest. The middle one is left out
  where the tests themselves take less than `MIDDLE_STAGE_S`: then starting the run costs more than the tests.
- A fix is plausible when every target passes and no test that passed on the base does not.
- A run that cannot be believed or ran out of time is a failure.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from councilor.adapters.workers.repair.candidates import Base, Fix
from councilor.domain.evidence import Outcome, TestRun
from councilor.domain.localization import executing
from councilor.ports.analyzer import TestRequest, TestRunner
from councilor.ports.worker import Workspace

__all__ = ["Trial", "TrialResult", "Verdict", "exported", "files_of"]

MAX_NEIGHBOURS = 200
MIDDLE_STAGE_S = 5.0


class Verdict(StrEnum):
    """How far a fix came."""

    STILL_FAILS = "still fails"
    """A target does not pass."""
    BREAKS = "breaks other tests"
    """The targets pass, and a test that passed does not."""
    PLAUSIBLE = "plausible"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialResult:
    """What the trial of one fix gave."""

    fix: Fix
    verdict: Verdict
    run: TestRun
    """Its last run: of the whole suite when it is plausible."""
    broken: tuple[str, ...] = ()
    """Tests that passed on the base and do not pass with the fix."""


@asynccontextmanager
async def exported(workspace: Workspace, tree: str) -> AsyncIterator[Path]:
    """A fresh export of a tree, removed afterwards."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="trial-", dir=workspace.scratch))
    try:
        await workspace.repository.export(tree, folder)
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def files_of(nodeids: Sequence[str]) -> tuple[str, ...]:
    """The test files that node ids belong to, each once."""
    return tuple(dict.fromkeys(nodeid.partition("::")[0] for nodeid in nodeids))


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """Tries fixes on one base tree."""

    runner: TestRunner
    workspace: Workspace
    tree: str
    base: Base

    async def try_fix(self, fix: Fix, *, remaining_s: float, wanted: Callable[[Fix], bool]) -> TrialResult | None:
        """Run the stages until one fails.

        Args:
            wanted: asked between stages; when it says no, the trial ends without a result.
        """
        run = await self._run(fix, self.base.targets, remaining_s)
        if self._unfixed(run):
            return TrialResult(fix=fix, verdict=Verdict.STILL_FAILS, run=run)
        if not wanted(fix):
            return None
        neighbours = self._neighbours(fix)
        if neighbours and (broken := _not_passed(run := await self._run(fix, neighbours, remaining_s), neighbours)):
            return TrialResult(fix=fix, verdict=Verdict.BREAKS, run=run, broken=broken)
        run = await self._run(fix, None, remaining_s)
        broken = _not_passed(run, self.base.passing)
        if broken or self._unfixed(run):
            verdict = Verdict.BREAKS if broken else Verdict.STILL_FAILS
            return TrialResult(fix=fix, verdict=verdict, run=run, broken=broken)
        return TrialResult(fix=fix, verdict=Verdict.PLAUSIBLE, run=run)

    def _neighbours(self, fix: Fix) -> tuple[str, ...]:
        if sum(record.duration_s for record in self.base.run.records) < MIDDLE_STAGE_S:
            return ()
        mutant = fix.mutant
        return executing(self.base.coverage, mutant.path, mutant.lines, self.base.passing)[:MAX_NEIGHBOURS]

    async def _run(self, fix: Fix, nodeids: tuple[str, ...] | None, remaining_s: float) -> TestRun:
        async with exported(self.workspace, self.tree) as folder:
            await asyncio.to_thread((folder / fix.mutant.path).write_bytes, fix.content)
            return await self.runner.run(
                TestRequest(
                    folder=folder,
                    environment=self.workspace.environment,
                    timeout_s=min(max(remaining_s, 1.0), self._run_timeout_s),
                    test_timeout_s=self._test_timeout_s,
                    paths=files_of(nodeids) if nodeids else (),
                    nodeids=nodeids,
                    stop_at_first_failure=nodeids is not None,
                    canaries=0,
                )
            )

    def _unfixed(self, run: TestRun) -> tuple[str, ...]:
        return _not_passed(run, self.base.targets)

    @property
    def _run_timeout_s(self) -> float:
        # The base was measured with coverage, which is slower; a mutant that takes three times as long has a loop.
        return 5.0 + 3.0 * self.base.run.duration_s

    @property
    def _test_timeout_s(self) -> float:
        slowest_s = max((record.duration_s for record in self.base.run.records), default=0.0)
        return 2.0 + 3.0 * slowest_s


def _not_passed(run: TestRun, nodeids: Sequence[str]) -> tuple[str, ...]:
    outcomes = run.outcomes if run.believable and not run.timed_out else {}
    return tuple(nodeid for nodeid in nodeids if outcomes.get(nodeid) is not Outcome.PASSED)
