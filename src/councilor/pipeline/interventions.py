"""Interventions: a person pauses, guides, extends, approves or ends a task, in whichever process it is executed.

Rules:
- What was done is stored on the task's stream first; the executing process follows that and obeys. The queue is told
  next: it must not give a task away that stands still.
- A task that has ended takes no intervention but an override. The same again changes nothing and is no error.
- An answer to a run that asked, and an override, are signed statements before they are events.
- A task that is cancelled here has ended at once; whoever executes it notices that it can write nothing more.

It executes nothing and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from councilor.domain.codec import encode
from councilor.domain.event import Checkpoint, Event, EventType, InterventionKind, NewEvent
from councilor.domain.intervention import (
    LONGEST_TEXT,
    Extension,
    Steering,
    require_extension,
    require_words,
    steer,
)
from councilor.domain.task import END_STATES, TaskHead, TaskState
from councilor.domain.verdict import Decision
from councilor.errors import InputError, NotFoundError
from councilor.pipeline.executor import announce, measure_end
from councilor.pipeline.history import read_events
from councilor.pipeline.ledger import Ledger, record_approval, record_override
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.metrics import MetricsBackend
from councilor.ports.notifier import Notifier
from councilor.ports.queue import TaskQueue

__all__ = ["Intervened", "Interventions", "read_steering"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Intervened:
    """What came of an intervention."""

    task_id: str
    did: str
    """The intervention's name."""
    changed: bool
    """False where it had been done before."""
    state: TaskState
    """The task's, afterwards."""
    artifact_id: str | None = None
    """Of the signed statement, where there is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interventions:
    """What people can do to tasks.

    Args:
        notifiers: who is told that a task was cancelled.
        notify_on: reasons for which they are told.
    """

    events: EventStream
    queue: TaskQueue
    ledger: Ledger
    clock: Clock
    metrics: MetricsBackend
    notifiers: Sequence[Notifier] = ()
    notify_on: Collection[str] = ()

    async def pause(self, task_id: str, *, by: str, reason: str = "") -> Intervened:
        """Let no further step begin, and stop the worker where it is."""
        head = await self._going(task_id, by, reason)
        changed = head.state is not TaskState.PAUSED
        if changed:
            await self._tell(task_id, InterventionKind.PAUSE, by=by, reason=reason)
        await self.queue.hold(task_id, paused=True)
        return await self._done(task_id, "pause", changed=changed)

    async def resume(self, task_id: str, *, by: str, reason: str = "") -> Intervened:
        """Let a paused task go on."""
        head = await self._going(task_id, by, reason)
        changed = head.state is TaskState.PAUSED
        if changed:
            await self._tell(task_id, InterventionKind.RESUME, by=by, reason=reason)
        entry = await self.queue.find(task_id)
        waits = head.resumes is TaskState.AWAITING_APPROVAL or head.state is TaskState.AWAITING_APPROVAL
        if entry is not None and entry.paused and not waits:
            await self.queue.hold(task_id, paused=False)
        return await self._done(task_id, "resume", changed=changed)

    async def cancel(self, task_id: str, *, by: str, reason: str = "") -> Intervened:
        """End a task for good; what it made stays in the ledger."""
        head = await self._head(task_id)
        if head.state is TaskState.CANCELLED:
            return await self._done(task_id, "cancel", changed=False)
        head = await self._going(task_id, by, reason)
        ended = NewEvent(task_id=task_id, type=EventType.TASK_CANCELLED, ts=self.clock.now())
        await self._tell(task_id, InterventionKind.CANCEL, ended, by=by, reason=reason)
        await self.queue.remove(task_id)  # one that is being executed is taken out by who does
        measure_end(self.metrics, self.clock, head, TaskState.CANCELLED)
        await announce(self, task_id)
        return await self._done(task_id, "cancel", changed=True)

    async def guide(self, task_id: str, text: str, *, by: str) -> Intervened:
        """Tell the worker something; its next prompt carries it."""
        head = await self._going(task_id, by, "")
        require_words(text, "text", longest=LONGEST_TEXT)
        if head.worker is None:
            raise InputError(f"Task {task_id} has no worker to guide.", field="task")
        await self._tell(task_id, InterventionKind.GUIDE, by=by, text=text)
        return await self._done(task_id, "guide", changed=True)

    async def extend(self, task_id: str, extension: Extension, *, by: str, reason: str = "") -> Intervened:
        """Give a task more than it was submitted with."""
        await self._going(task_id, by, reason)
        require_extension(extension)
        given = {name: value for name, value in dict(encode(extension)).items() if value}
        await self._tell(task_id, InterventionKind.EXTEND, by=by, reason=reason, **given)
        return await self._done(task_id, "extend", changed=True)

    async def reprioritise(self, task_id: str, priority: int, *, by: str, reason: str = "") -> Intervened:
        """Change how soon a queued task is taken."""
        await self._going(task_id, by, reason)
        entry = await self.queue.find(task_id)
        if entry is None:
            raise NotFoundError(f"Task {task_id} is not in the queue.", hint="`councilor queue list` shows what is.")
        if entry.priority == priority:
            return await self._done(task_id, "reprioritise", changed=False)
        await self.queue.reprioritise(task_id, priority)
        await self._tell(task_id, InterventionKind.REPRIORITISE, by=by, reason=reason, priority=priority)
        return await self._done(task_id, "reprioritise", changed=True)

    async def approve(self, task_id: str, *, by: str, reason: str = "") -> Intervened:
        """Let a run go on that asked for it."""
        return await self._answer(task_id, approved=True, by=by, reason=reason)

    async def reject(self, task_id: str, *, by: str, reason: str) -> Intervened:
        """End a run that asked whether it may go on."""
        require_words(reason, "reason")
        return await self._answer(task_id, approved=False, by=by, reason=reason)

    async def override(self, task_id: str, decision: Decision, *, by: str, reason: str) -> Intervened:
        """Record that a person decides otherwise than the council did; nothing is published or taken back by it."""
        head = await self._head(task_id)
        artifact = await record_override(self.ledger, head, decision, reason=reason, by=by)
        await self._tell(
            task_id,
            InterventionKind.OVERRIDE,
            by=by,
            reason=reason,
            decision=decision.value,
            artifact_id=artifact.id,
        )
        return await self._done(task_id, "override", changed=True, artifact_id=artifact.id)

    async def _answer(self, task_id: str, *, approved: bool, by: str, reason: str) -> Intervened:
        head = await self._going(task_id, by, reason)
        request = await self._request(head)
        checkpoint = Checkpoint(request.data["checkpoint"])
        about = str(request.data["artifact_id"])
        artifact = await record_approval(
            self.ledger, task_id, checkpoint, about, approved=approved, by=by, reason=reason
        )
        data = {
            "checkpoint": checkpoint.value,
            "approved": approved,
            "by": by,
            "reason": reason,
            "artifact_id": artifact.id,
        }
        await self.events.append(
            [NewEvent(task_id=task_id, type=EventType.APPROVAL_GIVEN, ts=self.clock.now(), data=data)]
        )
        if head.state is not TaskState.PAUSED:
            await self.queue.hold(task_id, paused=False)
        did = "approve" if approved else "reject"
        return await self._done(task_id, did, changed=True, artifact_id=artifact.id)

    async def _request(self, head: TaskHead) -> Event:
        """The newest request of a run, which nobody has answered."""
        state = head.resumes if head.state is TaskState.PAUSED else head.state
        asked = [
            event for event in await read_events(self.events, head.task_id)
            if event.type is EventType.APPROVAL_REQUESTED
        ]  # fmt: skip
        if state is TaskState.AWAITING_APPROVAL and asked:
            return asked[-1]
        raise InputError(
            f"Task {head.task_id} is {head.state.value}; it waits for no approval.",
            field="task",
            hint="Only runs of mode `strict` ask: councilor run --mode strict.",
        )

    async def _going(self, task_id: str, by: str, reason: str) -> TaskHead:
        """The head of a task that has not ended; what was said is checked beforehand."""
        require_words(by, "by", longest=255)
        require_words(reason, "reason", shortest=0)
        head = await self._head(task_id)
        if head.state in END_STATES:
            raise InputError(
                f"Task {task_id} is {head.state.value}; it has ended.",
                field="task",
                hint="Only an override follows an end: councilor override.",
            )
        return head

    async def _head(self, task_id: str) -> TaskHead:
        head = await self.events.head(task_id)
        if head is None:
            raise NotFoundError(f"There is no task {task_id}.", hint="`councilor list` shows the newest.")
        return head

    async def _tell(
        self, task_id: str, kind: InterventionKind, *more: NewEvent, by: str, reason: str = "", **data: Any
    ) -> None:
        said = {"kind": kind.value, "by": by, "reason": reason, **data}
        event = NewEvent(task_id=task_id, type=EventType.INTERVENTION, ts=self.clock.now(), data=said)
        await self.events.append([event, *more])

    async def _done(self, task_id: str, did: str, *, changed: bool, artifact_id: str | None = None) -> Intervened:
        head = await self._head(task_id)
        return Intervened(task_id=task_id, did=did, changed=changed, state=head.state, artifact_id=artifact_id)


async def read_steering(events: EventStream, task_id: str) -> Steering:
    """Everything that people have said to a task so far."""
    steering = Steering()
    for event in await read_events(events, task_id):
        steering = steer(steering, event)
    return steering
