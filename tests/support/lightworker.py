"""A worker process whose tasks are a few steps that leave a line each; engine, queue, lease and events are real.

    python lightworker.py '{"url": ..., "log": ..., ...}'

Keys: `url`; `log`, the file of the lines; `steps`; `lease_s`; `parallel`; `pause_s` of each step, before its line, and
`rest_s`, after it; `skew_s` of its wall clock; `until_empty`; `body_bytes` of the artifact that the last step stores;
`end`, the file that says where a process ends itself, one place a line, taken from the top: `<place> <signal>`. Places
are `before N`, `after N` (its step has been remembered), `done N` (the step has left its line and is not remembered),
`put` (in the middle of storing the artifact), `told` (the task's end is told, and nothing else done).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from storing import artifact
from tasks import make_task, submission

from councilor.adapters.dbos import DbosEngine
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.lease import LeaseKeeper
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queue import DatabaseTaskQueue
from councilor.adapters.system import SystemClock, SystemIds
from councilor.domain.codec import JsonValue
from councilor.domain.event import EventType, NewEvent
from councilor.domain.queue import QueueEntry, QueueLimits, session_name
from councilor.domain.task import TaskState
from councilor.errors import UnavailableError
from councilor.pipeline.dispatch import Dispatcher, Identity
from councilor.pipeline.executor.narration import Narrator
from councilor.ports.events import EventStream
from councilor.ports.metrics import NoMetrics
from councilor.ports.queue import TaskQueue

LOST = 4
"""Exit code of a process that lost its lease."""


async def submit(events: EventStream, queue: TaskQueue, tasks: int) -> list[str]:
    """Store and enqueue tasks."""
    ids = SystemIds(clock=SystemClock())
    made = []
    for _ in range(tasks):
        now = datetime.now(UTC)
        task = make_task(id=ids.new(), submitted_at=now)
        made.append(task.id)
        event = submission(task)
        await events.append([event])
        await queue.add(QueueEntry(task_id=task.id, repository="/srv/r", tier=3, enqueued_at=now))
    return made


class SkewedClock(SystemClock):
    """A machine whose wall clock is wrong."""

    def __init__(self, skew_s: float) -> None:
        self._skew = timedelta(seconds=skew_s)

    def now(self) -> datetime:
        return super().now() + self._skew


class Places:
    """Where processes end themselves."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def at(self, place: str) -> None:
        if self._file is None or not (lines := self._file.read_text().splitlines()):
            return
        wanted, _, how = lines[0].rpartition(" ")
        if wanted == place:
            self._file.write_text("\n".join(lines[1:]))
            os.kill(os.getpid(), signal.Signals[how])


class Light:
    """What an executor is to the dispatcher."""

    def __init__(self, given: dict[str, Any], engine: DbosEngine, pool: Pool, events: EventStream) -> None:
        self._given, self._engine, self._events = given, engine, events
        self._store = DatabaseArtifactStorage(pool)
        self._places = Places(Path(given["end"]) if "end" in given else None)

    async def run(self, task_id: str, *, patient: bool = True) -> None:
        await self._engine.submit(task_id)

    async def fail(self, task_id: str, *, error: str, hint: str) -> None:
        data = {"error": error, "hint": hint}
        await self._events.append(
            [NewEvent(task_id=task_id, type=EventType.TASK_FAILED, ts=datetime.now(UTC), data=data)]
        )

    async def forget(self, *, ended_before_s: float) -> int:
        return 0

    async def workflow(self, run_id: str) -> JsonValue:
        attempt = await self._events.begin(run_id)
        clock = SystemClock()
        narrator = Narrator(task_id=run_id, attempt=attempt, events=self._events, clock=clock, metrics=NoMetrics())
        for number in range(self._given["steps"]):
            await self._engine.step(f"step {number}", self._step(run_id, number, attempt, narrator), timeout_s=60.0)
            self._places.at(f"after {number}")
        if not await narrator.has_said(EventType.TASK_FINISHED):
            await narrator.say(EventType.TASK_FINISHED, state=TaskState.COMPLETED.value, decision="accept", commit=None)
        self._places.at("told")
        return {}

    def _step(self, run_id: str, number: int, attempt: int, narrator: Narrator) -> Callable[[], Any]:
        async def step() -> JsonValue:
            self._places.at(f"before {number}")
            async with narrator.phase(TaskState.WORKING, brief=True):
                await asyncio.sleep(self._given.get("pause_s", 0.0))
                if number == self._given["steps"] - 1 and (size := self._given.get("body_bytes", 0)):
                    await self._keep(run_id, attempt, size)
                note(self._given["log"], f"{run_id} {number} {attempt}")
                await asyncio.sleep(self._given.get("rest_s", 0.0))
            self._places.at(f"done {number}")
            await narrator.flush()
            return {}

        return step

    async def _keep(self, run_id: str, attempt: int, size: int) -> None:
        body = Random(run_id).randbytes(size)
        if any(item.name == "report-1" for item in await self._store.of_task(run_id)):
            return
        id_ = SystemIds(clock=SystemClock()).new()
        made = artifact(1, body, id=id_, task_id=run_id, run_id=run_id, attempt=attempt)
        putting = asyncio.create_task(self._store.put(made, body))
        await asyncio.sleep(0.005)  # until it is in the middle
        self._places.at("put")
        await putting


def note(log: str, line: str) -> None:
    """One line, whole, whatever happens to this process."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def lines_of(log: Path) -> list[list[str]]:
    """What was left: task, step and attempt of each line."""
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


async def main(given: dict[str, Any]) -> int:
    clock = SkewedClock(given.get("skew_s", 0.0))
    executor_id = SystemIds(clock=SystemClock()).new()
    url, lease_s = given["url"], given.get("lease_s", 3.0)
    name = session_name(executor_id, "pool")
    async with Pool(url, application_name=name, connect_timeout_s=2.0) as pool, DatabaseEventStream(pool) as events:
        engine = DbosEngine(database_url=url, executor_id=executor_id, clock=clock, metrics=NoMetrics())
        light = Light(given, engine, pool, events)
        await engine.start(light.workflow)
        print("ready", flush=True)
        dispatcher = Dispatcher(
            queue=DatabaseTaskQueue(pool),
            executor=light,  # type: ignore[arg-type]  # all of it that a dispatcher calls
            events=events,
            clock=clock,
            identity=Identity(executor_id=executor_id, host=given.get("host", "h"), pid=os.getpid(), version="1"),
            keep_lease=lambda lost: LeaseKeeper(url, executor_id=executor_id, lease_s=lease_s, lost=lost),
            limits=QueueLimits(per_repository=1000),
            parallel=given.get("parallel", 2),
            poll_s=0.1,
            lease_s=lease_s,
            drain_s=5.0,
        )
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        try:
            await dispatcher.work(stopping, until_empty=given.get("until_empty", False))
        except UnavailableError as error:
            print(error.message, flush=True)
            return LOST
        finally:
            await engine.stop()
    return 0


def command(given: dict[str, Any], python: Sequence[str] = (sys.executable,)) -> list[str]:
    """What starts such a process."""
    return [*python, str(Path(__file__)), json.dumps(given)]


if __name__ == "__main__":
    sys.exit(asyncio.run(main(json.loads(sys.argv[1]))))
