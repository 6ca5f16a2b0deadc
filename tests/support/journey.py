"""What tests of the executor share: a small repository with a bug, honest workers, and everything real around them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from councilor import __version__
from councilor.adapters.analyzers.differential import SandboxedTester
from councilor.adapters.analyzers.pytest import ProjectsRunner, PytestRunner
from councilor.adapters.analyzers.pytest.trials import PytestServers
from councilor.adapters.analyzers.ruff import Ruff
from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.environment import VirtualEnvironments
from councilor.adapters.git import GitRepositories
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.engine import MemoryEngine
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.adapters.sandbox.choose import choose_sandbox
from councilor.adapters.system import SystemClock, SystemIds, SystemRandomness
from councilor.domain.codec import decode
from councilor.domain.event import Event, EventType
from councilor.domain.task import RunMode, Task
from councilor.domain.verdict import Verdict
from councilor.domain.worker import Assignment, WorkerOutcome, WorkerReport
from councilor.pipeline.council import Case
from councilor.pipeline.evidence import EvidenceLimits
from councilor.pipeline.executor import Executor, Outcome, Parts
from councilor.pipeline.ledger import Ledger
from councilor.pipeline.submission import Order, draft_task
from councilor.ports.analyzer import Analyzer
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.clock import Clock
from councilor.ports.engine import Engine
from councilor.ports.environment import Environment, StoredEnvironment
from councilor.ports.events import EventStream
from councilor.ports.metrics import MetricsBackend, NoMetrics
from councilor.ports.repository import Repository
from councilor.ports.sandbox import Sandbox
from councilor.ports.worker import Progress, Workspace

FILES = {
    "pytest.ini": "[pytest]\npythonpath = .\n",
    "shop.py": "def total(prices):\n    return sum(prices) + 1\n\n\ndef count(prices):\n    return len(prices)\n",
    "tests/test_shop.py": """
        from shop import count, total


        def test_count():
            assert count([1, 2]) == 2


        def test_total():
            assert str(total([1, 2])) == "3"
            assert total([10, 20, 30]) == 60
        """,
}
BUG, FIX = "sum(prices) + 1", "sum(prices)"
TOTAL = "tests/test_shop.py::test_total"
IDENTITY = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "author",
    "GIT_AUTHOR_EMAIL": "author@invalid",
    "GIT_COMMITTER_NAME": "author",
    "GIT_COMMITTER_EMAIL": "author@invalid",
}


def git(folder: Path, *arguments: str) -> str:
    """What git prints."""
    done = subprocess.run(["git", *arguments], cwd=folder, env=IDENTITY, check=True, capture_output=True)
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def branches(repository: Path) -> list[str]:
    """Names of the repository's branches."""
    return git(repository, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()


def make_repository(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """A repository with one commit."""
    for path, text in (FILES | dict(files or {})).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(textwrap.dedent(text).lstrip("\n"))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "A shop with a bug")
    return folder


def make_spec(**changes: Any) -> str:
    """The spec of the repair, as YAML."""
    document = {
        "id": "SHOP-1",
        "title": "Repair the total",
        "risk_tier": 3,
        "mode": "fix",
        "lifecycle_state": "active",
        "blast_radius": {"modules": ["shop"], "data_migration": False},
        "scope": {"in": ["shop.py", "tests"], "out": []},
        "invariants": ["count stays as it is."],
        "acceptance": [
            {"id": "A1", "given": "prices", "when": "summed", "then": "total is their sum", "test_nodeids": [TOTAL]}
        ],
        "non_functional": {},
        "contracts": [],
    }
    return yaml.safe_dump(document | changes, sort_keys=False, allow_unicode=True)


Analyzers = Callable[..., tuple[Analyzer, ...]]
Act = Callable[[Path, Assignment], str | WorkerReport | None]


def repair(folder: Path, assignment: Assignment | None = None) -> str | None:
    """What an honest worker does."""
    file = folder / "shop.py"
    file.write_text(file.read_text().replace(BUG, FIX))
    return None


@dataclass
class Hand:
    """A worker that edits files in this process: one act for each iteration, the last one again and again."""

    acts: list[Act]
    name: str = "hand"
    assignments: list[Assignment] = field(default_factory=list)

    async def run(self, assignment: Assignment, workspace: Workspace, emit: Callable[[Progress], None]) -> WorkerReport:
        self.assignments.append(assignment)
        emit(Progress(phase="editing", done=1, total=1))
        act = self.acts[min(len(self.assignments), len(self.acts)) - 1]
        said = await asyncio.to_thread(act, workspace.folder, assignment)
        if isinstance(said, WorkerReport):
            return said
        return WorkerReport(outcome=WorkerOutcome.FINISHED, text=said or "", exit_code=0, transcript=b"edited\n")


class OneEnvironment:
    """Builds one environment and gives it to every repository; right where none has dependencies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inner: VirtualEnvironments | None = None
        self._built: Environment | None = None

    async def prepare(
        self, repository: Repository, tree: str, *, install: str | None = None, say: Callable[[str], None] | None = None
    ) -> Environment:
        if self._built is None:
            assert self.inner is not None
            self._built = await self.inner.prepare(repository, tree, install=install, say=say)
        return self._built

    async def list(self) -> Sequence[StoredEnvironment]:
        return []

    async def clean(self, *, keep_days: float) -> Sequence[StoredEnvironment]:
        return []


class DurableMemory(MemoryArtifactStorage):
    """Claims to be durable, so that a quick test can publish."""

    durable = True


@dataclass(frozen=True)
class Trip:
    """One task's way, and everything that it left."""

    task: Task
    outcome: Outcome
    events: list[Event]
    storage: ArtifactStorage

    async def artifact(self, name: str) -> bytes:
        return await self.storage.read(await self.artifact_id(name))

    async def artifact_id(self, name: str) -> str:
        return next(item.id for item in await self.storage.of_task(self.task.id) if item.name == name)

    async def verdict(self) -> Verdict:
        return decode(Verdict, yaml.safe_load(await self.storage.read(self.outcome.verdict_artifact)))

    async def case(self, iteration: int = 1) -> Case:
        return await self.case_of(str(iteration))

    async def case_of(self, name: str) -> Case:
        """The case of one deliberation: `1`, or `1.2` for the second of an iteration."""
        return decode(Case, yaml.safe_load(await self.artifact(f"case/{name}")))

    def of(self, *types: EventType) -> list[Event]:
        return [event for event in self.events if event.type in types]


@dataclass(kw_only=True)
class Journey:
    """Puts a pipeline together and lets tasks travel."""

    parts: Parts
    engine: Engine
    keys: KeyFolder

    @property
    def executor(self) -> Executor:
        return Executor(parts=self.parts, engine=self.engine)

    async def task(self, folder: Path, **changes: Any) -> Task:
        """A drafted task on HEAD of the repository."""
        repository = await self.parts.repositories.open(folder)
        defaults: dict[str, Any] = {
            "spec_text": make_spec(),
            "base": await repository.resolve("HEAD"),
            "worker": "hand",
            "mode": RunMode.AUTO,
            "max_iterations": 1,
            "deadline_s": 120.0,
        }
        order = Order(**(defaults | changes))
        return await draft_task(order, repository, clock=self.parts.clock, ids=self.parts.ids)

    async def travel(self, task: Task) -> Trip:
        """Execute a task to its end."""
        executor = self.executor
        await executor.start()
        try:
            await executor.submit(task)
            outcome = await executor.run(task.id)
        finally:
            await executor.stop()
        return Trip(
            task=task,
            outcome=outcome,
            events=list(await self.parts.events.read(task.id, limit=10_000)),
            storage=self.parts.ledger.storage,
        )


def limits(tier: int) -> EvidenceLimits:
    """Small limits for a small suite."""
    return EvidenceLimits(timeout_s=30.0, test_timeout_s=10.0, canaries=2, flaky_reruns=2)


def only_ruff(*, sandbox: Sandbox, clock: Clock, scratch: Path) -> tuple[Analyzer, ...]:
    """What most tests need."""
    return (Ruff(sandbox=sandbox, clock=clock, scratch=scratch),)


@asynccontextmanager
async def open_journey(
    folder: Path,
    *acts: Act,
    shared: OneEnvironment | None = None,
    engine: Engine | None = None,
    events: EventStream | None = None,
    storage: ArtifactStorage | None = None,
    metrics: MetricsBackend | None = None,
    strength_s: float = 0.0,
    differential_s: float = 0.0,
    analyzers: Analyzers | None = None,
) -> AsyncIterator[Journey]:
    """A pipeline with a worker that performs `acts`, its files below `folder`.

    Args:
        strength_s: seconds to see how strong the tests are; 0: that is left out, for it takes a second.
        differential_s: seconds to look for inputs on which versions differ; 0: that is left out as well.
        analyzers: makes them of sandbox, clock and scratch folder; ruff alone when not given.
    """
    clock, metrics = SystemClock(), metrics or NoMetrics()
    ids, randomness = SystemIds(clock=clock), SystemRandomness()
    keys = KeyFolder(folder / "keys")
    sandbox = await choose_sandbox(scratch=folder / "sandbox", metrics=metrics, clock=clock, private=(folder / "keys",))
    environments = VirtualEnvironments(
        folder=shared.folder if shared else folder / "environments",
        sandbox=sandbox,
        host_env=os.environ,
        clock=clock,
        metrics=metrics,
    )
    if shared is not None and shared.inner is None:
        shared.inner = environments
    kept = storage or DurableMemory()
    parts = Parts(
        repositories=GitRepositories(clock=clock, metrics=metrics),
        environments=shared or environments,
        sandbox=sandbox,
        runner=ProjectsRunner(
            PytestRunner(sandbox=sandbox, randomness=randomness, clock=clock, metrics=metrics), clock=clock
        ),
        analyzers=(analyzers or only_ruff)(sandbox=sandbox, clock=clock, scratch=folder / "sandbox"),
        workers={"hand": Hand(acts=list(acts or (repair,)))},
        events=events or MemoryEventStream(),
        ledger=Ledger(
            storage=kept,
            log=MemoryTransparencyLog(kept),
            shelf=MemoryCheckpointShelf(),
            signer=keys.signer(),
            clock=clock,
            ids=ids,
            metrics=metrics,
            version=__version__,
            verifier=keys,
        ),
        clock=clock,
        ids=ids,
        metrics=metrics,
        runs_dir=folder / "runs",
        limits=lambda tier: replace(limits(tier), strength_s=strength_s, differential_s=differential_s),
        sla_s=5.0,
        servers=PytestServers(sandbox=sandbox, clock=clock) if strength_s else None,
        tester=SandboxedTester(sandbox=sandbox, clock=clock) if differential_s else None,
    )
    yield Journey(parts=parts, engine=engine or MemoryEngine(), keys=keys)
