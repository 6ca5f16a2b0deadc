"""One iteration: a worker makes a candidate, evidence is measured, and the council reaches a verdict.

Rules:
- Cheap gates come first: a candidate that fails one goes back to the worker without any test being run.
- A base's own tests are measured once, and only when a candidate has come that far.
- What is dearer is measured once a first verdict shows that nothing forbids acceptance; then the council meets again.
- Each of these is a step named after the candidate's label, such as `work:1`, or `work:1-2` for the second of several.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, replace

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.codec import JsonValue, decode, encode
from councilor.pipeline.executor.baseline import measure_baseline
from councilor.pipeline.executor.check import examine, inspect
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.deepen import deepen
from councilor.pipeline.executor.deliberate import Deliberated, deliberate, load_refinement
from councilor.pipeline.executor.steps import Steps
from councilor.pipeline.executor.work import Work, adopt, label_of, restore_candidate, work

__all__ = ["WORK_SHARE", "Iteration", "Judged"]

WORK_SHARE = 0.7
"""Share of the time left that a worker may take: what it made has to be checked as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A candidate with what came of it."""

    made: Work
    deliberated: Deliberated
    worker: str
    evidence: str | None
    """Artifact id of what was measured; None when a cheap gate refused it."""
    added: str | None = None
    """Artifact id of what was measured after a first verdict."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Iteration:
    """One iteration of one run.

    Args:
        tree: what the worker begins with.
        parent: the artifact that it follows: the spec, or the refinement request.
        previous: how the iteration before ended.
    """

    steps: Steps
    number: int
    tree: str
    parent: ExecutionArtifact
    previous: Deliberated | None

    async def alone(self, context: RunContext) -> Judged:
        """Make the iteration's only candidate, and judge it."""
        made = await self.work(context)
        return await self.judge(context, made)

    async def work(
        self, context: RunContext, *, waves: int = 1, sharers: int = 1, room: asyncio.Semaphore | None = None
    ) -> Work:
        """Let a worker make a candidate.

        Args:
            waves: how many candidates have to be made one after the other, for want of cores.
            sharers: how many candidates share the budget.
            room: bounds how many are made at the same time.
        """
        task = context.task
        timeout_s = self.steps.remaining_s() * WORK_SHARE / waves

        async def run() -> JsonValue:
            if task.candidate_tree is not None:
                made = await adopt(context, tree=await restore_candidate(context), parent=self.parent)
            else:
                async with room or nullcontext():
                    made = await work(
                        context,
                        iteration=self.number,
                        start_tree=self.tree,
                        parent=self.parent,
                        refinement=await load_refinement(context, self.previous),
                        timeout_s=timeout_s,
                        sharers=sharers,
                    )
            made = replace(made, admitted=await inspect(context, made, self.number))
            await context.narrator.flush()
            return encode(made)

        label = label_of(self.number, context.folder.candidate)
        return decode(Work, await self.steps.run(f"work:{label}", run, preemptible=True, working=True))

    async def judge(self, context: RunContext, made: Work, *, preliminary: bool = False) -> Judged:
        """Measure a candidate and reach a verdict: the second one where more evidence could be added."""
        evidence, added = await self._evidence(context, made), None
        last = await self.deliberate(context, made, evidence, preliminary=preliminary)
        parts = context.parts
        if evidence is not None and last.is_open and (parts.servers is not None or parts.tester is not None):
            deepened = await self.steps.run(
                f"deepen:{made.label}",
                lambda: deepen(context, made, evidence_id=evidence, remaining_s=self.steps.remaining_s()),
                context=context,
                preemptible=True,
            )
            added = deepened["added"]
        if added is not None:
            last = await self.deliberate(context, made, evidence, added=added, first=last, preliminary=preliminary)
        return Judged(made=made, deliberated=last, worker=context.task.worker or "", evidence=evidence, added=added)

    async def deliberate(
        self,
        context: RunContext,
        made: Work,
        evidence: str | None,
        *,
        added: str | None = None,
        first: Deliberated | None = None,
        preliminary: bool = False,
        held: bool = False,
    ) -> Deliberated:
        """Let the council decide."""

        async def run() -> JsonValue:
            return encode(
                await deliberate(
                    context,
                    made,
                    iteration=self.number,
                    evidence_id=evidence,
                    added_id=added,
                    first=first,
                    previous=self.previous,
                    remaining_s=self.steps.remaining_s(),
                    preliminary=preliminary,
                    held=held,
                )
            )

        name = f"deliberate:{made.label}:2" if added else f"deliberate:{made.label}"
        return decode(Deliberated, await self.steps.run(name, run, context=context))

    async def _evidence(self, context: RunContext, made: Work) -> str | None:
        """Artifact id of the candidate's evidence; None when a cheap gate already refuses it."""
        if not made.admitted:
            return None
        if context.derived.baseline is None:
            measured = await self.steps.run(
                f"baseline:{context.rebases}" if context.rebases else "baseline",
                lambda: measure_baseline(context, made, self.parent, remaining_s=self.steps.remaining_s()),
                context=context,
                preemptible=True,
            )
            context.derived.baseline = str(measured["baseline"])
        baseline = context.derived.baseline
        patch = await context.artifact(made.patch)
        examined = await self.steps.run(
            f"examine:{made.label}",
            lambda: examine(context, made, baseline_id=baseline, patch=patch, remaining_s=self.steps.remaining_s()),
            context=context,
            preemptible=True,
        )
        return str(examined["evidence"])
