"""The way a task travels, as steps that the engine never repeats once they have finished.

prepare -> (iteration* -> [rebase])* -> [keep] -> [publish -> deliver] -> finish; `iteration.py` and `candidates.py` say
what an iteration is, `rebase.py`, `keep.py`, `publish.py` and `deliver.py` what comes after an accepted one.

Rules:
- A step gives ids and figures; bytes go to the ledger. So a crash resumes from the last finished step.
- Before each step people are heard (`control.py`); the task's time is counted over all its executions.
- The same failing gates twice in a row are no progress: the next verdict is the last.
- An accepted candidate follows a base that has moved, and is then measured and judged again. Where it conflicts and no
  resolution is accepted, it stays where it was accepted.
- A verdict that leaves a question open which the worker may answer by a test is followed by another iteration.
- A task that ends with an error says so on its stream; a cancelled caller leaves the run resumable and says nothing.
- An end is announced after it is stored; that is no step, because its own event says whether it was begun.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.codec import JsonValue, decode, encode
from councilor.domain.event import Checkpoint, EventType, NewEvent
from councilor.domain.genai import SpanRole, role
from councilor.domain.intervention import Approval
from councilor.domain.schedule import Due
from councilor.domain.task import END_STATES, Task, TaskHead, TaskState
from councilor.domain.verdict import Decision, Verdict
from councilor.errors import CouncilorError, InputError
from councilor.guards.hostfault import find_host_fault, is_fenced
from councilor.pipeline.executor.announcement import announce
from councilor.pipeline.executor.approving import refused
from councilor.pipeline.executor.candidates import compete
from councilor.pipeline.executor.context import Parts, RunContext, open_context, open_narrator
from councilor.pipeline.executor.control import RunControl, controlling
from councilor.pipeline.executor.deliberate import Deliberated
from councilor.pipeline.executor.deliver import deliver
from councilor.pipeline.executor.ending import measure_end
from councilor.pipeline.executor.iteration import Iteration, Judged
from councilor.pipeline.executor.keep import keep
from councilor.pipeline.executor.narration import Narrator
from councilor.pipeline.executor.prepare import prepare
from councilor.pipeline.executor.publish import publish
from councilor.pipeline.executor.rebase import Rebased, follow, is_published, on_base
from councilor.pipeline.executor.steps import Steps
from councilor.pipeline.executor.work import Work
from councilor.ports.engine import Engine, RunState
from councilor.ports.tracing import Span

__all__ = ["WORKFLOW_VERSION", "Executor", "Outcome"]

WORKFLOW_VERSION = "6"
"""Names these steps and their order; raise it whenever either changes, so that no run goes on under other steps."""
END_OF = {
    Decision.ACCEPT: TaskState.COMPLETED,
    Decision.REJECT: TaskState.REJECTED,
}
"""The end that follows from a last decision; every other decision ends as undecided."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended."""

    task_id: str
    state: TaskState
    decision: Decision
    iterations: int
    verdict_id: str
    verdict_artifact: str
    tree: str
    commit: str | None
    branch: str | None


class Executor:
    """Executes tasks durably.

    Args:
        parts: what every run works with.
        engine: remembers finished steps.
    """

    def __init__(self, *, parts: Parts, engine: Engine) -> None:
        self._parts = parts
        self._engine = engine
        self._impatient: set[str] = set()
        """Tasks that are given back rather than waited for."""

    async def start(self) -> None:
        """Become able to execute tasks."""
        await self._engine.start(self._execute)

    async def stop(self) -> None:
        """Stop; unfinished runs stay resumable."""
        await self._engine.stop()

    async def submit(self, task: Task, *, due: Due | None = None) -> None:
        """Store a task; nothing is executed yet. Submitted again, it stays as it is.

        Args:
            due: the due time of a schedule that it comes of; None when a person asks for it.
        """
        if await self._parts.events.head(task.id) is not None:
            return
        data = {"task": encode(task)}
        if due is not None:
            data |= {"schedule": due.schedule.name, "due_at": encode(due.due_at)}
        event = NewEvent(task_id=task.id, type=EventType.TASK_SUBMITTED, ts=task.submitted_at, data=data)
        try:
            await self._parts.events.append([event])
        except InputError:
            if await self._parts.events.head(task.id) is None:
                raise
            return  # another process submitted it in between
        self._parts.metrics.counter("v3.task.submitted", {"risk_tier": str(task.tier)})

    async def run(self, task_id: str, *, patient: bool = True) -> Outcome:
        """Execute a submitted task in this process, to its end.

        Args:
            patient: whether to wait for people.

        Raises:
            StandbyError: it waits for a person; not where this is to wait with it.
        """
        if patient:
            return decode(Outcome, await self._engine.submit(task_id))
        self._impatient.add(task_id)
        try:
            return decode(Outcome, await self._engine.submit(task_id))
        finally:
            self._impatient.discard(task_id)

    async def resume(self, task_id: str) -> Outcome:
        """Go on with an interrupted task, from its last finished step."""
        return decode(Outcome, await self._engine.recover(task_id))

    async def forget(self, *, ended_before_s: float) -> int:
        """Let the engine forget the steps of tasks that ended so many seconds ago; gives of how many."""
        return await self._engine.forget(ended_before_s=ended_before_s)

    async def settle(self, task_id: str) -> None:
        """Let an execution that was killed right after its task's end do the rest: be remembered, announce the end."""
        status = await self._engine.status(task_id)
        if status is not None and status.state is RunState.PENDING:
            await self._engine.submit(task_id)

    async def cancel(self, task_id: str) -> None:
        """End a task for good, and say so on its stream."""
        events = self._parts.events
        head = await events.head(task_id)
        if head is None or head.begun or await self._engine.status(task_id) is not None:
            await self._engine.cancel(task_id)  # one that was stored and never begun is not known to it
            head = await events.head(task_id)
        if head is not None:
            await self._end(head, TaskState.CANCELLED, EventType.TASK_CANCELLED, {})

    async def fail(self, task_id: str, *, error: str, hint: str) -> None:
        """End a task that nobody executes, and say why on its stream; one that has ended stays as it is."""
        if (head := await self._parts.events.head(task_id)) is not None:
            await self._end(head, TaskState.FAILED, EventType.TASK_FAILED, {"error": error, "hint": hint})

    async def _end(self, head: TaskHead, state: TaskState, type_: EventType, data: Mapping[str, str]) -> None:
        if head.state in END_STATES:
            return
        with self._parts.tracer.trace(head.task_id) as whole:
            event = NewEvent(task_id=head.task_id, type=type_, ts=self._parts.clock.now(), data=data)
            await self._parts.events.append([event])
            whole.set(role(SpanRole.CHAIN) | {"councilor.task.state": state.value})
            measure_end(self._parts.metrics, self._parts.clock, head, state)
            await announce(self._parts, head.task_id)

    async def _execute(self, run_id: str) -> JsonValue:
        # Whoever executes holds the run: from here on an execution that was taken over can write nothing more.
        attempt = await self._parts.events.begin(run_id)
        with self._parts.tracer.trace(run_id) as whole:
            return await self._go(run_id, attempt, whole)

    async def _go(self, run_id: str, attempt: int, whole: Span) -> JsonValue:
        control = RunControl(
            task_id=run_id,
            events=self._parts.events,
            engine=self._engine,
            clock=self._parts.clock,
            patient=run_id not in self._impatient,
        )
        narrator = open_narrator(self._parts, run_id, attempt=attempt, spent_s=control.spent_s)
        try:
            async with controlling(control):
                context = await open_context(self._parts, run_id, narrator, control)
                whole.set(_about(context.task))
                outcome = await _Journey(context=context, engine=self._engine).travel()
        except Exception as error:
            if find_host_fault(error) is not None or is_fenced(error):
                raise  # the run is only interrupted, or another process goes on with it
            await control.require_not_cancelled()
            told = error if isinstance(error, CouncilorError) else CouncilorError(f"{type(error).__name__}: {error}")
            await self._tell_failure(narrator, told)
            whole.set({"councilor.task.state": TaskState.FAILED.value})
            await announce(self._parts, run_id, attempt=attempt)
            raise
        whole.set({"councilor.task.state": outcome.state.value, "councilor.task.iterations": outcome.iterations})
        await announce(self._parts, run_id, attempt=attempt)
        return encode(outcome)

    async def _tell_failure(self, narrator: Narrator, told: CouncilorError) -> None:
        """Store that a task failed. An end that was being stored when a step's time was over stands instead."""
        events, task_id = self._parts.events, narrator.task_id
        head = await events.head(task_id)
        if head is None or head.state in END_STATES:
            return
        try:
            if narrator.notes_end:
                await narrator.flush()
            else:
                await narrator.say(EventType.TASK_FAILED, error=told.message, hint=told.hint())
        except InputError:
            head = await events.head(task_id)
            if head is None or head.state not in END_STATES:
                raise
        head = await events.head(task_id) or head
        measure_end(self._parts.metrics, self._parts.clock, head, head.state)


def _about(task: Task) -> dict[str, object]:
    """What the span of the whole task says of it."""
    return role(SpanRole.CHAIN) | {
        "councilor.task.id": task.id,
        "councilor.task.tier": task.tier,
        "councilor.task.mode": task.mode.value,
        "councilor.task.worker": task.worker,
        "councilor.task.follows": task.follows,
        "councilor.spec.id": task.spec_id,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Start:
    """What an iteration begins with."""

    tree: str
    parent: ExecutionArtifact
    """The artifact that it follows: the spec, a refinement request, or the verdict before a rebase."""
    previous: Deliberated | None = None
    """How the iteration before ended."""
    carried: Work | None = None
    """The candidate, where it came from the base before and no worker makes one."""
    worker: str = ""
    """Whose candidate that is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Conflict:
    """An accepted candidate that conflicts with its branch."""

    context: RunContext
    """Of the base that it was judged on."""
    accepted: Judged
    moved: Rebased


class _Journey:
    """One execution of one run."""

    def __init__(self, *, context: RunContext, engine: Engine) -> None:
        self._context = context
        self._steps = Steps(context=context, engine=engine)
        self._conflict: _Conflict | None = None
        """The last one, while what the worker makes of it is not accepted."""

    async def travel(self) -> Outcome:
        """Go through all steps; those that have finished before give what they gave then."""
        context, steps = self._context, self._steps
        prepared = await steps.run("prepare", lambda: prepare(context))
        parent = await context.artifact(prepared["spec"])
        refusal = await refused(context, Checkpoint.WORK, parent)
        if refusal is not None:
            return decode(Outcome, await steps.run("finish", partial(self._refuse, refusal)))
        start: _Start | None = _Start(tree=context.task.base_tree, parent=parent)
        number = 0
        while start is not None:
            number += 1
            last = await self._iterate(number, start)
            start = await self._next(number, last)
        last = await self._keep(number, last)
        refusal = await self._unpublished(last.deliberated)
        commit = await self._publish(last) if refusal is None else None
        return decode(Outcome, await steps.run("finish", lambda: self._finish(number, last, refusal, commit)))

    async def _iterate(self, number: int, start: _Start) -> Judged:
        context = self._context
        iteration = Iteration(
            steps=self._steps, number=number, tree=start.tree, parent=start.parent, previous=start.previous
        )
        if start.carried is not None:
            return await iteration.judge(context.made_by(start.worker), start.carried)
        several = bool(context.task.workers) and context.task.candidate_tree is None
        return await (compete(context, iteration) if several else iteration.alone(context))

    async def _next(self, number: int, last: Judged) -> _Start | None:
        """What another iteration begins with; None when there is to be none."""
        judged = last.deliberated
        if judged.refinement is not None:
            return _Start(tree=last.made.tree, parent=await self._context.artifact(judged.refinement), previous=judged)
        moved = await self._follow(number, last)
        if moved.onto is None:
            return None
        parent = await self._context.artifact(moved.parent)
        if moved.made is None:
            asked = replace(judged, refinement=moved.parent)
            return _Start(tree=moved.start_tree, parent=parent, previous=asked)
        return _Start(tree=moved.made.tree, parent=parent, previous=judged, carried=moved.made, worker=last.worker)

    async def _follow(self, number: int, last: Judged) -> Rebased:
        """Where an accepted candidate goes; from then on the run is about the new base."""
        context, steps = self._context, self._steps
        if context.task.base_ref is None or not is_published(context.task, last.deliberated.decision):
            return Rebased()
        made_by = context.made_by(last.worker)

        async def run() -> JsonValue:
            remaining_s = steps.remaining_s()
            return await follow(made_by, last.made, last.deliberated, iteration=number, remaining_s=remaining_s)

        moved = decode(Rebased, await steps.run(f"rebase:{number}", run, preemptible=True))
        conflicts = moved.onto is not None and moved.made is None
        self._conflict = _Conflict(context=context, accepted=last, moved=moved) if conflicts else None
        if moved.onto is not None:
            self._context = await on_base(context, moved.onto, added_rounds=int(moved.made is not None))
        return moved

    async def _keep(self, number: int, last: Judged) -> Judged:
        """What counts in the end: where a conflict was not resolved, what was accepted before it; else the last."""
        conflict = self._conflict
        if conflict is None or last.deliberated.decision is Decision.ACCEPT:
            return last
        self._context = conflict.context
        made_by = conflict.context.made_by(conflict.accepted.worker)
        run = partial(keep, made_by, conflict.accepted, last, conflict.moved, iteration=number)
        return decode(Judged, await self._steps.run(f"keep:{number}", run))

    async def _publish(self, last: Judged) -> str | None:
        """Publish an accepted candidate, first here and then wherever it is to go; gives the commit."""
        if not is_published(self._context.task, last.deliberated.decision):
            return None
        context = self._context.made_by(last.worker)
        verdict, artifact = await self._verdict(last.deliberated)
        commit = await self._steps.run("publish", partial(publish, context, verdict, artifact))
        if commit is None:
            return None

        async def run() -> JsonValue:
            remaining_s = self._steps.remaining_s()
            return await deliver(context, verdict, artifact, str(commit), remaining_s=remaining_s)

        await self._steps.run("deliver", run, preemptible=True)
        return str(commit)

    async def _verdict(self, judged: Deliberated) -> tuple[Verdict, ExecutionArtifact]:
        artifact = await self._context.artifact(judged.verdict)
        return decode(Verdict, json.loads(await self._context.read(artifact.id))), artifact

    async def _unpublished(self, deliberated: Deliberated) -> Approval | None:
        """Why an accepted candidate is not published: the refusal of who was asked."""
        if deliberated.decision is not Decision.ACCEPT or self._context.task.worker is None:
            return None
        verdict = await self._context.artifact(deliberated.verdict)
        return await refused(self._context, Checkpoint.PUBLISH, verdict)

    async def _refuse(self, refusal: Approval) -> JsonValue:
        """The end of a task that was not to be begun."""
        task = self._context.task
        outcome = Outcome(
            task_id=task.id, state=TaskState.REJECTED, decision=Decision.REJECT, iterations=0, verdict_id="",
            verdict_artifact="", tree=task.base_tree, commit=None, branch=None,
        )  # fmt: skip
        await self._tell_end(outcome, refusal)
        return encode(outcome)

    async def _tell_end(self, outcome: Outcome, refusal: Approval | None) -> None:
        context = self._context
        if await _has_ended(context):
            return
        await context.narrator.say(
            EventType.TASK_FINISHED,
            state=outcome.state.value,
            commit=outcome.commit,
            by=refusal.by if refusal is not None else None,
            reason=refusal.reason if refusal is not None else None,
        )
        measure_end(context.parts.metrics, context.parts.clock, context.task, outcome.state)

    async def _finish(self, iteration: int, last: Judged, refusal: Approval | None, commit: str | None) -> JsonValue:
        task = self._context.task
        verdict, artifact = await self._verdict(last.deliberated)
        state = END_OF.get(verdict.decision, TaskState.UNDECIDED) if refusal is None else TaskState.REJECTED
        outcome = Outcome(
            task_id=task.id,
            state=state,
            decision=verdict.decision,
            iterations=iteration,
            verdict_id=verdict.id,
            verdict_artifact=artifact.id,
            tree=verdict.tree,
            commit=commit,
            branch=task.branch if commit else None,
        )
        await self._tell_end(outcome, refusal)
        return encode(outcome)


async def _has_ended(context: RunContext) -> TaskHead | None:
    """The task's head, when an execution that a crash kept from returning has told its end already."""
    head = await context.parts.events.head(context.task.id)
    return head if head is not None and head.state in END_STATES else None
