"""The queue that processes on any number of machines take tasks from, and their leases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from councilor.domain.queue import Lease, QueueEntry, QueueLimits

__all__ = ["TaskQueue"]


class TaskQueue(Protocol):
    """Raises `UnavailableError` (or `DeadlineError`) when its store does not answer."""

    async def add(self, entry: QueueEntry) -> bool:
        """Enqueue a task; False, and nothing changes, when it is in the queue already.

        Raises:
            NotFoundError: the task, or one that it waits for, was never submitted.
            InputError: it waits for itself, also by way of others, or its priority is out of range.
        """
        ...

    async def claim(self, executor_id: str, *, limits: QueueLimits) -> QueueEntry | None:
        """Give the executor the next task that may run; None while there is none, or the executor has no lease."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """Something each time when there may be more to claim, as long as the store answers.

        It is a hint: one that is lost costs whoever also looks by itself some time.

        Raises:
            UnavailableError: the store does not answer any more.
        """
        ...

    async def finish(self, task_id: str, *, executor_id: str) -> bool:
        """Take a task out of the queue; False when the executor does not have it any more."""
        ...

    async def give_back(self, task_id: str, *, executor_id: str, pause_s: float = 0.0, counted: bool = True) -> bool:
        """Let a claimed task wait again; False when the executor does not have it any more.

        Args:
            pause_s: seconds by the store's clock before it may be claimed again.
            counted: whether this claim counts among `claims`: not when it only waits for a person.
        """
        ...

    async def doomed(self) -> Sequence[tuple[QueueEntry, str]]:
        """Waiting entries, each with a predecessor that ended otherwise than completed: they will never run."""
        ...

    async def remove(self, task_id: str) -> bool:
        """Take a waiting task out of the queue; False when it is not waiting there."""
        ...

    async def reprioritise(self, task_id: str, priority: int) -> bool:
        """Change a waiting task's priority; False when it is not in the queue.

        Raises:
            InputError: the priority is out of range.
        """
        ...

    async def hold(self, task_id: str, *, paused: bool) -> bool:
        """Pause a task in the queue or let it go on; False when it is not in the queue."""
        ...

    async def release(self) -> Sequence[str]:
        """Let go on what waits paused although its task does not stand still (any more); gives the ids of these.

        A pause is told to the task's stream first, so there is none of which only the queue knows.
        """
        ...

    async def find(self, task_id: str) -> QueueEntry | None:
        """One entry."""
        ...

    async def entries(self, *, limit: int = 1000) -> Sequence[QueueEntry]:
        """What waits and what is executed, in the order in which it would be taken."""
        ...

    async def enlist(self, executor_id: str, *, host: str, pid: int, version: str, lease_s: float) -> None:
        """Give a process a lease; it has to be renewed before `lease_s` seconds are over."""
        ...

    async def leave(self, executor_id: str) -> None:
        """Give up a lease; what the process had claimed waits again."""
        ...

    async def reap(self) -> Sequence[str]:
        """Take from every process without a live lease what it had claimed, so that others can go on with it, and make
        sure that it can hold nothing any more.

        Returns:
            The ids of the tasks that wait again.
        """
        ...

    async def leases(self) -> Sequence[Lease]:
        """Every process with a lease, the oldest first."""
        ...
