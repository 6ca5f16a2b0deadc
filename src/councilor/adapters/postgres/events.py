"""The event stream of each task in PostgreSQL, and the task's head beside it.

Rules:
- Appending locks the heads of its tasks in the order of their ids, numbers the events from there, and writes events and
  heads in one transaction: numbers have no gaps, and a number is visible only after every smaller one.
- A reader's cursor is the last number it saw. A single counter over all tasks would lose events: a transaction with a
  smaller number can commit later.
- A reader fetches the next page after its consumer took the last one: a slow consumer costs one cursor, no memory.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from psycopg.errors import UniqueViolation

from councilor.adapters.postgres.listener import EVERY_TASK, Listener
from councilor.adapters.postgres.pool import Connection, Pool
from councilor.adapters.postgres.queries import events as queries
from councilor.domain.codec import json_text
from councilor.domain.event import Event, EventType, NewEvent
from councilor.domain.stored import is_fragment, is_id, number_events
from councilor.domain.task import END_STATES, TaskHead, TaskState
from councilor.errors import InputError, NotFoundError

__all__ = ["DatabaseEventStream"]

PAGE = 200
MOST_NAMED = 100
"""Tasks one notification names; its payload takes 8,000 bytes."""


class DatabaseEventStream:
    """An `EventStream` in PostgreSQL; inside `async with` its followers are woken at once, else by looking.

    Args:
        pool: of an up-to-date database.
        poll_s: the longest that a follower waits before it looks by itself.
    """

    def __init__(self, pool: Pool, *, poll_s: float = 1.0) -> None:
        self._pool = pool
        self._listener = Listener(pool, poll_s=poll_s)

    async def __aenter__(self) -> Self:
        await self._listener.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.__aexit__(kind, error, trace)

    async def append(self, events: Sequence[NewEvent]) -> Sequence[Event]:
        """Number and store events."""
        if not events:
            return []
        for event in events:
            if not is_id(event.task_id):
                raise InputError(f"{event.task_id!r} is not a task id: a UUID in canonical form.", field="task_id")
        texts = [json_text(dict(event.data)) for event in events]
        try:
            return await self._append(events, texts)
        except InputError as error:
            if not isinstance(error.__cause__, UniqueViolation):
                raise
            return await self._append(events, texts)  # somebody submitted the task meanwhile: now its head is there

    async def _append(self, events: Sequence[NewEvent], texts: Sequence[str]) -> Sequence[Event]:
        names = sorted({event.task_id for event in events})
        async with self._pool.transaction() as connection:
            cursor = await connection.execute(queries.LOCK_HEADS, [names])
            before = {head.task_id: head for head in map(_head, await cursor.fetchall())}
            after, numbered = _number_all(before, events)
            async with connection.pipeline():
                for name in names:
                    await _write_head(connection, after[name], known=name in before)
                columns = zip(*map(_event_row, numbered, texts), strict=True)
                await connection.execute(queries.ADD_EVENTS, [list(column) for column in columns])
                announced = " ".join(names) if len(names) <= MOST_NAMED else EVERY_TASK
                await connection.execute(queries.ANNOUNCE_EVENTS, [announced])
        return numbered

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
            return [_event(task_id, row) for row in await cursor.fetchall()]

    async def follow(self, task_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """Every event as it comes."""
        with self._listener.waiting(task_id) as wake:
            while True:
                wake.clear()
                for event in await self.read(task_id, after=after):
                    yield event
                    after = event.seq
                head = await self.head(task_id)
                if head and after < head.last_seq:
                    continue
                if head and head.state in END_STATES:
                    return
                await self._listener.pause(wake)

    async def head(self, task_id: str) -> TaskHead | None:
        """Where a task stands."""
        if not is_id(task_id):
            return None
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.GET_HEAD, [task_id])
            row = await cursor.fetchone()
            return _head(row) if row else None

    async def heads(self, *, limit: int = 50, before: str | None = None) -> Sequence[TaskHead]:
        """Tasks, newest first."""
        if before is not None and not is_id(before):
            raise InputError(f"{before!r} is not a task id.", field="before")
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.LIST_HEADS, {"before": before, "limit": max(0, limit)})
            return [_head(row) for row in await cursor.fetchall()]

    async def find(self, fragment: str, *, limit: int = 10) -> Sequence[str]:
        """Ids of tasks that start or end with a fragment."""
        fragment = fragment.lower()
        if not is_fragment(fragment):
            return []
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.FIND_HEADS, {"fragment": fragment, "limit": max(0, limit)})
            return [str(row[0]) for row in await cursor.fetchall()]


def _number_all(before: dict[str, TaskHead], events: Sequence[NewEvent]) -> tuple[dict[str, TaskHead], Sequence[Event]]:
    heads = dict(before)
    numbered: list[Event] = []
    for event in events:
        heads[event.task_id], added = number_events(heads.get(event.task_id), [event])
        numbered += added
    return heads, numbered


async def _write_head(connection: Connection, head: TaskHead, *, known: bool) -> None:
    if known:
        moved = [head.last_seq, head.state, head.decision, head.commit, head.updated_at, head.resumes, head.task_id]
        await connection.execute(queries.MOVE_HEAD, moved)
    else:
        await connection.execute(queries.ADD_HEAD, _head_row(head))


def _head_row(head: TaskHead) -> list[Any]:
    return [
        head.task_id, head.last_seq, head.state, head.repository, head.spec_id, head.title, head.tier, head.worker,
        head.decision, head.commit, head.submitted_at, head.updated_at, head.resumes,
    ]  # fmt: skip


def _head(row: Sequence[Any]) -> TaskHead:
    (
        task_id,
        last,
        state,
        repository,
        spec_id,
        title,
        tier,
        worker,
        decision,
        commit,
        submitted_at,
        updated_at,
        attempt,
        resumes,
    ) = row
    return TaskHead(
        task_id=task_id, last_seq=last, state=TaskState(state), repository=repository, spec_id=spec_id, title=title,
        tier=tier, worker=worker, decision=decision, commit=commit, submitted_at=_utc(submitted_at),
        updated_at=_utc(updated_at), attempt=attempt, resumes=TaskState(resumes) if resumes else None,
    )  # fmt: skip


def _event_row(event: Event, text: str) -> tuple[Any, ...]:
    return event.task_id, event.seq, event.attempt, event.type.value, event.ts, text


def _event(task_id: str, row: Sequence[Any]) -> Event:
    seq, attempt, kind, ts, text = row
    return Event(
        task_id=task_id, type=EventType(kind), ts=_utc(ts), attempt=attempt, data=json.loads(text), seq=seq
    )  # fmt: skip


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
