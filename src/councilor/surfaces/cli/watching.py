"""Executing a task while its progress is shown."""

from __future__ import annotations

import asyncio

from councilor.app import Service
from councilor.pipeline.executor import Outcome
from councilor.pipeline.watching import watch_task
from councilor.surfaces.cli.output import Output
from councilor.surfaces.cli.progress import show_progress

__all__ = ["execute_watched"]


async def execute_watched(service: Service, task_id: str, output: Output, *, resumed: bool = False) -> Outcome:
    """Execute a submitted task, or go on with an interrupted one, and show its events until it has ended."""
    head = await service.store.events.head(task_id)
    after = head.last_seq if resumed and head else 0
    # A task that was stored and never begun is not known to the engine yet, so there is nothing to recover.
    begun = head is not None and head.begun
    executed = service.executor.resume if resumed and begun else service.executor.run
    async with asyncio.TaskGroup() as group:
        told = watch_task(service.store.events, task_id, after=after, clock=service.runtime.clock)
        follower = group.create_task(show_progress(told, output))
        try:
            return await executed(task_id)
        except BaseException:
            follower.cancel()
            raise
