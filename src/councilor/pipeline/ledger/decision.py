"""What a person decided, kept as a signed statement: what approvals and overrides have in common.

Rules:
- It follows from the artifact that was decided about, and is numbered among the task's others of its kind.
- Who is at the keyboard is not proved, and so it is recorded as unverified; the key that signs is this installation's.
- Its statement is a leaf of the log before this returns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.pipeline.ledger.record import Ledger

__all__ = ["record_decision"]


async def record_decision(
    ledger: Ledger, kind: ArtifactKind, body: Mapping[str, object], *, about: ExecutionArtifact, role: str, by: str
) -> ExecutionArtifact:
    """Record a decision, and log its statement.

    Args:
        about: what was decided about.
        role: what that is to the decision.
        by: who says they decided.
    """
    artifacts = await ledger.storage.of_task(about.task_id)
    number = 1 + sum(item.kind is kind for item in artifacts)
    artifact = await ledger.of_task(about.task_id, run_id=about.task_id).record(
        kind,
        f"{kind.value}/{number}",
        json.dumps({**body, "by": by, "verified": False}, sort_keys=True).encode(),
        tree=about.tree,
        parent=about,
        inputs=[(about, role)],
        producer=by,
    )
    await ledger.sequence()
    return artifact
