"""A process that executes what is in the queue, with the memory queue and runs that end as the test says."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator, Sequence
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
from councilor.domain.task import END_STATES, TaskState
from councilor.errors import InputError, StandbyError, UnavailableError
from councilor.pipeline import dispatch
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
        self.away: set[str] = set()
        """Tasks that no end is stored of."""
        self.telling = asyncio.Event()
        self.telling.set()
        """Whether people hear at once."""

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
        if task in self.away:
            raise UnavailableError("away", backend="test")
        head = await self.events.head(task)
        if head is None or head.state in END_STATES:
            return
        data = {"error": error, "hint": hint}
        await self.events.append([NewEvent(task_id=task, type=EventType.TASK_FAILED, ts=datetime.now(UTC), data=data)])
        await self.telling.wait()


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
        async with asyncio.timeout(30):
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


async def test_what_only_waits_again_has_not_ended(plant: Plant) -> None:
    told: list[tuple[str, str]] = []
    first, second = await plant.add(1), await plant.add(2)
    plant.runs.raises[first] = UnavailableError("no database", backend="postgres")
    async with asyncio.TaskGroup() as group:
        dispatcher = plant.dispatcher(told=lambda what, entry: told.append((entry.task_id, what)))
        group.create_task(dispatcher.work(plant.stopping))
        await plant.until(lambda: len(told) == 4)
        plant.stopping.set()
    assert [what for task, what in told if task == first] == ["began", "waits again"]
    assert [what for task, what in told if task == second] == ["began", "ended"]


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
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
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
    assert (entry.executor_id, entry.not_before, entry.claims) == (None, None, 0)
    assert plant.runs.at_once == 0


async def test_a_lost_lease_cancels_everything_at_once(plant: Plant) -> None:
    plant.runs.gate.clear()
    await plant.add(1)
    work = asyncio.create_task(plant.dispatcher().work(plant.stopping))
    await plant.until(lambda: bool(plant.runs.begun))
    plant.lose()
    with pytest.raises(UnavailableError, match="lost its lease"):
        await asyncio.wait_for(work, 30)
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


async def test_what_the_machine_interrupted_is_tried_for_ever(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("councilor.pipeline.dispatch.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("councilor.pipeline.dispatch.LONGEST_PAUSE_S", 0.004)
    full = await plant.add(1)
    plant.runs.raises[full] = OSError(errno.ENOSPC, "No space left on device")
    async with asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher().work(plant.stopping))
        await plant.until(lambda: len(plant.runs.begun) > MOST_CLAIMS + 2)
        del plant.runs.raises[full]
        while await plant.state(1) is not TaskState.COMPLETED:
            await asyncio.sleep(0.005)
        plant.stopping.set()
    assert await plant.queue.entries() == []


@pytest.mark.parametrize("word", ["claim", "finish", "give_back"])
@pytest.mark.parametrize("arrives", [True, False], ids=["answer", "word"])
async def test_a_word_that_was_lost_costs_no_task(
    plant: Plant, word: str, arrives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database went away for a moment that no lease notices."""
    tasks = [await plant.add(number) for number in (1, 2, 3)]
    plant.runs.raises[tasks[0]] = UnavailableError("no database", backend="postgres")
    monkeypatch.setattr("councilor.pipeline.dispatch.FIRST_PAUSE_S", 0.02)
    inner, lost = getattr(plant.queue, word), 0

    async def lose(*values: Any, **options: Any) -> Any:
        nonlocal lost
        lost += 1
        if lost >= 2:
            plant.runs.raises.clear()
        if lost > 2:
            return await inner(*values, **options)
        if arrives:
            await inner(*values, **options)
        raise UnavailableError("it broke off", backend="postgres")

    setattr(plant.queue, word, lose)
    await asyncio.wait_for(plant.dispatcher().work(plant.stopping, until_empty=True), 30)
    assert [await plant.state(number) for number in (1, 2, 3)] == [TaskState.COMPLETED] * 3
    assert lost >= 2


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


async def test_what_is_given_up_says_what_went_wrong_the_last_time(plant: Plant) -> None:
    task = await plant.add(1)
    plant.runs.raises[task] = InputError("The run was begun by another version.")
    await plant.queue.enlist(OTHER, host="h", pid=2, version="1", lease_s=60)
    for _ in range(MOST_CLAIMS - 1):
        assert await plant.queue.claim(OTHER, limits=QueueLimits(per_repository=9))
        await plant.queue.give_back(task, executor_id=OTHER)
    await plant.dispatcher().work(plant.stopping, until_empty=True)
    (last,) = (await plant.events.read(task))[-1:]
    assert "another version" in last.data["error"] and plant.runs.begun == [task]


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


class AwayQueue(MemoryTaskQueue):
    """A queue whose store is away for the next `away` calls of one method."""

    def __init__(self, events: MemoryEventStream, *, method: str, away: int) -> None:
        super().__init__(events, clock=SystemClock())
        self.method, self.away = method, away

    def _refuse(self, method: str) -> None:
        if method == self.method and self.away > 0:
            self.away -= 1
            raise UnavailableError("away", backend="test")

    async def finish(self, task_id: str, *, executor_id: str) -> bool:
        self._refuse("finish")
        return await super().finish(task_id, executor_id=executor_id)

    async def give_back(self, task_id: str, **how: Any) -> bool:
        self._refuse("give_back")
        return await super().give_back(task_id, **how)

    async def entries(self, *, limit: int = 1000) -> Sequence[QueueEntry]:
        self._refuse("entries")
        return await super().entries(limit=limit)


@pytest.mark.parametrize("method", ["finish", "give_back", "entries"])
async def test_a_store_that_was_away_for_a_moment_loses_no_task(
    plant: Plant, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease lives on, so nobody else would ever free what this process has."""
    monkeypatch.setattr("councilor.pipeline.dispatch.AGAIN_S", 0.01)
    plant.queue = AwayQueue(plant.events, method=method, away=2)
    task = await plant.add(1)
    if method == "give_back":
        plant.runs.raises[task] = UnavailableError("gone", backend="test")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher().work(plant.stopping, until_empty=True))
        await plant.until(lambda: bool(plant.runs.begun))
        plant.runs.raises.clear()
    assert await plant.state(1) is TaskState.COMPLETED
    assert await plant.queue.entries() == []


async def test_what_is_held_for_nothing_goes_on(plant: Plant) -> None:
    await plant.add(1, paused=True)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher().work(plant.stopping))
        await plant.until(lambda: bool(plant.runs.begun))
        plant.stopping.set()
    assert await plant.state(1) is TaskState.COMPLETED


async def test_what_waits_for_a_person_or_another_version_does_not_keep_a_batch(plant: Plant) -> None:
    await plant.queue.enlist(OTHER, host="h", pid=2, version="0", lease_s=60)
    old = await plant.add(1)
    assert await plant.queue.claim(OTHER, limits=QueueLimits(per_repository=9))
    paused = await plant.add(2, paused=True)
    await pause(plant, paused)
    await plant.add(3)
    async with asyncio.timeout(30):
        await plant.dispatcher().work(plant.stopping, until_empty=True)
    assert [entry.task_id for entry in await plant.queue.entries()] == [old, paused]
    assert await plant.state(3) is TaskState.COMPLETED


async def test_a_failure_that_cannot_be_told_is_told_later_and_keeps_no_other_waiting(plant: Plant) -> None:
    """Neither process may die between, nor one task's trouble hold up the others."""
    first = await plant.add(1)
    await plant.queue.remove(first)
    await plant.events.append(
        [NewEvent(task_id=first, type=EventType.TASK_FAILED, ts=datetime.now(UTC), data={"error": "x", "hint": "y"})]
    )
    second, third = await plant.add(2, after=(first,)), await plant.add(3, after=(first,))
    plant.runs.away = {second}
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher().work(plant.stopping))
        while await plant.queue.find(third) is not None:
            await asyncio.sleep(0.01)
        assert await plant.state(3) is TaskState.FAILED
        assert await plant.queue.find(second) is not None, "the task would be lost"
        plant.runs.away = set()
        while await plant.queue.find(second) is not None:
            await asyncio.sleep(0.01)
        plant.stopping.set()
    assert await plant.state(2) is TaskState.FAILED


async def test_people_who_are_told_slowly_keep_no_dead_process_tasks_waiting(plant: Plant) -> None:
    first = await plant.add(1)
    await plant.queue.remove(first)
    await plant.events.append(
        [NewEvent(task_id=first, type=EventType.TASK_FAILED, ts=datetime.now(UTC), data={"error": "x", "hint": "y"})]
    )
    doomed = await plant.add(2, after=(first,))
    plant.runs.telling.clear()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(plant.dispatcher().work(plant.stopping))
        while await plant.state(2) is not TaskState.FAILED:
            await asyncio.sleep(0.01)
        await plant.queue.enlist(OTHER, host="h", pid=2, version="1", lease_s=0.05)
        while OTHER in [lease.executor_id for lease in await plant.queue.leases()]:
            await asyncio.sleep(0.01)
        assert await plant.queue.find(doomed) is not None
        plant.stopping.set()


async def test_a_lost_lease_cancels_everything_although_the_queue_does_not_answer(plant: Plant) -> None:
    plant.runs.gate.clear()
    await plant.add(1)
    work = asyncio.create_task(plant.dispatcher().work(plant.stopping))
    await plant.until(lambda: bool(plant.runs.begun))
    answer = asyncio.Event()
    asked = asyncio.Event()

    async def hang(executor_id: str, *, limits: QueueLimits) -> None:
        asked.set()
        await answer.wait()

    plant.queue.claim = hang  # type: ignore[assignment,method-assign]  # a database that hangs
    await asyncio.wait_for(asked.wait(), 30)
    plant.lose()
    await plant.until(lambda: plant.runs.at_once == 0)
    answer.set()
    with pytest.raises(UnavailableError, match="lost its lease"):
        await asyncio.wait_for(work, 30)


class Scheduling:
    """Stands for the scheduler: each look submits what the test says, or fails."""

    def __init__(self, *submits: Any) -> None:
        self.submits = list(submits)
        self.looks: list[str] = []

    async def submit_due(self, executor_id: str) -> int:
        self.looks.append(executor_id)
        if self.submits:
            await self.submits.pop(0)()
        return 0


async def test_a_batch_job_first_submits_what_is_due_and_then_no_more(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schedule of every minute would never let it end."""
    await plant.queue.enlist(OTHER, host="h", pid=2, version="1", lease_s=0.0)

    async def submit() -> None:
        assert [lease.executor_id for lease in await plant.queue.leases()] == [ME], "the dead hold nothing any more"
        await asyncio.sleep(0.05)
        await plant.add(1)

    monkeypatch.setattr(dispatch, "SCHEDULE_S", 0.001)
    scheduling = Scheduling(submit, submit)
    await plant.dispatcher(scheduler=scheduling).work(plant.stopping, until_empty=True)
    assert (plant.runs.begun, scheduling.looks) == ([task_id(1)], [ME])


async def test_what_is_due_is_looked_for_again_and_again_until_it_is_told_to_stop(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise UnavailableError("away", backend="postgres")

    async def submit() -> None:
        await plant.add(1)

    monkeypatch.setattr(dispatch, "SCHEDULE_S", 0.01)
    scheduling = Scheduling(fail, submit)
    working = asyncio.create_task(plant.dispatcher(scheduler=scheduling).work(plant.stopping))
    await plant.until(lambda: plant.runs.begun == [task_id(1)])
    plant.runs.gate.clear()
    await plant.add(2)
    await plant.until(lambda: len(plant.runs.begun) == 2)
    plant.stopping.set()
    await asyncio.sleep(0.03)
    looks = len(scheduling.looks)
    await asyncio.sleep(0.05)
    assert len(scheduling.looks) == looks, "it drains"
    plant.runs.gate.set()
    await working
