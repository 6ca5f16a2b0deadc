"""The newest events of the tasks that are being followed: read once for all readers of a process.

Rules:
- One task reads what is new of every followed task, in one statement, when it was announced and every `poll_s` seconds.
  While it reads, announcements gather: the busier the stream, the more each statement brings.
- A tail is a run of events without gaps, at most `LONGEST`. A reader whose next event is older reads by itself, until
  it has caught up: however slow, it holds nothing here.
- A tail lives while somebody follows its task.
- A database that does not answer is tried again for `patience_s` seconds; then every reader is told.

It knows nothing of what was pruned, nor when a task has ended: see `events.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from councilor.adapters.postgres.eventrows import array, event_of
from councilor.adapters.postgres.pool import Connection, Pool
from councilor.adapters.postgres.queries import events as queries
from councilor.domain.event import END_TYPES, Event
from councilor.errors import DeadlineError, InputError, UnavailableError

__all__ = ["Tail", "Tails"]

LONGEST = 200
AT_ONCE = 200
"""Events of one task that one statement brings."""
READ_S = 5.0
RETRY_S = 0.05


@dataclass(eq=False, slots=True)
class Tail:
    """The newest events of one task."""

    task_id: str
    readers: int = 0
    last: int | None = None
    """The newest number it knows of; None: nobody has caught up yet."""
    ended: bool = False
    """Whether the task has ended, as far as it knows."""
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    """Is set when there is more, and then replaced by another."""
    failure: UnavailableError | None = None
    _events: deque[Event] = field(default_factory=lambda: deque(maxlen=LONGEST))

    def since(self, after: int) -> Sequence[Event] | None:
        """The events after a number; None when they are not here."""
        if self.last is None:
            return None
        if after >= self.last:
            return ()
        missing = after + 1 - (self._events[0].seq if self._events else self.last + 1)
        return None if missing < 0 else list(islice(self._events, missing, None))

    def extend(self, events: Sequence[Event]) -> None:
        """Take the events that follow the last one."""
        for event in events:
            if self.last is not None and event.seq != self.last + 1:
                self._events.clear()  # some were pruned meanwhile; readers see that by themselves
            self._events.append(event)
            self.last = event.seq
            self.ended = self.ended or event.type in END_TYPES
        self.wake()

    def leave(self) -> None:
        """Hold nothing any more: readers read by themselves."""
        self.last = None
        self._events.clear()
        self.wake()

    def wake(self) -> None:
        """Let readers look."""
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()


class Tails:
    """The tails of one process.

    Args:
        pool: of an up-to-date database.
        poll_s: the longest that it waits before it looks by itself.
        patience_s: how long the database may be away before readers are told.
    """

    def __init__(self, pool: Pool, *, poll_s: float, patience_s: float = 5.0) -> None:
        self._pool = pool
        self._poll_s = poll_s
        self._patience_s = patience_s
        self._tails: dict[str, Tail] = {}
        self._due: set[str] = set()
        self._announced = asyncio.Event()
        self._works = False
        self._failing_since: float | None = None

    @contextmanager
    def joined(self, task_id: str) -> Iterator[Tail]:
        """The tail of a task, for one reader."""
        tail = self._tails.setdefault(task_id, Tail(task_id))
        tail.readers += 1
        try:
            yield tail
        finally:
            tail.readers -= 1
            if not tail.readers:
                del self._tails[task_id]

    def begin(self, tail: Tail, last: int, *, ended: bool) -> None:
        """Say how far a task's events go, and whether it has ended, as a reader found it."""
        tail.ended = tail.ended or ended  # for every reader: whoever catches up later meets no new event that says so
        if self._works and tail.last is None:
            tail.last = last
            self.announce([tail.task_id])  # more may have come since the reader looked

    def announce(self, task_ids: Sequence[str] | None) -> None:
        """Tasks have something new; None: any may."""
        followed = self._tails if task_ids is None else self._tails.keys() & task_ids
        self._due.update(followed)
        if followed:
            self._announced.set()

    async def growth(self, tail: Tail, grown: asyncio.Event) -> None:
        """Wait until there may be more.

        Args:
            grown: the tail's, taken before it was looked at.

        Raises:
            UnavailableError: the database does not answer.
        """
        if not self._works:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await grown.wait()
            return
        await grown.wait()
        if tail.failure is not None:
            failure = tail.failure  # an error of each reader's own: one that all raise would grow with each of them
            raise UnavailableError(failure.message, backend=failure.backend, hint=failure.hint()) from failure

    async def work(self) -> None:
        """Read what is new, until cancelled."""
        self._works = True
        try:
            while True:
                await self._announcement()
                try:
                    # one of its own: nothing that others do with the pool holds it up
                    async with self._pool.alone() as connection:
                        while True:
                            await self._read(connection)
                            await self._announcement()
                except UnavailableError as error:
                    self._fail(error)
                    await asyncio.sleep(RETRY_S)
        finally:
            self._works = False
            for tail in self._tails.values():
                tail.wake()

    async def _announcement(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await self._announced.wait()
        if not self._announced.is_set():
            self.announce(None)
        self._announced.clear()

    async def _read(self, connection: Connection) -> None:
        due = [tail for name in self._due if (tail := self._tails.get(name)) and tail.last is not None]
        self._due.clear()
        if not due:
            return
        wanted = [array(tail.task_id for tail in due), array(str(tail.last) for tail in due), AT_ONCE]
        rows = await _ask(connection, wanted)
        self._failing_since = None
        for tail in due:
            tail.failure = None
        for task_id, found in groupby(rows, key=lambda row: str(row[0])):
            tail = self._tails.get(task_id)
            if tail is None or tail not in due:
                continue
            try:
                events = [event_of(task_id, row[1:]) for row in found]
            except InputError:  # who reads it hears of it, and nobody else
                tail.leave()
                continue
            tail.extend(events)
            if len(events) == AT_ONCE:
                self.announce([task_id])

    def _fail(self, error: UnavailableError) -> None:
        """Look at everything anew, and tell readers if it goes on for too long."""
        self.announce(None)
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since >= self._patience_s:
            for tail in self._tails.values():
                tail.failure = error
                tail.wake()


async def _ask(connection: Connection, wanted: Sequence[object]) -> Sequence[tuple[Any, ...]]:
    try:
        async with asyncio.timeout(READ_S):
            return await (await connection.execute(queries.READ_TAILS, wanted)).fetchall()
    except TimeoutError as error:
        raise DeadlineError(
            f"New events did not come within {READ_S:g} s.", backend="postgres", deadline_s=READ_S
        ) from error
