"""The queue of tasks that processes execute, and the leases that tell which of these processes live.

Rules:
- An entry is there from the moment its task is enqueued until the task has ended; claiming gives it an executor.
- Who waits is taken by priority, then by age. Held back are: paused ones, ones before their time, ones whose
  predecessors have not all been completed, whatever was begun by another version, and whatever would exceed a limit.
- Of one repository at most one task of tier 1 runs at a time.
- An executor without a live lease has nothing: what it had claimed waits again.

Source: the design, 4-execution (engine).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from councilor.domain.stored import is_id
from councilor.errors import InputError

__all__ = [
    "HIGHEST_PRIORITY",
    "SERIAL_TIER",
    "Lease",
    "QueueEntry",
    "QueueLimits",
    "refuse_circle",
    "require_entry",
    "session_name",
    "session_names",
]

HIGHEST_PRIORITY = 100
"""Priorities go from -100 to 100; 0 is the usual one."""
SERIAL_TIER = 1
"""This tier runs one at a time in each repository. Source: the design, 4-execution (per-tier concurrency)."""


SESSION_PARTS = ("pool", "engine", "holds")
"""What has sessions on the database in a process that executes tasks."""


def session_name(executor_id: str, part: str) -> str:
    """The name under which the database knows a process's sessions of one part of it; at most 63 characters."""
    return f"councilor {part} {executor_id}"


def session_names(executor_id: str) -> tuple[str, ...]:
    """The names of all sessions that have to end before another process takes over what this one had."""
    return tuple(session_name(executor_id, part) for part in SESSION_PARTS)


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueEntry:
    """One task that waits or is being executed."""

    task_id: str
    repository: str
    tier: int
    priority: int = 0
    not_before: datetime | None = None
    """UTC; None: at once."""
    after: tuple[str, ...] = ()
    """Tasks that must have been completed first."""
    paused: bool = False
    enqueued_at: datetime
    executor_id: str | None = None
    """Who executes it; None while it waits."""
    claimed_at: datetime | None = None
    claims: int = 0
    """How often it was claimed."""
    version: str | None = None
    """Of the executor that began it: one of another version leaves it alone. None before that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueLimits:
    """How much may be executed at the same time, over all processes."""

    per_repository: int
    per_tier: Mapping[int, int] = field(default_factory=dict)
    """Tier -> most tasks of it; a tier that is not named has no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """One process that executes tasks."""

    executor_id: str
    host: str
    pid: int
    version: str
    """Of the steps that it executes."""
    started_at: datetime
    renewed_at: datetime
    expires_at: datetime


def refuse_circle(task_id: str) -> InputError:
    """What is said of a task that would wait for tasks which wait for it."""
    return InputError(
        f"A task that {task_id} is to follow waits for this one: none of them would ever run.",
        field="after",
        hint="Leave it out, or take the other one out of the queue: councilor queue remove.",
    )


def require_entry(entry: QueueEntry) -> None:
    """Refuse an entry that no queue takes.

    Raises:
        InputError: names the field.
    """
    for task_id in (entry.task_id, *entry.after):
        if not is_id(task_id):
            raise InputError(f"{task_id!r} is not a task id: a UUID in canonical form.", field="task_id")
    if entry.task_id in entry.after:
        raise InputError("A task cannot wait for itself.", field="after", hint="Leave it out.")
    if not -HIGHEST_PRIORITY <= entry.priority <= HIGHEST_PRIORITY:
        raise InputError(
            f"The priority {entry.priority} is out of range.",
            field="priority",
            hint=f"It goes from -{HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}; higher ones are taken first.",
        )
