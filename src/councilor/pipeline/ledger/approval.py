"""Approvals: a person's answer to a run that asked, as a signed statement.

Rules:
- It names the request, the artifact that was decided about, who says they decided, and why.
- What holds for every decision of a person holds for it: `decision.py`.
"""

from __future__ import annotations

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.event import Checkpoint
from councilor.errors import NotFoundError
from councilor.pipeline.ledger.decision import record_decision
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
    body = {"approved": approved, "checkpoint": checkpoint.value, "about": about.id, "reason": reason}
    return await record_decision(ledger, ArtifactKind.APPROVAL, body, about=about, role="about", by=by)
