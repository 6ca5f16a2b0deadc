"""What `submit --queue` may say about when a task is taken, and putting tasks into the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from councilor.app import Store
from councilor.domain.queue import HIGHEST_PRIORITY, QueueEntry
from councilor.domain.task import END_STATES, TaskHead
from councilor.errors import InputError
from councilor.surfaces.cli.moments import parse_time_to_come
from councilor.surfaces.cli.session import find_task

__all__ = ["After", "At", "Priority", "Queueing", "enqueue", "read_queueing"]

Priority = Annotated[
    int | None,
    typer.Option(min=-HIGHEST_PRIORITY, max=HIGHEST_PRIORITY, help="With --queue: higher ones are taken first."),
]
At = Annotated[str | None, typer.Option(help="With --queue: not before this time, such as 2h or 2026-01-31T12:00.")]
After = Annotated[list[str] | None, typer.Option(help="With --queue: only when this task was completed; repeatable.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Queueing:
    """When the tasks of one `submit` are taken."""

    priority: int
    not_before: datetime | None
    after: tuple[str, ...]


async def read_queueing(
    store: Store, *, queue: bool, priority: int | None, at: str | None, after: Sequence[str]
) -> Queueing | None:
    """What the options say; None without --queue.

    Raises:
        InputError: an option makes no sense, or is given without --queue; names it.
        NotFoundError: a task to wait for is not known.
    """
    if not queue:
        for option, given in (("--priority", priority is not None), ("--at", at is not None), ("--after", after)):
            if given:
                raise InputError(f"{option} is about the queue.", field=option, hint="Add --queue, or leave it out.")
        return None
    return Queueing(
        priority=priority or 0,
        not_before=parse_time_to_come(at, store.runtime.clock.now(), field="--at") if at else None,
        after=tuple([await find_task(store.events, fragment) for fragment in after]),
    )


async def enqueue(heads: Sequence[TaskHead], wish: Queueing, store: Store) -> Sequence[str]:
    """Put tasks that have not ended into the queue; gives the ids of those that were not there yet."""
    entries = [
        QueueEntry(
            task_id=head.task_id,
            repository=head.repository,
            tier=head.tier,
            priority=wish.priority,
            not_before=wish.not_before,
            after=wish.after,
            enqueued_at=store.runtime.clock.now(),
        )
        for head in heads
        if head.state not in END_STATES
    ]
    return [entry.task_id for entry in entries if await store.queue.add(entry)]
