"""Events: the ordered stream of what happens to a task, and how it moves the task's head.

Rules:
- `seq` counts from 1 without gaps within a task; the store assigns it.
- An event's data is small JSON: ids and figures, never bytes or logs.
- `fold` is the only place that derives a task's state from its events.
- Of a task that has ended long ago, what artifacts and statements tell better may go: never what accounts, service
  levels or the task itself are read from (`find_passing`), and never the last event. Whoever reads over such a hole
  is told so by a `Gap`.
- A paused task remembers the state that it goes back to; what moves it meanwhile moves that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from councilor.domain.codec import decode
from councilor.domain.task import Task, TaskHead, TaskState

__all__ = [
    "AFTER_END", "DELIVERIES", "END_TYPES", "STILL", "Checkpoint", "Event", "EventType", "Gap", "InterventionKind",
    "NewEvent", "find_passing", "fold", "may_follow_end",
]  # fmt: skip


class EventType(StrEnum):
    """What happened; docs/reference/events.md documents each one's data."""

    TASK_SUBMITTED = "task.submitted"
    TASK_STARTED = "task.started"
    PHASE_STARTED = "phase.started"
    PHASE_FINISHED = "phase.finished"
    WORKER_ASSIGNED = "worker.assigned"
    WORKER_HEARTBEAT = "worker.heartbeat"
    WORKER_STALLED = "worker.stalled"
    WORKER_OUTPUT = "worker.output"
    ARTIFACT_STORED = "artifact.stored"
    GATE_FINISHED = "gate.finished"
    REFINEMENT_REQUESTED = "refinement.requested"
    CLAIMS_CHECKED = "claims.checked"
    COUNCIL_OPENED = "council.opened"
    COUNCIL_VOTE = "council.vote"
    VERDICT_REACHED = "verdict.reached"
    CANDIDATE_CHOSEN = "candidate.chosen"
    BUDGET_EXHAUSTED = "budget.exhausted"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_GIVEN = "approval.given"
    INTERVENTION = "intervention"
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


class InterventionKind(StrEnum):
    """What a person can do to a task; the ones who approve or reject answer with `approval.given` instead."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    OVERRIDE = "override"
    GUIDE = "guide"
    REPRIORITISE = "reprioritise"
    EXTEND = "extend"


class Checkpoint(StrEnum):
    """Where a run waits for a person."""

    WORK = "work"
    """Before a worker begins."""
    PUBLISH = "publish"
    """Before an accepted candidate is published."""


AFTER_END = frozenset({EventType.NOTIFICATION_STARTED, EventType.NOTIFICATION_SENT, EventType.NOTIFICATION_FAILED})
"""What may follow every end: that somebody was told of it."""
DELIVERIES = frozenset({EventType.PUBLICATION_STARTED, EventType.PUBLICATION_FINISHED, EventType.PUBLICATION_FAILED})
"""What may follow the end of a completed task: that its commit is taken somewhere, once more or for the first time."""
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
    }
)
"""What the task's artifacts say in more words. A type that is not here stays."""
_ROUND = frozenset({EventType.WORKER_ASSIGNED, EventType.WORKER_HEARTBEAT, EventType.WORKER_OUTPUT})


BEFORE_CHECKPOINT = {Checkpoint.WORK: TaskState.PREPARING, Checkpoint.PUBLISH: TaskState.DELIBERATING}
"""Where a task is when it asks for an approval, and again once it has the answer."""


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


def find_passing(events: Iterable[tuple[int, EventType, Mapping[str, Any]]]) -> Sequence[int]:
    """Numbers of the events that may go, of the numbers, types and data of one ended task in their order.

    Heartbeats of a round go when a newer one or the round's output is there: the last one of a round that was cut off
    is all that says what it cost. Rounds of several candidates run at the same time.

    Args:
        events: of types other than a worker's the data may be left out.
    """
    found: list[int] = []
    heard: dict[str, int] = {}
    last = 0
    for seq, type_, data in events:
        last, candidate = seq, str(data.get("candidate"))
        if type_ in _ROUND and (heartbeat := heard.pop(candidate, None)) and type_ is not EventType.WORKER_ASSIGNED:
            found.append(heartbeat)
        if type_ is EventType.WORKER_HEARTBEAT:
            heard[candidate] = seq
        if type_ in _PASSING:
            found.append(seq)
    return sorted(seq for seq in found if seq != last)


def fold(head: TaskHead | None, event: Event) -> TaskHead:
    """The task's head after `event`.

    `task.submitted` carries the task as `data["task"]` and makes the head; `phase.started` carries the state as
    `data["phase"]`; `task.finished` the end state as `data["state"]` and the published commit as `data["commit"]`;
    `intervention` what was done as `data["kind"]`; approvals where they are asked for as `data["checkpoint"]`.
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
            return _moved(head, TaskState(event.data["phase"]))
        case EventType.APPROVAL_REQUESTED:
            return _asked(head, Checkpoint(event.data["checkpoint"]))
        case EventType.APPROVAL_GIVEN:
            return _answered(head, BEFORE_CHECKPOINT[Checkpoint(event.data["checkpoint"])])
        case EventType.INTERVENTION:
            return _intervened(head, InterventionKind(event.data["kind"]))
        case EventType.VERDICT_REACHED:
            return replace(head, decision=str(event.data["decision"]))
        case EventType.TASK_FINISHED:
            return _ended(replace(head, commit=event.data.get("commit")), TaskState(event.data["state"]))
        case EventType.TASK_FAILED:
            return _ended(head, TaskState.FAILED)
        case EventType.TASK_CANCELLED:
            return _ended(head, TaskState.CANCELLED)
        case _:
            return head


def may_follow_end(event: NewEvent, state: TaskState) -> bool:
    """Whether an event may come after its task's end: of who is told, decides otherwise, or delivers the commit.

    Args:
        state: how it ended. What was cancelled, say, is taken nowhere any more.
    """
    overrides = event.type is EventType.INTERVENTION and event.data.get("kind") == InterventionKind.OVERRIDE
    delivers = event.type in DELIVERIES and state is TaskState.COMPLETED
    return overrides or delivers or event.type in AFTER_END


def _moved(head: TaskHead, state: TaskState) -> TaskHead:
    if head.state is TaskState.PAUSED:
        return replace(head, resumes=state)
    return replace(head, state=state)


def _asked(head: TaskHead, _checkpoint: Checkpoint) -> TaskHead:
    return _moved(head, TaskState.AWAITING_APPROVAL)


def _answered(head: TaskHead, state: TaskState) -> TaskHead:
    """Back to where it asked from; an answer that nobody waits for changes nothing."""
    waits = head.resumes if head.state is TaskState.PAUSED else head.state
    return _moved(head, state) if waits is TaskState.AWAITING_APPROVAL else head


def _intervened(head: TaskHead, kind: InterventionKind) -> TaskHead:
    if kind is InterventionKind.PAUSE and head.state is not TaskState.PAUSED:
        return replace(head, state=TaskState.PAUSED, resumes=head.state)
    if kind is InterventionKind.RESUME and head.resumes is not None:
        return replace(head, state=head.resumes, resumes=None)
    return head


def _ended(head: TaskHead, state: TaskState) -> TaskHead:
    return replace(head, state=state, resumes=None)
