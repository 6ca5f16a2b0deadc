"""Event streams in the process; the oracle that other streams are compared with."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial

from councilor.domain.codec import json_text
from councilor.domain.event import Event, NewEvent
from councilor.domain.stored import is_fragment, is_id, number_events
from councilor.domain.task import END_STATES, TaskHead
from councilor.errors import InputError, NotFoundError

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

    async def follow(self, task_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """Every event as it comes."""
        while True:
            for event in await self.read(task_id, after=after):
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
        return len(self._events.get(task_id, ())) > after

    async def head(self, task_id: str) -> TaskHead | None:
        """Where a task stands."""
        return self._heads.get(task_id)

    async def heads(self, *, limit: int = 50, before: str | None = None) -> Sequence[TaskHead]:
        """Tasks, newest first."""
        if before is not None and not is_id(before):
            raise InputError(f"{before!r} is not a task id.", field="before")
        ids = sorted((id_ for id_ in self._heads if before is None or id_ < before), reverse=True)
        return [self._heads[id_] for id_ in ids[: max(0, limit)]]

    async def find(self, fragment: str, *, limit: int = 10) -> Sequence[str]:
        """Ids of tasks that start or end with a fragment."""
        fragment = fragment.lower()
        if not is_fragment(fragment):
            return []
        found = (id_ for id_ in self._heads if id_.startswith(fragment) or id_.endswith(fragment))
        return sorted(found, reverse=True)[: max(0, limit)]
