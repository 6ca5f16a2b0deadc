"""The way a task travels, as steps that the engine never repeats once they have finished.

prepare -> (work -> [baseline] -> examine -> deliberate -> [deepen -> deliberate])* -> finish

Rules:
- A step gives ids and figures; bytes go to the ledger. So a crash resumes from the last finished step.
- Cheap gates come first: a candidate that fails one goes back to the worker without any test being run.
- The base's own tests are measured once, and only when a candidate has come that far.
- What is dearer is measured once a first verdict shows that nothing forbids acceptance; then the council meets again.
- The same failing gates twice in a row are no progress: the next verdict is the last.
- A verdict that leaves a question open which the worker may answer by a test is followed by another iteration.
- A task that ends with an error says so on its stream; a cancelled caller leaves the run resumable and says nothing.
- An end is announced after it is stored; that is no step, because its own event says whether it was begun.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.codec import JsonValue, decode, encode
from councilor.domain.event import EventType, NewEvent
from councilor.domain.genai import SpanRole, role
from councilor.domain.task import END_STATES, Task, TaskHead, TaskState
from councilor.domain.verdict import Decision, Verdict
from councilor.errors import CouncilorError, DeadlineError
from councilor.guards.hostfault import find_host_fault, is_fenced
from councilor.pipeline.executor.announcement import announce
from councilor.pipeline.executor.baseline import measure_baseline
from councilor.pipeline.executor.check import examine, inspect
from councilor.pipeline.executor.context import Parts, RunContext, open_context, open_narrator
from councilor.pipeline.executor.deepen import deepen
from councilor.pipeline.executor.deliberate import Deliberated, deliberate, load_refinement
from councilor.pipeline.executor.prepare import prepare
from councilor.pipeline.executor.publish import publish
from councilor.pipeline.executor.work import Work, adopt, restore_candidate, work
from councilor.ports.engine import Engine, RunState
from councilor.ports.tracing import Span

__all__ = ["WORKFLOW_VERSION", "Executor", "Outcome"]

WORKFLOW_VERSION = "2"
"""Names these steps and their order; raise it whenever either changes, so that no run goes on under other steps."""
WORK_SHARE = 0.7
"""Share of the time left that a worker may take: what it made has to be checked as well."""
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

    async def start(self) -> None:
        """Become able to execute tasks."""
        await self._engine.start(self._execute)

    async def stop(self) -> None:
        """Stop; unfinished runs stay resumable."""
        await self._engine.stop()

    async def submit(self, task: Task) -> None:
        """Store a task; nothing is executed yet. Submitted again, it stays as it is."""
        if await self._parts.events.head(task.id) is not None:
            return
        event = NewEvent(
            task_id=task.id, type=EventType.TASK_SUBMITTED, ts=task.submitted_at, data={"task": encode(task)}
        )
        await self._parts.events.append([event])
        self._parts.metrics.counter("v3.task.submitted", {"risk_tier": str(task.tier)})

    async def run(self, task_id: str) -> Outcome:
        """Execute a submitted task in this process, to its end."""
        return decode(Outcome, await self._engine.submit(task_id))

    async def resume(self, task_id: str) -> Outcome:
        """Go on with an interrupted task, from its last finished step."""
        return decode(Outcome, await self._engine.recover(task_id))

    async def settle(self, task_id: str) -> None:
        """Let an execution that was killed right after its task's end do the rest: be remembered, announce the end."""
        status = await self._engine.status(task_id)
        if status is not None and status.state is RunState.PENDING:
            await self._engine.submit(task_id)

    async def cancel(self, task_id: str) -> None:
        """End a task for good, and say so on its stream."""
        events = self._parts.events
        head = await events.head(task_id)
        if head is None or head.state is not TaskState.SUBMITTED or await self._engine.status(task_id) is not None:
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
            _measure_end(self._parts, state, tier=head.tier, submitted_at=head.submitted_at)
            await announce(self._parts, head.task_id)

    async def _execute(self, run_id: str) -> JsonValue:
        # Whoever executes holds the run: from here on an execution that was taken over can write nothing more.
        attempt = await self._parts.events.begin(run_id)
        with self._parts.tracer.trace(run_id) as whole:
            return await self._go(run_id, attempt, whole)

    async def _go(self, run_id: str, attempt: int, whole: Span) -> JsonValue:
        narrator = open_narrator(self._parts, run_id, attempt=attempt)
        try:
            context = await open_context(self._parts, run_id, narrator)
            whole.set(_about(context.task))
            outcome = await _Journey(context=context, engine=self._engine).travel()
        except Exception as error:
            if find_host_fault(error) is not None or is_fenced(error):
                raise  # the run is only interrupted, or another process goes on with it
            told = error if isinstance(error, CouncilorError) else CouncilorError(f"{type(error).__name__}: {error}")
            head = await self._parts.events.head(run_id)
            if head is not None and head.state not in END_STATES:
                await narrator.say(EventType.TASK_FAILED, error=told.message, hint=told.hint())
                _measure_end(self._parts, TaskState.FAILED, tier=head.tier, submitted_at=head.submitted_at)
            whole.set({"councilor.task.state": TaskState.FAILED.value})
            await announce(self._parts, run_id)
            raise
        whole.set({"councilor.task.state": outcome.state.value, "councilor.task.iterations": outcome.iterations})
        await announce(self._parts, run_id)
        return encode(outcome)


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


def _measure_end(parts: Parts, state: TaskState, *, tier: int, submitted_at: datetime) -> None:
    seconds = (parts.clock.now() - submitted_at).total_seconds()
    parts.metrics.counter("v3.task.finished", {"state": state.value, "risk_tier": str(tier)})
    parts.metrics.histogram("v3.task.seconds", {"risk_tier": str(tier)}, max(0.0, seconds))  # a clock may be set back


class _Journey:
    """One execution of one run."""

    def __init__(self, *, context: RunContext, engine: Engine) -> None:
        self._context = context
        self._engine = engine
        self._deadline = context.parts.clock.monotonic() + context.task.deadline_s
        self._baseline: str | None = None

    async def travel(self) -> Outcome:
        """Go through all steps; those that have finished before give what they gave then."""
        context, task = self._context, self._context.task
        prepared = await self._step("prepare", lambda: prepare(context))
        parent = await context.artifact(prepared["spec"])
        tree, previous = task.base_tree, None
        for iteration in range(1, task.max_iterations + 1):
            made = decode(Work, await self._work(iteration, tree, parent, previous))
            evidence = await self._evidence(iteration, made, parent)
            previous = await self._judge(iteration, made, evidence, previous)
            if previous.refinement is None:
                break
            tree, parent = made.tree, await context.artifact(previous.refinement)
        assert previous is not None, "max_iterations is at least 1"
        return decode(Outcome, await self._step("finish", lambda: self._finish(iteration, previous)))

    async def _work(
        self, iteration: int, tree: str, parent: ExecutionArtifact, previous: Deliberated | None
    ) -> JsonValue:
        context, task = self._context, self._context.task

        async def run() -> JsonValue:
            if task.candidate_tree is not None:
                made = await adopt(context, tree=await restore_candidate(context), parent=parent)
            else:
                made = await work(
                    context,
                    iteration=iteration,
                    start_tree=tree,
                    parent=parent,
                    refinement=await load_refinement(context, previous),
                    timeout_s=self._remaining_s() * WORK_SHARE,
                )
            return encode(replace(made, admitted=await inspect(context, made, iteration)))

        return await self._step(f"work:{iteration}", run, preemptible=True)

    async def _evidence(self, iteration: int, made: Work, parent: ExecutionArtifact) -> str | None:
        """Artifact id of the candidate's evidence; None when a cheap gate already refuses it."""
        context = self._context
        if not made.admitted:
            return None
        if self._baseline is None:
            measured = await self._step(
                "baseline",
                lambda: measure_baseline(context, made, parent, remaining_s=self._remaining_s()),
                preemptible=True,
            )
            self._baseline = str(measured["baseline"])
        baseline = self._baseline
        patch = await context.artifact(made.patch)
        examined = await self._step(
            f"examine:{iteration}",
            lambda: examine(
                context, made, iteration=iteration, baseline_id=baseline, patch=patch, remaining_s=self._remaining_s()
            ),
            preemptible=True,
        )
        return str(examined["evidence"])

    async def _judge(
        self, iteration: int, made: Work, evidence: str | None, previous: Deliberated | None
    ) -> Deliberated:
        """The iteration's last verdict: the second one where more evidence could be added."""
        first = await self._deliberate(iteration, made, evidence, previous)
        parts = self._context.parts
        if evidence is None or not first.is_open or (parts.servers is None and parts.tester is None):
            return first
        deepened = await self._step(
            f"deepen:{iteration}",
            lambda: deepen(
                self._context, made, iteration=iteration, evidence_id=evidence, remaining_s=self._remaining_s()
            ),
            preemptible=True,
        )
        added = deepened["added"]
        if added is None:
            return first
        return await self._deliberate(iteration, made, evidence, previous, added=str(added), first=first)

    async def _deliberate(
        self,
        iteration: int,
        made: Work,
        evidence: str | None,
        previous: Deliberated | None,
        *,
        added: str | None = None,
        first: Deliberated | None = None,
    ) -> Deliberated:
        async def run() -> JsonValue:
            return encode(
                await deliberate(
                    self._context,
                    made,
                    iteration=iteration,
                    evidence_id=evidence,
                    added_id=added,
                    first=first,
                    previous=previous,
                    remaining_s=self._remaining_s(),
                )
            )

        name = f"deliberate:{iteration}:2" if added else f"deliberate:{iteration}"
        return decode(Deliberated, await self._step(name, run))

    async def _finish(self, iteration: int, deliberated: Deliberated) -> JsonValue:
        context, task = self._context, self._context.task
        artifact = await context.artifact(deliberated.verdict)
        verdict = decode(Verdict, json.loads(await context.read(artifact.id)))
        ended = await _has_ended(context)
        commit = ended.commit if ended else await publish(context, verdict, artifact)
        state = END_OF.get(verdict.decision, TaskState.UNDECIDED)
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
        if not ended:
            await context.narrator.say(EventType.TASK_FINISHED, state=state.value, commit=commit)
            _measure_end(context.parts, state, tier=task.tier, submitted_at=task.submitted_at)
        return encode(outcome)

    async def _step(self, name: str, fn: Callable[[], Awaitable[JsonValue]], *, preemptible: bool = False) -> JsonValue:
        remaining_s = self._remaining_s()
        if remaining_s <= 0:
            raise DeadlineError(
                f"The task's deadline of {self._context.task.deadline_s:g} s passed before step {name!r}.",
                backend="executor",
                deadline_s=self._context.task.deadline_s,
                hint="Give it more time with --deadline.",
            )

        # Entered where the step really runs, and left when the engine has remembered it: one that ran before has none.
        with ExitStack() as running:

            async def attempt() -> JsonValue:
                running.enter_context(self._span(name))
                result = await fn()
                await self._context.narrator.flush()
                return result

            return await self._engine.step(name, attempt, preemptible=preemptible, timeout_s=remaining_s)

    def _span(self, step: str) -> AbstractContextManager[Span]:
        kind, _, number = step.partition(":")
        about = role(SpanRole.EVALUATOR if kind == "deliberate" else SpanRole.CHAIN)
        about |= {"councilor.step": step, "councilor.iteration": int(number.partition(":")[0]) if number else None}
        return self._context.parts.tracer.span(kind, attributes=about, once=step)

    def _remaining_s(self) -> float:
        return self._deadline - self._context.parts.clock.monotonic()


async def _has_ended(context: RunContext) -> TaskHead | None:
    """The task's head, when an execution that a crash kept from returning has told its end already."""
    head = await context.parts.events.head(context.task.id)
    return head if head is not None and head.state in END_STATES else None
