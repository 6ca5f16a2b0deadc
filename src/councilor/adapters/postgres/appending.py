"""Appending events: everything that waits at one moment goes into one transaction.

Rules:
- A transaction locks the heads of its tasks in the order of their ids, numbers the events from there, and writes events
  and heads: numbers have no gaps, and a number is visible only after every smaller one.
- A process remembers the heads of the tasks it writes, which mostly nobody else writes. Then all of it is one
  statement, which changes nothing if a head does not stand as remembered; a refusal is never made from memory.
- Whoever calls alone is served at once. Whoever calls while a transaction is under way waits for its end, and then goes
  with all the others that wait: the busier a process, the larger its transactions, and nobody waits on purpose.
- Where many events wait, a second transaction is made ready while the server writes the first; never for the same task.
- One notification announces a transaction. What one caller gives is stored whole or not at all, and its refusal is
  nobody else's.
- At most `MOST_WAITING` events wait; whoever brings more waits for room. Nothing is dropped.
- A transaction that nobody waits for any more is ended: a server that hangs holds nobody.

Source: group commit, as in DeWitt et al., "Implementation Techniques for Main Memory Database Systems" (1984).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from psycopg.errors import UniqueViolation

from councilor.adapters.postgres.eventrows import (
    array,
    event_columns,
    head_columns,
    head_of,
    known_columns,
    moved_columns,
)
from councilor.adapters.postgres.listener import EVERY_TASK
from councilor.adapters.postgres.pool import Connection, Pool
from councilor.adapters.postgres.queries import events as queries
from councilor.domain.codec import json_text
from councilor.domain.event import Event, NewEvent
from councilor.domain.stored import is_id, number_events
from councilor.domain.task import END_STATES, TaskHead
from councilor.errors import CouncilorError, InputError, UnavailableError

__all__ = ["Appender"]

LARGEST_BATCH = 500
"""Events of one transaction, unless one caller gives more."""
MOST_WAITING = 10_000
MOST_REMEMBERED = 1_000
MOST_NAMED = 100
"""Tasks one notification names; its payload takes 8,000 bytes."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one caller wants stored."""

    events: Sequence[NewEvent]
    texts: Sequence[str]
    answer: asyncio.Future[Sequence[Event]]
    tasks: frozenset[str]

    def give(self, answer: Sequence[Event] | Exception) -> None:
        """Answer, unless nobody waits any more."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


@dataclass(slots=True)
class _Numbered:
    """What one transaction stores."""

    known: Mapping[str, TaskHead]
    heads: dict[str, TaskHead]
    events: list[Event] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    answers: list[Sequence[Event] | Exception] = field(default_factory=list)

    @classmethod
    def of(cls, known: Mapping[str, TaskHead], batch: Sequence[_Wish]) -> Self:
        """Number what callers want, from these heads."""
        numbered = cls(known, dict(known))
        for wish in batch:
            numbered.add(wish)
        return numbered

    @property
    def is_whole(self) -> bool:
        """Whether nothing was refused."""
        return not any(isinstance(answer, Exception) for answer in self.answers)

    def add(self, wish: _Wish) -> None:
        """Number one caller's events, all or none."""
        try:
            heads, events = _number_all(self.heads, wish.events)
        except CouncilorError as refusal:
            self.answers.append(refusal)
            return
        self.heads |= heads
        self.events += events
        self.texts += wish.texts
        self.answers.append(events)


class Appender:
    """Stores events; while `work` runs, those of concurrent callers together.

    Args:
        pool: of an up-to-date database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: deque[_Wish] = deque()
        self._count = 0
        self._busy: set[str] = set()
        self._heads: dict[str, TaskHead] = {}
        self._works = False
        self._brought = asyncio.Event()
        self._taken = asyncio.Event()

    async def append(self, events: Sequence[NewEvent]) -> Sequence[Event]:
        """Number and store events; durable when this returns."""
        tasks = frozenset(event.task_id for event in events)
        for task_id in tasks:
            if not is_id(task_id):
                raise InputError(f"{task_id!r} is not a task id: a UUID in canonical form.", field="task_id")
        texts = [json_text(dict(event.data)) for event in events]
        wish = _Wish(events, texts, asyncio.get_running_loop().create_future(), tasks)
        if self._works:
            await self._bring(wish)
        else:
            await self._store([wish])
        return await wish.answer

    async def _bring(self, wish: _Wish) -> None:
        while self._waiting and self._count + len(wish.events) > MOST_WAITING:
            self._taken.clear()
            await self._taken.wait()
            if not self._works:
                raise _closed()
        self._waiting.append(wish)
        self._count += len(wish.events)
        self._brought.set()

    async def work(self, *, least: int = 1) -> None:
        """Store what callers bring, until cancelled.

        Args:
            least: begin only when as many events wait.
        """
        self._works = True
        try:
            while True:
                batch = self._next_batch() if self._count >= least else ()
                if batch:
                    await self._store_alone(batch)
                else:
                    self._brought.clear()
                    await self._brought.wait()
        finally:
            self._works = False
            self._taken.set()
            for wish in self._waiting:
                wish.give(_closed())

    def _next_batch(self) -> Sequence[_Wish]:
        """The wishes that waited longest, but for those about tasks that are being written or that were left behind."""
        batch: list[_Wish] = []
        left: list[_Wish] = []
        size, busy = 0, set(self._busy)
        while self._waiting and (not batch or size + len(self._waiting[0].events) <= LARGEST_BATCH):
            wish = self._waiting.popleft()
            if wish.answer.done():
                self._count -= len(wish.events)
            elif busy.isdisjoint(wish.tasks):
                self._count -= len(wish.events)
                batch.append(wish)
                size += len(wish.events)
            else:
                busy |= wish.tasks
                left.append(wish)
        self._waiting.extendleft(reversed(left))
        self._taken.set()
        return batch

    async def _store_alone(self, batch: Sequence[_Wish]) -> None:
        """Store, while nobody else writes to these tasks."""
        tasks = frozenset[str]().union(*(wish.tasks for wish in batch))
        self._busy |= tasks
        try:
            await self._store_while_wanted(batch)
        finally:
            self._busy -= tasks
            self._brought.set()
            for wish in batch:  # whoever has no answer: this was ended in the middle
                wish.give(_closed())

    async def _store_while_wanted(self, batch: Sequence[_Wish]) -> None:
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:

                def give_up(_: object) -> None:
                    if all(wish.answer.done() for wish in batch) and not ended:
                        limit.reschedule(loop.time())

                ended = False
                for wish in batch:
                    wish.answer.add_done_callback(give_up)
                try:
                    await self._store(batch)
                finally:
                    ended = True

    async def _store(self, batch: Sequence[_Wish]) -> None:
        """Store what callers want, and answer each; raises nothing of theirs."""
        try:
            answers = await self._try_twice(batch)
        except Exception as error:  # a caller has to hear of it, whatever it is
            answers = [error] * len(batch)
        for wish, answer in zip(batch, answers, strict=True):
            wish.give(answer)

    async def _try_twice(self, batch: Sequence[_Wish]) -> Sequence[Sequence[Event] | Exception]:
        try:
            return await self._transact(batch)
        except InputError as error:
            if not isinstance(error.__cause__, UniqueViolation):
                raise
            return await self._transact(batch)  # somebody submitted a task meanwhile: now its head is there

    async def _transact(self, batch: Sequence[_Wish]) -> Sequence[Sequence[Event] | Exception]:
        names = sorted(frozenset[str]().union(*(wish.tasks for wish in batch)))
        known = {
            name: head for name in names if (head := self._heads.pop(name, None))
        }  # until it is known to be stored
        numbered = _Numbered.of(known, batch) if len(known) == len(names) else None
        if numbered is None or not numbered.is_whole or not await self._append_to_known(numbered):
            async with self._pool.transaction() as connection:
                cursor = await connection.execute(queries.LOCK_HEADS, [array(names)])
                heads = [head_of(row) for row in await cursor.fetchall()]
                numbered = _Numbered.of({head.task_id: head for head in heads}, batch)
                if numbered.events:
                    await _write(connection, numbered)
        self._remember(numbered.heads)
        return numbered.answers

    async def _append_to_known(self, numbered: _Numbered) -> bool:
        """Store in one statement; false when a head does not stand as it was known to, and nothing was stored."""
        names = sorted(numbered.known)
        columns = [
            *moved_columns([numbered.heads[name] for name in names]),
            *known_columns([numbered.known[name] for name in names]),
            *event_columns(numbered.events, numbered.texts),
            _announced(names),
        ]
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.APPEND_TO_KNOWN, columns)
            return await cursor.fetchone() is not None

    def _remember(self, heads: Mapping[str, TaskHead]) -> None:
        self._heads |= {name: head for name, head in heads.items() if head.state not in END_STATES}
        while len(self._heads) > MOST_REMEMBERED:
            del self._heads[next(iter(self._heads))]  # the one that was written longest ago


async def _write(connection: Connection, numbered: _Numbered) -> None:
    changed = sorted({event.task_id for event in numbered.events})
    moved = [numbered.heads[name] for name in changed if name in numbered.known]
    added = [numbered.heads[name] for name in changed if name not in numbered.known]
    async with connection.pipeline():
        if moved:
            await connection.execute(queries.MOVE_HEADS, moved_columns(moved))
        if added:
            await connection.execute(queries.ADD_HEADS, head_columns(added))
        await connection.execute(queries.ADD_EVENTS, event_columns(numbered.events, numbered.texts))
        await connection.execute(queries.ANNOUNCE_EVENTS, [_announced(changed)])


def _closed() -> UnavailableError:
    return UnavailableError("The event stream was closed.", backend="postgres")


def _announced(names: Sequence[str]) -> str:
    return " ".join(names) if len(names) <= MOST_NAMED else EVERY_TASK


def _number_all(
    known: Mapping[str, TaskHead], events: Sequence[NewEvent]
) -> tuple[Mapping[str, TaskHead], Sequence[Event]]:
    """The heads that events lead to, and the events numbered, in their order."""
    if len({event.task_id for event in events}) == 1:
        head, numbered = number_events(known.get(events[0].task_id), events)
        return {head.task_id: head}, numbered
    heads: dict[str, TaskHead] = {}
    found: list[Event] = []
    for event in events:
        heads[event.task_id], added = number_events(heads.get(event.task_id, known.get(event.task_id)), [event])
        found += added
    return heads, found
