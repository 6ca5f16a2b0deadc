"""A batch: many tasks in one process, a few at a time.

Rules:
- Tasks begin in the order in which they are given; at most `parallel` run at the same time.
- Of one repository at most one task of tier 1 runs at a time. A task that has to wait for another lets later ones pass.
- How one task ends, errors included, is a value: it never stops the others. Only cancellation does, and it stops all;
  each run stays resumable.

It keeps no queue beyond the process: what it was given is stored by then, and whoever submits again goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from councilor.domain.queue import SERIAL_TIER
from councilor.domain.task import TaskHead
from councilor.errors import CouncilorError

__all__ = ["run_batch"]


async def run_batch(
    heads: Sequence[TaskHead], execute: Callable[[TaskHead], Awaitable[object]], *, parallel: int
) -> Mapping[str, CouncilorError | None]:
    """Execute stored tasks.

    Args:
        heads: where the tasks stand.
        execute: executes one, to its end.
        parallel: most at the same time, at least 1.

    Returns:
        Task id -> None, or the error that executing it ended with.
    """
    batch = _Batch(heads, execute)
    async with asyncio.TaskGroup() as group:
        for _ in range(min(parallel, len(heads))):
            group.create_task(batch.work())
    return batch.endings


class _Batch:
    def __init__(self, heads: Sequence[TaskHead], execute: Callable[[TaskHead], Awaitable[object]]) -> None:
        self._waiting = list(heads)
        self._execute = execute
        self._serial: set[str] = set()
        """Repositories in which a task of the serial tier runs."""
        self._freed = asyncio.Condition()
        self.endings: dict[str, CouncilorError | None] = {}

    async def work(self) -> None:
        """One lane: execute what may begin, until nothing is left."""
        while (head := await self._next()) is not None:
            self.endings[head.task_id] = await self._ending(head)
            async with self._freed:
                if head.tier == SERIAL_TIER:
                    self._serial.discard(head.repository)
                self._freed.notify_all()

    async def _next(self) -> TaskHead | None:
        async with self._freed:
            while self._waiting:
                for head in self._waiting:
                    if head.tier != SERIAL_TIER or head.repository not in self._serial:
                        self._waiting.remove(head)
                        if head.tier == SERIAL_TIER:
                            self._serial.add(head.repository)
                        return head
                await self._freed.wait()
        return None

    async def _ending(self, head: TaskHead) -> CouncilorError | None:
        try:
            await self._execute(head)
        except CouncilorError as error:
            return error
        except Exception as error:  # a defect in one run, which the engine gives as it was raised
            return CouncilorError(f"{type(error).__name__}: {error}")
        return None
