"""Evidence: what our own runner measures on exact git trees, and how each tree is laid out for it.

Rules:
- Every run gets a disposable export of one tree; afterwards its tracked files are hashed again, and a difference voids
  the run (`Breach.TREE_CHANGED`).
- Test code and test configuration come from the base, so editing a test cannot help. The candidate's new and edited
  tests run apart, on the candidate's source and on the base's (the revert check).
- Only flipped tests are run again, on the same tree, at most `flaky_reruns` times; one that passes then is flaky.
- The linter reads the base's configuration.

It does not judge: gates read what it measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from councilor.domain.change import Candidate, ChangeKind
from councilor.domain.evidence import (
    Breach,
    Evidence,
    EvidenceBundle,
    EvidenceKind,
    LintRun,
    TestRun,
)
from councilor.domain.spec import Acceptance
from councilor.guards.removal import remove_folder
from councilor.ports.analyzer import Linter, TestRequest, TestRunner
from councilor.ports.clock import Clock, Ids
from councilor.ports.environment import Environment
from councilor.ports.metrics import MetricsBackend
from councilor.ports.repository import Repository

__all__ = ["Baseline", "EvidenceCollector", "EvidenceLimits", "KeepLog"]

LINT_CONFIGURATION = frozenset({"pyproject.toml", "ruff.toml", ".ruff.toml"})
MOST_FLIPPED = 20
"""More flipped tests than this are a broken candidate, not flaky tests; they are not run again."""


class KeepLog(Protocol):
    """Stores a measurement's output and gives its artifact id, or None where nothing is stored."""

    async def __call__(self, kind: EvidenceKind, log: bytes, tree: str) -> str | None:
        """Keep `log`, the output of measuring `kind` on `tree`."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceLimits:
    """What measuring may cost."""

    timeout_s: float
    """Seconds for one run of the suite."""
    test_timeout_s: float
    canaries: int
    flaky_reruns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """What the base's tests give on the base's source."""

    run: TestRun
    evidence: Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceCollector:
    """Measures trees of one repository in one environment."""

    repository: Repository
    environment: Environment
    runner: TestRunner
    linter: Linter
    sandbox: str
    """The sandbox's level, for the record."""
    scratch: Path
    limits: EvidenceLimits
    clock: Clock
    ids: Ids
    metrics: MetricsBackend
    keep_log: KeepLog
    on_record: Callable[[str, str], None] | None = field(default=None)

    async def baseline(self, base_tree: str) -> Baseline:
        """Run the base's tests on the base's source."""
        run, evidence = await self._run_tests(
            EvidenceKind.TESTS_BASE, tree=base_tree, run_tree=base_tree, base_tree=base_tree
        )
        return Baseline(run=run, evidence=evidence)

    async def examine(
        self, candidate: Candidate, baseline: Baseline, acceptance: Sequence[Acceptance]
    ) -> EvidenceBundle:
        """Measure everything that the gates need to know about a candidate."""
        protected = await self.repository.composed(candidate.tree, candidate.base_tree, self.runner.owns)
        awaited = self._awaited(acceptance, baseline.run)
        expected = tuple(sorted(baseline.run.passed | awaited))
        failing = baseline.run.outcomes.keys() - baseline.run.passed
        run, evidence = await self._run_tests(
            EvidenceKind.TESTS_CANDIDATE,
            tree=candidate.tree,
            run_tree=protected,
            base_tree=candidate.base_tree,
            expected=expected,
            suspects=tuple(sorted(awaited | failing)),
        )
        items = [baseline.evidence, evidence]
        flaky = await self._flaky(candidate, protected, baseline.run, run)
        new_on_candidate, new_on_base = await self._new_tests(candidate, items)
        commands = await self._acceptance_commands(candidate, acceptance, items)
        lint_base, lint_candidate = await self._lint(candidate, items)
        return EvidenceBundle(
            evidence=tuple(items),
            base=baseline.run,
            candidate=run,
            new_on_candidate=new_on_candidate,
            new_on_base=new_on_base,
            acceptance=commands,
            flaky=flaky,
            lint_base=lint_base,
            lint_candidate=lint_candidate,
        )

    @staticmethod
    def _awaited(acceptance: Sequence[Acceptance], base: TestRun) -> frozenset[str]:
        """Acceptance tests that the base already has, passing or not."""
        known = base.outcomes
        return frozenset(nodeid for item in acceptance for nodeid in item.test_nodeids if nodeid in known)

    async def _flaky(self, candidate: Candidate, tree: str, base: TestRun, run: TestRun) -> tuple[str, ...]:
        flipped = sorted(base.passed - run.passed)
        if not run.believable or run.timed_out or not flipped or len(flipped) > MOST_FLIPPED:
            return ()
        recovered: set[str] = set()
        for _ in range(self.limits.flaky_reruns):
            still = [nodeid for nodeid in flipped if nodeid not in recovered]
            if not still:
                break
            again, _ = await self._run_tests(
                EvidenceKind.TESTS_CANDIDATE,
                tree=candidate.tree,
                run_tree=tree,
                base_tree=candidate.base_tree,
                nodeids=tuple(still),
            )
            recovered |= again.passed & set(still)
        return tuple(sorted(recovered))

    async def _new_tests(self, candidate: Candidate, items: list[Evidence]) -> tuple[TestRun | None, TestRun | None]:
        paths = tuple(
            change.path
            for change in candidate.changes
            if change.kind is not ChangeKind.DELETED and change.path.endswith(".py") and _is_test_module(change.path)
        )
        if not paths:
            return None, None
        reverted = await self.repository.composed(candidate.base_tree, candidate.tree, self.runner.owns)
        runs = []
        for kind, tree in (
            (EvidenceKind.NEW_TESTS_CANDIDATE, candidate.tree),
            (EvidenceKind.NEW_TESTS_BASE, reverted),
        ):
            run, evidence = await self._run_tests(
                kind, tree=candidate.tree, run_tree=tree, base_tree=candidate.base_tree, paths=paths
            )
            items.append(evidence)
            runs.append(run)
        return runs[0], runs[1]

    async def _acceptance_commands(
        self, candidate: Candidate, acceptance: Sequence[Acceptance], items: list[Evidence]
    ) -> dict[str, TestRun]:
        wanted = [item for item in acceptance if item.argv]
        if not wanted:
            return {}
        base_paths = {entry.path for entry in await self.repository.entries(candidate.base_tree)}

        def from_base(path: str) -> bool:
            # A test module that the base does not have is what the criterion may be about, so it stays.
            return self.runner.owns(path) and (path in base_paths or not _is_test_module(path))

        tree = await self.repository.composed(candidate.tree, candidate.base_tree, from_base)
        runs = {}
        for item in wanted:
            command = item.argv

            async def measure(folder: Path, command: tuple[str, ...] = command) -> TestRun:
                return await self.runner.command(folder, self.environment, command, timeout_s=self.limits.timeout_s)

            run, evidence = await self._measure(
                EvidenceKind.ACCEPTANCE, candidate.tree, tree, candidate.base_tree, command, measure
            )
            items.append(evidence)
            runs[item.id] = run
        return runs

    async def _lint(self, candidate: Candidate, items: list[Evidence]) -> tuple[LintRun | None, LintRun | None]:
        present = [change for change in candidate.changes if change.path.endswith((".py", ".pyi"))]
        configured = await self.repository.composed(
            candidate.tree, candidate.base_tree, lambda path: PurePosixPath(path).name in LINT_CONFIGURATION
        )
        runs = []
        for kind, tree, paths in (
            (EvidenceKind.LINT_BASE, candidate.base_tree, [item.path for item in present if item.old is not None]),
            (EvidenceKind.LINT_CANDIDATE, configured, [item.path for item in present if item.new is not None]),
        ):
            run, evidence = await self._run_lint(kind, candidate, tree, paths)
            items.append(evidence)
            runs.append(run)
        return runs[0], runs[1]

    async def _run_lint(
        self, kind: EvidenceKind, candidate: Candidate, tree: str, paths: list[str]
    ) -> tuple[LintRun, Evidence]:
        started, began = self.clock.now(), self.clock.monotonic()
        if paths:
            folder = await self._export(tree)
            try:
                run = await self.linter.lint(folder, self.environment, paths, timeout_s=self.limits.timeout_s)
            finally:
                await asyncio.to_thread(remove_folder, folder)
        else:
            run = LintRun(findings=(), exit_code=0)
        evidence = Evidence(
            id=self.ids.new(),
            kind=kind,
            tree=candidate.tree,
            run_tree=tree,
            base_tree=candidate.base_tree,
            command=(self.linter.name, *paths),
            env_hash=self.environment.env_hash,
            exit_code=run.exit_code,
            log=await self.keep_log(kind, run.log, tree),
            started=started,
            duration_s=self.clock.monotonic() - began,
            sandbox=self.sandbox,
        )
        return replace(run, log=b""), evidence

    async def _run_tests(
        self,
        kind: EvidenceKind,
        *,
        tree: str,
        run_tree: str,
        base_tree: str,
        paths: tuple[str, ...] = (),
        nodeids: tuple[str, ...] | None = None,
        expected: tuple[str, ...] = (),
        suspects: tuple[str, ...] = (),
    ) -> tuple[TestRun, Evidence]:
        request = TestRequest(
            folder=self.scratch,
            environment=self.environment,
            timeout_s=self.limits.timeout_s,
            test_timeout_s=self.limits.test_timeout_s,
            paths=paths,
            nodeids=nodeids,
            expected=expected,
            suspects=suspects,
            canaries=self.limits.canaries,
        )

        async def measure(folder: Path) -> TestRun:
            return await self.runner.run(replace(request, folder=folder), on_record=self.on_record)

        return await self._measure(kind, tree, run_tree, base_tree, self.runner.invocation(request), measure)

    async def _measure(
        self,
        kind: EvidenceKind,
        tree: str,
        run_tree: str,
        base_tree: str,
        command: tuple[str, ...],
        measure: Callable[[Path], Awaitable[TestRun]],
    ) -> tuple[TestRun, Evidence]:
        started, began = self.clock.now(), self.clock.monotonic()
        folder = await self._export(run_tree)
        try:
            run = await measure(folder)
            if await self.repository.drift(run_tree, folder):
                run = replace(run, breaches=(*run.breaches, Breach.TREE_CHANGED))
                self.metrics.counter("v3.evidence.breaches", {"breach": Breach.TREE_CHANGED.value})
        finally:
            await asyncio.to_thread(remove_folder, folder)
        duration_s = self.clock.monotonic() - began
        self.metrics.histogram("v3.evidence.seconds", {"kind": kind.value}, duration_s)
        evidence = Evidence(
            id=self.ids.new(),
            kind=kind,
            tree=tree,
            run_tree=run_tree,
            base_tree=base_tree,
            command=command,
            env_hash=self.environment.env_hash,
            exit_code=run.exit_code,
            log=await self.keep_log(kind, run.log, run_tree),
            started=started,
            duration_s=duration_s,
            sandbox=self.sandbox,
            void=run.breaches,
        )
        return replace(run, log=b""), evidence

    async def _export(self, tree: str) -> Path:
        folder = self.scratch / f"export-{self.ids.new()}"
        folder.mkdir(parents=True)
        await self.repository.export(tree, folder)
        return folder


def _is_test_module(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.startswith("test_") or name.endswith("_test.py")
