"""Does one fix work? The failing tests first, then the passing tests that reach the change, then everything, cold.

Rules:
- The first stages run on a loaded suite where there is one, and take milliseconds; the last is always a run of its own
  in a fresh export of the base tree, in the runner's sandbox. Without a loaded suite all stages are such runs, and the
  middle one is left out where the tests take less than `MIDDLE_STAGE_S`: then starting the run costs more than they do.
- The first stage that fails ends the trial. Covering tests are run fastest first, `NEIGHBOURS_S` of them at most.
- A fix is plausible when every target passes and no test that passed on the base does not.
- A loaded suite says a fix breaks a test only if the test passes there without the fix, and it is not asked about
  targets at all that pass there without one: what depends on the order of tests is for the whole run to say.
- Fixes that compile to the same code are tried once.
- A run that cannot be believed or ran out of time is a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from math import inf
from pathlib import Path

from councilor.adapters.workers.repair.candidates import Base
from councilor.adapters.workers.repair.pool import Pool, exported
from councilor.domain.evidence import Outcome, TestRecord, TestRun
from councilor.domain.localization import executing
from councilor.domain.mutation.fix import Fix
from councilor.ports.analyzer import TestRequest, TestRunner, TrialEnd, TrialMode, TrialRequest, TrialRun
from councilor.ports.worker import Workspace

__all__ = ["Trial", "TrialResult", "Verdict", "collection_s"]

MAX_NEIGHBOURS = 200
MAX_OTHERS = 40
MIDDLE_STAGE_S = 5.0
FAILURES = (Outcome.FAILED, Outcome.ERROR)
LONGEST_TEST_S = 120.0
"""For a test of which is not known how long it takes."""
NEIGHBOURS_S = 10.0
SLACK_S = 0.3
"""Added to three times a test's own duration: what it may compute before it counts as endless."""
START_S = 2.0
FEW, FEW_S = 8, 0.5
UNFIT = 20
"""Tests that may turn out to be unfit for a loaded suite in one trial, before the trial goes on cold."""


class Verdict(StrEnum):
    """How far a fix came."""

    STILL_FAILS = "still fails"
    """A target does not pass."""
    BREAKS = "breaks other tests"
    """The targets pass, and a test that passed does not."""
    LIKELY = "likely"
    """The targets pass, and every test tried that reaches the change; the whole suite was not run."""
    PLAUSIBLE = "plausible"
    OPEN = "open"
    """The targets pass, and a test does not of which is not known whether it passed without the fix."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialResult:
    """What the trial of one fix gave."""

    fix: Fix
    verdict: Verdict
    run: TestRun
    """Its last run: of the whole suite, cold, when it is plausible."""
    broken: tuple[str, ...] = ()
    """Tests that passed on the base and do not pass with the fix."""
    also_fixed: tuple[str, ...] = ()
    """Other tests that failed on the base and pass with the fix; known of plausible fixes only."""
    mode: TrialMode = TrialMode.COLD
    """How its first stage was run."""


class _Unsure(Exception):  # it ends a stage, nobody reports it
    """The loaded suite cannot say."""


@dataclass(kw_only=True)
class Trial:
    """Tries fixes on one base tree.

    Args:
        pool: loaded suites; None: every run is cold.
    """

    runner: TestRunner
    workspace: Workspace
    tree: str
    base: Base
    pool: Pool | None = None
    why: str = ""
    """Why the loaded suites are not asked, if they are not."""
    _judged: dict[str, TrialResult] = field(default_factory=dict, init=False)
    _alone: dict[str, Outcome] = field(default_factory=dict, init=False)
    _checking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def try_fix(
        self, fix: Fix, *, remaining_s: float, wanted: Callable[[Fix], bool], confirm: bool = True
    ) -> TrialResult | None:
        """Run the stages until one fails.

        Args:
            wanted: asked between stages; when it says no, the trial ends without a result.
            confirm: False leaves the whole suite out if the stages before it ran on a loaded one: `LIKELY`.
        """
        mode = TrialMode.COLD
        try:
            quick = await self._quick(fix, wanted)
            if quick is None or isinstance(quick, TrialResult):
                return quick
            mode = quick
        except _Unsure:
            slow = await self._cold_stages(fix, remaining_s, wanted)
            if slow is None or isinstance(slow, TrialResult):
                return slow
        if not wanted(fix):
            return None
        if not confirm and mode is not TrialMode.COLD:
            run = TestRun(records=())
            also_fixed = await self._also_fixed(fix)
            return TrialResult(fix=fix, verdict=Verdict.LIKELY, run=run, also_fixed=also_fixed, mode=mode)
        return await self.confirm(fix, remaining_s=remaining_s, mode=mode)

    def narrowed(self, targets: tuple[str, ...]) -> Trial:
        """The same for some of the targets; the others may go on failing."""
        others = tuple(nodeid for nodeid in self.base.targets if nodeid not in targets)
        base = replace(self.base, targets=targets, others=(*self.base.others, *others))
        return Trial(
            runner=self.runner, workspace=self.workspace, tree=self.tree, base=base, pool=self.pool, why=self.why
        )  # fmt: skip

    async def _also_fixed(self, fix: Fix) -> tuple[str, ...]:
        others = self.base.others[:MAX_OTHERS]
        if not others:
            return ()
        try:
            run = await self._ask(fix, others, again=True, stop=False)
        except _Unsure:
            return ()
        still = _not_passed(run.records, others)
        return tuple(nodeid for nodeid in others if nodeid not in still)

    async def _quick(self, fix: Fix, wanted: Callable[[Fix], bool]) -> TrialResult | TrialMode | None:
        """The first stages on a loaded suite; its mode when the fix passed them.

        Raises:
            _Unsure: it has to be tried cold.
        """
        await self._check_targets()
        run = await self._ask(fix, self.base.targets, stop=not self._few_targets)
        if run.mode is TrialMode.KNOWN:
            return replace(self._judged[run.key], fix=fix, mode=TrialMode.KNOWN)
        if _not_passed(run.records, self.base.targets):
            return self._judge(run, TrialResult(fix=fix, verdict=Verdict.STILL_FAILS, run=_tests(run), mode=run.mode))
        waiting = self._neighbours(fix)
        for _ in range(UNFIT):
            if not waiting or not wanted(fix):
                return run.mode if wanted(fix) else None
            tried = await self._ask(fix, waiting, again=True)
            broken = _not_passed(tried.records, waiting)[:1]
            if not broken:
                return run.mode
            if await self._passes_alone(broken[0]):
                found = TrialResult(
                    fix=fix, verdict=Verdict.BREAKS, run=_tests(tried), broken=broken, mode=run.mode
                )  # fmt: skip
                return self._judge(run, found)
            waiting = waiting[waiting.index(broken[0]) + 1 :]
        raise _Unsure

    async def _ask(
        self, fix: Fix | None, nodeids: tuple[str, ...], *, again: bool = False, stop: bool = True
    ) -> TrialRun:
        """Run tests with a fix, or with none, on a loaded suite."""
        if self.pool is None or self.why:
            raise _Unsure
        request = TrialRequest(
            files={} if fix is None else fix.files,
            nodeids=nodeids,
            tests_s={nodeid: self._limit_s(nodeid) for nodeid in nodeids},
            start_s=START_S + 3.0 * collection_s(self.base.run),
            stop_at_first_failure=stop,
        )
        run = await self.pool.run(request, known=lambda key: not again and key in self._judged)
        if run is None or run.mode is TrialMode.COLD:
            raise _Unsure
        return run

    async def _check_targets(self) -> None:
        """Once: see that the targets fail on the loaded suite as they did before."""
        async with self._checking:
            if self.pool is None or self.why or self._alone:
                return
            run = await self._ask(None, self.base.targets, stop=False)
            found = {record.nodeid: record.outcome for record in run.records}
            # A test that is endless or ends its process has no record, and neither have those after it.
            unknown = Outcome.MISSING if run.end is TrialEnd.DONE else Outcome.FAILED
            self._alone.update({nodeid: found.get(nodeid, unknown) for nodeid in self.base.targets})
            before = self.base.run.outcomes
            other = [nodeid for nodeid in found if found[nodeid] is not before.get(nodeid)]
            if other:
                self.why = f"{other[0]} ends otherwise when the suite is kept loaded"
                raise _Unsure

    async def _passes_alone(self, nodeid: str) -> bool:
        """Whether a test passes on the loaded suite without any fix."""
        if nodeid not in self._alone:
            run = await self._ask(None, (nodeid,))
            self._alone[nodeid] = next((record.outcome for record in run.records), Outcome.MISSING)
        return self._alone[nodeid] is Outcome.PASSED

    def _judge(self, run: TrialRun, result: TrialResult) -> TrialResult:
        if run.key:
            self._judged[run.key] = result
        return result

    def _neighbours(self, fix: Fix) -> tuple[str, ...]:
        """Passing tests that execute a changed line, or else of its file any line; fastest first."""
        found: dict[str, None] = {}
        for path, lines in fix.lines.items():
            reaching = executing(self.base.coverage, path, lines, self.base.passing)
            found |= dict.fromkeys(reaching or (test for test in self.base.passing if path in self._reached(test)))
        chosen, left_s = [], NEIGHBOURS_S
        for nodeid in sorted(found, key=lambda nodeid: self._durations_s.get(nodeid, 0.0)):
            left_s -= self._durations_s.get(nodeid, 0.0)
            if left_s < 0 or self._alone.get(nodeid, Outcome.PASSED) is not Outcome.PASSED:
                continue
            chosen.append(nodeid)
        return tuple(chosen)

    def _reached(self, nodeid: str) -> Sequence[str]:
        return tuple(self.base.coverage.get(nodeid, {}))

    async def _cold_stages(
        self, fix: Fix, remaining_s: float, wanted: Callable[[Fix], bool]
    ) -> TrialResult | bool | None:
        run = await self._run(fix, self.base.targets, remaining_s)
        if self._unfixed(run):
            return TrialResult(fix=fix, verdict=Verdict.STILL_FAILS, run=run)
        if not wanted(fix):
            return None
        if sum(self._durations_s.values()) < MIDDLE_STAGE_S:
            return True
        neighbours = self._neighbours(fix)[:MAX_NEIGHBOURS]
        if neighbours and (broken := _unpassed(run := await self._run(fix, neighbours, remaining_s), neighbours)):
            return TrialResult(fix=fix, verdict=Verdict.BREAKS, run=run, broken=broken)
        return True

    async def confirm(self, fix: Fix, *, remaining_s: float, mode: TrialMode = TrialMode.COLD) -> TrialResult:
        """The whole suite, cold: what a fix has to pass before it is offered."""
        run = await self._run(fix, None, remaining_s)
        broken = _unpassed(run, self.base.passing)
        if broken or self._unfixed(run):
            verdict = Verdict.BREAKS if broken else Verdict.STILL_FAILS
            return TrialResult(fix=fix, verdict=verdict, run=run, broken=broken, mode=mode)
        if not self.base.whole and self._strangers(run):
            return TrialResult(fix=fix, verdict=Verdict.OPEN, run=run, mode=mode)
        still = _unpassed(run, self.base.others)
        also_fixed = tuple(nodeid for nodeid in self.base.others if nodeid not in still)
        return TrialResult(fix=fix, verdict=Verdict.PLAUSIBLE, run=run, also_fixed=also_fixed, mode=mode)

    def _strangers(self, run: TestRun) -> bool:
        """Whether anything fails in a run of the whole suite that the base's run does not know."""
        known = self.base.run.outcomes
        failing = any(record.outcome in FAILURES and record.nodeid not in known for record in run.records)
        return failing or bool(run.collection_errors)

    async def _run(self, fix: Fix, nodeids: tuple[str, ...] | None, remaining_s: float) -> TestRun:
        async with exported(self.workspace, self.tree) as folder:
            for path, content in fix.files.items():
                await asyncio.to_thread(Path(folder, path).write_bytes, content)
            return await self.runner.run(
                TestRequest(
                    folder=folder,
                    environment=self.workspace.environment,
                    timeout_s=min(max(remaining_s, 1.0), self._run_timeout_s if self._is_timed(nodeids) else inf),
                    test_timeout_s=self._test_timeout_s if self._is_timed(nodeids) else LONGEST_TEST_S,
                    paths=files_of(nodeids) if nodeids else (),
                    nodeids=nodeids,
                    stop_at_first_failure=nodeids is not None,
                    canaries=0,
                )
            )

    def _is_timed(self, nodeids: tuple[str, ...] | None) -> bool:
        """Whether it is known how long these tests take."""
        return self.base.whole or nodeids is not None

    def _unfixed(self, run: TestRun) -> tuple[str, ...]:
        return _unpassed(run, self.base.targets)

    @cached_property
    def _durations_s(self) -> dict[str, float]:
        return {record.nodeid: record.duration_s for record in self.base.run.records}

    @cached_property
    def _few_targets(self) -> bool:
        """Whether all of them can be run with every fix, to learn which of them it makes pass."""
        took_s = sum(self._durations_s.get(nodeid, 0.0) for nodeid in self.base.targets)
        return len(self.base.targets) <= FEW and took_s <= FEW_S

    def _limit_s(self, nodeid: str) -> float:
        # How long a failing test takes says little of how long it will take once it passes.
        took_s = min(self._durations_s.get(nodeid, 0.0), max(1.0, self._slowest_s))
        return SLACK_S + 3.0 * took_s

    @cached_property
    def _slowest_s(self) -> float:
        return max((self._durations_s[nodeid] for nodeid in self.base.passing), default=0.0)

    @property
    def _run_timeout_s(self) -> float:
        # The base was measured with coverage, which is slower; a mutant that takes three times as long has a loop.
        return 5.0 + 3.0 * self.base.run.duration_s

    @property
    def _test_timeout_s(self) -> float:
        return 2.0 + 3.0 * max(self._durations_s.values(), default=0.0)


def files_of(nodeids: Sequence[str]) -> tuple[str, ...]:
    """The test files that node ids belong to, each once."""
    return tuple(dict.fromkeys(nodeid.partition("::")[0] for nodeid in nodeids))


def collection_s(run: TestRun) -> float:
    """Seconds of a run that no test took."""
    return max(0.0, run.duration_s - sum(record.duration_s for record in run.records))


def _tests(run: TrialRun) -> TestRun:
    return TestRun(records=run.records, timed_out=run.end is TrialEnd.SLOW, duration_s=run.duration_s)


def _not_passed(records: Sequence[TestRecord], nodeids: Sequence[str]) -> tuple[str, ...]:
    passed = {record.nodeid for record in records if record.outcome is Outcome.PASSED}
    return tuple(nodeid for nodeid in nodeids if nodeid not in passed)


def _unpassed(run: TestRun, nodeids: Sequence[str]) -> tuple[str, ...]:
    return _not_passed(run.records if run.believable and not run.timed_out else (), nodeids)
