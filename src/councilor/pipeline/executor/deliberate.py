"""Deliberating: gates, claims and council on what was measured, and the refinement request that may follow.

Rules:
- The gates' results, the checked claims and the case are artifacts before the verdict that rests on them.
- A verdict that an interrupted execution has stored already is taken, not reached again.
- A verdict that a confirmed challenge made obsolete is stored too, before the one that holds (`obsolete-verdict/N/M`).
- No progress (the same failures twice) and an exhausted budget leave no further iteration.
- Models are asked even when nothing is left of the budget: no worker can spend its judges away.
- An open question goes to a worker that can answer it by a test, while iterations are left; the same one never twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.budget import Budget
from councilor.domain.claim import CheckedClaim
from councilor.domain.codec import decode
from councilor.domain.difference import BASE
from councilor.domain.event import EventType
from councilor.domain.evidence import EvidenceBundle, spent_s
from councilor.domain.gate import GateResult, RefinementRequest
from councilor.domain.genai import SpanRole, role
from councilor.domain.provenance import digest
from councilor.domain.question import Question
from councilor.domain.task import TaskState
from councilor.domain.verdict import Decision, Verdict
from councilor.pipeline import council
from councilor.pipeline.claims import ClaimContext, check_claims
from councilor.pipeline.council import Case, Matter, ModelJuror, alike_of
from councilor.pipeline.executor.challenge import TestChallenges
from councilor.pipeline.executor.check import as_json, gate_input, load_bundle
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.deepen import deepened
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.spending import read_budget, tell_exhausted
from councilor.pipeline.executor.work import Work
from councilor.pipeline.gates import GateInput, Stage, latest, run_gates
from councilor.pipeline.refinement import refinement_request, same_failures

__all__ = ["Deliberated", "deliberate", "is_asked", "load_refinement", "note_reached"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Deliberated:
    """What an iteration came to; small, so that the engine can remember it."""

    decision: Decision
    verdict: str
    """Artifact id of the verdict."""
    case: str
    """Artifact id of the case that it was reached on."""
    refinement: str | None
    """Artifact id of the refinement request, when the worker is to go on."""
    is_open: bool
    """Whether nothing forbids acceptance, so that further evidence may change the decision."""


async def deliberate(
    context: RunContext,
    made: Work,
    *,
    iteration: int,
    evidence_id: str | None,
    added_id: str | None = None,
    first: Deliberated | None = None,
    previous: Deliberated | None,
    remaining_s: float,
    preliminary: bool = False,
    held: bool = False,
) -> Deliberated:
    """Reach a verdict on a candidate.

    Args:
        evidence_id: artifact id of what was measured; None when a cheap gate had already refused the candidate.
        added_id: artifact id of what was measured after a first verdict; this one is then the iteration's second.
        first: that first verdict; challenges that it was reached on stay.
        previous: how the iteration before ended.
        remaining_s: seconds that the task has left, for tests that judges propose.
        preliminary: whether it is one of several candidates that are compared by these verdicts. No model is asked
            about it then, and nothing goes back to its worker.
        held: whether another candidate of the iteration is tried if this one is not accepted. Nothing goes back to its
            worker then.
    """
    name = f"{made.label}.2" if added_id else made.label
    budget = await read_budget(context)
    async with context.narrator.phase(TaskState.DELIBERATING, brief=True, iteration=iteration):
        bundle = await load_bundle(context, evidence_id) if evidence_id else None
        if bundle is not None and added_id:
            bundle = await deepened(context, bundle, added_id)
        given = await gate_input(context, made, bundle)
        gates = await _run_gates(context, given)
        claims = await _check_claims(context, made, given, gates)
        sources = [(await context.artifact(made.patch), "candidate"), (await context.artifact(made.report), "report")]
        if evidence_id:
            sources.append((await context.artifact(evidence_id), "evidence"))
        if added_id:
            sources.append((await context.artifact(added_id), "strength"))
        case = await _case(context, made, given, iteration, gates, claims, bundle, previous, budget)
        if first is not None:
            case = replace(case, challenges=(await _load_case(context, first)).challenges)
        case_artifact = await _keep(context, ArtifactKind.GATES, f"case/{name}", case, sources, made.tree)
        if not added_id or not await _is_kept(context, f"claims/{made.label}", claims):
            await _keep(context, ArtifactKind.CLAIMS, f"claims/{name}", claims, sources, made.tree)
        stored = await _stored_verdict(context, case_artifact, name)
        if stored is None:
            models = () if preliminary else await _models(context, made)
            runner = _challenges(context, made, bundle, case_artifact, name, remaining_s)
            stored = await _verdict(context, case, case_artifact, name, models, runner)
        verdict, artifact, case_artifact = stored
    refinement = None
    await tell_exhausted(context, budget, iteration=iteration)
    if preliminary or held:
        pass
    elif verdict.decision is Decision.REFINE:
        refinement = await _refine(context, case, artifact, iteration)
    elif not budget.exhausted() and _is_guided(context, made, verdict, iteration):
        refinement = await _refine(context, case, artifact, iteration, checkpoint="guide")
    elif bundle is not None and await is_asked(context, case, verdict, bundle, previous):
        refinement = await _refine(context, case, artifact, iteration, bundle.questions[0])
    return Deliberated(
        decision=verdict.decision,
        verdict=artifact.id,
        case=case_artifact.id,
        refinement=refinement,
        is_open=verdict.decision is not Decision.REJECT and not verdict.vetoes,
    )


def _is_guided(context: RunContext, made: Work, verdict: Verdict, iteration: int) -> bool:
    """Whether a person has told the worker something that it has not heard yet, and it gets another round for that."""
    if verdict.decision is Decision.ACCEPT or context.task.worker is None:
        return False
    return iteration < context.max_iterations and bool(context.control.steering.waiting_guides(made.guided))


async def load_refinement(context: RunContext, previous: Deliberated | None) -> RefinementRequest | None:
    """The request that the iteration before ended with, if it did."""
    if previous is None or previous.refinement is None:
        return None
    return decode(RefinementRequest, json.loads(await context.read(previous.refinement)))


async def _run_gates(context: RunContext, given: GateInput) -> tuple[GateResult, ...]:
    parts = context.parts
    with parts.tracer.span("gates", attributes=role(SpanRole.GUARDRAIL)):
        run = partial(run_gates, given, metrics=parts.metrics, clock=parts.clock, tracer=parts.tracer)
        results = run(stage=Stage.STATIC)
        measured = run(stage=Stage.EVIDENCE) if given.bundle is not None else ()
    if measured:
        results = latest(results, measured)
    for result in results:
        context.narrator.note(
            EventType.GATE_FINISHED,
            gate=result.gate,
            status=result.status.value,
            summary=result.summary,
            waived_by=list(result.waived_by),
        )
    return results


async def _check_claims(
    context: RunContext, made: Work, given: GateInput, gates: tuple[GateResult, ...]
) -> tuple[CheckedClaim, ...]:
    report = (await context.read(made.report)).decode("utf-8", "replace")
    with context.parts.tracer.span("claims", attributes=role(SpanRole.EVALUATOR)) as span:
        claims = check_claims(report, ClaimContext(given=given, gates=gates), metrics=context.parts.metrics)
        span.set({"councilor.claims": len(claims)})
    statuses = [claim.status.value for claim in claims]
    context.narrator.note(
        EventType.CLAIMS_CHECKED, counts={status: statuses.count(status) for status in sorted(set(statuses))}
    )
    return claims


async def _case(
    context: RunContext,
    made: Work,
    given: GateInput,
    iteration: int,
    gates: tuple[GateResult, ...],
    claims: tuple[CheckedClaim, ...],
    bundle: EvidenceBundle | None,
    previous: Deliberated | None,
    budget: Budget,
) -> Case:
    left = context.max_iterations - iteration
    if previous is not None and same_failures((await _load_case(context, previous)).gates, gates):
        left = 0
    if budget.exhausted():
        left = 0
    evidence = bundle.evidence if bundle else ()
    return Case(
        task_id=context.task.id,
        tree=given.candidate.tree,
        base_tree=given.candidate.base_tree,
        iteration=iteration,
        iterations_left=left,
        tier=given.tier.tier,
        mode=given.spec.mode,
        gates=gates,
        claims=claims,
        evidence=evidence,
        evidence_s=spent_s(evidence),
        sla_s=context.parts.sla_s,
        doubts=made.doubts,
        rivals=made.rivals,
        strength=bundle.strength if bundle else None,
        alike=alike_of(bundle.differences) if bundle else (),
        question=_open_question(bundle),
        durable=context.parts.ledger.storage.durable,
    )


def _open_question(bundle: EvidenceBundle | None) -> str:
    """The question that would tell the candidate from others than the base; empty for none."""
    asked = bundle.questions[0] if bundle and bundle.questions else None
    return asked.text if asked and any(each.kind != BASE for each in asked.tells) else ""


async def _load_case(context: RunContext, previous: Deliberated) -> Case:
    return decode(Case, json.loads(await context.read(previous.case)))


Reached = tuple[Verdict, ExecutionArtifact, ExecutionArtifact]
"""A verdict, its artifact, and the artifact of its case."""


async def _stored_verdict(context: RunContext, case: ExecutionArtifact, name: str) -> Reached | None:
    """The verdict that an interrupted execution has stored already."""
    stored = await context.ledger.find(f"verdict/{name}")
    if stored is None:
        return None
    verdict = decode(Verdict, json.loads(await context.read(stored.id)))
    if not await context.narrator.has_said(EventType.VERDICT_REACHED, artifact_id=stored.id):
        _note_verdict(context, verdict, stored)
    judged = next((item.artifact_id for item in stored.inputs if item.role == "case"), case.id)
    return verdict, stored, await context.artifact(judged)


async def _models(context: RunContext, made: Work) -> tuple[ModelJuror, ...]:
    """The models that may vote on this candidate; what they are shown is read only if there are any."""
    parts = context.parts
    if not parts.models:
        return ()
    matter = Matter(
        task=_asked(context),
        patch=(await context.read(made.patch)).decode("utf-8", "replace"),
        report=(await context.read(made.report)).decode("utf-8", "replace"),
        author_model=parts.author_models.get(context.task.worker or ""),
    )
    return tuple(model.on(matter) for model in parts.models)


def _asked(context: RunContext) -> str:
    """What the spec asks for, in its own words."""
    spec = context.spec
    criteria = [f"{item.id}: given {item.given}, when {item.when}, then {item.then}" for item in spec.acceptance]
    return "\n".join([f"{spec.mode.value}: {spec.title}", *criteria, "Always true:", *spec.invariants])


def _challenges(
    context: RunContext,
    made: Work,
    bundle: EvidenceBundle | None,
    case: ExecutionArtifact,
    name: str,
    remaining_s: float,
) -> TestChallenges | None:
    """What runs proposed tests; None where none could be proposed."""
    if bundle is None or not context.parts.models:
        return None
    return TestChallenges(
        context=context,
        tree=made.tree,
        bundle=bundle,
        parent=case,
        name=name,
        remaining_s=remaining_s,
    )


async def _verdict(
    context: RunContext,
    case: Case,
    case_artifact: ExecutionArtifact,
    name: str,
    models: tuple[ModelJuror, ...],
    runner: TestChallenges | None,
) -> Reached:
    parts = context.parts
    context.narrator.note(EventType.COUNCIL_OPENED, iteration=case.iteration, sla_s=parts.sla_s)
    with parts.tracer.span("council", attributes=role(SpanRole.EVALUATOR)) as span:
        sitting = await council.convene(
            case,
            clock=parts.clock,
            ids=parts.ids,
            metrics=parts.metrics,
            models=models,
            runner=runner,
            rounds=parts.debate_rounds,
        )
        span.set({"councilor.decision": sitting.verdict.decision.value, "councilor.votes": len(sitting.verdict.votes)})
    for number, (before, obsolete) in enumerate(sitting.earlier, start=1):
        kept = await _keep_case(context, before, case_artifact, case, f"obsolete-case/{name}/{number}")
        await _keep_verdict(context, obsolete, kept, f"obsolete-verdict/{name}/{number}")
    final_case = await _keep_case(context, sitting.case, case_artifact, case, f"case/{name}/challenged")
    artifact = await _keep_verdict(context, sitting.verdict, final_case, f"verdict/{name}")
    _note_verdict(context, sitting.verdict, artifact)
    return sitting.verdict, artifact, final_case


async def _keep_case(
    context: RunContext, case: Case, first_artifact: ExecutionArtifact, first: Case, name: str
) -> ExecutionArtifact:
    """The artifact of a case: the first one's, or a new one where challenges were added."""
    if case == first:
        return first_artifact
    challenges = [
        (await context.artifact(item.artifact), "challenge") for item in case.challenges if item.artifact is not None
    ]
    return await _keep(context, ArtifactKind.GATES, name, case, [(first_artifact, "case"), *challenges], case.tree)


async def _keep_verdict(context: RunContext, verdict: Verdict, case: ExecutionArtifact, name: str) -> ExecutionArtifact:
    waivers = await _record_waivers(context, verdict)
    return await context.ledger.record(
        ArtifactKind.VERDICT,
        name,
        as_json(verdict),
        tree=verdict.tree,
        parent=case,
        inputs=[(case, "case"), *((waiver, "waiver") for waiver in waivers)],
    )


async def _record_waivers(context: RunContext, verdict: Verdict) -> list[ExecutionArtifact]:
    """Each waiver that the verdict rests on, as an artifact of its own with a statement of its own."""
    recorded = []
    by_id = {waiver.id: waiver for waiver in context.rules.waivers}
    for waiver_id in sorted(set(verdict.waivers_used) & set(by_id)):
        artifact = await context.ledger.find(f"waiver/{waiver_id}")
        if artifact is None:
            artifact = await context.ledger.record(
                ArtifactKind.WAIVER,
                f"waiver/{waiver_id}",
                as_json(by_id[waiver_id].model_dump(mode="json")),
                tree=context.task.base_tree,
                parent=await context.ledger.find("spec"),
            )
            note_stored(context, artifact)
        recorded.append(artifact)
    return recorded


def _note_verdict(context: RunContext, verdict: Verdict, artifact: ExecutionArtifact) -> None:
    note_stored(context, artifact)
    for vote in verdict.votes:
        context.narrator.note(
            EventType.COUNCIL_VOTE,
            judge=vote.judge.value,
            voter=vote.voter,
            choice=vote.choice.value,
            tokens=vote.tokens,
            reasons=list(vote.reasons),
        )
    note_reached(context, verdict, artifact)


def note_reached(context: RunContext, verdict: Verdict, artifact: ExecutionArtifact) -> None:
    """Note that a verdict was reached, or counts again."""
    context.narrator.note(
        EventType.VERDICT_REACHED,
        verdict_id=verdict.id,
        artifact_id=artifact.id,
        decision=verdict.decision.value,
        probability=verdict.probability,
        vetoes=list(verdict.vetoes),
        consensus_s=verdict.consensus_s,
    )


async def is_asked(
    context: RunContext, case: Case, verdict: Verdict, bundle: EvidenceBundle, previous: Deliberated | None
) -> bool:
    """Whether the worker is asked the open question: it can write a test, may go on, and was not asked it yet."""
    if verdict.decision is not Decision.NEEDS_EVIDENCE or case.iterations_left <= 0 or not bundle.questions:
        return False
    question = bundle.questions[0]
    if context.task.worker not in context.parts.asked or all(each.kind == BASE for each in question.tells):
        return False
    earlier = await load_refinement(context, previous)
    return earlier is None or earlier.question != question.text


async def _refine(
    context: RunContext,
    case: Case,
    verdict: ExecutionArtifact,
    iteration: int,
    question: Question | None = None,
    *,
    checkpoint: str = "council",
) -> str:
    request = refinement_request(
        case,
        max_iterations=context.max_iterations,
        checkpoint="question" if question else checkpoint,
        verdict_ref=verdict.id,
        question=question,
    )
    artifact = await context.ledger.record(
        ArtifactKind.REFINEMENT, f"refinement/{iteration}", as_json(request), tree=case.tree, parent=verdict
    )
    note_stored(context, artifact)
    context.narrator.note(
        EventType.REFINEMENT_REQUESTED,
        iteration=iteration,
        failed_gates=list(request.failed_gates),
        priority=request.priority.value,
    )
    return artifact.id


async def _is_kept(context: RunContext, name: str, value: object) -> bool:
    """Whether an artifact of this name holds the same already."""
    artifact = await context.ledger.find(name)
    return artifact is not None and artifact.output_hash == digest(as_json(value))


async def _keep(
    context: RunContext,
    kind: ArtifactKind,
    name: str,
    value: object,
    sources: list[tuple[ExecutionArtifact, str]],
    tree: str,
) -> ExecutionArtifact:
    artifact = await context.ledger.record(kind, name, as_json(value), tree=tree, parent=sources[0][0], inputs=sources)
    note_stored(context, artifact)
    return artifact
