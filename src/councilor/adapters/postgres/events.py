"""The event stream of each task in PostgreSQL, and the task's head beside it.

Rules:
- A reader's cursor is the last number it saw. A single counter over all tasks would lose events: a transaction with a
  smaller number can commit later.
- A reader fetches the next page after its consumer took the last one: a slow consumer costs one page. Those that have
  caught up share what is new (`tails.py`).
- A number that is missing was pruned, and the reader is told; or it is an error.
- Inside `async with` appending is shared (`appending.py`) and followers are woken; without, everybody works alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from councilor.adapters.postgres.appending import Appender
from councilor.adapters.postgres.eventrows import event_of, head_of
from councilor.adapters.postgres.listener import listen
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queries import events as queries
from councilor.adapters.postgres.tails import Tails
from councilor.domain.event import Event, EventType, Gap, NewEvent, find_passing
from councilor.domain.stored import find_gap, is_fragment, is_id
from councilor.domain.task import END_STATES, TaskHead
from councilor.errors import InputError, NotFoundError
from councilor.ports.events import Pruned

__all__ = ["DatabaseEventStream"]

PAGE = 200
KNOWN = frozenset(kind.value for kind in EventType)
MANY = 200
"""Waiting events from which on a second transaction pays."""


class DatabaseEventStream:
    """An `EventStream` in PostgreSQL.

    Args:
        pool: of an up-to-date database.
        poll_s: the longest that a follower waits before it looks by itself.
        patience_s: how long the database may be away before followers are told.
    """

    def __init__(self, pool: Pool, *, poll_s: float = 1.0, patience_s: float = 5.0) -> None:
        self._pool = pool
        self._appender = Appender(pool)
        self._tails = Tails(pool, poll_s=poll_s, patience_s=patience_s)
        self._group: asyncio.TaskGroup | None = None
        self._work: Sequence[asyncio.Task[None]] = ()

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        self._work = (
            self._group.create_task(listen(self._pool, self._tails.announce), name="event listener"),
            self._group.create_task(self._tails.work(), name="event reader"),
            self._group.create_task(self._appender.work(), name="event writer"),
            self._group.create_task(self._appender.work(least=MANY), name="event writer of many"),
        )
        await asyncio.sleep(0)  # they have begun: whoever calls now is not alone any more
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._group is not None
        for task in self._work:
            task.cancel()
        await self._group.__aexit__(None, None, None)

    async def append(self, events: Sequence[NewEvent]) -> Sequence[Event]:
        """Number and store events."""
        return await self._appender.append(events) if events else []

    async def begin(self, task_id: str) -> int:
        """Begin another attempt."""
        if is_id(task_id):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(queries.BEGIN_ATTEMPT, [task_id])
                if (row := await cursor.fetchone()) is not None:
                    return int(row[0])
        raise NotFoundError(f"There is no task {task_id}.")

    async def read(self, task_id: str, *, after: int = 0, limit: int = PAGE) -> Sequence[Event]:
        """At most `limit` events after a number."""
        if not is_id(task_id):
            return []
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.READ_EVENTS, [task_id, after, max(0, limit)])
            return [event_of(task_id, row) for row in await cursor.fetchall()]

    async def follow(self, task_id: str, *, after: int = 0) -> AsyncGenerator[Event | Gap, None]:
        """Every event as it comes."""
        floor = 0
        with self._tails.joined(task_id) as tail:
            while True:
                grown = tail.grown
                page = tail.since(after)
                if page is None:
                    page = await self.read(task_id, after=after)
                for event in page:
                    if event.seq != after + 1 and (gap := await self._gap(event, after, floor)):
                        yield gap
                        floor = gap.floor
                    yield event
                    after = event.seq
                if page:
                    continue
                if tail.last is None or tail.ended:
                    head = await self.head(task_id)
                    last, ended = (head.last_seq, head.state in END_STATES) if head else (0, False)
                    self._tails.begin(tail, last, ended=ended)
                    if after < last:
                        continue
                    if ended:
                        return
                await self._tails.growth(tail, grown)

    async def _gap(self, event: Event, after: int, floor: int) -> Gap | None:
        head = await self.head(event.task_id)
        return None if head is None else find_gap(event, after, floor, head)

    async def head(self, task_id: str) -> TaskHead | None:
        """Where a task stands."""
        if not is_id(task_id):
            return None
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.GET_HEAD, [task_id])
            row = await cursor.fetchone()
            return head_of(row) if row else None

    async def heads(
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        unended: bool = False,
        specs: Collection[str] | None = None,
    ) -> Sequence[TaskHead]:
        """Tasks, newest first."""
        if before is not None and not is_id(before):
            raise InputError(f"{before!r} is not a task id.", field="before")
        query = queries.LIST_UNENDED if unended else queries.LIST_HEADS
        wanted = {"before": before, "limit": max(0, limit), "specs": None if specs is None else sorted(specs)}
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, wanted)
            return [head_of(row) for row in await cursor.fetchall()]

    async def find(self, fragment: str, *, limit: int = 10) -> Sequence[str]:
        """Ids of tasks that start or end with a fragment."""
        fragment = fragment.lower()
        if not is_fragment(fragment):
            return []
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.FIND_HEADS, {"fragment": fragment, "limit": max(0, limit)})
            return [str(row[0]) for row in await cursor.fetchall()]

    async def prune(
        self,
        *,
        before: datetime,
        spare: Collection[str] = (),
        after: str | None = None,
        limit: int = 100,
        dry_run: bool = False,
    ) -> Pruned:
        """Remove what may go of tasks that ended before then."""
        wanted = {"before": before, "spare": list(spare), "after": after, "limit": max(0, limit)}
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.FIND_PRUNABLE, wanted)
            names = [str(row[0]) for row in await cursor.fetchall()]
        removed = [await self._prune(name, before, dry_run=dry_run) for name in names]
        return Pruned(
            tasks=len(names), events=sum(removed), cursor=names[-1] if names and len(names) == limit else None
        )

    async def _prune(self, task_id: str, before: datetime, *, dry_run: bool) -> int:
        async with self._pool.transaction() as connection:
            cursor = await connection.execute(queries.LOCK_PRUNABLE, [task_id, before])
            if await cursor.fetchone() is None:
                return 0
            cursor = await connection.execute(queries.TYPES_OF_EVENTS, [task_id])
            passing = find_passing(
                [
                    (seq, EventType(kind), json.loads(text or "{}"))
                    for seq, kind, text in await cursor.fetchall()
                    if kind in KNOWN  # a newer release's stays
                ]
            )
            if not dry_run:
                await connection.execute(queries.REMOVE_EVENTS, [task_id, list(passing)])
                await connection.execute(queries.RAISE_FLOOR, [task_id])
            return len(passing)
