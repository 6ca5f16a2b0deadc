"""Deepening: evidence that is measured only once a first verdict shows that nothing refuses the candidate.

Rules:
- It opens a new deliberation with a clock of its own; the verdict before stays, and the last one counts.
- What was measured before is not measured again: the artifact holds what was added, and `deepened` puts both together.
- Where nothing could be added, there is no artifact, and the verdict before stands.
- First how strong the tests are, then what the answers of earlier questions close of that, then where the candidate and
  what is still open differ. The questions that come of it are an artifact of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from councilor.domain.artifact import ArtifactKind
from councilor.domain.codec import JsonValue, decode
from councilor.domain.difference import DifferentialRun
from councilor.domain.evidence import Evidence, EvidenceBundle
from councilor.domain.question import Question
from councilor.domain.strength import Strength
from councilor.pipeline.executor.check import as_json, collector_of, gate_input, load_bundle
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.work import Work
from councilor.pipeline.questions import QUESTIONS, measure_differences, settle_strength
from councilor.pipeline.strength import measure_strength

__all__ = ["Addition", "deepen", "deepened"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Addition:
    """What was added to a candidate's evidence."""

    evidence: tuple[Evidence, ...]
    strength: Strength | None
    differences: DifferentialRun | None = None
    questions: tuple[Question, ...] = ()

    def on(self, bundle: EvidenceBundle) -> EvidenceBundle:
        """The evidence with what was added."""
        return replace(
            bundle,
            evidence=(*bundle.evidence, *self.evidence),
            strength=self.strength,
            differences=self.differences,
            questions=self.questions,
        )


async def deepen(context: RunContext, made: Work, *, evidence_id: str, remaining_s: float) -> JsonValue:
    """Measure more about a candidate; gives the artifact id of what was added, or None."""
    bundle = await load_bundle(context, evidence_id)
    before = await context.artifact(evidence_id)
    candidate = (await gate_input(context, made, None)).candidate
    async with context.narrator.heartbeats():
        collector = await collector_of(context, before, suffix=made.label, remaining_s=remaining_s)
        more = await measure_strength(collector, candidate, bundle, context.spec.acceptance)
        more = await settle_strength(collector, candidate, more)
        more = await measure_differences(collector, candidate, more, context.task.answers)
    if more is bundle:
        return {"added": None}
    added = Addition(
        evidence=more.evidence[len(bundle.evidence) :],
        strength=more.strength,
        differences=more.differences,
        questions=more.questions,
    )
    artifact = await context.ledger.record(
        ArtifactKind.COVERAGE,
        f"strength/{made.label}",
        as_json(added),
        tree=made.tree,
        parent=before,
        inputs=[(before, "evidence")],
        sandbox=collector.sandbox,
        env_hash=collector.environment.env_hash,
    )
    note_stored(context, artifact)
    if more.questions:
        questions = await context.ledger.record(
            ArtifactKind.TEST_REPORT,
            f"{QUESTIONS}{made.label}",
            as_json(more.questions),
            tree=made.tree,
            parent=artifact,
            inputs=[(artifact, "strength")],
        )
        note_stored(context, questions)
    return {"added": artifact.id}


async def deepened(context: RunContext, bundle: EvidenceBundle, added_id: str) -> EvidenceBundle:
    """A candidate's evidence with what `deepen` added."""
    return decode(Addition, json.loads(await context.read(added_id))).on(bundle)
