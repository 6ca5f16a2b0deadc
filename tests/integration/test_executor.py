"""Whole tasks through the executor: real git, sandbox, tests and linter; workers that edit files by hand."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from journey import (
    FIX,
    TOTAL,
    DurableMemory,
    branches,
    git,
    make_repository,
    make_spec,
    open_journey,
    repair,
)

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.engine import MemoryEngine
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.artifact import ArtifactKind
from councilor.domain.claim import ClaimStatus
from councilor.domain.event import END_TYPES, EventType
from councilor.domain.evidence import EvidenceKind
from councilor.domain.provenance import digest
from councilor.domain.task import RunMode, TaskState
from councilor.domain.verdict import Decision
from councilor.domain.worker import WorkerOutcome, WorkerReport
from councilor.errors import DeadlineError, InputError
from councilor.pipeline.council import inputs_of, recompute
from councilor.pipeline.executor import Executor
from councilor.pipeline.gates import GATES
from councilor.pipeline.ledger import verify_task

# --- acceptance -------------------------------------------------------------------------------------------------------


async def test_an_accepted_fix_is_one_commit_whose_trailers_lead_to_a_signed_verdict(tmp_path):
    repository = make_repository(tmp_path / "repo")
    base, metrics = git(repository, "rev-parse", "HEAD"), RecordingMetrics()
    async with open_journey(tmp_path, metrics=metrics) as journey:  # with an environment built for it
        task = await journey.task(repository)
        trip = await journey.travel(task)
        head = await journey.parts.events.head(task.id)
        opened = await journey.parts.repositories.open(repository)
        verification = await verify_task(head, trip.storage, journey.keys, opened)
    outcome, verdict = trip.outcome, await trip.verdict()

    assert (outcome.state, outcome.decision, outcome.iterations) == (TaskState.COMPLETED, Decision.ACCEPT, 1)
    assert outcome.branch == f"councilor/{task.id}"
    assert sorted(branches(repository)) == sorted(["main", outcome.branch])
    assert git(repository, "rev-parse", outcome.branch) == outcome.commit
    assert git(repository, "rev-parse", f"{outcome.commit}^@") == base
    assert git(repository, "rev-parse", f"{outcome.commit}^{{tree}}") == outcome.tree == verdict.tree
    assert git(repository, "diff", "--name-only", base, outcome.commit) == "shop.py"
    assert FIX in git(repository, "show", f"{outcome.commit}:shop.py")
    assert git(repository, "status", "--porcelain") == "" and git(repository, "rev-parse", "HEAD") == base

    trailers = dict(
        line.split(": ", 1)
        for line in git(repository, "log", "-1", "--format=%(trailers:only,unfold)", outcome.commit).splitlines()
    )
    artifact = await trip.storage.get(outcome.verdict_artifact)
    assert trailers["Councilor-Task"] == task.id
    assert trailers["CAWS-Spec"] == "SHOP-1"
    assert trailers["CAWS-Verdict-Id"] == verdict.id == outcome.verdict_id
    assert trailers["Provenance-Statement"] == f"sha256:{digest(artifact.statement)}"
    assert git(repository, "log", "-1", "--format=%an|%cn", outcome.commit) == "hand|councilor"

    assert verification.sound and verification.statements == verification.artifacts > 10
    chain = [artifact]
    while chain[-1].parent_id is not None:
        chain.append(await trip.storage.get(chain[-1].parent_id))
    assert [item.kind for item in chain] == [
        ArtifactKind.VERDICT, ArtifactKind.GATES, ArtifactKind.CODE_CHANGES, ArtifactKind.SPEC,
    ]  # fmt: skip

    assert recompute(inputs_of(verdict, await trip.case())) is Decision.ACCEPT
    assert {item.kind for item in (await trip.case()).evidence} >= {
        EvidenceKind.TESTS_BASE, EvidenceKind.TESTS_CANDIDATE, EvidenceKind.LINT_BASE, EvidenceKind.LINT_CANDIDATE,
    }  # fmt: skip
    assert len(metrics.observations("v3.council.consensus")) == 1
    assert metrics.value("v3.task.finished") == metrics.value("v3.task.finished", state="completed") == 1
    (seconds,) = metrics.observations("v3.task.seconds")
    assert 0 < seconds < 120


async def test_the_stream_tells_every_step_once_and_in_order(travel):
    trip, _, journey = await travel()
    assert [event.seq for event in trip.events] == list(range(1, len(trip.events) + 1))
    assert [event.ts for event in trip.events] == sorted(event.ts for event in trip.events)
    assert [event.data["phase"] for event in trip.of(EventType.PHASE_STARTED)] == [
        "preparing", "working", "checking", "deliberating", "publishing",
    ]  # fmt: skip
    assert [event.data["phase"] for event in trip.of(EventType.PHASE_FINISHED)] == [
        event.data["phase"] for event in trip.of(EventType.PHASE_STARTED)
    ]
    kinds = [event.type for event in trip.events]
    order = [
        EventType.TASK_SUBMITTED, EventType.TASK_STARTED, EventType.WORKER_ASSIGNED, EventType.WORKER_OUTPUT,
        EventType.GATE_FINISHED, EventType.CLAIMS_CHECKED, EventType.COUNCIL_OPENED, EventType.COUNCIL_VOTE,
        EventType.VERDICT_REACHED, EventType.TASK_FINISHED,
    ]  # fmt: skip
    assert [kind for kind in dict.fromkeys(kinds) if kind in order] == order
    assert kinds[-1] is EventType.TASK_FINISHED and kinds.count(EventType.VERDICT_REACHED) == 1
    assert kinds.count(EventType.GATE_FINISHED) == len(GATES) and kinds.count(EventType.COUNCIL_VOTE) == 4
    told = {event.data["artifact_id"] for event in trip.of(EventType.ARTIFACT_STORED)}
    kept = {item.id for item in await trip.storage.of_task(trip.task.id) if item.kind is not ArtifactKind.COMMAND_LOG}
    assert told == kept
    head = await journey.parts.events.head(trip.task.id)
    assert (head.state, head.decision, head.commit) == (TaskState.COMPLETED, "accept", trip.outcome.commit)


async def test_two_submissions_are_two_tasks_and_one_submitted_twice_is_one(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    async with open_journey(tmp_path, repair, shared=shared_environment) as journey:
        first, second = await journey.task(repository), await journey.task(repository)
        one = await journey.travel(first)
        two = await journey.travel(second)
        again = await journey.travel(first)
    assert one.outcome.tree == two.outcome.tree and one.outcome.commit != two.outcome.commit
    assert sorted(branches(repository)) == sorted(["main", first.branch, second.branch])
    assert again.outcome == one.outcome and again.events == one.events


async def test_names_with_spaces_unicode_and_newlines_go_through(travel):
    def act(folder, assignment):
        repair(folder)
        (folder / "docs").mkdir()
        for name in ("ein Wort.md", "größe 値.md"):
            (folder / "docs" / name).write_text("words\n")

    trip, repository, _ = await travel(
        act, files={"a b/ü\n.txt": "kept\n"}, spec_text=make_spec(scope={"in": ["shop.py", "docs/"], "out": []})
    )
    assert trip.outcome.decision is Decision.ACCEPT
    names = git(repository, "diff", "-z", "--name-only", "main", trip.outcome.commit).split("\0")
    assert set(names) - {""} == {"shop.py", "docs/ein Wort.md", "docs/größe 値.md"}
    assert git(repository, "show", f"{trip.outcome.commit}:a b/ü\n.txt") == "kept"


# --- what is not published --------------------------------------------------------------------------------------------


async def test_a_dry_run_publishes_nothing(travel):
    trip, repository, _ = await travel(mode=RunMode.DRY_RUN)
    assert trip.outcome.decision is Decision.ACCEPT and trip.outcome.commit is None and trip.outcome.branch is None
    assert branches(repository) == ["main"]


async def test_artifacts_in_memory_publish_nothing_and_the_verdict_says_so(travel):
    trip, repository, _ = await travel(storage=MemoryArtifactStorage())
    assert trip.outcome.commit is None and branches(repository) == ["main"]
    assert (await trip.verdict()).durable is False


async def test_an_existing_change_is_judged_and_not_published(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    base = git(repository, "rev-parse", "HEAD")
    repair(repository)
    git(repository, "commit", "-q", "-am", "Repair it")
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        opened = await journey.parts.repositories.open(repository)
        head = await opened.resolve("HEAD")
        task = await journey.task(
            repository, base=await opened.resolve(base), worker=None, candidate_tree=head.tree,
            claims_text="All tests pass. Only touched shop.py.",
        )  # fmt: skip
        trip = await journey.travel(task)
        assert not journey.parts.workers["hand"].assignments
    assert trip.outcome.decision is Decision.ACCEPT and trip.outcome.tree == head.tree
    assert trip.outcome.commit is None and branches(repository) == ["main"]
    assert {item.status for item in (await trip.case()).claims} == {ClaimStatus.SUPPORTED}


# --- refinement -------------------------------------------------------------------------------------------------------


async def test_a_refused_worker_gets_the_reasons_in_its_prompt_and_is_accepted_then(travel):
    def stray(folder, assignment):
        repair(folder)
        (folder / "notes.txt").write_text("out of scope\n")

    def correct(folder, assignment):
        assert FIX in (folder / "shop.py").read_text()  # it goes on from what it had
        (folder / "notes.txt").unlink()

    trip, repository, journey = await travel(stray, correct, max_iterations=3)
    first, second = journey.parts.workers["hand"].assignments
    assert first.refinement is None and "still wrong" not in first.prompt
    assert second.refinement.failed_gates == ("scope_boundary",) and second.refinement.iteration == 1
    assert "SCOPE-1" in second.prompt and "'notes.txt' is not in scope.in" in second.prompt
    assert trip.outcome.decision is Decision.ACCEPT and trip.outcome.iterations == 2
    assert git(repository, "diff", "--name-only", "main", trip.outcome.commit) == "shop.py"
    assert [event.data["failed_gates"] for event in trip.of(EventType.REFINEMENT_REQUESTED)] == [["scope_boundary"]]
    assert [event.data["decision"] for event in trip.of(EventType.VERDICT_REACHED)] == ["refine", "accept"]
    assert not (await trip.case(1)).evidence  # nothing was run for a change that a cheap gate refuses
    patch = await trip.storage.get(await trip.artifact_id("patch/2"))
    assert patch.parent_id == await trip.artifact_id("refinement/1")


async def test_the_same_failures_twice_leave_no_further_iteration(travel):
    def stray(folder, assignment):
        (folder / f"notes{assignment.iteration}.txt").write_text("out of scope\n")
        (folder / "notes1.txt").write_text(f"{assignment.iteration}\n")
        if assignment.iteration > 1:
            (folder / f"notes{assignment.iteration}.txt").unlink()

    trip, repository, journey = await travel(stray, max_iterations=5)
    assert len(journey.parts.workers["hand"].assignments) == 2
    assert trip.outcome.decision is Decision.REJECT and trip.outcome.state is TaskState.REJECTED
    assert branches(repository) == ["main"]


# --- time and errors --------------------------------------------------------------------------------------------------


class Sleeper:
    """A worker that never ends by itself."""

    name = "hand"

    def __init__(self):
        self.cancelled = False

    async def run(self, assignment, workspace, emit):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_a_task_whose_time_is_up_fails_and_says_so(tmp_path, shared_environment):
    repository, sleeper = make_repository(tmp_path / "repo"), Sleeper()
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, workers={"hand": sleeper})
        task = await journey.task(repository, deadline_s=12.0)  # a busy machine prepares for seconds
        began = time.monotonic()
        with pytest.raises(DeadlineError, match="took longer"):
            await journey.travel(task)
        assert time.monotonic() - began < 60
        events = await journey.parts.events.read(task.id)
    assert sleeper.cancelled
    assert events[-1].type is EventType.TASK_FAILED and "work:1" in events[-1].data["error"]
    assert branches(repository) == ["main"]


class Frozen:
    """A worker whose first process does not end: the program goes on while another process has taken the task over."""

    name = "hand"

    def __init__(self):
        self.folders = []
        self.begun = asyncio.Event()
        self.left_behind = None

    async def run(self, assignment, workspace, emit):
        self.folders.append(workspace.folder)
        if len(self.folders) == 1:
            self.begun.set()
            await asyncio.Event().wait()
        first = self.folders[0]
        self.left_behind = first.exists()
        first.mkdir(parents=True, exist_ok=True)
        (first / "stray.py").write_text("x = 1\n")
        repair(workspace.folder)
        return WorkerReport(outcome=WorkerOutcome.FINISHED, text="", exit_code=0, transcript=b"")


async def test_the_worker_of_an_execution_that_was_taken_over_reaches_nothing_of_the_next(tmp_path, shared_environment):
    repository, worker = make_repository(tmp_path / "repo"), Frozen()
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, workers={"hand": worker})
        task = await journey.task(repository)
        executor = journey.executor
        await executor.start()
        await executor.submit(task)
        first = asyncio.create_task(executor.run(task.id))
        await worker.begun.wait()
        first.cancel()
        await asyncio.wait([first])
        await executor.stop()
        trip = await journey.travel(task)
    assert trip.outcome.state is TaskState.COMPLETED
    assert b"stray" not in await trip.artifact("patch/1")
    assert not worker.left_behind, "what an earlier execution had is thrown away"


class Refusing:
    """A worker whose profile cannot be started."""

    name = "hand"

    async def run(self, assignment, workspace, emit):
        raise InputError("The program `agent` is not installed.", hint="Install it.")


async def test_a_worker_that_cannot_be_started_fails_the_task_with_its_own_error(tmp_path, shared_environment):
    repository, metrics = make_repository(tmp_path / "repo"), RecordingMetrics()
    async with open_journey(tmp_path, shared=shared_environment, metrics=metrics) as journey:
        journey.parts = replace(journey.parts, workers={"hand": Refusing()})
        task = await journey.task(repository)
        with pytest.raises(InputError, match="agent"):
            await journey.travel(task)
        last = (await journey.parts.events.read(task.id))[-1]
    assert last.type is EventType.TASK_FAILED
    assert last.data == {"error": "The program `agent` is not installed.", "hint": "Install it."}
    assert metrics.value("v3.task.finished") == metrics.value("v3.task.finished", state="failed") == 1


class Listening(Refusing):
    """A worker that keeps its order."""

    async def run(self, assignment, workspace, emit):
        self.assignment = assignment
        await super().run(assignment, workspace, emit)


async def test_a_worker_knows_what_the_policy_lets_through_besides(tmp_path, shared_environment):
    policy = "version: 1\nnon_governed_zones: [notes]\nroot_passthrough: [CHANGES.md]\n"
    repository, worker = make_repository(tmp_path / "repo", {".caws/policy.yaml": policy}), Listening()
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, workers={"hand": worker})
        with pytest.raises(InputError, match="agent"):
            await journey.travel(await journey.task(repository))
    assert worker.assignment.scope_free == ("notes", "CHANGES.md")
    assert "notes" not in worker.assignment.scope_in


async def test_a_cancelled_task_is_counted_as_one(tmp_path, shared_environment):
    repository, metrics = make_repository(tmp_path / "repo"), RecordingMetrics()
    async with open_journey(tmp_path, shared=shared_environment, metrics=metrics) as journey:
        executor = Executor(parts=journey.parts, engine=MemoryEngine())
        await executor.start()
        task = await journey.task(repository)
        await executor.submit(task)
        await executor.cancel(task.id)
        await executor.fail(task.id, error="late", hint="none")  # it has ended
    assert metrics.value("v3.task.finished") == metrics.value("v3.task.finished", state="cancelled") == 1
    assert len(metrics.observations("v3.task.seconds", risk_tier=str(task.tier))) == 1


class LateAtTheEnd(MemoryEventStream):
    """Its answer to the end of a task comes too late, whether it stored it or not."""

    def __init__(self, *, stored: bool) -> None:
        super().__init__()
        self.stored, self.late = stored, False

    async def append(self, events):
        if not self.late and any(event.type is EventType.TASK_FINISHED for event in events):
            self.late = True
            if self.stored:
                await super().append(events)
            raise DeadlineError("too late", backend="memory", deadline_s=1.0)
        return await super().append(events)


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "lost"])
async def test_an_end_whose_storing_took_too_long_is_not_followed_by_another(tmp_path, shared_environment, stored):
    repository, metrics = make_repository(tmp_path / "repo"), RecordingMetrics()
    events = LateAtTheEnd(stored=stored)
    async with open_journey(tmp_path, repair, shared=shared_environment, events=events, metrics=metrics) as journey:
        task = await journey.task(repository)
        with pytest.raises(DeadlineError, match="too late"):
            await journey.travel(task)
        head, told = await events.head(task.id), await events.read(task.id)
    assert head.state is TaskState.COMPLETED and head.commit is not None
    assert [event.type for event in told if event.type in END_TYPES] == [EventType.TASK_FINISHED]
    assert metrics.value("v3.task.finished", state="completed") == metrics.value("v3.task.finished") <= 1


class Lingering:
    """A worker that reports that its time was up, having finished its edit."""

    name = "hand"

    async def run(self, assignment, workspace, emit):
        repair(workspace.folder)
        return WorkerReport(outcome=WorkerOutcome.TIMED_OUT, text="")


async def test_what_a_worker_did_before_its_time_was_up_is_judged_like_any_other_change(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, workers={"hand": Lingering()})
        trip = await journey.travel(await journey.task(repository))
    assert trip.outcome.decision is Decision.ACCEPT
    assert trip.of(EventType.WORKER_OUTPUT)[0].data["outcome"] == "timed_out"


async def test_nothing_that_the_stream_tells_holds_the_nodes_own_bytes(travel):
    trip, *_ = await travel()
    assert all(len(str(event.data)) < 4000 for event in trip.events)
    assert TOTAL in (await trip.artifact("tests/base")).decode()
    assert isinstance(trip.storage, DurableMemory)
