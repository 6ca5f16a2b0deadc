"""Checking: cheap gates on the candidate, then evidence for it, measured by our own runner.

Rules:
- What was measured is stored as artifacts before any gate reads it, so a verdict can be computed again from them.
- Logs are artifacts of their own; the measurements refer to them.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import JsonValue, decode, encode
from councilor.domain.evidence import EvidenceBundle, EvidenceKind
from councilor.domain.genai import SpanRole, role
from councilor.domain.task import TaskState
from councilor.pipeline.claims.measuring import measure_claims
from councilor.pipeline.evidence import Baseline, EvidenceCollector
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.work import Work
from councilor.pipeline.gates import GateInput, Stage, run_gates
from councilor.pipeline.inspection import put_together
from councilor.pipeline.questions import measure_answers
from councilor.ports.worker import Progress

__all__ = ["as_json", "collector_of", "examine", "gate_input", "inspect", "load_bundle"]


@dataclass(kw_only=True, slots=True)
class _Counter:
    """Counts finished tests for the heartbeat."""

    context: RunContext
    phase: str
    done: int = 0

    def __call__(self, nodeid: str, outcome: str) -> None:
        self.done += 1
        self.context.narrator.beat(Progress(phase=self.phase, done=self.done, line=f"{outcome} {nodeid}"[:200]))


async def gate_input(context: RunContext, made: Work, bundle: EvidenceBundle | None) -> GateInput:
    """Everything that gates look at; what follows from the patch alone is put together once."""
    now, inputs = context.parts.clock.now(), context.derived.inputs
    if made.patch not in inputs:
        inputs[made.patch] = await put_together(
            context.repository,
            task=context.task,
            spec=context.spec,
            rules=context.rules,
            base=context.base,
            tree=made.tree,
            patch=await context.read(made.patch),
            owns=context.parts.runner.owns,
            now=now,
            problem=made.problem,
            ended=made.ended,
        )
    return replace(inputs[made.patch], bundle=bundle, now=now)


async def inspect(context: RunContext, made: Work, iteration: int) -> bool:
    """Run the gates that need no evidence; gives whether none of them refuses the candidate."""
    phase = context.narrator.phase(TaskState.CHECKING, brief=True, iteration=iteration)
    # Of several candidates others are still being made: the task stays in that state.
    async with nullcontext() if context.folder.candidate else phase:
        with context.parts.tracer.span("inspect", attributes=role(SpanRole.GUARDRAIL)):
            results = run_gates(
                await gate_input(context, made, None),
                stage=Stage.STATIC,
                metrics=context.parts.metrics,
                clock=context.parts.clock,
                tracer=context.parts.tracer,
            )
    return not any(result.blocks for result in results)


async def examine(
    context: RunContext,
    made: Work,
    *,
    baseline_id: str,
    patch: ExecutionArtifact,
    remaining_s: float,
) -> JsonValue:
    """Measure the candidate within the seconds that the task has left; gives the artifact id of the measurements."""
    baseline_artifact = await context.artifact(baseline_id)
    baseline = decode(Baseline, json.loads(await context.read(baseline_id)))
    candidate = (await gate_input(context, made, None)).candidate
    async with context.narrator.heartbeats():
        collector = await collector_of(context, patch, suffix=made.label, remaining_s=remaining_s)
        bundle = await collector.examine(candidate, baseline, context.spec.acceptance)
        report = (await context.read(made.report)).decode("utf-8", "replace")
        bundle = await measure_claims(collector, candidate, context.spec, report, bundle)
        bundle = await measure_answers(collector, candidate, bundle, context.task.answers)
    artifact = await context.ledger.record(
        ArtifactKind.TEST_REPORT,
        f"evidence/{made.label}",
        as_json(bundle),
        tree=made.tree,
        parent=patch,
        inputs=[(baseline_artifact, "baseline"), (patch, "candidate")],
        sandbox=collector.sandbox,
        env_hash=collector.environment.env_hash,
    )
    note_stored(context, artifact)
    return {"evidence": artifact.id}


async def load_bundle(context: RunContext, artifact_id: str) -> EvidenceBundle:
    """The measurements that `examine` stored."""
    return decode(EvidenceBundle, json.loads(await context.read(artifact_id)))


async def collector_of(
    context: RunContext, parent: ExecutionArtifact, *, suffix: str, remaining_s: float
) -> EvidenceCollector:
    """What measures for this run.

    Args:
        parent: the artifact that its logs follow from.
        suffix: ends the logs' names.
        remaining_s: seconds that the task has left.
    """
    parts = context.parts

    async def keep_log(kind: EvidenceKind, log: bytes, tree: str) -> str | None:
        artifact = await context.ledger.record(
            ArtifactKind.COMMAND_LOG,
            f"log/{kind.value}/{suffix}",
            log,
            media_type="text/plain",
            tree=tree,
            parent=parent,
        )
        return artifact.id

    return EvidenceCollector(
        repository=context.repository,
        environment=await context.environment(),
        runner=parts.runner,
        analyzers=parts.analyzers,
        sandbox=(await parts.sandbox.probe()).level.name,
        scratch=context.folder.scratch,
        limits=parts.limits(context.task.tier).within(remaining_s),
        clock=parts.clock,
        ids=parts.ids,
        metrics=parts.metrics,
        tracer=parts.tracer,
        keep_log=keep_log,
        reports=context.spec.reports,
        on_record=_Counter(context=context, phase="testing"),
        servers=parts.servers,
        tester=parts.tester,
        foresight=parts.foresight,
    )


def as_json(value: object) -> bytes:
    """A domain value as the bytes of an artifact: compact JSON with sorted keys."""
    return json.dumps(encode(value), separators=(",", ":"), sort_keys=True).encode()
