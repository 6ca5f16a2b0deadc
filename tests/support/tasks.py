"""What tests share that need a task and do not care what is in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from councilor.domain.codec import encode
from councilor.domain.event import EventType, NewEvent
from councilor.domain.task import RunMode, Task


def make_task(**changes: Any) -> Task:
    """A task of tier 3 for the repair worker."""
    given: dict[str, Any] = {
        "id": "01900001-0000-7000-8000-000000000001",
        "repository": "/srv/r",
        "base_commit": "c" * 40,
        "base_tree": "t" * 40,
        "spec_text": "id: X-1",
        "spec_id": "X-1",
        "title": "Fix it",
        "tier": 3,
        "worker": "repair",
        "mode": RunMode.AUTO,
        "max_iterations": 3,
        "deadline_s": 60.0,
        "submitted_at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return Task(**(given | changes))


def submission(task: Task) -> NewEvent:
    """The first event of a task."""
    return NewEvent(task_id=task.id, type=EventType.TASK_SUBMITTED, ts=task.submitted_at, data={"task": encode(task)})
