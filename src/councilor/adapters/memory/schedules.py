"""Schedules in the process; the oracle that others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from councilor.domain.schedule import Due, Schedule, ScheduleHead, Settlement, begin, hold, require_schedule
from councilor.domain.schedule import settle as settled
from councilor.domain.schedule import take as taken
from councilor.errors import InputError
from councilor.ports.clock import Clock
from councilor.ports.queue import TaskQueue

__all__ = ["MemorySchedules"]


class MemorySchedules:
    """`Schedules` in a dictionary.

    Args:
        queue: knows which executors live.
        clock: tells what is due.
    """

    def __init__(self, queue: TaskQueue, *, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self._heads: dict[str, ScheduleHead] = {}
        self._holders: dict[str, str] = {}
        """Schedule's name -> who has taken its pending due time."""

    async def now(self) -> datetime:
        """The clock."""
        return self._clock.now()

    async def add(self, schedule: Schedule) -> ScheduleHead:
        """Keep a schedule."""
        require_schedule(schedule)
        if schedule.name in self._heads:
            raise InputError(f"There is a schedule {schedule.name} already.", field="--name")
        head = self._heads[schedule.name] = begin(schedule, self._clock.now())
        return head

    async def find(self, name: str) -> ScheduleHead | None:
        """One schedule."""
        return self._heads.get(name)

    async def heads(self) -> Sequence[ScheduleHead]:
        """All of them, by name."""
        return [self._heads[name] for name in sorted(self._heads)]

    async def hold(self, name: str, *, paused: bool) -> bool:
        """Pause a schedule or let it go on."""
        if (head := self._heads.get(name)) is None:
            return False
        self._heads[name] = hold(head, self._clock.now(), paused=paused)
        return True

    async def remove(self, name: str) -> bool:
        """Remove a schedule."""
        self._holders.pop(name, None)
        return self._heads.pop(name, None) is not None

    async def take(self, executor_id: str) -> Due | None:
        """Give an executor the due time that has waited longest."""
        now = self._clock.now()
        known = {lease.executor_id: lease.expires_at for lease in await self._queue.leases()}
        if executor_id not in known or known[executor_id] <= now:
            return None
        for head in sorted(self._heads.values(), key=lambda head: head.pending or head.next_due):
            name = head.schedule.name
            if head.pending is not None and self._holders.get(name) in known.keys() - {executor_id}:
                continue
            if (found := taken(head, now, executor_id)) is not None:
                self._heads[name], due = found
                self._holders[name] = executor_id
                return due
        return None

    async def settle(self, due: Due, settlement: Settlement) -> bool:
        """Keep what became of a due time."""
        head = self._heads.get(due.schedule.name)
        if head is None or head.schedule.id != due.schedule.id:
            return False
        alive = {lease.executor_id for lease in await self._queue.leases()}
        if due.executor_id not in alive or self._holders.get(due.schedule.name) != due.executor_id:
            return False
        if (after := settled(head, due.due_at, settlement)) is None:
            return False
        self._heads[due.schedule.name] = after
        return True
