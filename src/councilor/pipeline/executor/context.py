"""What the steps of one run share: the parts they work with, and everything that follows from the task.

A context is derived anew in each process that executes the run, from the task's first event and the base commit; so it
holds nothing that a crash could lose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.codec import decode
from councilor.domain.secret import Secrets
from councilor.domain.spec import WorkingSpec, load_spec
from councilor.domain.task import Task
from councilor.errors import NotFoundError
from councilor.guards.removal import remove_folder
from councilor.pipeline.council import ModelJudge
from councilor.pipeline.evidence import EvidenceLimits
from councilor.pipeline.executor.control import RunControl
from councilor.pipeline.executor.narration import Narrator
from councilor.pipeline.gates import GateInput
from councilor.pipeline.ledger import Ledger, TaskLedger
from councilor.pipeline.reach import Foresight
from councilor.pipeline.rules import Rules, read_rules
from councilor.ports.analyzer import Analyzer, TestRunner, TestServers
from councilor.ports.clock import Clock, Ids
from councilor.ports.differential import DifferentialTester
from councilor.ports.environment import Environment, Environments
from councilor.ports.events import EventStream
from councilor.ports.metrics import MetricsBackend
from councilor.ports.notifier import Notifier
from councilor.ports.outlet import Outlet
from councilor.ports.repository import Commit, Repositories, Repository
from councilor.ports.sandbox import Sandbox
from councilor.ports.tracing import NO_TRACING, Tracer
from councilor.ports.worker import Worker

__all__ = ["Derived", "Parts", "Publishing", "RunContext", "RunFolder", "open_context", "open_narrator"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Publishing:
    """How accepted candidates are published."""

    outlets: Sequence[Outlet] = ()
    """Where a commit goes beyond its branch, in this order."""
    rebase: bool = True
    """Whether a candidate follows the branch that its base came from."""
    co_authors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Worker -> who else made its commits, each as `Name <address>`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What every run works with; `app` puts it together."""

    repositories: Repositories
    environments: Environments
    sandbox: Sandbox
    runner: TestRunner
    analyzers: Sequence[Analyzer]
    workers: Mapping[str, Worker]
    events: EventStream
    ledger: Ledger
    clock: Clock
    ids: Ids
    metrics: MetricsBackend
    runs_dir: Path
    limits: Callable[[int], EvidenceLimits]
    """What evidence may cost, by tier."""
    sla_s: float
    """Seconds within which the council must decide."""
    models: Sequence[ModelJudge] = ()
    """Models that vote beside the council's judges."""
    debate_rounds: int = 0
    """Most rounds of debate where judges disagree."""
    author_models: Mapping[str, str] = field(default_factory=dict)
    """Worker -> its model, where its profile names one; such models are recused."""
    servers: TestServers | None = None
    """What keeps suites loaded; None: how strong the tests are is not measured."""
    asked: Collection[str] = ()
    """Workers that can read a question and answer it by a test."""
    tester: DifferentialTester | None = None
    """What finds inputs on which versions differ; None: nothing is asked."""
    notifiers: Sequence[Notifier] = ()
    """Who is told of a task's end; each has a time limit of its own."""
    notify_on: Collection[str] = ("ended",)
    """Reasons for which they are told."""
    publishing: Publishing = field(default_factory=Publishing)
    """How accepted candidates are published, and where beyond their branch."""
    tracer: Tracer = NO_TRACING
    """Where spans go."""
    stall_s: Callable[[str], float] = lambda worker: inf
    """Seconds without progress after which a worker is ended, by its name."""
    secrets: Callable[[str], Secrets] = lambda worker: Secrets()
    """A worker's credentials, by its name; what it makes must not hold them."""
    side_by_side: int = 2
    """Most candidates of one run that are made at the same time."""
    next_best: int = 2
    """Most further candidates of a round that are tried where the whole council turns the best one down."""
    foresight: Foresight = field(default_factory=Foresight)
    """What predicts which tests a change may concern."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFolder:
    """Where a run keeps its files; all of it can be thrown away once the run has ended.

    Each execution has files of its own: what a frozen process had begun may go on in those of the one before.
    """

    root: Path
    attempt: int = 0
    """Whose execution; 0: of no task's."""
    candidate: int = 0
    """Of several candidates that are made side by side, whose files; 0: of the only one, and of the whole run."""

    @property
    def store(self) -> Path:
        """The run's own git objects."""
        return self.root / "store"

    @property
    def workspace(self) -> Path:
        """The worker's throw-away repository."""
        return self.root / ("workspace" + self._suffix)

    @property
    def scratch(self) -> Path:
        """Exports, prompts and temporary files."""
        return self.root / ("scratch" + self._suffix)

    def make(self) -> None:
        """Make what an execution needs, and throw away the workspaces of earlier ones; blocks.

        Their scratch folders stay: the transcript of a worker that was killed is there.
        """
        for left in self.root.glob("workspace*"):
            with suppress(OSError):  # somebody may still write there; nobody reads it any more
                remove_folder(left)
        self.scratch.mkdir(parents=True, exist_ok=True)

    @property
    def _suffix(self) -> str:
        execution = f".{self.attempt}" if self.attempt > 1 else ""
        return execution + (f"-{self.candidate}" if self.candidate else "")


@dataclass(kw_only=True, slots=True)
class Derived:
    """What steps derived from git objects, artifacts and the base, none of which can change while the run lives."""

    environment: Environment | None = None
    inputs: dict[str, GateInput] = field(default_factory=dict)
    """What gates look at before anything is measured, by the patch's artifact id."""
    baseline: str | None = None
    """Artifact id of the base's measurement, once a candidate has come so far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContext:
    """One run."""

    parts: Parts
    task: Task
    spec: WorkingSpec
    rules: Rules
    base: Commit
    repository: Repository
    folder: RunFolder
    narrator: Narrator
    ledger: TaskLedger
    control: RunControl
    derived: Derived = field(default_factory=Derived)
    rebases: int = 0
    """How often it has followed its branch to another base."""

    @property
    def max_iterations(self) -> int:
        """Rounds that the worker gets, those among them that a person has added."""
        return self.task.max_iterations + self.control.extension.iterations

    async def environment(self) -> Environment:
        """The base's dependencies; built the first time, found again after that."""
        if self.derived.environment is None:
            self.derived.environment = await self.parts.environments.prepare(
                self.repository, self.task.base_tree, install=self.spec.install
            )
        return self.derived.environment

    def lane(self, candidate: int, worker: str) -> RunContext:
        """The same for one of several candidates that are made side by side: its worker, its files, its voice."""
        folder = replace(self.folder, candidate=candidate)
        folder.scratch.mkdir(parents=True, exist_ok=True)
        return replace(
            self,
            task=replace(self.task, worker=worker),
            folder=folder,
            narrator=replace(self.narrator, candidate=candidate),
        )

    def made_by(self, worker: str) -> RunContext:
        """The same, with the worker whose candidate it is about."""
        return replace(self, task=replace(self.task, worker=worker)) if worker else self

    async def artifact(self, artifact_id: str) -> ExecutionArtifact:
        """An artifact that an earlier step recorded."""
        artifact = await self.ledger.get(artifact_id)
        if artifact is None:
            raise NotFoundError(f"The artifact {artifact_id} of task {self.task.id} is not there.")
        return artifact

    async def read(self, artifact_id: str) -> bytes:
        """An artifact's bytes."""
        return await self.parts.ledger.storage.read(artifact_id)


def open_narrator(parts: Parts, run_id: str, *, attempt: int, spent_s: Callable[[], float]) -> Narrator:
    """The voice of one attempt at a run."""
    return Narrator(
        task_id=run_id,
        attempt=attempt,
        events=parts.events,
        clock=parts.clock,
        metrics=parts.metrics,
        spent_s=spent_s,
    )


async def open_context(parts: Parts, run_id: str, narrator: Narrator, control: RunControl) -> RunContext:
    """Derive the context of a run.

    Raises:
        NotFoundError: no task was submitted for this run.
    """
    events = await parts.events.read(run_id, limit=1)
    if not events:
        raise NotFoundError(f"There is no task {run_id}.")
    task = decode(Task, events[0].data["task"])
    folder = RunFolder(root=parts.runs_dir / run_id, attempt=narrator.attempt)
    await asyncio.to_thread(folder.make)
    repository = await parts.repositories.open(Path(task.repository), store=folder.store)
    base = await repository.resolve(task.base_commit)
    return RunContext(
        parts=parts,
        task=task,
        spec=load_spec(task.spec_text, source="the submitted spec"),
        rules=await read_rules(repository, base),
        base=base,
        repository=repository,
        folder=folder,
        narrator=narrator,
        ledger=parts.ledger.of_task(task.id, run_id=run_id, attempt=narrator.attempt),
        control=control,
    )
