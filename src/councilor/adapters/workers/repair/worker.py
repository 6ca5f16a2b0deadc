"""The worker that needs no model: it finds one small edit that makes the failing tests pass and breaks no other.

Rules:
- Localise: by Ochiai over the lines in scope. A glance at the acceptance tests' own files is enough at first
  (`glance`); where it leads to no fix, the whole suite is run on the base with coverage per test.
- Try: mutants of the suspected lines, most promising first (`candidates`), each in stages (`trial`), a few at once,
  within budget and deadline (`search`).
- Offer the most promising plausible fix, and say what speaks against it (`rivalry`): it is written into the workspace,
  which otherwise stays as the base tree.
- Refinement: what was offered before is never offered again; the search goes on where it stopped (`memory`).
- Give up honestly: without a plausible fix nothing is changed, and the report says what was tried. An edit that makes
  some of the failing tests pass and breaks nothing is offered as what it is, and still counts as giving up.

Source: Le Goues et al. 2012, "GenProg: a generic method for automatic software repair"; Weimer, Fry & Forrest 2013,
"Leveraging program equivalence for adaptive program repair" (AE: deterministic, one edit, failing tests first).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from math import inf
from pathlib import Path

from councilor.adapters.workers.repair.candidates import Base, readable, suspects
from councilor.adapters.workers.repair.glance import FAILURES, glance, glanced_files, patience_s, wanted_failures
from councilor.adapters.workers.repair.memory import SearchMemory
from councilor.adapters.workers.repair.pool import Pool, exported, pooled
from councilor.adapters.workers.repair.report import failure_report, partial_report, quoted, success_report, transcript
from councilor.adapters.workers.repair.search import Search
from councilor.adapters.workers.repair.sifting import sift
from councilor.adapters.workers.repair.trial import Trial, TrialResult, Verdict
from councilor.domain.evidence import TestRun
from councilor.domain.failure import read_failure
from councilor.domain.mutation.fix import Fix, digest
from councilor.domain.mutation.ranking import ranked_fixes
from councilor.domain.scope import admits
from councilor.domain.worker import Assignment, Usage, WorkerOutcome, WorkerProfile, WorkerReport
from councilor.ports.analyzer import TestRequest, TestRunner, TestServers, TrialMode
from councilor.ports.clock import Clock
from councilor.ports.worker import Progress, Workspace

__all__ = ["RepairWorker"]

FAILED = (Verdict.STILL_FAILS, Verdict.BREAKS)
ALONE = 40
"""Trials after a glance on one loaded suite only: most searches end sooner than another one is loaded."""
COLLECT_S = 300.0
"""Most seconds for collecting the suite; one that takes longer is not kept loaded."""
Emit = Callable[[Progress], None]


class RepairWorker:
    """Repairs by search, offline.

    Args:
        runner: runs the repository's tests in its sandbox.
        servers: keep its suite loaded for the search; None: every trial is a run of its own.
        max_candidates: trials in one iteration.
        parallel: trials at once; None: as many as there are cores at hand.
    """

    def __init__(
        self,
        *,
        runner: TestRunner,
        clock: Clock,
        profile: WorkerProfile,
        servers: TestServers | None = None,
        max_candidates: int = 20_000,
        parallel: int | None = None,
    ) -> None:
        self.name = profile.name
        self._servers = servers
        self._runner = runner
        self._clock = clock
        self._profile = profile
        self._max_candidates = max_candidates
        self._parallel = parallel or _cores()

    async def check(self) -> None:
        """Nothing can be missing: it is built in; see the port."""

    async def run(self, assignment: Assignment, workspace: Workspace, emit: Emit) -> WorkerReport:
        """Search for one edit and write it into the workspace; see the port."""
        began_s = self._clock.monotonic()
        deadline_s = began_s + min(assignment.timeout_s, self._profile.timeout_s)
        iteration = _Iteration(
            assignment=assignment, workspace=workspace, emit=emit, runner=self._runner, servers=self._servers,
            clock=self._clock, deadline_s=deadline_s, max_candidates=self._max_candidates, parallel=self._parallel,
        )  # fmt: skip
        outcome, text = await iteration.run()
        return WorkerReport(
            outcome=outcome,
            text=text,
            transcript=transcript(iteration.results),
            usage=Usage(duration_s=self._clock.monotonic() - began_s, turns=len(iteration.results)),
            doubts=iteration.doubts,
        )


class _Iteration:
    def __init__(
        self,
        *,
        assignment: Assignment,
        workspace: Workspace,
        emit: Emit,
        runner: TestRunner,
        servers: TestServers | None,
        clock: Clock,
        deadline_s: float,
        max_candidates: int,
        parallel: int,
    ) -> None:
        self._assignment = assignment
        self._workspace = workspace
        self._emit = emit
        self._runner = runner
        self._servers = servers
        self._clock = clock
        self._deadline_s = deadline_s
        self._max_candidates = max_candidates
        self._parallel = parallel
        self.results: Sequence[TrialResult] = ()
        self.doubts: tuple[str, ...] = ()
        self._why = ""

    def _remaining_s(self) -> float:
        return self._deadline_s - self._clock.monotonic()

    async def run(self) -> tuple[WorkerOutcome, str]:
        workspace = self._workspace
        await asyncio.to_thread(workspace.scratch.mkdir, parents=True, exist_ok=True)
        memory = await asyncio.to_thread(SearchMemory.load, workspace.scratch)
        await self._take_back(memory)
        glanced = await self._glanced(memory)
        if glanced is not None:
            return glanced
        async with self._pooled(self._parallel) as pool:
            return await self._repair(memory, pool)

    def _pooled(self, count: int, paths: tuple[str, ...] = ()) -> AbstractAsyncContextManager[Pool]:
        left_s = max(self._remaining_s(), 1.0)
        return pooled(
            self._servers, self._workspace, self._assignment.base_tree, count=count, timeout_s=left_s,
            collect_s=min(COLLECT_S, left_s / 2), paths=paths,
        )  # fmt: skip

    async def _glanced(self, memory: SearchMemory) -> tuple[WorkerOutcome, str] | None:
        """What the failing tests' own files lead to; None when the whole suite has to be measured."""
        acceptance = self._assignment.acceptance_nodeids
        if self._servers is None or self._assignment.iteration > 1 or not acceptance:
            return None
        entries = await self._workspace.repository.entries(self._assignment.base_tree)
        tests = [entry.path for entry in entries if entry.path.endswith(".py") and self._runner.owns(entry.path)]
        paths = await asyncio.to_thread(glanced_files, self._workspace.folder, tests, acceptance)
        if paths is None:
            return None
        self._emit(Progress(phase="localising", line="running the failing tests' files, traced"))
        async with self._pooled(self._parallel, paths) as pool:
            base = await glance(pool, acceptance, left_s=self._remaining_s())
            fixes = await self._fixes(base) if base is not None else None
            if base is None or fixes is None:
                return None
            search = await self._search(base, fixes, memory, pool, patience_s(self._remaining_s()))
        if search.chosen is None:
            return None
        await sift(search, lambda: self._pooled(1), remaining_s=self._remaining_s)
        await asyncio.to_thread(memory.save)
        return await self._chosen(base, search, memory)

    async def _repair(self, memory: SearchMemory, pool: Pool) -> tuple[WorkerOutcome, str]:
        self._emit(Progress(phase="localising", line="running the suite with coverage per test"))
        run = await self._measure()
        pool.widen()
        if not run.records or not run.believable or run.timed_out:
            return self._gave_up(f"The tests of the base cannot be run: {_why(run)}.", None)
        base = self._base(run)
        if not base.targets:
            return self._gave_up("No test fails, so there is nothing to repair by.", base)
        fixes = await self._fixes(base)
        if fixes is None:
            return self._gave_up("The failing tests execute no line of a Python file in scope.", base)
        search = await self._search(base, fixes, memory, pool)
        if (found := await self._chosen(base, search, memory)) is not None:
            return found
        if search.partial is not None:
            await self._offer(search.partial.fix, memory)
            text = partial_report(base, search.partial, search.partly_fixed, self._ending(search))
            return WorkerOutcome.GAVE_UP, text + self._ways()
        return self._gave_up(self._ending(search), base)

    async def _chosen(self, base: Base, search: Search, memory: SearchMemory) -> tuple[WorkerOutcome, str] | None:
        """Offer what a search has chosen, if it has."""
        chosen = search.chosen
        if chosen is None:
            return None
        await self._offer(chosen.fix, memory)
        self.doubts = search.doubts
        return WorkerOutcome.FINISHED, success_report(base, chosen, self.results, search.rivals) + self._ways()

    async def _take_back(self, memory: SearchMemory) -> None:
        """Put the base's files back, and count what stood in their place as offered."""
        workspace, tree = self._workspace, self._assignment.base_tree
        for path in await workspace.repository.drift(tree, workspace.folder):
            file, content = workspace.folder / path, await workspace.repository.read(tree, path)
            if await asyncio.to_thread(_is_plain, file):
                memory.offered.add(digest(path, await asyncio.to_thread(file.read_bytes)))
                await asyncio.to_thread(file.write_bytes, content or b"")

    async def _measure(self) -> TestRun:
        async with exported(self._workspace, self._assignment.base_tree) as folder:
            return await self._runner.run(
                TestRequest(
                    folder=folder,
                    environment=self._workspace.environment,
                    timeout_s=max(self._remaining_s(), 1.0),
                    per_test_coverage=True,
                    canaries=0,
                )
            )

    def _base(self, run: TestRun) -> Base:
        failing = [record.nodeid for record in run.records if record.outcome in FAILURES]
        targets = wanted_failures(failing, self._assignment.acceptance_nodeids) or tuple(failing)
        others = tuple(nodeid for nodeid in failing if nodeid not in targets)
        return Base(run=run, targets=targets, others=others)

    async def _fixes(self, base: Base) -> Iterator[Fix] | None:
        """Edits in the order in which they are worth trying; None if the failing tests reach no line in scope."""
        covered = {path for target in base.targets for path in base.coverage.get(target, {})}
        files: dict[str, bytes] = {}
        for entry in await self._workspace.repository.entries(self._assignment.base_tree):
            if entry.path in covered and entry.mode.startswith("100") and self._may_change(entry.path):
                files[entry.path] = await self._workspace.repository.read(self._assignment.base_tree, entry.path) or b""
        sources = await asyncio.to_thread(readable, files)
        suspected = suspects(base, sources)
        failing = set(base.targets)
        messages = [record.message for record in base.run.records if record.nodeid in failing]
        return ranked_fixes(suspected, sources, read_failure(messages, sources)) if suspected else None

    def _may_change(self, path: str) -> bool:
        inside, outside = self._assignment.scope_in, self._assignment.scope_out
        return path.endswith(".py") and admits(path, inside=inside, outside=outside) and not self._runner.owns(path)

    async def _search(
        self, base: Base, fixes: Iterator[Fix], memory: SearchMemory, pool: Pool, patience: float = inf
    ) -> Search:
        def say(begun: int, fix: Fix) -> None:
            self._emit(Progress(phase="trying", done=begun, line=_printable(fix.label)))
            if begun >= ALONE and not search.has_found:
                pool.widen()

        tree = self._assignment.base_tree
        trial = Trial(runner=self._runner, workspace=self._workspace, tree=tree, base=base, pool=pool)
        search = Search(
            trial=trial, memory=memory, max_candidates=self._max_candidates, parallel=self._parallel,
            remaining_s=self._remaining_s, on_start=say, patience_s=patience,
            results=[result for result in self.results if result.verdict in FAILED],
        )  # fmt: skip
        self.results = search.results
        try:
            await search.run(fixes)
        finally:
            self._why = trial.why or pool.why
            await asyncio.to_thread(memory.save)
        return search

    async def _offer(self, fix: Fix, memory: SearchMemory) -> None:
        memory.offered.add(fix.digest)
        await asyncio.to_thread(memory.save)
        for path, content in fix.files.items():
            await asyncio.to_thread((self._workspace.folder / path).write_bytes, content)

    def _ending(self, search: Search) -> str:
        if self._remaining_s() <= 0:
            return f"The time was over before one of the {len(self.results)} edits that were tried worked."
        if search.exhausted:
            return f"None of the {len(self.results)} possible edits works that had not been offered before."
        return f"None of the first {len(self.results)} of the possible edits works."

    def _ways(self) -> str:
        """How the candidates were tried, where the suite could not be kept loaded."""
        if not self._why or not any(result.mode is TrialMode.COLD for result in self.results):
            return ""
        return f"\nThe suite could not be kept loaded between candidates: {quoted(self._why[:200])}.\n"

    def _gave_up(self, reason: str, base: Base | None) -> tuple[WorkerOutcome, str]:
        return WorkerOutcome.GAVE_UP, failure_report(reason, base=base, results=self.results) + self._ways()


def _why(run: TestRun) -> str:
    if run.timed_out:
        return "the time was over"
    if run.breaches:
        return ", ".join(run.breaches)
    return "; ".join(run.collection_errors)[:500] or f"no test was reported (exit code {run.exit_code})"


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _is_plain(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:200]
