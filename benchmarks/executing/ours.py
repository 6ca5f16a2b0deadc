"""The process of `make bench-executor` that executes tasks as councilor does: engine, dispatcher, leases, events.

A task is ten steps that do nothing. Each tells its start and its end on the task's stream, stored before the step is
remembered, as the real executor does for its brief phases; the task itself is submitted, begun and finished there.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from speech import answer_all

from councilor.adapters.dbos import DbosEngine
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.lease import LeaseKeeper
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queue import DatabaseTaskQueue
from councilor.adapters.system import SystemClock, SystemIds
from councilor.domain.codec import JsonValue, encode
from councilor.domain.event import EventType, NewEvent
from councilor.domain.queue import QueueEntry, QueueLimits, session_name
from councilor.domain.task import RunMode, Task, TaskState
from councilor.pipeline.dispatch import Dispatcher, Identity
from councilor.pipeline.executor.narration import Narrator
from councilor.ports.metrics import NoMetrics

STEPS = 10
PARALLEL = 50
POLL_S, LEASE_S = 0.1, 10.0


class Steps:
    """Executes tasks of ten steps that do nothing; what `Executor` is to the dispatcher."""

    def __init__(self, engine: DbosEngine, events: DatabaseEventStream, clock: SystemClock) -> None:
        self._engine, self._events, self._clock = engine, events, clock
        self.began_at: dict[str, float] = {}

    async def run(self, task_id: str, *, patient: bool = True) -> None:
        """One task; nothing here waits for a person."""
        await self._engine.submit(task_id)

    async def forget(self, *, ended_before_s: float) -> int:
        """Nothing is forgotten here."""
        return 0

    async def fail(self, task_id: str, *, error: str, hint: str) -> None:
        """Nothing here may fail."""
        sys.exit(f"{task_id}: {error} {hint}")

    async def workflow(self, run_id: str) -> JsonValue:
        """The ten steps."""
        self.began_at[run_id] = time.monotonic()
        attempt = await self._events.begin(run_id)
        narrator = Narrator(
            task_id=run_id, attempt=attempt, events=self._events, clock=self._clock, metrics=NoMetrics()
        )

        async def step() -> JsonValue:
            async with narrator.phase(TaskState.WORKING, brief=True):
                pass
            await narrator.flush()
            return {}

        for number in range(STEPS):
            await self._engine.step(f"step {number}", step, timeout_s=60.0)
        await narrator.say(EventType.TASK_FINISHED, state=TaskState.COMPLETED.value, decision="accept", commit=None)
        return {}


class Worker:
    """One worker process."""

    def __init__(self, url: str, pool: Pool, events: DatabaseEventStream, engine: DbosEngine, steps: Steps) -> None:
        self._url, self._events, self._engine, self._steps = url, events, engine, steps
        self._queue = DatabaseTaskQueue(pool)
        self._clock = SystemClock()
        self._ids = SystemIds(clock=self._clock)

    async def submit(self) -> str:
        """Store and enqueue one task."""
        now = datetime.now(UTC)
        task = Task(
            id=self._ids.new(), repository="/nowhere", base_commit="0" * 40, base_tree="0" * 40, spec_text="id: X-1\n",
            spec_id="X-1", title="Nothing", tier=3, worker="none", mode=RunMode.DRY_RUN, max_iterations=1,
            deadline_s=600.0, submitted_at=now,
        )  # fmt: skip
        event = NewEvent(task_id=task.id, type=EventType.TASK_SUBMITTED, ts=now, data={"task": encode(task)})
        await self._events.append([event])
        await self._queue.add(QueueEntry(task_id=task.id, repository=task.repository, tier=task.tier, enqueued_at=now))
        return task.id

    @asynccontextmanager
    async def working(self, *, until_empty: bool = False) -> AsyncIterator[asyncio.Task[None]]:
        """A dispatcher at work, with a lease of its own."""
        executor_id = self._ids.new()

        def keep_lease(lost: Any) -> LeaseKeeper:
            return LeaseKeeper(self._url, executor_id=executor_id, lease_s=LEASE_S, lost=lost)

        dispatcher = Dispatcher(
            queue=self._queue,
            executor=self._steps,  # type: ignore[arg-type]  # all of it that a dispatcher calls
            events=self._events,
            clock=self._clock,
            identity=Identity(executor_id=executor_id, host="here", pid=os.getpid(), version="1"),
            keep_lease=keep_lease,
            limits=QueueLimits(per_repository=1000),
            parallel=PARALLEL,
            poll_s=POLL_S,
            lease_s=LEASE_S,
            drain_s=60.0,
        )
        stopping = asyncio.Event()
        task = asyncio.create_task(dispatcher.work(stopping, until_empty=until_empty))
        try:
            yield task
        finally:
            stopping.set()
            await task

    async def throughput(self, tasks: int) -> float:
        """Seconds to execute so many tasks that are queued already."""
        for _ in range(tasks):
            await self.submit()
        began = time.monotonic()
        async with self.working(until_empty=True) as work:
            await work
        return time.monotonic() - began

    async def latency(self, pauses_s: list[float]) -> list[float]:
        """Seconds from the submission of a task to its start, one after the other."""
        found = []
        async with self.working():
            for pause_s in pauses_s:
                await asyncio.sleep(pause_s)
                began = time.monotonic()
                task_id = await self.submit()
                while task_id not in self._steps.began_at:  # noqa: ASYNC110 - looking costs all contestants the same
                    await asyncio.sleep(0.001)
                found.append(self._steps.began_at[task_id] - began)
        return found

    async def idle(self, seconds: float) -> float:
        """Share of a core that this process uses while there is nothing to do."""
        async with self.working():
            await asyncio.sleep(1.0)
            began, used = time.monotonic(), time.process_time()
            await asyncio.sleep(seconds)
            return (time.process_time() - used) / (time.monotonic() - began)


@asynccontextmanager
async def open_worker(url: str) -> AsyncIterator[Worker]:
    """A worker process on a migrated database."""
    clock = SystemClock()
    executor_id = SystemIds(clock=clock).new()
    async with (
        Pool(url, application_name=session_name(executor_id, "pool")) as pool,
        DatabaseEventStream(pool) as events,
    ):
        engine = DbosEngine(database_url=url, executor_id=executor_id, clock=clock, metrics=NoMetrics(), poll_s=POLL_S)
        steps = Steps(engine, events, clock)
        await engine.start(steps.workflow)
        try:
            yield Worker(url, pool, events, engine, steps)
        finally:
            await engine.stop()


async def main(url: str) -> None:
    """Answer the benchmark's questions."""
    async with open_worker(url) as worker:
        await answer_all(worker)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
