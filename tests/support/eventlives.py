"""What tests of event streams share: tasks' events, and everything that a follower sees."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks import make_task

from councilor.domain.codec import encode
from councilor.domain.event import Event, EventType, Gap, NewEvent
from councilor.ports.events import EventStream

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def task_id(number: int = 1) -> str:
    return f"0190{number:04x}-0000-7000-8000-00000000{number:04x}"


def submitted(id_: str, **changes: Any) -> NewEvent:
    task = make_task(id=id_, repository="/srv/rép o", tier=2, submitted_at=START)
    return NewEvent(task_id=id_, type=EventType.TASK_SUBMITTED, ts=START, data={"task": encode(task) | changes})


def event(id_: str, type_: EventType = EventType.WORKER_HEARTBEAT, **data: Any) -> NewEvent:
    return NewEvent(task_id=id_, type=type_, ts=START + timedelta(seconds=1), attempt=2, data=data)


def finished(id_: str) -> NewEvent:
    return event(id_, EventType.TASK_FINISHED, state="completed", commit="d" * 40)


LATER = START + timedelta(days=1)


def a_life(id_: str) -> list[NewEvent]:
    """A task's events: one round that was cut off, one that was not."""
    kinds: list[tuple[EventType, dict[str, Any]]] = [
        (EventType.TASK_STARTED, {}),
        (EventType.PHASE_STARTED, {"phase": "working"}),
        (EventType.WORKER_ASSIGNED, {}),
        (EventType.WORKER_HEARTBEAT, {"done": 1}),
        (EventType.WORKER_HEARTBEAT, {"done": 2}),
        (EventType.WORKER_ASSIGNED, {}),
        (EventType.WORKER_HEARTBEAT, {"done": 3}),
        (EventType.WORKER_OUTPUT, {}),
        (EventType.GATE_FINISHED, {}),
        (EventType.VERDICT_REACHED, {"decision": "accept"}),
    ]
    return [submitted(id_), *(event(id_, kind, **data) for kind, data in kinds), finished(id_)]


LEFT = [1, 2, 4, 6, 7, 9, 11, 12]
"""Of those: without the phase, the heartbeats that newer ones or the output replaced, and the gate."""


async def collect(stream: EventStream, id_: str, *, after: int = 0) -> list[Event | Gap]:
    async with asyncio.timeout(20):
        return [item async for item in stream.follow(id_, after=after)]
