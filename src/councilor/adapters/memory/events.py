"""Event streams in the process; the oracle that other streams are compared with."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from councilor.domain.codec import json_text
from councilor.domain.event import Event, Gap, NewEvent, find_passing
from councilor.domain.stored import find_gap, is_fragment, is_id, number_events
from councilor.domain.task import END_STATES, TaskHead
from councilor.errors import InputError, NotFoundError
from councilor.ports.events import Pruned

__all__ = ["MemoryEventStream"]

PAGE = 200


class MemoryEventStream:
    """An `EventStream` in dictionaries."""

    def __init__(self) -> None:
        self._events: dict[str, list[Event]] = defaultdict(list)
        self._heads: dict[str, TaskHead] = {}
        self._grown = asyncio.Condition()

    async def append(self, events: Sequence[NewEvent]) -> Sequence[Event]:
        """Number and store events."""
        heads = dict(self._heads)
        numbered: list[Event] = []
        for new in events:
            kept = replace(new, data=json.loads(json_text(dict(new.data))))  # nobody else may change it now
            heads[new.task_id], added = number_events(heads.get(new.task_id), [kept])
            numbered += added
        self._heads = heads
        for event in numbered:
            self._events[event.task_id].append(event)
        async with self._grown:
            self._grown.notify_all()
        return numbered

    async def begin(self, task_id: str) -> int:
        """Begin another attempt."""
        head = self._heads.get(task_id)
        if head is None:
            raise NotFoundError(f"There is no task {task_id}.")
        self._heads[task_id] = replace(head, attempt=head.attempt + 1)
        return head.attempt + 1

    async def read(self, task_id: str, *, after: int = 0, limit: int = PAGE) -> Sequence[Event]:
        """At most `limit` events after a number."""
        return [event for event in self._events.get(task_id, ()) if event.seq > after][: max(0, limit)]

    async def follow(self, task_id: str, *, after: int = 0) -> AsyncGenerator[Event | Gap, None]:
        """Every event as it comes."""
        floor = 0
        while True:
            for event in await self.read(task_id, after=after):
                if gap := find_gap(event, after, floor, self._heads[task_id]):
                    yield gap
                    floor = gap.floor
                yield event
                after = event.seq
            head = self._heads.get(task_id)
            last = head.last_seq if head else 0
            if after < last:
                continue
            if head and head.state in END_STATES:
                return
            async with self._grown:
                await self._grown.wait_for(partial(self._has_more, task_id, last))

    def _has_more(self, task_id: str, after: int) -> bool:
        head = self._heads.get(task_id)
        return head is not None and head.last_seq > after

    async def head(self, task_id: str) -> TaskHead | None:
        """Where a task stands."""
        return self._heads.get(task_id)

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
        ids = sorted((id_ for id_ in self._heads if before is None or id_ < before), reverse=True)
        found = [self._heads[id_] for id_ in ids]
        found = [head for head in found if specs is None or head.spec_id in specs]
        return [head for head in found if not unended or head.state not in END_STATES][: max(0, limit)]

    async def find(self, fragment: str, *, limit: int = 10) -> Sequence[str]:
        """Ids of tasks that start or end with a fragment."""
        fragment = fragment.lower()
        if not is_fragment(fragment):
            return []
        found = (id_ for id_ in self._heads if id_.startswith(fragment) or id_.endswith(fragment))
        return sorted(found, reverse=True)[: max(0, limit)]

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
        due = [
            head
            for id_, head in sorted(self._heads.items())
            if head.state in END_STATES
            and head.updated_at < before
            and head.floor < head.last_seq - 1
            and id_ not in spare
            and (after is None or id_ > after)
        ][: max(0, limit)]
        removed = 0
        for head in due:
            events = self._events[head.task_id]
            passing = set(find_passing((event.seq, event.type, event.data) for event in events))
            removed += len(passing)
            if not dry_run:
                self._events[head.task_id] = [event for event in events if event.seq not in passing]
                self._heads[head.task_id] = replace(head, floor=head.last_seq - 1)
        return Pruned(tasks=len(due), events=removed, cursor=due[-1].task_id if due and len(due) == limit else None)
