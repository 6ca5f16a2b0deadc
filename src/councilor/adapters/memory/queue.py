"""A queue of tasks in the process; the oracle that other queues are compared with."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from councilor.adapters.memory.events import MemoryEventStream
from councilor.domain.queue import SERIAL_TIER, Lease, QueueEntry, QueueLimits, refuse_circle, require_entry
from councilor.domain.task import END_STATES, STANDING_STATES, TaskState
from councilor.errors import NotFoundError
from councilor.ports.clock import Clock

__all__ = ["MemoryTaskQueue"]


class MemoryTaskQueue:
    """A `TaskQueue` in dictionaries.

    Args:
        events: knows the tasks and how they stand.
        clock: tells when leases expire.
    """

    def __init__(self, events: MemoryEventStream, *, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self._entries: dict[str, QueueEntry] = {}
        self._leases: dict[str, Lease] = {}
        self._listeners: set[asyncio.Event] = set()

    async def add(self, entry: QueueEntry) -> bool:
        """Enqueue a task."""
        require_entry(entry)
        for task_id in (entry.task_id, *entry.after):
            if await self._events.head(task_id) is None:
                raise NotFoundError(f"There is no task {task_id}.")
        if entry.task_id in self._entries:
            return False
        if entry.task_id in self._before(entry.after):
            raise refuse_circle(entry.task_id)
        self._entries[entry.task_id] = replace(entry, executor_id=None, claimed_at=None, claims=0, version=None)
        self._announce()
        return True

    def _before(self, after: Sequence[str]) -> set[str]:
        """What has to end first, also by way of others."""
        found, open_ = set[str](), list(after)
        while open_:
            if (task_id := open_.pop()) not in found:
                found.add(task_id)
                open_ += self._entries[task_id].after if task_id in self._entries else ()
        return found

    async def claim(self, executor_id: str, *, limits: QueueLimits) -> QueueEntry | None:
        """Give the executor the next task that may run."""
        now, lease = self._clock.now(), self._leases.get(executor_id)
        if lease is None or lease.expires_at <= now:
            return None
        for entry in await self.entries():
            if entry.version not in (None, lease.version):
                continue
            if entry.executor_id is None and await self._may_run(entry, limits, now):
                claimed = replace(
                    entry, executor_id=executor_id, claimed_at=now, claims=entry.claims + 1, version=lease.version
                )
                self._entries[entry.task_id] = claimed
                return claimed
        return None

    async def _may_run(self, entry: QueueEntry, limits: QueueLimits, now: datetime) -> bool:
        if entry.paused or (entry.not_before is not None and entry.not_before > now):
            return False
        heads = [await self._events.head(task_id) for task_id in entry.after]
        if any(head is None or head.state is not TaskState.COMPLETED for head in heads):
            return False
        claimed = [other for other in self._entries.values() if other.executor_id is not None]
        near = [other for other in claimed if other.repository == entry.repository]
        if entry.tier == SERIAL_TIER and any(other.tier == entry.tier for other in near):
            return False
        tiers = Counter(other.tier for other in claimed)
        most = limits.per_tier.get(entry.tier)
        return len(near) < limits.per_repository and (most is None or tiers[entry.tier] < most)

    async def changes(self) -> AsyncIterator[None]:
        """Something each time when there may be more to claim."""
        changed = asyncio.Event()
        self._listeners.add(changed)
        try:
            while True:
                await changed.wait()
                changed.clear()
                yield
        finally:
            self._listeners.discard(changed)

    def _announce(self) -> None:
        for changed in self._listeners:
            changed.set()

    async def finish(self, task_id: str, *, executor_id: str) -> bool:
        """Take a task out of the queue."""
        if not self._has(task_id, executor_id):
            return False
        del self._entries[task_id]
        self._announce()
        return True

    async def give_back(self, task_id: str, *, executor_id: str, pause_s: float = 0.0, counted: bool = True) -> bool:
        """Let a claimed task wait again."""
        if not self._has(task_id, executor_id):
            return False
        entry = self._entries[task_id]
        self._entries[task_id] = replace(
            entry,
            executor_id=None,
            claimed_at=None,
            not_before=self._clock.now() + timedelta(seconds=pause_s) if pause_s else entry.not_before,
            claims=entry.claims - (0 if counted else 1),
        )
        self._announce()
        return True

    async def doomed(self) -> Sequence[tuple[QueueEntry, str]]:
        """Waiting entries that will never run."""
        found = []
        for entry in sorted(self._entries.values(), key=lambda entry: entry.task_id):
            for task_id in entry.after if entry.executor_id is None else ():
                head = await self._events.head(task_id)
                if head is not None and head.state in END_STATES - {TaskState.COMPLETED}:
                    found.append((entry, task_id))
                    break
        return found

    async def remove(self, task_id: str) -> bool:
        """Take a waiting task out of the queue."""
        entry = self._entries.get(task_id)
        if entry is None or entry.executor_id is not None:
            return False
        del self._entries[task_id]
        return True

    async def reprioritise(self, task_id: str, priority: int) -> bool:
        """Change a waiting task's priority."""
        entry = self._entries.get(task_id)
        if entry is None:
            return False
        changed = replace(entry, priority=priority)
        require_entry(changed)
        self._entries[task_id] = changed
        return True

    async def hold(self, task_id: str, *, paused: bool) -> bool:
        """Pause a task in the queue or let it go on."""
        entry = self._entries.get(task_id)
        if entry is None:
            return False
        self._entries[task_id] = replace(entry, paused=paused)
        self._announce()
        return True

    async def release(self) -> Sequence[str]:
        """Let go on what is held for nothing."""
        heads = {id_: await self._events.head(id_) for id_ in sorted(self._entries)}
        held = [id_ for id_, head in heads.items() if head is not None and head.state not in STANDING_STATES]
        free = [id_ for id_ in held if self._entries[id_].paused and self._entries[id_].executor_id is None]
        for task_id in free:
            await self.hold(task_id, paused=False)
        return free

    async def find(self, task_id: str) -> QueueEntry | None:
        """One entry."""
        return self._entries.get(task_id)

    async def entries(self, *, limit: int = 1000) -> Sequence[QueueEntry]:
        """What waits and what is executed."""
        return sorted(self._entries.values(), key=lambda entry: (-entry.priority, entry.task_id))[: max(0, limit)]

    async def enlist(self, executor_id: str, *, host: str, pid: int, version: str, lease_s: float) -> None:
        """Give a process a lease."""
        now = self._clock.now()
        self._leases[executor_id] = Lease(
            executor_id=executor_id, host=host, pid=pid, version=version, started_at=now, renewed_at=now,
            expires_at=now + timedelta(seconds=lease_s),
        )  # fmt: skip

    async def leave(self, executor_id: str) -> None:
        """Give up a lease."""
        self._free({executor_id})

    async def reap(self) -> Sequence[str]:
        """Take from the dead what they had claimed."""
        now = self._clock.now()
        return self._free({id_ for id_, lease in self._leases.items() if lease.expires_at <= now})

    async def leases(self) -> Sequence[Lease]:
        """Every process with a lease."""
        return sorted(self._leases.values(), key=lambda lease: (lease.started_at, lease.executor_id))

    def _has(self, task_id: str, executor_id: str) -> bool:
        entry = self._entries.get(task_id)
        return entry is not None and entry.executor_id == executor_id

    def _free(self, dead: set[str]) -> list[str]:
        freed = [entry for entry in self._entries.values() if entry.executor_id in dead]
        for entry in freed:
            self._entries[entry.task_id] = replace(entry, executor_id=None, claimed_at=None)
        for executor_id in dead:
            self._leases.pop(executor_id, None)
        self._announce()
        return [entry.task_id for entry in freed]
