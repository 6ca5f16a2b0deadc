"""Overrides: a person's decision against, or beside, the council's, as a signed statement with its reason.

Rules:
- An override names the verdict it is about, who says they decided, and why. It is never silent: `show` tells of it.
- It changes nothing that was decided, and publishes nothing: who is at the keyboard is not proved yet, and so it is
  recorded as unverified.
"""

from __future__ import annotations

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.stored import require_text
from councilor.domain.task import END_STATES, TaskHead
from councilor.domain.verdict import Decision
from councilor.errors import InputError, NotFoundError
from councilor.pipeline.ledger.decision import record_decision
from councilor.pipeline.ledger.record import Ledger

__all__ = ["record_override"]

LONGEST_REASON = 4000
PEOPLE_DECIDE = (Decision.ACCEPT, Decision.REJECT)


async def record_override(
    ledger: Ledger, head: TaskHead, decision: Decision, *, reason: str, by: str
) -> ExecutionArtifact:
    """Record a person's decision about a task's newest verdict.

    Args:
        decision: accept or reject.
        by: who says they decided.

    Raises:
        InputError: the task has not ended, or a text or the decision is not allowed.
        NotFoundError: it has no verdict.
    """
    require_text(reason, "reason", longest=LONGEST_REASON)
    require_text(by, "by")
    if decision not in PEOPLE_DECIDE:
        raise InputError(f"A person accepts or rejects, and cannot {decision.value}.", field="decision")
    if head.state not in END_STATES:
        raise InputError(f"Task {head.task_id} is {head.state.value}; it has not ended yet.", field="task")
    artifacts = await ledger.storage.of_task(head.task_id)
    verdicts = [item for item in artifacts if item.kind is ArtifactKind.VERDICT]
    if not verdicts:
        raise NotFoundError(f"Task {head.task_id} has no verdict.", hint="There is nothing to override.")
    body = {"decision": decision.value, "reason": reason, "verdict": verdicts[-1].id}
    return await record_decision(ledger, ArtifactKind.OVERRIDE, body, about=verdicts[-1], role="verdict", by=by)
