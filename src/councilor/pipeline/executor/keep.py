"""Keeping: an accepted candidate whose conflict with its branch was not resolved stays on the base it was judged on.

Rules:
- It is the last candidate that was accepted before the conflict, with the verdict that it had; nothing is judged anew.
- Its artifacts, its claims and its verdict are restated as the newest of the task, each by a signed statement. The
  verdict's names the one that was reached then and the one that refused the resolution: so the record itself says which
  counts, and `show`, `verify`, the commit's trailers and a later judgement are about the same.
- That it conflicts, where, and what became of the resolution is told, and goes with the commit to wherever it goes.

When that happens is `workflow.py`'s. A change that merged and was wrong on the new base is never kept: no conflict
would warn whoever merges it.
"""

from __future__ import annotations

import json
from dataclasses import replace

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import JsonValue, decode, encode
from councilor.domain.event import EventType
from councilor.domain.verdict import Verdict
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.deliberate import note_reached
from councilor.pipeline.executor.iteration import Judged
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.rebase import Rebased
from councilor.pipeline.executor.restating import restate, restate_candidate

__all__ = ["keep"]

RESTATED, REFUSED = "restated", "refused"
"""Roles of the verdict that counts, and of the one that does not."""


async def keep(context: RunContext, accepted: Judged, refused: Judged, moved: Rebased, *, iteration: int) -> JsonValue:
    """Make an accepted candidate the task's newest again; gives it as it is then judged.

    Args:
        context: of the base that it was judged on.
        refused: what the worker made of the conflict.
        moved: where the branch stood.
        iteration: the round that was refused.
    """
    label = str(iteration + 1)
    restated = await restate_candidate(context, accepted, label, role=RESTATED)
    await _restate_claims(context, accepted, label)
    verdict = await _restate_verdict(context, accepted, refused, f"verdict/{label}")
    _tell(context, decode(Verdict, json.loads(await context.read(verdict.id))), verdict, refused, moved, iteration)
    kept = replace(
        accepted,
        made=replace(accepted.made, label=label, patch=str(restated["patch"]), report=str(restated["report"])),
        deliberated=replace(accepted.deliberated, verdict=verdict.id),
        evidence=restated["evidence"],
    )
    return encode(kept)


async def _restate_claims(context: RunContext, accepted: Judged, label: str) -> None:
    for name in (f"claims/{accepted.made.label}.2", f"claims/{accepted.made.label}"):
        if (claims := await context.ledger.find(name)) is not None:
            await restate(context, claims.id, f"claims/{label}", role=RESTATED)
            return


async def _restate_verdict(context: RunContext, accepted: Judged, refused: Judged, name: str) -> ExecutionArtifact:
    before = await context.artifact(accepted.deliberated.verdict)
    rests_on = [(await context.artifact(item.artifact_id), item.role) for item in before.inputs]
    verdict = await context.ledger.record(
        ArtifactKind.VERDICT,
        name,
        await context.read(before.id),
        tree=before.tree,
        parent=before,
        inputs=[*rests_on, (before, RESTATED), (await context.artifact(refused.deliberated.verdict), REFUSED)],
    )
    note_stored(context, verdict)
    return verdict


def _tell(
    context: RunContext,
    verdict: Verdict,
    artifact: ExecutionArtifact,
    refused: Judged,
    moved: Rebased,
    iteration: int,
) -> None:
    decision = refused.deliberated.decision.value
    context.narrator.note(
        EventType.PUBLICATION_REBASED,
        iteration=iteration,
        outcome="kept",
        base=context.base.hash,
        onto=moved.onto,
        conflicts=list(moved.conflicts),
        reason="The change conflicts with what is new on the branch, and what its worker made of both was not accepted"
        f" ({decision}).",
    )
    note_reached(context, verdict, artifact)
