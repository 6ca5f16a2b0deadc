"""What `submit --queue` may say about when a task is taken, and putting tasks into the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from councilor.app import Store
from councilor.domain.queue import HIGHEST_PRIORITY, QueueEntry
from councilor.domain.task import END_STATES, TaskHead
from councilor.errors import InputError
from councilor.surfaces.cli.moments import parse_time_to_come
from councilor.surfaces.cli.session import find_task

__all__ = ["After", "At", "Priority", "Queueing", "enqueue"]

Priority = Annotated[
    int | None,
    typer.Option(min=-HIGHEST_PRIORITY, max=HIGHEST_PRIORITY, help="With --queue: higher ones are taken first."),
]
At = Annotated[str | None, typer.Option(help="With --queue: not before this time, such as 2h or 2026-01-31T12:00.")]
After = Annotated[list[str] | None, typer.Option(help="With --queue: only when this task was completed; repeatable.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Queueing:
    """What was said about the queue."""

    priority: int | None
    at: str | None
    after: tuple[str, ...]

    def require_queue(self, queued: bool) -> None:
        """Refuse what means nothing without --queue.

        Raises:
            InputError: names the option.
        """
        given = {"--priority": self.priority is not None, "--at": self.at is not None, "--after": bool(self.after)}
        for option, is_given in given.items():
            if is_given and not queued:
                raise InputError(f"{option} is about the queue.", field=option, hint="Add --queue, or leave it out.")


async def enqueue(heads: Sequence[TaskHead], wish: Queueing, store: Store) -> Sequence[str]:
    """Put tasks that have not ended into the queue; gives the ids of those that were not there yet."""
    now = store.runtime.clock.now()
    after = tuple([await find_task(store.events, fragment) for fragment in wish.after])
    entries = [
        QueueEntry(
            task_id=head.task_id,
            repository=head.repository,
            tier=head.tier,
            priority=wish.priority or 0,
            not_before=parse_time_to_come(wish.at, now, field="--at") if wish.at else None,
            after=after,
            enqueued_at=now,
        )
        for head in heads
        if head.state not in END_STATES
    ]
    return [entry.task_id for entry in entries if await store.queue.add(entry)]
