"""Schedules in PostgreSQL.

Rules:
- All times are the server's, so that clocks of machines need not agree.
- A row is locked while its head changes; what it changes to, `domain/schedule.py` says.
- Who takes a due time holds it by its lease: when that goes (`queue.py`), so does the hold, and the sessions with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from councilor.adapters.postgres.pool import Connection, Pool
from councilor.adapters.postgres.queries import schedules as queries
from councilor.domain.codec import decode, encode, json_text
from councilor.domain.schedule import (
    Due,
    Record,
    Schedule,
    ScheduleHead,
    Settlement,
    begin,
    hold,
    require_schedule,
)
from councilor.domain.schedule import settle as settled
from councilor.domain.schedule import take as taken
from councilor.errors import InputError

__all__ = ["DatabaseSchedules"]


class DatabaseSchedules:
    """`Schedules` in PostgreSQL.

    Args:
        pool: of an up-to-date database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def now(self) -> datetime:
        """The server's clock."""
        async with self._pool.connection() as connection:
            return await _now(connection)

    async def add(self, schedule: Schedule) -> ScheduleHead:
        """Keep a schedule."""
        require_schedule(schedule)
        async with self._pool.transaction() as connection:
            head = begin(schedule, await _now(connection))
            values = [schedule.id, schedule.name, _text(schedule), _text(head.record), head.next_due]
            if await (await connection.execute(queries.ADD, values)).fetchone() is None:
                raise InputError(f"There is a schedule {schedule.name} already.", field="--name")
        return head

    async def find(self, name: str) -> ScheduleHead | None:
        """One schedule."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(queries.FIND, [_known(name)])).fetchone()
        return _head(row) if row else None

    async def heads(self) -> Sequence[ScheduleHead]:
        """All of them, by name."""
        async with self._pool.connection() as connection:
            return [_head(row) for row in await (await connection.execute(queries.LIST)).fetchall()]

    async def hold(self, name: str, *, paused: bool) -> bool:
        """Pause a schedule or let it go on."""
        async with self._pool.transaction() as connection:
            row = await (await connection.execute(queries.LOCK, [_known(name)])).fetchone()
            if row is None:
                return False
            head = hold(_head(row[:-1]), _utc(row[-1]), paused=paused)
            await connection.execute(queries.STORE, _columns(head))
        return True

    async def remove(self, name: str) -> bool:
        """Remove a schedule."""
        async with self._pool.connection() as connection:
            return await (await connection.execute(queries.REMOVE, [_known(name)])).fetchone() is not None

    async def take(self, executor_id: str) -> Due | None:
        """Give an executor the due time that has waited longest."""
        async with self._pool.transaction() as connection:
            row = await (await connection.execute(queries.LOCK_DUE, {"executor": executor_id})).fetchone()
            found = taken(_head(row[:-1]), _utc(row[-1]), executor_id) if row else None
            if found is None:
                return None
            head, due = found
            await connection.execute(queries.STORE_TAKEN, {**_columns(head), "holder": executor_id})
        return due

    async def settle(self, due: Due, settlement: Settlement) -> bool:
        """Keep what became of a due time."""
        async with self._pool.transaction() as connection:
            cursor = await connection.execute(queries.LOCK_PENDING, [due.schedule.id, due.due_at, due.executor_id])
            row = await cursor.fetchone()
            after = settled(_head(row), due.due_at, settlement) if row else None
            if after is None:
                return False
            await connection.execute(queries.STORE_TAKEN, {**_columns(after), "holder": None})
        return True


async def _now(connection: Connection) -> datetime:
    row = await (await connection.execute(queries.NOW)).fetchone()
    assert row is not None, "it gives one row"
    return _utc(row[0])


def _known(name: str) -> str:
    """A name as it can be looked for; what cannot be stored is nobody's name."""
    return name.replace("\0", "?").encode("utf-8", "replace").decode()


def _text(value: Schedule | Record) -> str:
    return json_text(encode(value))


def _columns(head: ScheduleHead) -> dict[str, Any]:
    return {
        "id": head.schedule.id,
        "record": _text(head.record),
        "paused": head.paused,
        "next_due": head.next_due,
        "pending": head.pending,
    }


def _head(row: Sequence[Any]) -> ScheduleHead:
    definition, record, paused, next_due, pending = row
    return ScheduleHead(
        schedule=decode(Schedule, json.loads(definition)),
        record=decode(Record, json.loads(record)),
        paused=paused,
        next_due=_utc(next_due),
        pending=None if pending is None else _utc(pending),
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
