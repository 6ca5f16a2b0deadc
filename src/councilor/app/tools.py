"""What runs things: git, sandbox, environments, analysers."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from councilor.adapters.analyzers.differential import SandboxedTester
from councilor.adapters.analyzers.pytest import ProjectsRunner, PytestRunner
from councilor.adapters.analyzers.pytest.trials import PytestServers
from councilor.adapters.analyzers.reports import ReportingRunner
from councilor.adapters.environment import VirtualEnvironments
from councilor.adapters.git import GitRepositories, RepositoryLock
from councilor.adapters.sandbox.choose import choose_sandbox
from councilor.adapters.system import SystemClock
from councilor.app.analyzers import choose_analyzers
from councilor.app.caching import SEAL
from councilor.app.runtime import Runtime, sharing
from councilor.domain.evidence import EvidenceKind
from councilor.domain.spec import WorkingSpec
from councilor.domain.task import Task
from councilor.guards.jobs import TracedSandbox
from councilor.guards.leftovers import tidy_folder
from councilor.guards.standstill import StandingClock
from councilor.pipeline.evidence import EvidenceCollector, EvidenceLimits
from councilor.pipeline.executor import RunFolder
from councilor.pipeline.inspection import Inspector
from councilor.pipeline.reach import Foresight
from councilor.ports.analyzer import Analyzer, TestRunner
from councilor.ports.environment import Environments
from councilor.ports.repository import Repositories, Repository
from councilor.ports.sandbox import Limits, Sandbox
from councilor.settings import Settings

__all__ = [
    "Tools",
    "lay_out",
    "open_repositories",
    "open_tools",
    "repository_lock",
    "temporary_dir",
    "tidy_temporary",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What runs things."""

    runtime: Runtime
    repositories: Repositories
    environments: Environments
    sandbox: Sandbox
    runner: TestRunner
    servers: PytestServers
    tester: SandboxedTester
    foresight: Foresight
    analyzers: tuple[Analyzer, ...]
    lock: RepositoryLock

    def hold(self, root: Path, *, wait: bool) -> AbstractAsyncContextManager[None]:
        """Keep every other run off a repository."""
        return self.lock.hold(root, wait=wait)

    def hold_all(self, roots: Iterable[Path], *, wait: bool) -> AbstractAsyncContextManager[None]:
        """Keep every other run off several repositories."""
        return self.lock.hold_all(roots, wait=wait)

    def limits(self, tier: int) -> EvidenceLimits:
        """What evidence may cost in a tier."""
        chosen = self.runtime.settings.evidence
        return EvidenceLimits(
            timeout_s=chosen.timeout_s.of(tier),
            test_timeout_s=chosen.test_timeout_s,
            canaries=chosen.canaries,
            flaky_reruns=chosen.flaky_reruns,
            budget_s=chosen.budget_s.of(tier),
            strength_s=chosen.strength_s.of(tier),
            differential_s=chosen.differential_s.of(tier),
            confirmations=chosen.confirmations,
            reuse_age_s=chosen.baseline_age_s if chosen.reuse_baseline else None,
        )

    def inspector(self, repository: Repository, folder: RunFolder) -> Inspector:
        """What runs gates on a change without a run."""

        async def keep_log(kind: EvidenceKind, log: bytes, tree: str) -> str | None:
            return None

        async def collect(spec: WorkingSpec, task: Task) -> EvidenceCollector:
            return EvidenceCollector(
                repository=repository,
                environment=await self.environments.prepare(repository, task.base_tree, install=spec.install),
                runner=self.runner,
                analyzers=self.analyzers,
                sandbox=(await self.sandbox.probe()).level.name,
                scratch=folder.scratch,
                limits=self.limits(task.tier),
                clock=self.runtime.clock,
                ids=self.runtime.ids,
                metrics=self.runtime.metrics,
                keep_log=keep_log,
                reports=spec.reports,
                servers=self.servers,
                tester=self.tester,
                foresight=self.foresight,
            )

        return Inspector(
            repository=repository,
            owns=self.runner.owns,
            collect=collect,
            clock=self.runtime.clock,
            metrics=self.runtime.metrics,
        )

    @asynccontextmanager
    async def temporary_run(self) -> AsyncIterator[RunFolder]:
        """Folders of a run that leaves nothing behind."""
        with TemporaryDirectory(dir=temporary_dir(self.runtime.settings), prefix="inspection-") as root:
            folder = RunFolder(root=Path(root))
            folder.scratch.mkdir()
            yield folder


@asynccontextmanager
async def open_tools(settings: Settings, runtime: Runtime | None = None) -> AsyncIterator[Tools]:
    """Open what runs things.

    Args:
        runtime: what the process has already; one of its own when not given.
    """
    async with (
        sharing(settings, runtime) as shared,
        _tidy(settings, settings.data_dir / "sandbox"),
        open_repositories(settings, shared) as repositories,
    ):
        yield await _choose_tools(shared, repositories)


async def _choose_tools(runtime: Runtime, repositories: Repositories) -> Tools:
    settings, clock, metrics = runtime.settings, runtime.clock, runtime.metrics
    chosen = await choose_sandbox(
        settings.sandbox.kind,
        scratch=settings.data_dir / "sandbox",
        metrics=metrics,
        clock=clock,
        private=(settings.keys_dir, settings.database_dir, settings.data_dir / SEAL),
        ceiling=Limits(wall_s=math.inf, **settings.sandbox.ceiling()),
    )
    sandbox = TracedSandbox(chosen, tracer=runtime.tracer)
    standing = StandingClock(clock)  # for what workers use as well, and workers stand still
    return Tools(
        runtime=runtime,
        repositories=repositories,
        environments=VirtualEnvironments(
            folder=settings.environments_dir, sandbox=sandbox, host_env=os.environ, clock=clock, metrics=metrics
        ),
        sandbox=sandbox,
        runner=ReportingRunner(
            ProjectsRunner(
                PytestRunner(sandbox=sandbox, randomness=runtime.randomness, clock=standing, metrics=metrics),
                clock=standing,
            ),
            clock=standing,
        ),
        servers=PytestServers(sandbox=sandbox, clock=standing),
        tester=SandboxedTester(sandbox=sandbox, clock=clock),
        foresight=Foresight(runtime.cache),
        analyzers=choose_analyzers(sandbox=sandbox, clock=clock, scratch=settings.data_dir / "sandbox"),
        lock=repository_lock(settings),
    )


@asynccontextmanager
async def open_repositories(settings: Settings, runtime: Runtime | None = None) -> AsyncIterator[Repositories]:
    """What opens git repositories."""
    async with sharing(settings, runtime) as shared, tidy_temporary(settings) as scratch:
        yield GitRepositories(clock=shared.clock, metrics=shared.metrics, scratch=scratch)


@asynccontextmanager
async def lay_out(settings: Settings, repository: Repository, tree: str) -> AsyncIterator[Path]:
    """A tree's files in a folder that goes afterwards; to be used inside `open_repositories`."""
    with TemporaryDirectory(dir=temporary_dir(settings), prefix="files-") as root:
        folder = Path(root) / "tree"
        await repository.export(tree, folder)
        yield folder


def repository_lock(settings: Settings) -> RepositoryLock:
    """What keeps two runs off one repository."""
    return RepositoryLock(settings.data_dir / "locks", clock=SystemClock())


def temporary_dir(settings: Settings) -> Path:
    """Where what no process leaves behind is put, inside `tidy_temporary`."""
    return settings.data_dir / "temporary"


def tidy_temporary(settings: Settings) -> AbstractAsyncContextManager[Path]:
    """Be in the folder of temporary files, and first remove what dead processes left there."""
    return _tidy(settings, temporary_dir(settings))


def _tidy(settings: Settings, folder: Path) -> AbstractAsyncContextManager[Path]:
    return tidy_folder(folder, lock=settings.data_dir / "locks" / f"{folder.name}.lock")
