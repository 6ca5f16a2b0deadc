"""The ordered event stream of each task, and the task's head beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from councilor.domain.event import Event, Gap, NewEvent
from councilor.domain.task import TaskHead

__all__ = ["EventStream", "Pruned"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruned:
    """What pruning did; for a dry run, what it would do."""

    tasks: int
    events: int
    cursor: str | None
    """Where the next call goes on; None: it is done."""


class EventStream(Protocol):
    """Events by task, numbered from 1 without gaps; the head is `fold` over them, updated in the same transaction.

    Every method raises `UnavailableError` (or `DeadlineError`) when the store does not answer.
    """

    async def append(self, events: Sequence[NewEvent]) -> Sequence[Event]:
        """Number and store events, all or none, durable when this returns.

        Raises:
            InputError: the first event of a task is not `task.submitted`, another one is, or one comes after a
                task's end that may not (`may_follow_end`).
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
        """At most `limit` events with seq > `after`, in order; up to the task's floor some may be missing."""
        ...

    def follow(self, task_id: str, *, after: int = 0) -> AsyncGenerator[Event | Gap, None]:
        """Every event with seq > `after` as it comes, in order; ends after the event that ends the task.

        Where events were pruned, a gap stands before what is left of them. Whoever is slow holds a page of events, and
        costs nobody else anything; whoever was cut off goes on after the last number it took.

        Raises:
            IntegrityError: an event is missing that was not pruned.
        """
        ...

    async def head(self, task_id: str) -> TaskHead | None:
        """Where a task stands."""
        ...

    async def heads(
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        unended: bool = False,
        specs: Collection[str] | None = None,
    ) -> Sequence[TaskHead]:
        """Tasks, newest first.

        Args:
            before: the last id of the page before this.
            unended: only those that have not ended.
            specs: only those with one of these spec ids.
        """
        ...

    async def find(self, fragment: str, *, limit: int = 10) -> Sequence[str]:
        """Ids of tasks that start or end with `fragment` (4 or more hexadecimal digits or dashes), newest first."""
        ...

    async def prune(
        self,
        *,
        before: datetime,
        spare: Collection[str] = (),
        after: str | None = None,
        limit: int = 100,
        dry_run: bool = False,
    ) -> Pruned:
        """Remove what may go (`find_passing`) of at most `limit` tasks that ended and were last told of before then.

        Args:
            spare: ids of tasks that keep everything.
            after: the cursor of the call before this one.
            dry_run: remove nothing.
        """
        ...
