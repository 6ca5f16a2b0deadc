"""The ordered event stream of each task, and the task's head beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from councilor.domain.event import Event, NewEvent
from councilor.domain.task import TaskHead

__all__ = ["EventStream"]


class EventStream(Protocol):
    """Events by task, numbered from 1 without gaps; the head is `fold` over them, updated in the same transaction.

    Every method raises `UnavailableError` (or `DeadlineError`) when the store does not answer.
    """

    async def append(self, events: Sequence[NewEvent]) -> Sequence[Event]:
        """Number and store events, all or none, durable when this returns.

        Raises:
            InputError: the first event of a task is not `task.submitted`, or one that is no notification
                comes after a task's end.
            FencedError: one is of an older attempt than the newest that has begun.
        """
        ...

    async def begin(self, task_id: str) -> int:
        """Begin another attempt at a task, 1 for the first: from now on nothing of an older one is stored any more,
        neither events nor artifacts in the same database.

        Raises:
            NotFoundError: no such task.
        """
        ...

    async def read(self, task_id: str, *, after: int = 0, limit: int = 200) -> Sequence[Event]:
        """At most `limit` events with seq > `after`, in order."""
        ...

    def follow(self, task_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """Every event with seq > `after` as it comes, in order; ends after the event that ends the task."""
        ...

    async def head(self, task_id: str) -> TaskHead | None:
        """Where a task stands."""
        ...

    async def heads(self, *, limit: int = 50, before: str | None = None) -> Sequence[TaskHead]:
        """Tasks, newest first; `before` is the last task id of the page before this one."""
        ...

    async def find(self, fragment: str, *, limit: int = 10) -> Sequence[str]:
        """Ids of tasks that start or end with `fragment` (4 or more hexadecimal digits or dashes), newest first."""
        ...
