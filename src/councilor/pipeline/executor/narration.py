"""Telling what happens: one ordered event for every step of a task, and one metric for every phase.

Rules:
- `say` stores at once, with everything noted before it and in that order. `note` waits for the next `say` or `flush`.
- A phase that takes long is stored before its work begins. Whoever runs a step flushes before it is remembered: a step
  that counts as finished has told everything, and one that is repeated after a crash tells it again.
- How much of the task's time is over goes with phases and heartbeats: who carries the task on has no other sure clock.
- Heartbeats of a worker are merged: the newest replaces one that has not been stored yet. A store that does not answer
  costs no work: they are told again with the next. Its lease or its next step says when it has been away for too long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from councilor.domain.codec import encode
from councilor.domain.event import END_TYPES, EventType, NewEvent
from councilor.domain.intervention import TELLING
from councilor.domain.task import TaskState
from councilor.errors import UnavailableError
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.metrics import MetricsBackend
from councilor.ports.worker import Progress

__all__ = ["Narrator"]

_log = logging.getLogger(__name__)

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
    spent_s: Callable[[], float] | None = None
    """Gives the seconds of the task's time that are over; told with what `TELLING` names."""
    candidate: int = 0
    """Which of several candidates it tells of; 0: of the only one, or of the whole run."""
    _noted: list[NewEvent] = field(default_factory=list, init=False)
    _heartbeat: Progress | None = field(default=None, init=False)
    _hurried: list[NewEvent] = field(default_factory=list, init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def note(self, type_: EventType, **data: Any) -> None:
        """Take down an event; it is stored with the next one that is said, or by `flush`."""
        self._noted.append(self._event(type_, data))

    def hurry(self, type_: EventType, **data: Any) -> None:
        """Take down an event that is stored with the next heartbeat; only while `heartbeats` stores them."""
        self._hurried.append(self._event(type_, data))

    async def say(self, type_: EventType, **data: Any) -> None:
        """Store one event, and before it everything that was noted; durable when this returns."""
        self.note(type_, **data)
        await self.flush()

    @property
    def notes_end(self) -> bool:
        """Whether an end of the task is noted and, as far as is known here, not stored."""
        return any(event.type in END_TYPES for event in self._noted)

    async def flush(self) -> None:
        """Store what was noted; durable when this returns, and still noted when it fails."""
        async with self._turn:
            noted = list(self._noted)
            if noted:
                await self._store(noted)
                del self._noted[: len(noted)]

    async def has_said(self, type_: EventType, **data: Any) -> bool:
        """Whether the stream holds an event of this type with these data among its own."""
        after = 0
        while events := await self.events.read(self.task_id, after=after):
            if any(event.type is type_ and data.items() <= event.data.items() for event in events):
                return True
            after = events[-1].seq
        return False

    @asynccontextmanager
    async def phase(self, state: TaskState, *, brief: bool = False, **data: Any) -> AsyncIterator[None]:
        """Say that a phase starts and, unless it fails, note that it has finished.

        Args:
            brief: only note the start, because the phase takes no longer than storing that would.
        """
        began = self.clock.monotonic()
        self.note(EventType.PHASE_STARTED, phase=state.value, **data)
        if not brief:
            await self.flush()
        yield
        duration_s = self.clock.monotonic() - began
        self.metrics.histogram("v3.phase.seconds", {"phase": state.value}, duration_s)
        self.note(EventType.PHASE_FINISHED, phase=state.value, duration_s=round(duration_s, 6), **data)

    def beat(self, progress: Progress) -> None:
        """Take down a heartbeat; it is stored within `HEARTBEAT_S` seconds unless a newer one replaces it."""
        self._heartbeat = progress

    @asynccontextmanager
    async def heartbeats(self) -> AsyncIterator[None]:
        """Store heartbeats while the body runs, and note the last one when it ends.

        What the body raises, or the store refuses, comes out as it is, not in a group.
        """
        raised: Exception | None = None
        try:
            async with asyncio.TaskGroup() as group:
                over = asyncio.Event()
                pump = group.create_task(self._pump(over))
                try:
                    yield
                except Exception as error:
                    raised = error
                finally:
                    over.set()
                    pump.cancel()
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from group_error  # only the pump is in it
        if raised is not None:
            raise raised
        self._noted += self._next_told()

    async def _pump(self, over: asyncio.Event) -> None:
        # Asked twice to end: cancellations of it were seen to get lost, and its step then waited until the deadline.
        while not over.is_set():
            await self.clock.sleep(HEARTBEAT_S)
            last, hurried = self._heartbeat, list(self._hurried)
            if told := self._next_told():
                try:
                    await self._store(told)
                except UnavailableError as error:
                    _log.warning(
                        "a sign of life could not be told", extra={"task_id": self.task_id, "problem": error.message}
                    )
                    self._heartbeat = self._heartbeat or last
                    self._hurried = hurried + self._hurried

    async def _store(self, events: Sequence[NewEvent]) -> None:
        await self.events.append(events)
        for event in events:
            self.metrics.counter("v3.event.appended", {"type": event.type.value})
            _log.debug(event.type.value, extra={"task_id": self.task_id, "data": event.data})

    def _next_told(self) -> list[NewEvent]:
        hurried, self._hurried = self._hurried, []
        last = self._next_heartbeat()
        return [*([] if last is None else [last]), *hurried]

    def _next_heartbeat(self) -> NewEvent | None:
        progress, self._heartbeat = self._heartbeat, None
        return None if progress is None else self._event(EventType.WORKER_HEARTBEAT, encode(progress))

    def _event(self, type_: EventType, data: Mapping[str, Any]) -> NewEvent:
        data = {**data, "candidate": self.candidate} if self.candidate else data
        if self.spent_s is not None and type_ in TELLING:
            data = {**data, "spent_s": round(self.spent_s(), 3)}
        return NewEvent(task_id=self.task_id, type=type_, ts=self.clock.now(), attempt=self.attempt, data=data)
