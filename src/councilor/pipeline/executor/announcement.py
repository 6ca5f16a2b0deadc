"""Announcing: somebody who does not watch is told of a task's end, and of a run that waits for an approval.

Rules:
- Only an end or a request that is stored is announced, and only when the settings ask for its reason.
- `notification.started` is stored before anything is sent, so an execution that was taken over sends nothing:
  its event is refused.
- An end is announced at most once: who finds `notification.started` says nothing. A crash or Ctrl-C in the middle can
  lose that notification, never repeat it.
- A request must not get lost, for the run waits as long as nobody answers: one whose sending was cut off before it was
  told what became of it is sent once more, with the same id. Whatever happens, it is begun `MOST_TRIES` times at most.
- All channels are tried at the same time, each within its own limit. What goes wrong here is logged, counted and told
  on the task's stream; it changes no outcome and raises nothing but cancellation.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Sequence
from typing import Protocol

from councilor.domain.accounting import Account, account
from councilor.domain.codec import decode
from councilor.domain.event import AFTER_END, Checkpoint, Event, EventType
from councilor.domain.notification import Notification, Reason, compose, compose_request, is_wanted, presentable
from councilor.domain.publication import notes_of
from councilor.domain.task import END_STATES
from councilor.domain.verdict import Verdict
from councilor.errors import CouncilorError, FencedError
from councilor.pipeline.executor.narration import Narrator
from councilor.pipeline.history import read_events
from councilor.pipeline.ledger import Ledger
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.metrics import MetricsBackend
from councilor.ports.notifier import Notifier

__all__ = ["Announcing", "announce", "announce_request"]

_log = logging.getLogger(__name__)

ERROR_LIMIT = 500
MOST_TRIES = 2
"""Times that sending a request is begun."""


class Announcing(Protocol):
    """What an announcement needs; the parts of a run are enough."""

    @property
    def events(self) -> EventStream:
        """Where it is told that somebody was told."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Where the verdict is."""
        ...

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def metrics(self) -> MetricsBackend:
        """Counts what was sent."""
        ...

    @property
    def notifiers(self) -> Sequence[Notifier]:
        """Who is told; each has a time limit of its own."""
        ...

    @property
    def notify_on(self) -> Collection[str]:
        """Reasons for which they are told."""
        ...


async def announce(parts: Announcing, task_id: str, *, attempt: int = 0) -> None:
    """Tell of a task's end whoever is to be told; nothing when it has not ended, or was announced before.

    Args:
        attempt: whose announcement it is, so that an execution that was taken over makes none; 0: nobody's.
    """
    if not parts.notifiers:
        return
    try:
        await _announce(parts, task_id, attempt)
    except FencedError:
        _log.info("another process tells of the task's end", extra={"task_id": task_id})
    except Exception:  # whatever it is, the task has ended as it has
        _log.exception("notifications of the task could not be sent", extra={"task_id": task_id})


async def _announce(parts: Announcing, task_id: str, attempt: int) -> None:
    head = await parts.events.head(task_id)
    if head is None or head.state not in END_STATES:
        return
    events = await read_events(parts.events, task_id)
    if any(event.type is EventType.NOTIFICATION_STARTED and event.data.get("checkpoint") is None for event in events):
        return
    told = account(events)
    message = compose(head, told, await _verdict(parts, told), now=parts.clock.now(), notes=notes_of(events))
    if not is_wanted(message.reason, parts.notify_on):
        return
    await _send_all(parts, message, attempt=attempt)


async def announce_request(parts: Announcing, task_id: str, checkpoint: Checkpoint, *, attempt: int) -> None:
    """Tell whoever is to be told that a run waits for an approval; nothing when that was told, or is answered.

    Args:
        attempt: of the execution that waits.
    """
    if not parts.notifiers or not is_wanted(Reason.APPROVAL_NEEDED, parts.notify_on):
        return
    try:
        await _announce_request(parts, task_id, checkpoint, attempt)
    except FencedError:
        _log.info("another process tells that the task waits", extra={"task_id": task_id})
    except Exception:  # whatever it is, the run goes on waiting
        _log.exception("nobody could be told that the task waits", extra={"task_id": task_id})


async def _announce_request(parts: Announcing, task_id: str, checkpoint: Checkpoint, attempt: int) -> None:
    head = await parts.events.head(task_id)
    events = await read_events(parts.events, task_id)
    if head is None or head.state in END_STATES or not _is_due(events, checkpoint):
        return
    told = account(events)
    verdict = await _verdict(parts, told)
    message = compose_request(head, told, verdict, checkpoint, now=parts.clock.now(), notes=notes_of(events))
    await _send_all(parts, message, attempt=attempt)


def _is_due(events: Sequence[Event], checkpoint: Checkpoint) -> bool:
    about = [event.type for event in events if event.data.get("checkpoint") == checkpoint.value]
    told = [type_ for type_ in about if type_ in AFTER_END]
    begun = told.count(EventType.NOTIFICATION_STARTED)
    return EventType.APPROVAL_GIVEN not in about and begun == len(told) < MOST_TRIES


async def _send_all(parts: Announcing, message: Notification, *, attempt: int) -> None:
    # A narrator of its own: what the run has noted and not stored is not for here, least of all after the end.
    narrator = Narrator(
        task_id=message.task_id, attempt=attempt, events=parts.events, clock=parts.clock, metrics=parts.metrics
    )
    await narrator.say(
        EventType.NOTIFICATION_STARTED,
        reason=message.reason.value,
        channels=[notifier.channel for notifier in parts.notifiers],
        checkpoint=message.checkpoint,
    )
    async with asyncio.TaskGroup() as group:
        for notifier in parts.notifiers:
            group.create_task(_send(parts, narrator, notifier, message))
    await narrator.flush()


async def _send(parts: Announcing, narrator: Narrator, notifier: Notifier, message: Notification) -> None:
    began, problem = parts.clock.monotonic(), None
    try:
        await notifier.send(message)
    except Exception as error:  # one channel's defect must not keep the others from being tried
        told = error.message if isinstance(error, CouncilorError) else f"{type(error).__name__}: {error}"
        problem = presentable(told, ERROR_LIMIT)
    duration_s = round(parts.clock.monotonic() - began, 6)
    outcome = "sent" if problem is None else "failed"
    parts.metrics.counter("v3.notification.results", {"channel": notifier.channel, "outcome": outcome})
    if problem is None:
        narrator.note(
            EventType.NOTIFICATION_SENT, channel=notifier.channel, duration_s=duration_s, checkpoint=message.checkpoint
        )
    else:
        told_of = {"task_id": message.task_id, "channel": notifier.channel, "problem": problem}
        _log.warning("a notification was not sent", extra=told_of)
        narrator.note(
            EventType.NOTIFICATION_FAILED,
            channel=notifier.channel,
            duration_s=duration_s,
            error=problem,
            checkpoint=message.checkpoint,
        )


async def _verdict(parts: Announcing, told: Account) -> Verdict | None:
    if told.verdict_artifact is None:
        return None
    return decode(Verdict, json.loads(await parts.ledger.storage.read(told.verdict_artifact)))
