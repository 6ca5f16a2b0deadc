"""Approvals: a person's answer to a run that asked, as a signed statement.

Rules:
- It names the request, the artifact that was decided about, who says they decided, and why.
- Who is at the keyboard is not proved, and so it is recorded as unverified; the key that signs is this installation's.
"""

from __future__ import annotations

import json

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.event import Checkpoint
from councilor.errors import NotFoundError
from councilor.pipeline.ledger.record import Ledger

__all__ = ["record_approval"]


async def record_approval(
    ledger: Ledger, task_id: str, checkpoint: Checkpoint, about_id: str, *, approved: bool, by: str, reason: str
) -> ExecutionArtifact:
    """Record an answer, and log its statement.

    Args:
        about_id: artifact id of what the run asked about.

    Raises:
        NotFoundError: that artifact is not there.
    """
    about = await ledger.storage.get(about_id)
    if about is None or about.task_id != task_id:
        raise NotFoundError(f"The artifact {about_id}, which is to be decided about, is not there.")
    artifacts = await ledger.storage.of_task(task_id)
    number = 1 + sum(item.kind is ArtifactKind.APPROVAL for item in artifacts)
    body = {
        "approved": approved,
        "checkpoint": checkpoint.value,
        "about": about.id,
        "by": by,
        "reason": reason,
        "verified": False,
    }
    artifact = await ledger.of_task(task_id, run_id=task_id).record(
        ArtifactKind.APPROVAL,
        f"approval/{number}",
        json.dumps(body, sort_keys=True).encode(),
        tree=about.tree,
        parent=about,
        inputs=[(about, "about")],
        producer=by,
    )
    await ledger.sequence()
    return artifact
