"""A process that executes what is in the queue, with the memory queue and runs that end as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tasks import make_task, submission

from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.queue import MemoryTaskQueue
from councilor.adapters.system import SystemClock
from councilor.domain.event import EventType, NewEvent
from councilor.domain.queue import QueueEntry, QueueLimits
from councilor.domain.task import TaskState
from councilor.errors import StandbyError, UnavailableError
from councilor.pipeline.dispatch import MOST_CLAIMS, Dispatcher, Identity

ME = "0190aaaa-0000-7000-8000-000000000001"
OTHER = "0190aaaa-0000-7000-8000-000000000002"


def task_id(number: int) -> str:
    return f"0190{number:04x}-0000-7000-8000-00000000{number:04x}"


class Runs:
    """Stands for the executor: each run ends by itself, or waits until it is let go."""

    def __init__(self, events: MemoryEventStream) -> None:
        self.events = events
        self.begun: list[str] = []
        self.at_once = self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.raises: dict[str, Exception] = {}
        self.forgotten: list[float] = []

    async def run(self, task: str, *, patient: bool) -> None:
        assert not patient, "a process that has other tasks waits for nobody"
        self.begun.append(task)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            if (error := self.raises.get(task)) is not None:
                raise error
            data = {"state": "completed", "commit": None}
            await self.events.append(
                [NewEvent(task_id=task, type=EventType.TASK_FINISHED, ts=datetime.now(UTC), data=data)]
            )
        finally:
            self.at_once -= 1

    async def forget(self, *, ended_before_s: float) -> int:
        self.forgotten.append(ended_before_s)
        return 1

    async def fail(self, task: str, *, error: str, hint: str) -> None:
        data = {"error": error, "hint": hint}
        await self.events.append([NewEvent(task_id=task, type=EventType.TASK_FAILED, ts=datetime.now(UTC), data=data)])


class Plant:
    def __init__(self) -> None:
        self.events = MemoryEventStream()
        self.queue = MemoryTaskQueue(self.events, clock=SystemClock())
        self.runs = Runs(self.events)
        self.stopping = asyncio.Event()
        self.lose: Callable[[], None] = lambda: None

    def dispatcher(self, **changes: Any) -> Dispatcher:
        @contextmanager
        def keep(lost: Callable[[], None]) -> Iterator[None]:
            self.lose = lost
            yield

        given: dict[str, Any] = {
            "queue": self.queue, "executor": self.runs, "events": self.events, "clock": SystemClock(),
            "identity": Identity(executor_id=ME, host="h", pid=1, version="1"), "keep_lease": keep,
            "limits": QueueLimits(per_repository=99), "parallel": 2, "poll_s": 0.02, "lease_s": 60.0, "drain_s": 5.0,
        }  # fmt: skip
        return Dispatcher(**(given | changes))

    async def add(self, number: int, **changes: Any) -> str:
        now = datetime.now(UTC)
        task = make_task(id=task_id(number), submitted_at=now)
        await self.events.append([submission(task)])
        await self.queue.add(QueueEntry(task_id=task.id, repository="/srv/r", tier=3, enqueued_at=now, **changes))
        return task.id

    async def state(self, number: int) -> TaskState:
        head = await self.events.head(task_id(number))
        assert head is not None
        return head.state

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.005)


@pytest.fixture
def plant() -> Plant:
    return Plant()


async def test_everything_in_the_queue_is_executed_a_few_at_a_time(plant: Plant) -> None:
    for number in range(1, 8):
        await plant.add(number)
    await plant.dispatcher().work(plant.stopping, until_empty=True)
    assert sorted(plant.runs.begun) == [task_id(number) for number in range(1, 8)]
    assert plant.runs.most_at_once == 2
    assert await plant.queue.entries() == [] and await plant.queue.leases() == []


async def test_a_change_of_the_queue_is_not_waited_for(plant: Plant) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher(poll_s=600.0).work(plant.stopping))
        await asyncio.sleep(0.05)
        await plant.add(1)
        await plant.until(lambda: plant.runs.begun == [task_id(1)])
        plant.stopping.set()


async def test_steps_of_old_tasks_are_forgotten_where_that_is_wanted(plant: Plant) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher().work(plant.stopping))
        await asyncio.sleep(0.05)
        assert plant.runs.forgotten == []
        plant.stopping.set()
    plant.stopping.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher(keep_steps_s=7.0).work(plant.stopping))
        await plant.until(lambda: plant.runs.forgotten == [7.0])
        plant.stopping.set()


async def test_told_to_stop_it_finishes_what_it_began_and_takes_nothing_more(plant: Plant) -> None:
    plant.runs.gate.clear()
    for number in (1, 2, 3):
        await plant.add(number)
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher().work(plant.stopping))
        await plant.until(lambda: len(plant.runs.begun) == 2)
        plant.stopping.set()
        await asyncio.sleep(0.05)
        plant.runs.gate.set()
    assert [await plant.state(number) for number in (1, 2, 3)] == [
        TaskState.COMPLETED, TaskState.COMPLETED, TaskState.SUBMITTED,
    ]  # fmt: skip
    assert [entry.task_id for entry in await plant.queue.entries()] == [task_id(3)]


async def pause(plant: Plant, task: str) -> None:
    said = {"kind": "pause", "by": "Ada", "reason": ""}
    await plant.events.append([NewEvent(task_id=task, type=EventType.INTERVENTION, ts=datetime.now(UTC), data=said)])


@pytest.mark.parametrize("paused", [True, False])
async def test_a_task_that_waits_for_a_person_is_held_until_that_person_has_spoken(plant: Plant, paused: bool) -> None:
    task = await plant.add(1)
    if paused:
        await pause(plant, task)
    plant.runs.raises[task] = StandbyError("It waits.")
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher().work(plant.stopping))
        await plant.until(lambda: len(plant.runs.begun) >= (1 if paused else 3))
        await asyncio.sleep(0.1)
        plant.stopping.set()
    entry = await plant.queue.find(task)
    assert entry is not None and (entry.paused, entry.executor_id, entry.claims) == (paused, None, 0)
    assert not paused or len(plant.runs.begun) == 1, "somebody spoke between asking and holding, or nobody did"


async def test_told_to_stop_it_does_not_wait_for_what_stands_still(plant: Plant) -> None:
    plant.runs.gate.clear()
    task = await plant.add(1)
    async with asyncio.timeout(3), asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher(drain_s=60.0).work(plant.stopping))
        await plant.until(lambda: bool(plant.runs.begun))
        await pause(plant, task)
        plant.stopping.set()
    entry = await plant.queue.find(task)
    assert entry is not None and entry.executor_id is None


async def test_what_does_not_end_in_time_waits_again_for_others(plant: Plant) -> None:
    plant.runs.gate.clear()
    await plant.add(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher(drain_s=0.05).work(plant.stopping))
        await plant.until(lambda: bool(plant.runs.begun))
        plant.stopping.set()
    (entry,) = await plant.queue.entries()
    assert (entry.executor_id, entry.not_before, entry.claims) == (None, None, 1)
    assert plant.runs.at_once == 0


async def test_a_lost_lease_cancels_everything_at_once(plant: Plant) -> None:
    plant.runs.gate.clear()
    await plant.add(1)
    work = asyncio.create_task(plant.dispatcher().work(plant.stopping))
    await plant.until(lambda: bool(plant.runs.begun))
    plant.lose()
    with pytest.raises(UnavailableError, match="lost its lease"):
        await asyncio.wait_for(work, 5)
    assert plant.runs.at_once == 0


async def test_an_interrupted_task_waits_longer_each_time(plant: Plant) -> None:
    plant.runs.raises[await plant.add(1)] = UnavailableError("no database", backend="postgres")
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher().work(plant.stopping))
        await plant.until(lambda: bool(plant.runs.begun) and not plant.runs.at_once)
        await asyncio.sleep(0.05)
        plant.stopping.set()
    (entry,) = await plant.queue.entries()
    assert entry.not_before is not None and entry.not_before > datetime.now(UTC)
    assert await plant.state(1) is TaskState.SUBMITTED


async def test_one_defect_does_not_stop_the_others(plant: Plant) -> None:
    plant.runs.raises[await plant.add(1, not_before=None)] = RuntimeError("oops")
    await plant.add(2)
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher(parallel=1).work(plant.stopping))
        await plant.until(lambda: len(plant.runs.begun) >= 2 and not plant.runs.at_once)
        plant.stopping.set()
    assert await plant.state(2) is TaskState.COMPLETED


async def test_what_never_ends_is_given_up_and_says_so(plant: Plant) -> None:
    await plant.add(1)
    await plant.queue.enlist(OTHER, host="h", pid=2, version="1", lease_s=60)
    for _ in range(MOST_CLAIMS):
        assert await plant.queue.claim(OTHER, limits=QueueLimits(per_repository=9))
        await plant.queue.give_back(task_id(1), executor_id=OTHER)
    await plant.dispatcher().work(plant.stopping, until_empty=True)
    assert await plant.state(1) is TaskState.FAILED and plant.runs.begun == []
    (last,) = (await plant.events.read(task_id(1)))[-1:]
    assert f"{MOST_CLAIMS} times" in last.data["error"]


async def test_a_task_whose_predecessor_failed_fails_and_says_which(plant: Plant) -> None:
    first = await plant.add(1)
    await plant.queue.remove(first)
    await plant.add(2, after=(first,))
    await plant.events.append(
        [NewEvent(task_id=first, type=EventType.TASK_FAILED, ts=datetime.now(UTC), data={"error": "x", "hint": "y"})]
    )
    await plant.dispatcher().work(plant.stopping, until_empty=True)
    assert await plant.state(2) is TaskState.FAILED and plant.runs.begun == []
    (last,) = (await plant.events.read(task_id(2)))[-1:]
    assert first in last.data["error"]


async def test_the_tasks_of_a_dead_process_are_taken_over(plant: Plant) -> None:
    await plant.add(1)
    await plant.queue.enlist(OTHER, host="h", pid=2, version="1", lease_s=0.1)
    assert await plant.queue.claim(OTHER, limits=QueueLimits(per_repository=9))
    await asyncio.sleep(0.15)
    await plant.dispatcher().work(plant.stopping, until_empty=True)
    assert await plant.state(1) is TaskState.COMPLETED
    assert await plant.queue.leases() == []


async def test_a_task_for_later_is_left_until_then(plant: Plant) -> None:
    await plant.add(1, not_before=datetime.now(UTC) + timedelta(seconds=0.2))
    began = asyncio.get_running_loop().time()
    await plant.dispatcher().work(plant.stopping, until_empty=True)
    assert asyncio.get_running_loop().time() - began >= 0.2
    assert await plant.state(1) is TaskState.COMPLETED
