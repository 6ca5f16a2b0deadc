"""Working: one iteration of a worker in the workspace, and the candidate that came of it.

Rules:
- The workspace always starts from a known tree: the base's, or the candidate of the iteration before.
- Its order carries what people have told it so far; a round that is running is not begun anew for it.
- What the worker says is stored as its report, and its output as its transcript; neither decides anything.
- A workspace that makes no tree (a FIFO, a nested repository), or that holds a credential of its worker, gives no
  candidate, and the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.budget import Share
from councilor.domain.codec import encode
from councilor.domain.event import EventType
from councilor.domain.gate import RefinementRequest
from councilor.domain.genai import agent
from councilor.domain.intervention import MOST_GUIDES
from councilor.domain.task import TaskState
from councilor.domain.traceid import traceparent
from councilor.domain.worker import Assignment, WorkerOutcome, WorkerReport
from councilor.errors import HashMismatchError, InputError
from councilor.guards.removal import remove_folder
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.leak import refuse_leak
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.spending import read_part
from councilor.pipeline.executor.supervision import Supervision
from councilor.pipeline.refinement import REBASE, write_prompt
from councilor.ports.tracing import Span
from councilor.ports.worker import Workspace

__all__ = ["BASE_COMMIT", "Work", "adopt", "label_of", "restore_candidate", "work"]

BASE_COMMIT = "base_commit"
"""In a patch's metadata: the commit that it applies to, which is the newest base once a candidate was rebased."""
MAX_DOUBTS = 10
DOUBT_LIMIT = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What one iteration gave; small, so that the engine can remember it."""

    label: str
    """Ends the names of its artifacts: the iteration, and which candidate of it where there are several: `1-2`."""
    tree: str
    """The candidate's tree; the tree it started from when `problem` is set."""
    patch: str
    """Artifact id of the difference from the base."""
    report: str
    """Artifact id of the worker's report."""
    outcome: str
    problem: str | None = None
    """Why the workspace gave no candidate."""
    ended: str = ""
    """What ended the worker before it was done."""
    doubts: tuple[str, ...] = ()
    """The worker's own doubts, cut to a few short lines."""
    guided: int = 0
    """Number of the newest guidance that its prompt carried."""
    rivals: tuple[str, ...] = ()
    """What other accepted candidates of its iteration were seen to do otherwise."""
    admitted: bool = False
    """Whether no cheap gate refuses it, so that measuring it is worth its time."""


async def work(
    context: RunContext,
    *,
    iteration: int,
    start_tree: str,
    parent: ExecutionArtifact,
    refinement: RefinementRequest | None,
    timeout_s: float,
    sharers: int = 1,
) -> Work:
    """Let the worker work once, and take the candidate.

    Args:
        sharers: how many candidates share what is left of the budget.
        start_tree: what the workspace holds when the worker begins.
        parent: the artifact this iteration follows: the spec, or the refinement request.
        timeout_s: seconds it may take.
    """
    task, parts, policy = context.task, context.parts, context.rules.policy
    worker = parts.workers[task.worker or ""]
    guides = context.control.steering.guides[-MOST_GUIDES:]
    part = await read_part(context, iteration=iteration, parts=sharers)
    await _lay_out(context, start_tree)
    assignment = Assignment(
        task_id=task.id,
        run_id=context.ledger.run_id,
        iteration=iteration,
        title=task.title,
        prompt=write_prompt(context.spec, refinement, guides),
        scope_in=context.spec.scope.in_,
        scope_out=context.spec.scope.out,
        scope_free=(*policy.non_governed_zones, *policy.root_passthrough),
        acceptance_nodeids=context.spec.acceptance_nodeids,
        base_tree=task.base_tree,
        refinement=refinement,
        timeout_s=timeout_s,
        share=part.share(context.control.extension),
        candidate=context.folder.candidate,
    )
    workspace = Workspace(
        folder=context.folder.workspace,
        scratch=context.folder.scratch,
        environment=await context.environment(),
        repository=context.repository,
    )
    state = TaskState.WORKING if refinement is None else TaskState.REFINING
    context.narrator.note(EventType.WORKER_ASSIGNED, worker=worker.name, iteration=iteration)
    async with context.narrator.phase(state, iteration=iteration):
        began = parts.clock.monotonic()
        about = agent(name=worker.name, model=parts.author_models.get(worker.name))
        with parts.tracer.span("invoke_agent", attributes=about) as span:
            assignment = replace(assignment, traceparent=traceparent(span.trace_id, span.span_id))
            supervision = _supervision(context, worker.name, lambda: part.share(context.control.extension))
            async with context.narrator.heartbeats():
                alone = sharers == 1 and (refinement is None or refinement.checkpoint != REBASE)
                report = await _report(supervision.run(worker, assignment, workspace), alone=alone)
            _tell(span, report)
        parts.metrics.histogram(
            "v3.worker.iteration",
            {"worker": worker.name, "outcome": report.outcome.value},
            parts.clock.monotonic() - began,
        )
        made = await _take(context, report, iteration=iteration, start_tree=start_tree, parent=parent)
        return replace(made, guided=guides[-1].seq if guides else 0)


async def _report(working: Awaitable[WorkerReport], *, alone: bool) -> WorkerReport:
    """What a worker says; that it could not be started ends the task only where nobody else works on it.

    Args:
        alone: whether nothing is there but what it makes: no other candidate, and none that was accepted before.
    """
    try:
        return await working
    except InputError as error:
        if alone:
            raise
        ended = f"it could not be started: {error.message}"
        return WorkerReport(outcome=WorkerOutcome.FAILED, text="", ended=ended)


def _supervision(context: RunContext, worker: str, share: Callable[[], Share]) -> Supervision:
    narrator = context.narrator
    return Supervision(
        clock=context.parts.clock,
        share=share,
        stall_s=context.parts.stall_s(worker),
        emit=narrator.beat,
        stalled=lambda silent_s: narrator.hurry(EventType.WORKER_STALLED, worker=worker, silent_s=round(silent_s, 1)),
    )


def label_of(iteration: int, candidate: int) -> str:
    """What ends the names of a candidate's artifacts and steps."""
    return f"{iteration}-{candidate}" if candidate else str(iteration)


def _tell(span: Span, report: WorkerReport) -> None:
    """What a worker says of its iteration; nothing of it is believed."""
    usage = report.usage
    span.set(
        {
            "councilor.worker.outcome": report.outcome.value,
            "councilor.worker.turns": usage.turns,
            "councilor.worker.tokens": usage.tokens,
            "councilor.worker.cost_usd": usage.cost_usd,
            "process.exit.code": report.exit_code,
        }
    )


async def adopt(context: RunContext, *, tree: str, parent: ExecutionArtifact) -> Work:
    """Record an existing change as if a worker had just made it; its author's words are the report."""
    return await _record(
        context,
        tree=tree,
        text=context.task.claims_text,
        outcome="given",
        iteration=1,
        parent=parent,
        producer="author",
    )


async def restore_candidate(context: RunContext) -> str:
    """The tree of the change that is judged, made of its stored patch where it is an earlier task's candidate.

    Raises:
        HashMismatchError: the patch makes another tree.
    """
    task = context.task
    assert task.candidate_tree is not None, "only such a task has one"
    if task.patch is None:
        return task.candidate_tree
    patch = await context.read(task.patch)
    tree = await context.repository.patched(task.base_tree, patch) if patch else task.base_tree
    if tree != task.candidate_tree:
        raise HashMismatchError(
            f"The patch of task {task.follows} makes tree {tree}, and {task.candidate_tree} was judged."
        )
    return tree


async def _lay_out(context: RunContext, tree: str) -> None:
    folder = context.folder.workspace
    if folder.exists():
        try:
            if await context.repository.take(folder) == tree:
                return
        except InputError:
            pass  # what an interrupted worker left behind is thrown away like any other state
        await asyncio.to_thread(remove_folder, folder)
    await context.repository.create_workspace(tree, folder)


async def _take(
    context: RunContext, report: WorkerReport, *, iteration: int, start_tree: str, parent: ExecutionArtifact
) -> Work:
    worker = context.task.worker or ""
    problem = None
    try:
        tree = await context.repository.take(context.folder.workspace)
        await refuse_leak(context, tree)
    except InputError as error:
        tree, problem = start_tree, error.message
    if report.transcript:
        transcript = await context.ledger.record(
            ArtifactKind.TRANSCRIPT,
            f"transcript/{label_of(iteration, context.folder.candidate)}",
            report.transcript,
            media_type="text/plain",
            parent=parent,
            producer=worker,
        )
        note_stored(context, transcript)
    context.narrator.note(
        EventType.WORKER_OUTPUT,
        iteration=iteration,
        outcome=report.outcome.value,
        exit_code=report.exit_code,
        ended=report.ended,
        usage=encode(report.usage),
    )
    return await _record(
        context,
        tree=tree,
        text=report.text,
        outcome=report.outcome.value,
        iteration=iteration,
        parent=parent,
        producer=worker,
        problem=problem,
        ended=_line(report.ended),
        doubts=tuple(_line(doubt) for doubt in report.doubts[:MAX_DOUBTS]),
    )


def _line(text: str) -> str:
    """A worker's text as one printable line."""
    return "".join(char if char.isprintable() else " " for char in text)[:DOUBT_LIMIT]


async def _record(
    context: RunContext,
    *,
    tree: str,
    text: str,
    outcome: str,
    iteration: int,
    parent: ExecutionArtifact,
    producer: str,
    problem: str | None = None,
    ended: str = "",
    doubts: tuple[str, ...] = (),
) -> Work:
    label = label_of(iteration, context.folder.candidate)
    patch = await context.ledger.record(
        ArtifactKind.CODE_CHANGES,
        f"patch/{label}",
        await context.repository.diff(context.task.base_tree, tree),
        media_type="text/x-diff",
        tree=tree,
        parent=parent,
        producer=producer,
        metadata={BASE_COMMIT: context.task.base_commit},
    )
    report = await context.ledger.record(
        ArtifactKind.REPORT,
        f"report/{label}",
        text.encode("utf-8", "replace"),
        media_type="text/markdown",
        tree=tree,
        parent=patch,
        producer=producer,
    )
    for artifact in (patch, report):
        note_stored(context, artifact)
    return Work(
        label=label,
        tree=tree,
        patch=patch.id,
        report=report.id,
        outcome=outcome,
        problem=problem,
        ended=ended,
        doubts=doubts,
    )
