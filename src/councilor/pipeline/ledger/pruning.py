"""Pruning: which events of old tasks go.

Rules:
- Only of tasks that have ended, and whose last event is older than the configured age.
- A task that is held keeps everything, as it keeps its bytes.
- What goes is what artifacts and statements tell better (`domain/event.py`, `find_passing`): verifying reads no events,
  and accounts, service levels and lists read only what stays. A reader of the stream is told that something is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream

__all__ = ["PrunedEvents", "prune_events"]

AT_ONCE = 100
"""Tasks of one call: it ends well before its deadline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrunedEvents:
    """What pruning did; for a dry run, what it would do."""

    tasks: int = 0
    events: int = 0


async def prune_events(
    events: EventStream, artifacts: ArtifactStorage, *, max_age: timedelta | None, clock: Clock, dry_run: bool = False
) -> PrunedEvents:
    """Remove old events that nobody needs.

    Args:
        artifacts: knows which tasks are held.
        max_age: since a task's last event; None: nothing goes.
        dry_run: say what would be done, and change nothing.
    """
    tasks = count = 0
    cursor = None
    while max_age is not None:
        held = [hold.task_id for hold in await artifacts.holds()]
        page = await events.prune(
            before=clock.now() - max_age, spare=held, after=cursor, limit=AT_ONCE, dry_run=dry_run
        )
        tasks, count, cursor = tasks + page.tasks, count + page.events, page.cursor
        if cursor is None:
            break
    return PrunedEvents(tasks=tasks, events=count)
