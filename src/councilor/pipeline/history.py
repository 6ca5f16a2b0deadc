"""Everything that was told of a task so far: its whole stream, page by page."""

from __future__ import annotations

from councilor.domain.event import Event
from councilor.ports.events import EventStream

__all__ = ["read_events"]

PAGE = 1000


async def read_events(events: EventStream, task_id: str) -> list[Event]:
    """All events of a task, in their order."""
    found: list[Event] = []
    while page := await events.read(task_id, after=found[-1].seq if found else 0, limit=PAGE):
        found += page
    return found
