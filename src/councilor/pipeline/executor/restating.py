"""Restating: what was recorded of a candidate, recorded once more under the names of another round.

Rules:
- The bytes, the tree and the metadata stay what they were; the new artifact names the first one as its input. So
  whoever looks for the newest of a kind finds what counts, and the record says where it is from.
- A candidate is restated with its patch, report, evidence, what was measured besides, and the questions about it.

It decides nothing: `candidates.py` and `keep.py` say which candidate goes on.
"""

from __future__ import annotations

from councilor.domain.artifact import ExecutionArtifact
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.iteration import Judged
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.work import Work
from councilor.pipeline.questions import QUESTIONS

__all__ = ["restate", "restate_candidate"]


async def restate_candidate(context: RunContext, judged: Judged, label: str, *, role: str) -> dict[str, str | None]:
    """Record a candidate's artifacts under the names of another round; gives the new ids.

    Args:
        role: what the first ones are to the new ones.
    """
    made = judged.made
    patch = await restate(context, made.patch, f"patch/{label}", role=role)
    report = await restate(context, made.report, f"report/{label}", parent=patch, role=role)
    evidence = strength = None
    if judged.evidence is not None:
        evidence = await restate(context, judged.evidence, f"evidence/{label}", parent=patch, role=role)
    if judged.added is not None:
        strength = await restate(context, judged.added, f"strength/{label}", parent=evidence, role=role)
        if (asked := await _questions(context, made)) is not None:
            await restate(context, asked.id, f"{QUESTIONS}{label}", parent=strength, role=role)
    if (derived := context.derived.inputs.get(made.patch)) is not None:
        context.derived.inputs[patch.id] = derived
    return {
        "patch": patch.id,
        "report": report.id,
        "evidence": evidence.id if evidence is not None else None,
        "added": judged.added,
    }


async def _questions(context: RunContext, made: Work) -> ExecutionArtifact | None:
    """What is open about a candidate; of one that was chosen later it is kept under its iteration's name."""
    for label in (made.label, made.label.partition("-")[0]):
        asked = await context.ledger.find(f"{QUESTIONS}{label}")
        if asked is not None and asked.tree == made.tree:
            return asked
    return None


async def restate(
    context: RunContext, artifact_id: str, name: str, *, role: str, parent: ExecutionArtifact | None = None
) -> ExecutionArtifact:
    """Record an artifact once more.

    Args:
        parent: what the new one follows; the first one when not given.
    """
    source = await context.artifact(artifact_id)
    artifact = await context.ledger.record(
        source.kind,
        name,
        await context.read(source.id),
        media_type=source.media_type,
        tree=source.tree,
        parent=parent or source,
        inputs=[(source, role)],
        metadata=source.metadata,
    )
    note_stored(context, artifact)
    return artifact
