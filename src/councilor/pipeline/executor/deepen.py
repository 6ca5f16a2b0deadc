"""Deepening: evidence that is measured only once a first verdict shows that nothing refuses the candidate.

Rules:
- It opens a new deliberation with a clock of its own; the verdict before stays, and the last one counts.
- What was measured before is not measured again: the artifact holds what was added, and `deepened` puts both together.
- Where nothing could be added, there is no artifact, and the verdict before stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from councilor.domain.artifact import ArtifactKind
from councilor.domain.codec import JsonValue, decode
from councilor.domain.evidence import Evidence, EvidenceBundle
from councilor.domain.strength import Strength
from councilor.pipeline.executor.check import as_json, collector_of, gate_input, load_bundle
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.work import Work
from councilor.pipeline.strength import measure_strength

__all__ = ["deepen", "deepened"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Addition:
    """What was added to a candidate's evidence."""

    evidence: tuple[Evidence, ...]
    strength: Strength | None


async def deepen(context: RunContext, made: Work, *, iteration: int, evidence_id: str, remaining_s: float) -> JsonValue:
    """Measure more about a candidate; gives the artifact id of what was added, or None."""
    bundle = await load_bundle(context, evidence_id)
    before = await context.artifact(evidence_id)
    candidate = (await gate_input(context, made, None)).candidate
    async with context.narrator.heartbeats():
        collector = await collector_of(context, before, suffix=str(iteration), remaining_s=remaining_s)
        more = await measure_strength(collector, candidate, bundle, context.spec.acceptance)
    if more is bundle:
        return {"added": None}
    artifact = await context.ledger.record(
        ArtifactKind.COVERAGE,
        f"strength/{iteration}",
        as_json(_Addition(evidence=more.evidence[len(bundle.evidence) :], strength=more.strength)),
        tree=made.tree,
        parent=before,
        inputs=[(before, "evidence")],
        sandbox=collector.sandbox,
        env_hash=collector.environment.env_hash,
    )
    note_stored(context, artifact)
    return {"added": artifact.id}


async def deepened(context: RunContext, bundle: EvidenceBundle, added_id: str) -> EvidenceBundle:
    """A candidate's evidence with what `deepen` added."""
    added = decode(_Addition, json.loads(await context.read(added_id)))
    return replace(bundle, evidence=(*bundle.evidence, *added.evidence), strength=added.strength)
