"""One measurement: a disposable export of one git tree, what runs on it, and the record of that.

Rules:
- Every measurement gets an export of its own. Afterwards its tracked files are hashed again, and a difference voids it
  (`Breach.TREE_CHANGED`).
- The log is kept before the record that names it.

It does not decide what is measured, nor what it means.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from councilor.domain.evidence import Breach, Evidence, EvidenceKind, TestRun
from councilor.domain.genai import SpanRole, role
from councilor.domain.report import ReportOrder
from councilor.guards.removal import remove_folder
from councilor.pipeline.reach import Foresight
from councilor.ports.analyzer import Analyzer, TestRequest, TestRunner, TestServers
from councilor.ports.clock import Clock, Ids
from councilor.ports.differential import DifferentialTester
from councilor.ports.environment import Environment
from councilor.ports.metrics import MetricsBackend
from councilor.ports.repository import Repository
from councilor.ports.tracing import NO_TRACING, Tracer

__all__ = ["EvidenceLimits", "KeepLog", "Meter", "Trees"]

DEADLINE_SHARE = 0.5
"""Share of the time that is left to a task that one measurement may take."""
BUDGET_SHARE = 0.8
"""Share of a measurement's limit in which tests may begin; the rest is for what is running, and for controls."""


class KeepLog(Protocol):
    """Stores a measurement's output and gives its artifact id, or None where nothing is stored."""

    async def __call__(self, kind: EvidenceKind, log: bytes, tree: str) -> str | None:
        """Keep `log`, the output of measuring `kind` on `tree`."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceLimits:
    """What measuring may cost."""

    timeout_s: float
    """Seconds for one measurement; then it is killed, and void."""
    test_timeout_s: float
    canaries: int
    flaky_reruns: int
    budget_s: float | None = None
    """Seconds of one run of a suite after which no further test is begun; None: as much as the limit has room for."""
    confirmations: int = 0
    """How often tests that a verdict rests on are run once more."""
    reuse_age_s: float | None = None
    """How old a baseline of the same base may be to be repeated instead of measured; None: always measured."""
    strength_s: float = 0.0
    """Seconds to measure how strong the tests are at the changed lines; 0: that is left out."""
    differential_s: float = 0.0
    """Seconds to look for inputs on which candidate and alternatives differ; 0: that is left out."""

    @property
    def suite_s(self) -> float:
        """Seconds after which no further test is begun."""
        most_s = self.timeout_s * BUDGET_SHARE
        return most_s if self.budget_s is None else min(self.budget_s, most_s)

    def within(self, remaining_s: float) -> EvidenceLimits:
        """The same limits for a task that has so many seconds left, so that it ends with partial evidence, not none."""
        most_s = max(1.0, remaining_s * DEADLINE_SHARE)
        return replace(
            self,
            timeout_s=min(self.timeout_s, most_s),
            strength_s=min(self.strength_s, most_s),
            differential_s=min(self.differential_s, most_s),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Trees:
    """What a measurement is about."""

    tree: str
    """The tree that is judged."""
    run_tree: str
    """The tree that is really laid out."""
    base_tree: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Meter:
    """Measures trees of one repository in one environment."""

    repository: Repository
    environment: Environment
    runner: TestRunner
    analyzers: Sequence[Analyzer]
    sandbox: str
    """The sandbox's level, for the record."""
    scratch: Path
    limits: EvidenceLimits
    clock: Clock
    ids: Ids
    metrics: MetricsBackend
    keep_log: KeepLog
    on_record: Callable[[str, str], None] | None = field(default=None)
    reports: ReportOrder | None = None
    """What the criteria's commands write."""
    servers: TestServers | None = None
    """What keeps suites loaded; None: the tests' strength is not measured."""
    tester: DifferentialTester | None = None
    """What finds inputs on which versions differ; None: nothing is asked."""
    tracer: Tracer = NO_TRACING
    foresight: Foresight = field(default_factory=Foresight)
    """What predicts which tests a change may concern."""

    @property
    def request(self) -> TestRequest:
        """A request for the whole suite; its folder is set when a tree is laid out."""
        return TestRequest(
            folder=self.scratch,
            environment=self.environment,
            timeout_s=self.limits.timeout_s,
            budget_s=self.limits.suite_s,
            test_timeout_s=self.limits.test_timeout_s,
            canaries=self.limits.canaries,
        )

    async def run(self, request: TestRequest, folder: Path) -> TestRun:
        """Run tests in a folder."""
        return await self.runner.run(replace(request, folder=folder), on_record=self.on_record)

    async def tests(
        self,
        kind: EvidenceKind,
        trees: Trees,
        request: TestRequest,
        run: Callable[[Path], Awaitable[TestRun]] | None = None,
    ) -> tuple[TestRun, Evidence]:
        """Run tests on an export of a tree.

        Args:
            run: what to do in the folder; the request when not given.
        """
        command = self.runner.invocation(request)
        return await self.measure(kind, trees, command, run or (lambda folder: self.run(request, folder)))

    async def command(self, kind: EvidenceKind, trees: Trees, command: tuple[str, ...]) -> tuple[TestRun, Evidence]:
        """Run a command on an export of a tree."""

        async def run(folder: Path) -> TestRun:
            return await self.runner.command(
                folder, self.environment, command, timeout_s=self.limits.timeout_s, reports=self.reports
            )

        return await self.measure(kind, trees, command, run)

    async def measure(
        self,
        kind: EvidenceKind,
        trees: Trees,
        command: tuple[str, ...],
        run: Callable[[Path], Awaitable[TestRun]],
    ) -> tuple[TestRun, Evidence]:
        """Do something in an export of a tree, and record it."""
        started, began = self.clock.now(), self.clock.monotonic()
        about = role(SpanRole.EVALUATOR) | {"councilor.evidence": kind.value, "councilor.tree": trees.run_tree}
        with self.tracer.span("measure", attributes=about) as span:
            async with self.laid_out(trees.run_tree) as folder:
                measured = await run(folder)
                if await self.repository.drift(trees.run_tree, folder):
                    measured = replace(measured, breaches=(*measured.breaches, Breach.TREE_CHANGED))
                    self.metrics.counter("v3.evidence.breaches", {"breach": Breach.TREE_CHANGED.value})
            void = [breach.value for breach in measured.breaches]
            span.set({"councilor.tests": len(measured.records), "councilor.void": void or None})
        duration_s = self.clock.monotonic() - began
        self.metrics.histogram("v3.evidence.seconds", {"kind": kind.value}, duration_s)
        evidence = Evidence(
            id=self.ids.new(),
            kind=kind,
            tree=trees.tree,
            run_tree=trees.run_tree,
            base_tree=trees.base_tree,
            command=command,
            env_hash=self.environment.env_hash,
            exit_code=measured.exit_code,
            log=await self.keep_log(kind, measured.log, trees.run_tree),
            started=started,
            duration_s=duration_s,
            sandbox=self.sandbox,
            void=measured.breaches,
        )
        return replace(measured, log=b""), evidence

    @asynccontextmanager
    async def laid_out(self, tree: str) -> AsyncIterator[Path]:
        """An export of a tree, gone afterwards."""
        folder = await self._export(tree)
        try:
            yield folder
        finally:
            await asyncio.to_thread(remove_folder, folder)

    async def _export(self, tree: str) -> Path:
        folder = self.scratch / f"export-{self.ids.new()}"
        folder.mkdir(parents=True)
        await self.repository.export(tree, folder)
        return folder
