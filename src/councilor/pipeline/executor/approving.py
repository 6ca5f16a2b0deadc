"""Approving: in strict mode a run asks a person, and waits for the answer as long as it takes.

Rules:
- Asked is before work starts on tier 1, and before an accepted candidate is published in every tier.
- The request is an event, and so is the answer: a crash changes nothing about either, and nobody is asked twice.
- Whoever is to be told of it is told beside the waiting (`announcement.py`): the answer may come first.
- An answer counts when its statement is there, names what was asked about and says what the answer says; anything else
  is an alarm. Whose key signed it is for `councilor verify`: who steers may have another machine's.
- No time passes for the task while it waits. One that ends meanwhile was not approved.
"""

from __future__ import annotations

import json
from functools import partial

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.event import Checkpoint, EventType
from councilor.domain.intervention import Approval
from councilor.domain.task import RunMode, Task
from councilor.errors import InputError, IntegrityError
from councilor.pipeline.executor.announcement import announce_request
from councilor.pipeline.executor.context import RunContext

__all__ = ["refused"]

APPROVED_TIER = 1
"""Work on this tier starts only once a person has approved it. Source: the design, 4-execution (modes)."""


async def refused(context: RunContext, checkpoint: Checkpoint, about: ExecutionArtifact) -> Approval | None:
    """Ask where the task's mode wants it, and wait; gives the answer when it is no, None when the run may go on.

    Args:
        about: what the person decides about: the spec, or the verdict.

    Raises:
        Interrupted: the task was cancelled meanwhile, or is given back while nobody has answered.
        InputError: the task has ended, and nobody had answered.
        IntegrityError: the answer's statement is not there, or is about something else.
    """
    control = context.control
    if not _is_asked(context.task, checkpoint):
        return None
    if checkpoint not in control.steering.requested and not control.steering.ended:
        await context.narrator.say(
            EventType.APPROVAL_REQUESTED, checkpoint=checkpoint.value, artifact_id=about.id, tree=about.tree
        )
    if checkpoint not in control.steering.approvals:
        attempt = context.narrator.attempt
        control.beside(partial(announce_request, context.parts, context.task.id, checkpoint, attempt=attempt))
    await control.until(lambda: checkpoint in control.steering.approvals or control.steering.ended)
    approval = control.steering.approvals.get(checkpoint)
    if approval is None:
        raise InputError(f"Task {context.task.id} ended before anybody had answered it.", field="task")
    if context.parts.ledger.storage.durable:
        await _require_signed(context, approval, about)
    return None if approval.approved else approval


def _is_asked(task: Task, checkpoint: Checkpoint) -> bool:
    if task.mode is not RunMode.STRICT:
        return False
    return checkpoint is Checkpoint.PUBLISH or task.tier == APPROVED_TIER


async def _require_signed(context: RunContext, approval: Approval, about: ExecutionArtifact) -> None:
    artifact = await context.ledger.get(approval.artifact_id)
    if artifact is None or artifact.kind is not ArtifactKind.APPROVAL:
        raise IntegrityError(f"The statement of {approval.by}'s answer is not in the ledger.")
    body = json.loads(await context.read(artifact.id))
    said = (artifact.task_id, body["checkpoint"], body["about"])
    if said != (context.task.id, approval.checkpoint.value, about.id):
        raise IntegrityError(f"The statement {artifact.name} is not about what was asked.")
    if (body["approved"], body["by"], body["reason"]) != (approval.approved, approval.by, approval.reason):
        raise IntegrityError(f"The statement {artifact.name} says otherwise than the answer that names it.")
