"""What every process that executes tasks does for all of them: the queue's upkeep.

Rules:
- What dead processes had waits again. What is held although its task does not stand still any more goes on: whoever
  told the stream may have died before telling the queue.
- A task whose predecessor ended otherwise than completed fails, and says so. That is told first, and the task leaves
  the queue last: a process that dies between is followed by another.
- Each of these goes on by itself: people who are told of failures one after the other keep no dead process's tasks
  waiting. One task's trouble does not stop the others.
- Steps of runs that ended long ago are forgotten.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from councilor.domain.queue import QueueEntry
from councilor.errors import CouncilorError
from councilor.pipeline.executor import Executor
from councilor.ports.clock import Clock
from councilor.ports.queue import TaskQueue

__all__ = ["Upkeep", "fail"]

_log = logging.getLogger(__name__)

LOOK_S = 0.5
"""Seconds between two looks at the queue."""
FORGET_EVERY_S = 600.0
"""Seconds between two looks for steps that are of no use any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Upkeep:
    """Each method goes on until it is cancelled."""

    queue: TaskQueue
    executor: Executor
    clock: Clock

    async def free(self) -> None:
        """Let tasks wait again whose process is gone, and go on that are held for nothing."""
        while True:
            try:
                for task_id in await self.queue.reap():
                    _log.warning("a task waits again, for its process is gone", extra={"task_id": task_id})
                for task_id in await self.queue.release():
                    _log.warning("a task goes on that was held for nothing", extra={"task_id": task_id})
            except CouncilorError as error:
                _log.warning("the queue cannot be looked after", extra={"problem": error.message})
            await self.clock.sleep(LOOK_S)

    async def fail_doomed(self) -> None:
        """Fail tasks that wait for one which was not completed."""
        while True:
            try:
                for entry, because in await self.queue.doomed():
                    await self._fail(entry, because)
            except CouncilorError as error:
                _log.warning("the queue cannot be looked after", extra={"problem": error.message})
            await self.clock.sleep(LOOK_S)

    async def _fail(self, entry: QueueEntry, because: str) -> None:
        try:
            await fail(self.executor, entry.task_id, f"It was to follow task {because}, which was not completed.")
            await self.queue.remove(entry.task_id)
        except CouncilorError as error:  # such as that another process was first
            about = {"task_id": entry.task_id, "problem": error.message}
            _log.warning("a task that cannot run was not told so", extra=about)

    async def forget(self, after_s: float | None) -> None:
        """Let the engine forget the steps of tasks that ended `after_s` seconds ago; None: never."""
        while after_s is not None:
            try:
                if runs := await self.executor.forget(ended_before_s=after_s):
                    _log.info("the steps of old tasks are forgotten", extra={"tasks": runs})
            except CouncilorError as error:
                _log.warning("no steps were forgotten", extra={"problem": error.message})
            await self.clock.sleep(FORGET_EVERY_S)


async def fail(executor: Executor, task_id: str, why: str) -> None:
    """End a task that cannot be executed."""
    await executor.fail(task_id, error=why, hint="Submit it again once its cause is put right.")
