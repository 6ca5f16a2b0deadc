"""Telling what happens: one ordered event for every step of a task, and one metric for every phase.

Rules:
- A state change is stored before the next step begins, and never dropped.
- Heartbeats of a worker are merged: the newest replaces one that has not been stored yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from councilor.domain.codec import encode
from councilor.domain.event import EventType, NewEvent
from councilor.domain.task import TaskState
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.metrics import MetricsBackend
from councilor.ports.worker import Progress

__all__ = ["Narrator"]

HEARTBEAT_S = 0.5
"""Seconds between two stored heartbeats."""


@dataclass(kw_only=True, slots=True)
class Narrator:
    """The voice of one run."""

    task_id: str
    attempt: int
    events: EventStream
    clock: Clock
    metrics: MetricsBackend
    _heartbeat: Progress | None = field(default=None, init=False)

    async def say(self, type_: EventType, **data: Any) -> None:
        """Store one event; durable when this returns."""
        event = NewEvent(task_id=self.task_id, type=type_, ts=self.clock.now(), attempt=self.attempt, data=data)
        await self.events.append([event])

    @asynccontextmanager
    async def phase(self, state: TaskState, **data: Any) -> AsyncIterator[None]:
        """Tell when a phase starts and, unless it fails, when it has finished."""
        began = self.clock.monotonic()
        await self.say(EventType.PHASE_STARTED, phase=state.value, **data)
        yield
        duration_s = self.clock.monotonic() - began
        self.metrics.histogram("v3.phase.seconds", {"phase": state.value}, duration_s)
        await self.say(EventType.PHASE_FINISHED, phase=state.value, duration_s=round(duration_s, 6), **data)

    def beat(self, progress: Progress) -> None:
        """Note a worker's heartbeat; it is stored within `HEARTBEAT_S` seconds unless a newer one replaces it."""
        self._heartbeat = progress

    @asynccontextmanager
    async def heartbeats(self) -> AsyncIterator[None]:
        """Store heartbeats while the body runs, and the last one when it ends."""
        async with asyncio.TaskGroup() as group:
            pump = group.create_task(self._pump())
            try:
                yield
            finally:
                pump.cancel()
        await self._flush()

    async def _pump(self) -> None:
        while True:
            await self.clock.sleep(HEARTBEAT_S)
            await self._flush()

    async def _flush(self) -> None:
        progress, self._heartbeat = self._heartbeat, None
        if progress is not None:
            await self.say(EventType.WORKER_HEARTBEAT, **encode(progress))
