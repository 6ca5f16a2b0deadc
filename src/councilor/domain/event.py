"""Events: the ordered stream of what happens to a task, and how it moves the task's head.

Rules:
- `seq` counts from 1 without gaps within a task; the store assigns it.
- An event's data is small JSON: ids and figures, never bytes or logs.
- `fold` is the only place that derives a task's state from its events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from councilor.domain.codec import decode
from councilor.domain.task import Task, TaskHead, TaskState

__all__ = ["AFTER_END", "Event", "EventType", "NewEvent", "fold"]


class EventType(StrEnum):
    """What happened; docs/reference/events.md documents each one's data."""

    TASK_SUBMITTED = "task.submitted"
    TASK_STARTED = "task.started"
    PHASE_STARTED = "phase.started"
    PHASE_FINISHED = "phase.finished"
    WORKER_ASSIGNED = "worker.assigned"
    WORKER_HEARTBEAT = "worker.heartbeat"
    WORKER_OUTPUT = "worker.output"
    ARTIFACT_STORED = "artifact.stored"
    GATE_FINISHED = "gate.finished"
    REFINEMENT_REQUESTED = "refinement.requested"
    CLAIMS_CHECKED = "claims.checked"
    COUNCIL_OPENED = "council.opened"
    COUNCIL_VOTE = "council.vote"
    VERDICT_REACHED = "verdict.reached"
    PUBLICATION_REBASED = "publication.rebased"
    PUBLICATION_STARTED = "publication.started"
    PUBLICATION_FINISHED = "publication.finished"
    PUBLICATION_FAILED = "publication.failed"
    TASK_FINISHED = "task.finished"
    TASK_FAILED = "task.failed"
    TASK_CANCELLED = "task.cancelled"
    NOTIFICATION_STARTED = "notification.started"
    NOTIFICATION_SENT = "notification.sent"
    NOTIFICATION_FAILED = "notification.failed"


AFTER_END = frozenset({EventType.NOTIFICATION_STARTED, EventType.NOTIFICATION_SENT, EventType.NOTIFICATION_FAILED})
"""What may follow an end: that somebody was told of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewEvent:
    """An event before the store has numbered it."""

    task_id: str
    type: EventType
    ts: datetime
    """UTC."""
    attempt: int = 0
    """The fencing number of the execution that wrote it; 0: written outside of any, such as a cancellation."""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event(NewEvent):
    """One numbered event."""

    seq: int


def fold(head: TaskHead | None, event: Event) -> TaskHead:
    """The task's head after `event`.

    `task.submitted` carries the task as `data["task"]` and makes the head; `phase.started` carries the state as
    `data["phase"]`; `task.finished` the end state as `data["state"]` and the published commit as `data["commit"]`.
    """
    if head is None:
        task = decode(Task, event.data["task"])
        return TaskHead(
            task_id=event.task_id,
            last_seq=event.seq,
            state=TaskState.SUBMITTED,
            repository=task.repository,
            spec_id=task.spec_id,
            title=task.title,
            tier=task.tier,
            worker=task.worker,
            decision=None,
            commit=None,
            submitted_at=task.submitted_at,
            updated_at=event.ts,
        )
    head = replace(head, last_seq=event.seq, updated_at=event.ts)
    match event.type:
        case EventType.PHASE_STARTED:
            return replace(head, state=TaskState(event.data["phase"]))
        case EventType.VERDICT_REACHED:
            return replace(head, decision=str(event.data["decision"]))
        case EventType.TASK_FINISHED:
            return replace(head, state=TaskState(event.data["state"]), commit=event.data.get("commit"))
        case EventType.TASK_FAILED:
            return replace(head, state=TaskState.FAILED)
        case EventType.TASK_CANCELLED:
            return replace(head, state=TaskState.CANCELLED)
        case _:
            return head
