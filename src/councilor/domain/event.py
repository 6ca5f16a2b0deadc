"""Events: the ordered stream of what happens to a task, and how it moves the task's head.

Rules:
- `seq` counts from 1 without gaps within a task; the store assigns it.
- An event's data is small JSON: ids and figures, never bytes or logs.
- `fold` is the only place that derives a task's state from its events.
- Of a task that has ended long ago, what artifacts and statements tell better may go: never what accounts, service
  levels or the task itself are read from (`find_passing`), and never the last event. Whoever reads over such a hole
  is told so by a `Gap`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from councilor.domain.codec import decode
from councilor.domain.task import Task, TaskHead, TaskState

__all__ = ["AFTER_END", "END_TYPES", "STILL", "Event", "EventType", "Gap", "NewEvent", "find_passing", "fold"]


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
    TASK_FINISHED = "task.finished"
    TASK_FAILED = "task.failed"
    TASK_CANCELLED = "task.cancelled"
    NOTIFICATION_STARTED = "notification.started"
    NOTIFICATION_SENT = "notification.sent"
    NOTIFICATION_FAILED = "notification.failed"


AFTER_END = frozenset({EventType.NOTIFICATION_STARTED, EventType.NOTIFICATION_SENT, EventType.NOTIFICATION_FAILED})
"""What may follow an end: that somebody was told of it."""
END_TYPES = frozenset({EventType.TASK_FINISHED, EventType.TASK_FAILED, EventType.TASK_CANCELLED})
STILL = frozenset(
    {EventType.WORKER_HEARTBEAT, EventType.ARTIFACT_STORED, EventType.GATE_FINISHED, EventType.COUNCIL_VOTE}
)
"""The many events of which `fold` reads nothing but number and time."""
_PASSING = frozenset(
    {
        EventType.PHASE_STARTED,
        EventType.ARTIFACT_STORED,
        EventType.GATE_FINISHED,
        EventType.REFINEMENT_REQUESTED,
        EventType.CLAIMS_CHECKED,
        EventType.COUNCIL_OPENED,
        EventType.COUNCIL_VOTE,
    }
)
"""What the task's artifacts say in more words. A type that is not here stays."""
_SPENT = frozenset({EventType.WORKER_HEARTBEAT, EventType.WORKER_OUTPUT})
"""What makes an earlier heartbeat of the same round superfluous."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """Some events that a reader asked for are gone; what is left of them, and everything newer, comes after it."""

    task_id: str
    after: int
    """The last event before the hole."""
    floor: int
    """The last number that may be missing."""
    head: TaskHead
    """Where the task stands: what the missing events led to."""


def find_passing(events: Iterable[tuple[int, EventType]]) -> Sequence[int]:
    """Numbers of the events that may go, of the numbers and types of one ended task in their order.

    Heartbeats of a round go when a newer one or the round's output is there: the last one of a round that was cut off
    is all that says what it cost.
    """
    found: list[int] = []
    heartbeat = last = 0
    for seq, type_ in events:
        last = seq
        if heartbeat and type_ in _SPENT:
            found.append(heartbeat)
        if type_ is EventType.WORKER_HEARTBEAT:
            heartbeat = seq
        elif type_ in {EventType.WORKER_OUTPUT, EventType.WORKER_ASSIGNED}:
            heartbeat = 0
        if type_ in _PASSING:
            found.append(seq)
    return sorted(seq for seq in found if seq != last)


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
