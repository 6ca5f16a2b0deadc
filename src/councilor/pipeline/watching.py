"""Watching tasks: their events as they come, whatever happens to the store meanwhile.

Rules:
- A reader that the store let down goes on after the last event it had. Only a store that stays away for `OUTAGE_S`
  seconds is told of.
- All tasks are watched by one cursor for each: one for all of them would lose events (`ports/events.py`). Which there
  are is looked up every `LOOK_S` seconds: those that have not ended, and those that are newer than the last look.
- Who watches all tasks sees those that ran already from where they are, and new ones from their beginning.
- What it can miss: a task that ends between two looks and whose id is older than the newest, as from a machine whose
  clock is late.

It shows nothing: see `surfaces/cli/watch.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from councilor.domain.event import Event, Gap
from councilor.domain.task import TaskHead
from councilor.errors import UnavailableError
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream

__all__ = ["Told", "watch_all", "watch_task"]

Told = Event | Gap | TaskHead
"""What a watcher of all tasks is told: a task's head is what is watched from now on."""

OUTAGE_S = 60.0
RETRY_S = 0.5
LOOK_S = 1.0
PAGE = 200


async def watch_task(
    events: EventStream, task_id: str, *, after: int = 0, clock: Clock
) -> AsyncGenerator[Event | Gap, None]:
    """Every event of a task with seq > `after`, until its end.

    Raises:
        UnavailableError: the store stayed away.
    """
    away_since: float | None = None
    while True:
        began = clock.monotonic()
        try:
            async with aclosing(events.follow(task_id, after=after)) as followed:
                async for told in followed:
                    yield told
                    away_since = None
                    after = told.seq if isinstance(told, Event) else after
            return
        except UnavailableError:
            now = clock.monotonic()
            # Who followed for so long was answered meanwhile, although nothing may have happened to tell.
            away_since = now if away_since is None or now - began > OUTAGE_S else away_since
            if now - away_since > OUTAGE_S:
                raise
            await clock.sleep(RETRY_S)


async def watch_all(events: EventStream, tell: Callable[[Told], None], *, clock: Clock) -> None:
    """Tell of every event of every task from now on, until cancelled.

    Raises:
        UnavailableError: the store stayed away.
    """
    async with asyncio.TaskGroup() as group:
        watch = _Watch(events=events, clock=clock, tell=tell, group=group)
        await watch.look(first=True)
        while True:
            await clock.sleep(LOOK_S)
            await watch.look()


@dataclass(kw_only=True, slots=True)
class _Watch:
    """Whom one watcher follows."""

    events: EventStream
    clock: Clock
    tell: Callable[[Told], None]
    group: asyncio.TaskGroup
    known: set[str] = field(default_factory=set)
    newest: str = ""
    away_since: float | None = None

    async def look(self, *, first: bool = False) -> None:
        """Follow tasks that are new."""
        try:
            if first:  # before the others are looked up: what comes between is new
                self.newest = max((head.task_id for head in await self.events.heads(limit=1)), default="")
            heads = [*await self._pages(unended=True), *([] if first else await self._pages(unended=False))]
            self.away_since = None
        except UnavailableError:
            self.away_since = self.away_since or self.clock.monotonic()
            if first or self.clock.monotonic() - self.away_since > OUTAGE_S:
                raise
            return
        ran = self.newest if first else ""
        for head in sorted(heads, key=lambda head: head.task_id):
            if head.task_id not in self.known:
                self.known.add(head.task_id)
                self.newest = max(self.newest, head.task_id)
                self.tell(head)
                self.group.create_task(self._follow(head.task_id, head.last_seq if head.task_id <= ran else 0))

    async def _pages(self, *, unended: bool) -> Sequence[TaskHead]:
        """Tasks that have not ended, or those that are newer than the newest known."""
        found: list[TaskHead] = []
        before = None
        while page := await self.events.heads(limit=PAGE, before=before, unended=unended):
            found += [head for head in page if unended or head.task_id > self.newest]
            before = page[-1].task_id
            if len(page) < PAGE or (not unended and before <= self.newest):
                break
        return found

    async def _follow(self, task_id: str, after: int) -> None:
        async for told in watch_task(self.events, task_id, after=after, clock=self.clock):
            self.tell(told)
