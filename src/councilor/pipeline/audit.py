"""Auditing: is everything that a whole store holds still what was signed?

Rules:
- Every artifact of every task, by the steps of `ledger.verify_task`; published commits are not looked at, because
  their repositories may be elsewhere.
- Every leaf and checkpoint of the log, and that every statement is a leaf or waiting to be one.
- A task that came to a verdict has artifacts; artifacts belong to a task that has events.
- Everything is counted, but only the first findings are kept.

It changes nothing. A restore drill rests on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.task import TaskHead, TaskState
from councilor.pipeline.ledger import Finding, missing_leaves, verify_log, verify_task
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.events import EventStream
from councilor.ports.log import TransparencyLog
from councilor.ports.signer import Verifier

__all__ = ["Audit", "audit"]

MOST_FINDINGS = 100
WITH_ARTIFACTS = frozenset({TaskState.COMPLETED, TaskState.REJECTED, TaskState.UNDECIDED})
_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """What was checked, and what was found."""

    tasks: int
    artifacts: int
    statements: int
    keyids: tuple[str, ...]
    findings: tuple[Finding, ...]
    """The first of them."""
    findings_total: int

    @property
    def sound(self) -> bool:
        """Whether all of it verified; an empty store is sound."""
        return self.findings_total == 0


async def audit(
    task_ids: AsyncIterator[str],
    *,
    events: EventStream,
    storage: ArtifactStorage,
    log: TransparencyLog,
    verifier: Verifier,
    trusted: Sequence[SignedCheckpoint] = (),
    note: Callable[[int], None] = lambda tasks: None,
) -> Audit:
    """Verify everything.

    Args:
        task_ids: of every task that has events or artifacts.
        trusted: checkpoints from outside the database.
        note: told the number of tasks that were verified, after each.
    """
    tasks = artifacts = statements = 0
    keyids: set[str] = set()
    kept = list(await verify_log(log, verifier, trusted))
    total = len(kept)
    async for task_id in task_ids:
        head = await events.head(task_id)
        verified = await verify_task(head or _unknown(task_id), storage, verifier, None)
        found = [*verified.findings, *await missing_leaves(task_id, storage, log)]
        if head is None:
            found.append(Finding(artifact_id="", name=task_id, problem="the task has artifacts and no events"))
        elif head.state in WITH_ARTIFACTS and not verified.artifacts:
            found.append(Finding(artifact_id="", name=task_id, problem=f"it is {head.state} and has no artifacts"))
        tasks, artifacts = tasks + 1, artifacts + verified.artifacts
        statements, total = statements + verified.statements, total + len(found)
        keyids |= set(verified.keyids)
        kept += found[: max(0, MOST_FINDINGS - len(kept))]
        note(tasks)
    return Audit(
        tasks=tasks,
        artifacts=artifacts,
        statements=statements,
        keyids=tuple(sorted(keyids)),
        findings=tuple(kept[:MOST_FINDINGS]),
        findings_total=total,
    )


def _unknown(task_id: str) -> TaskHead:
    """A head for artifacts whose task has no events, so that they are verified like all others."""
    return TaskHead(
        task_id=task_id, last_seq=0, state=TaskState.FAILED, repository="", spec_id="", title="", tier=3, worker=None,
        decision=None, commit=None, submitted_at=_START, updated_at=_START,
    )  # fmt: skip
