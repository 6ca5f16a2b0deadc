"""The queue of tasks in PostgreSQL, and the leases of the processes that execute them.

Rules:
- All times are the server's, so that clocks of machines need not agree.
- Claims are made one at a time, under an advisory lock: limits count what others have claimed.
- Reaping ends the sessions of the dead: a frozen process keeps no lock and no open transaction. The lease goes last, so
  that a reaper that dies in the middle is followed by another.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queries import queue as queries
from councilor.domain.queue import (
    SERIAL_TIER,
    Lease,
    QueueEntry,
    QueueLimits,
    refuse_circle,
    require_entry,
    session_names,
)
from councilor.domain.stored import is_id
from councilor.domain.task import END_STATES, STANDING_STATES, TaskState
from councilor.errors import NotFoundError

__all__ = ["DatabaseTaskQueue"]

LOCK_KEY = 0x7175657565  # "queue"
BAD_ENDS = sorted(END_STATES - {TaskState.COMPLETED})
STANDING = sorted(STANDING_STATES)


class DatabaseTaskQueue:
    """A `TaskQueue` in PostgreSQL.

    Args:
        pool: of an up-to-date database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, entry: QueueEntry) -> bool:
        """Enqueue a task."""
        require_entry(entry)
        async with self._pool.transaction() as connection:
            cursor = await connection.execute(queries.FIND_UNKNOWN, [[entry.task_id, *entry.after]])
            if (unknown := await cursor.fetchone()) is not None:
                raise NotFoundError(f"There is no task {unknown[0]}.")
            if entry.after:
                await connection.execute(queries.LOCK_CLAIMS, [LOCK_KEY])  # two at once would not see each other
                circle = await connection.execute(
                    queries.FIND_CIRCLE, {"after": list(entry.after), "task": entry.task_id}
                )
                if await circle.fetchone() is not None:
                    raise refuse_circle(entry.task_id)
            cursor = await connection.execute(
                queries.ADD_ENTRY,
                [
                    entry.task_id, entry.repository, entry.tier, entry.priority, entry.not_before, list(entry.after),
                    entry.paused, entry.enqueued_at,
                ],
            )  # fmt: skip
            added = await cursor.fetchone() is not None
            await connection.execute(queries.ANNOUNCE_QUEUE)
        return added

    async def claim(self, executor_id: str, *, limits: QueueLimits) -> QueueEntry | None:
        """Give the executor the next task that may run."""
        wanted = {
            "executor": executor_id,
            "per_repository": limits.per_repository,
            "serial": SERIAL_TIER,
            "per_tier": json.dumps({str(tier): most for tier, most in limits.per_tier.items()}),
        }
        async with self._pool.transaction() as connection:
            await connection.execute(queries.LOCK_CLAIMS, [LOCK_KEY])
            row = await (await connection.execute(queries.CLAIM, wanted)).fetchone()
        return _entry(row) if row else None

    async def changes(self) -> AsyncIterator[None]:
        """Something each time when there may be more to claim; over a connection of its own."""
        async with self._pool.alone() as connection:
            await connection.execute(queries.LISTEN_FOR_CHANGES)
            async for _ in connection.notifies():
                yield

    async def finish(self, task_id: str, *, executor_id: str) -> bool:
        """Take a task out of the queue."""
        return await self._did(queries.FINISH, [task_id, executor_id], announce=True)

    async def give_back(self, task_id: str, *, executor_id: str, pause_s: float = 0.0, counted: bool = True) -> bool:
        """Let a claimed task wait again."""
        values = [timedelta(seconds=pause_s), 0 if counted else 1, task_id, executor_id]
        return await self._did(queries.GIVE_BACK, values, announce=True)

    async def doomed(self) -> Sequence[tuple[QueueEntry, str]]:
        """Waiting entries that will never run."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.FIND_DOOMED, {"ends": BAD_ENDS})
            return [(_entry(row[:-1]), row[-1]) for row in await cursor.fetchall()]

    async def remove(self, task_id: str) -> bool:
        """Take a waiting task out of the queue."""
        return is_id(task_id) and await self._did(queries.REMOVE, [task_id])

    async def reprioritise(self, task_id: str, priority: int) -> bool:
        """Change a waiting task's priority."""
        entry = await self.find(task_id)
        if entry is None:
            return False
        require_entry(replace(entry, priority=priority))
        return await self._did(queries.REPRIORITISE, [priority, task_id])

    async def hold(self, task_id: str, *, paused: bool) -> bool:
        """Pause a task in the queue or let it go on."""
        return is_id(task_id) and await self._did(queries.HOLD, [paused, task_id], announce=not paused)

    async def release(self) -> Sequence[str]:
        """Let go on what is held for nothing."""
        async with self._pool.transaction() as connection:
            cursor = await connection.execute(queries.RELEASE, [STANDING])
            if released := [str(row[0]) for row in await cursor.fetchall()]:
                await connection.execute(queries.ANNOUNCE_QUEUE)
        return sorted(released)

    async def find(self, task_id: str) -> QueueEntry | None:
        """One entry."""
        if not is_id(task_id):
            return None
        async with self._pool.connection() as connection:
            row = await (await connection.execute(queries.FIND_ENTRY, [task_id])).fetchone()
        return _entry(row) if row else None

    async def entries(self, *, limit: int = 1000) -> Sequence[QueueEntry]:
        """What waits and what is executed."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.LIST_ENTRIES, [max(0, limit)])
            return [_entry(row) for row in await cursor.fetchall()]

    async def enlist(self, executor_id: str, *, host: str, pid: int, version: str, lease_s: float) -> None:
        """Give a process a lease."""
        row = {"id": executor_id, "host": host, "pid": pid, "version": version, "lease": timedelta(seconds=lease_s)}
        async with self._pool.connection() as connection:
            await connection.execute(queries.ENLIST, row)

    async def leave(self, executor_id: str) -> None:
        """Give up a lease."""
        async with self._pool.transaction() as connection:
            await connection.execute(queries.REAP, {"dead": [executor_id]})
            await connection.execute(queries.ANNOUNCE_QUEUE)

    async def reap(self) -> Sequence[str]:
        """Take from the dead what they had claimed."""
        async with self._pool.transaction() as connection:
            dead = [row[0] for row in await (await connection.execute(queries.FIND_DEAD)).fetchall()]
            if not dead:
                return []
            await connection.execute(queries.END_SESSIONS, [[name for id_ in dead for name in session_names(id_)]])
            freed = await (await connection.execute(queries.REAP, {"dead": dead})).fetchall()
            await connection.execute(queries.ANNOUNCE_QUEUE)
        return [row[0] for row in freed]

    async def leases(self) -> Sequence[Lease]:
        """Every process with a lease."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.LIST_LEASES)
            return [_lease(row) for row in await cursor.fetchall()]

    async def _did(self, statement: LiteralString, values: list[Any], *, announce: bool = False) -> bool:
        async with self._pool.transaction() as connection:
            done = await (await connection.execute(statement, values)).fetchone() is not None
            if done and announce:
                await connection.execute(queries.ANNOUNCE_QUEUE)
        return done


def _entry(row: Sequence[Any]) -> QueueEntry:
    (task_id, repository, tier, priority, not_before, after, paused, enqueued_at, executor_id, claimed_at, claims,
     version) = row  # fmt: skip
    return QueueEntry(
        task_id=task_id, repository=repository, tier=tier, priority=priority, not_before=_utc(not_before),
        after=tuple(after), paused=paused, enqueued_at=enqueued_at.astimezone(UTC), executor_id=executor_id,
        claimed_at=_utc(claimed_at), claims=claims, version=version,
    )  # fmt: skip


def _lease(row: Sequence[Any]) -> Lease:
    executor_id, host, pid, version, *moments = row
    started_at, renewed_at, expires_at = (moment.astimezone(UTC) for moment in moments)
    return Lease(
        executor_id=executor_id, host=host, pid=pid, version=version, started_at=started_at, renewed_at=renewed_at,
        expires_at=expires_at,
    )  # fmt: skip


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
