"""Of several executions of one task only the newest announces its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace

from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.system import SystemClock
from councilor.domain.codec import encode
from councilor.domain.event import Event, EventType, NewEvent
from councilor.domain.notification import Notification
from councilor.domain.task import RunMode, Task
from councilor.pipeline.executor.announcement import announce
from councilor.ports.metrics import NoMetrics

TASK = "0190aaaa-0000-7000-8000-000000000001"


class Freezing(MemoryEventStream):
    """Its reader is frozen once, when it has read that nobody was told yet, and another execution goes on."""

    frozen = False

    async def read(self, task_id: str, *, after: int = 0, limit: int = 200) -> Sequence[Event]:
        found = await super().read(task_id, after=after, limit=limit)
        if not self.frozen and not found:
            self.frozen = True
            await self.begin(task_id)
        return found


@dataclass
class Mailbox:
    channel: str = "command"
    got: list[Notification] = field(default_factory=list)

    async def send(self, notification: Notification) -> None:
        self.got.append(notification)


async def ended(store: MemoryEventStream) -> SimpleNamespace:
    now = datetime.now(UTC)
    task = Task(
        id=TASK, repository="/srv/r", base_commit="c" * 40, base_tree="t" * 40, spec_text="id: X", spec_id="X",
        title="x", tier=3, worker="w", mode=RunMode.AUTO, max_iterations=1, deadline_s=60.0, submitted_at=now,
    )  # fmt: skip
    data = {"error": "x", "hint": "y"}
    await store.append([NewEvent(task_id=TASK, type=EventType.TASK_SUBMITTED, ts=now, data={"task": encode(task)})])
    await store.begin(TASK)
    await store.append([NewEvent(task_id=TASK, type=EventType.TASK_FAILED, ts=now, attempt=1, data=data)])
    return SimpleNamespace(
        events=store, ledger=None, clock=SystemClock(), metrics=NoMetrics(), notifiers=[Mailbox()], notify_on=("ended",)
    )


async def test_an_execution_that_was_taken_over_tells_nobody() -> None:
    parts = await ended(Freezing())
    await announce(parts, TASK, attempt=1)
    assert parts.notifiers[0].got == [], "the other one tells them"
    await announce(parts, TASK, attempt=2)
    assert len(parts.notifiers[0].got) == 1


async def test_who_ends_a_task_outside_of_any_execution_tells_of_it() -> None:
    parts = await ended(MemoryEventStream())
    await announce(parts, TASK)
    await announce(parts, TASK, attempt=1)
    assert len(parts.notifiers[0].got) == 1
