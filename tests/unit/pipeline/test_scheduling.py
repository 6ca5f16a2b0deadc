"""What comes of a due time, with memory adapters, a real repository, and processes that die at every moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from journey import git, make_repository, make_spec
from scheduling import MINUTE, NOON, ONE, START, TWO, Killed, Life, Works, make_schedule

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.queue import MemoryTaskQueue
from councilor.adapters.memory.schedules import MemorySchedules
from councilor.domain.codec import decode
from councilor.domain.event import EventType, NewEvent
from councilor.domain.limit import Limit, Origin
from councilor.domain.notification import Notification
from councilor.domain.schedule import Due, DueOutcome, Overlap, ScheduleHead, task_id_at
from councilor.domain.task import Task
from councilor.errors import UnavailableError
from councilor.pipeline import scheduling
from councilor.pipeline.scheduling import MOST_TAKES

SPEC = ".caws/specs/SHOP-1.yaml"


class Told:
    channel = "command"

    def __init__(self) -> None:
        self.messages: list[Notification] = []

    async def send(self, notification: Notification) -> None:
        self.messages.append(notification)


class Plant(Works):
    def __init__(self, folder: Path) -> None:
        self.time = FakeClock(start=START)
        events = MemoryEventStream()
        queue = MemoryTaskQueue(events, clock=self.time)
        super().__init__(MemorySchedules(queue, clock=self.time), queue, events)
        self.folder = folder
        self.told = Told()
        self.notifiers = [self.told]

    async def add(self, **changes: Any) -> str:
        schedule = make_schedule(**({"repository": str(self.folder)} | changes))
        await self.schedules.add(schedule)
        return schedule.id

    async def go_to(self, moment: datetime) -> None:
        await self.time.advance((moment - self.time.now()).total_seconds())

    async def head(self) -> ScheduleHead:
        (head,) = await self.schedules.heads()
        return head

    async def outcome(self) -> DueOutcome | None:
        return (await self.head()).record.last_outcome

    async def tasks(self) -> list[Task]:
        """Submitted ones, oldest first."""
        found = []
        for head in reversed(await self.events.heads()):
            read = await self.events.read(head.task_id)
            assert [event.type for event in read].count(EventType.TASK_SUBMITTED) == 1
            found.append(decode(Task, read[0].data["task"]))
        return found

    async def end(self, task_id: str) -> None:
        entry = await self.queue.find(task_id)
        assert entry is not None
        data = {"state": "completed", "commit": None}
        await self.events.append([NewEvent(task_id=task_id, type=EventType.TASK_FINISHED, ts=START, data=data)])
        await self.queue.remove(task_id)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("schedules") / "shop", {SPEC: make_spec()})


@pytest.fixture
async def plant(repository: Path) -> Plant:
    made = Plant(repository)
    for executor in (ONE, TWO):
        await made.enlist(executor)
    return made


@pytest.fixture
def own(plant: Plant, tmp_path: Path) -> Plant:
    """With a repository that the test may change."""
    plant.folder = make_repository(tmp_path / "shop", {SPEC: make_spec()})
    return plant


def commit(folder: Path, path: str, text: str | None) -> str:
    if text is None:
        (folder / path).unlink()
    else:
        (folder / path).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "A change")
    return git(folder, "rev-parse", "HEAD").strip()


async def test_a_due_time_becomes_a_queued_task(plant: Plant) -> None:
    id_ = await plant.add(crew=("other",), max_tokens=5, flags=frozenset({Limit.TOKENS}))
    assert await plant.scheduler().submit_due(ONE) == 0
    await plant.go_to(NOON)
    assert await plant.scheduler().submit_due(ONE) == 1
    (task,) = await plant.tasks()
    assert (task.id, task.worker, task.workers) == (task_id_at(id_, NOON), "repair", ("repair", "other"))
    assert (task.base_ref, task.spec_id, task.max_iterations, task.max_tokens) == ("refs/heads/main", "SHOP-1", 4, 5)
    assert task.base_commit == git(plant.folder, "rev-parse", "main").strip()
    assert task.limit_origins is not None
    assert (task.limit_origins.tokens, task.limit_origins.iterations) == (Origin.FLAG, Origin.SETTING)
    (event,) = await plant.events.read(task.id)
    assert (event.data["schedule"], event.data["due_at"]) == ("nightly-1", "2031-05-05T12:00:00Z")
    (entry,) = await plant.queue.entries()
    assert (entry.task_id, entry.priority, entry.tier, entry.paused) == (task.id, 7, 3, False)
    record = (await plant.head()).record
    assert (record.submitted, record.last_due, record.last_task_id) == (1, NOON, task.id)
    assert await plant.scheduler().submit_due(ONE) == 0


async def test_each_due_time_starts_from_where_its_branch_is_then(own: Plant) -> None:
    await own.add(overlap=Overlap.ALLOW)
    await own.go_to(NOON)
    await own.scheduler().submit_due(ONE)
    later = commit(own.folder, SPEC, make_spec(title="Repair it better"))
    git(own.folder, "switch", "-q", "-c", "elsewhere")
    (own.folder / "shop.py").write_text("not committed")
    await own.go_to(NOON + 10 * MINUTE)
    await own.scheduler().submit_due(ONE)
    first, second = await own.tasks()
    assert (first.title, second.title) == ("Repair the total", "Repair it better")
    assert first.base_commit != second.base_commit == later


async def test_the_specs_limits_hold_for_each_task_and_under_a_flag(own: Plant) -> None:
    await own.add(max_tokens=900, flags=frozenset({Limit.TOKENS}))
    commit(own.folder, SPEC, make_spec(limits={"tokens": 5, "iterations": 2}))
    await own.go_to(NOON)
    await own.scheduler().submit_due(ONE)
    (task,) = await own.tasks()
    assert (task.max_tokens, task.max_iterations) == (900, 2)
    assert task.limit_origins is not None
    assert (task.limit_origins.tokens, task.limit_origins.iterations) == (Origin.FLAG, Origin.SPEC)


async def test_a_spec_from_outside_stays_as_it_was_given(own: Plant) -> None:
    await own.add(spec_path=None, spec_text=make_spec(title="Given"))
    commit(own.folder, SPEC, make_spec(title="Committed"))
    await own.go_to(NOON)
    await own.scheduler().submit_due(ONE)
    (task,) = await own.tasks()
    assert task.title == "Given"


@pytest.mark.parametrize("overlap", Overlap)
async def test_while_the_last_task_has_not_ended(plant: Plant, overlap: Overlap) -> None:
    id_ = await plant.add(overlap=overlap)
    for turn in range(2):
        await plant.go_to(NOON + turn * 10 * MINUTE)
        await plant.scheduler().submit_due(ONE)
    first, second = (task_id_at(id_, NOON + turn * 10 * MINUTE) for turn in range(2))
    if overlap is Overlap.ALLOW:
        assert [task.id for task in await plant.tasks()] == [first, second]
        return
    assert [task.id for task in await plant.tasks()] == [first]
    record = (await plant.head()).record
    assert (record.skipped, record.last_outcome, record.last_task_id) == (1, DueOutcome.SKIPPED, first)
    await plant.end(first)
    await plant.go_to(NOON + 20 * MINUTE)
    await plant.scheduler().submit_due(ONE)
    assert len(await plant.tasks()) == 2


async def test_a_task_that_was_taken_out_of_the_queue_is_waited_for_no_more(plant: Plant) -> None:
    id_ = await plant.add()
    await plant.go_to(NOON)
    await plant.scheduler().submit_due(ONE)
    await plant.queue.remove(task_id_at(id_, NOON))
    await plant.go_to(NOON + 10 * MINUTE)
    await plant.scheduler().submit_due(ONE)
    assert len(await plant.tasks()) == 2


@pytest.mark.parametrize(("late_s", "outcome"), [(120, DueOutcome.SUBMITTED), (121, DueOutcome.MISSED)])
async def test_the_latest_missed_time_is_made_up_for_unless_it_is_too_old(
    plant: Plant, late_s: int, outcome: DueOutcome, caplog: pytest.LogCaptureFixture
) -> None:
    id_ = await plant.add()
    latest = NOON + 50 * MINUTE
    await plant.go_to(latest + timedelta(seconds=late_s))
    with caplog.at_level(logging.INFO, logger="councilor"):
        await plant.scheduler().submit_due(ONE)
    record = (await plant.head()).record
    made_up = outcome is DueOutcome.SUBMITTED
    assert (record.last_due, record.last_outcome) == (latest, outcome)
    assert (record.missed, record.submitted) == ((5, 1) if made_up else (6, 0))
    assert [task.id for task in await plant.tasks()] == ([task_id_at(id_, latest)] if made_up else [])
    assert ("due times passed unseen" in caplog.text, "was missed" in caplog.text) == (True, not made_up)


def _unlink_spec(folder: Path) -> None:
    commit(folder, SPEC, None)


def _spoil_spec(folder: Path) -> None:
    commit(folder, SPEC, "id: [")


def _close_spec(folder: Path) -> None:
    commit(folder, SPEC, make_spec(lifecycle_state="closed"))


def _remove_repository(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def _remove_branch(folder: Path) -> None:
    git(folder, "branch", "-m", "main", "trunk")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_unlink_spec, "no spec"),
        (_spoil_spec, "SHOP-1.yaml|working spec|spec"),
        (_close_spec, "closed"),
        (_remove_repository, "moved|not|no "),
        (_remove_branch, "main"),
    ],
)
async def test_what_cannot_be_submitted_is_told_and_the_next_due_time_is_another_try(
    own: Plant, harm: Callable[[Path], None], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    await own.add()
    harm(own.folder)
    for turn in range(2):
        await own.go_to(NOON + turn * 10 * MINUTE)
        assert [await own.scheduler().submit_due(ONE) for _ in range(3)] == [1, 0, 0], "nothing spins"
    record = (await own.head()).record
    assert (record.failed, record.last_outcome, await own.tasks()) == (2, DueOutcome.FAILED, [])
    assert record.last_error and any(part in record.last_error for part in told.split("|"))
    assert record.last_hint
    (message,) = own.told.messages
    assert (message.reason.value, message.state) == ("failed", "failed")
    assert "nightly-1" in message.title and message.summary == record.last_error
    assert caplog.text.count("could not submit") == 2
    if harm is not _remove_repository:
        if harm is _remove_branch:
            git(own.folder, "branch", "-m", "trunk", "main")
        else:
            commit(own.folder, SPEC, make_spec())
        await own.go_to(NOON + 20 * MINUTE)
        await own.scheduler().submit_due(ONE)
        assert (await own.outcome(), (await own.head()).record.last_error) == (DueOutcome.SUBMITTED, None)


async def test_a_notifier_that_fails_keeps_nothing_from_being_submitted(own: Plant) -> None:
    class Broken:
        channel = "webhook"

        async def send(self, notification: Notification) -> None:
            raise UnavailableError("nobody answers", backend="webhook")

    own.notifiers = [Broken(), own.told]
    await own.add()
    _unlink_spec(own.folder)
    await own.go_to(NOON)
    assert await own.scheduler().submit_due(ONE) == 1
    assert len(own.told.messages) == 1
    await own.go_to(NOON + 10 * MINUTE)
    assert await own.scheduler(notify_on=("accepted",)).submit_due(ONE) == 1


async def test_a_repository_that_hangs_is_given_up(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        async def open(self, path: Path, *, store: Path | None = None) -> Any:
            await asyncio.Event().wait()

    monkeypatch.setattr(scheduling, "DRAFT_S", 0.01)
    await plant.add()
    await plant.go_to(NOON)
    await plant.scheduler(repositories=Hanging()).submit_due(ONE)
    assert "longer than" in ((await plant.head()).record.last_error or "")


async def test_a_defect_is_one_schedules_own(plant: Plant) -> None:
    class Defective:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def open(self, path: Path, *, store: Path | None = None) -> Any:
            if path == Path("/bad"):
                raise RuntimeError("oh\x1b[31m")
            return await self.inner.open(path)

    await plant.add(number=1, repository="/bad")
    await plant.add(number=2)
    await plant.go_to(NOON)
    scheduler = plant.scheduler()
    scheduler.repositories = Defective(scheduler.repositories)
    assert await scheduler.submit_due(ONE) == 2
    bad, good = await plant.schedules.heads()
    assert (bad.record.last_error, good.record.submitted) == ("RuntimeError: oh", 1)


async def test_while_the_store_does_not_answer_the_due_time_waits(plant: Plant) -> None:
    id_ = await plant.add()
    await plant.go_to(NOON)
    scheduler = plant.scheduler()

    class Away:
        async def submit(self, task: Task, *, due: Due) -> None:
            raise UnavailableError("away", backend="postgres")

    with pytest.raises(UnavailableError):
        await plant.scheduler(executor=Away()).submit_due(ONE)
    assert (await plant.head()).pending == NOON
    assert await scheduler.submit_due(ONE) == 1
    assert [task.id for task in await plant.tasks()] == [task_id_at(id_, NOON)]


async def test_what_kills_its_processes_is_not_begun_for_ever(plant: Plant) -> None:
    await plant.add()
    await plant.go_to(NOON)
    for _ in range(MOST_TAKES):
        assert await plant.schedules.take(ONE) is not None
    assert await plant.scheduler().submit_due(ONE) == 1
    assert (await plant.tasks(), await plant.outcome()) == ([], DueOutcome.FAILED)


async def _moments(plant: Plant) -> int:
    life = Life()
    await plant.scheduler(life).submit_due(ONE)
    return life.spent


async def test_a_process_that_is_killed_at_any_moment_leaves_exactly_one_task(repository: Path) -> None:
    """Another goes on; the killed one's due time is neither lost nor submitted twice."""
    died = 0
    for left in range(100):
        plant = Plant(repository)
        for executor in (ONE, TWO):
            await plant.enlist(executor)
        id_ = await plant.add()
        await plant.go_to(NOON)
        try:
            await plant.scheduler(Life(left=left)).submit_due(ONE)
        except Killed:
            died += 1
        else:
            break
        await plant.queue.leave(ONE)
        await plant.go_to(NOON + MINUTE)
        assert await plant.scheduler().submit_due(TWO) <= 1
        assert [task.id for task in await plant.tasks()] == [task_id_at(id_, NOON)]
        assert [entry.task_id for entry in await plant.queue.entries()] == [task_id_at(id_, NOON)]
        record, pending = (await plant.head()).record, (await plant.head()).pending
        assert (record.submitted, record.last_due, pending) == (1, NOON, None)
    assert died >= 14, "it was killed before and after every call"


async def test_a_killed_process_is_followed_too_late(plant: Plant) -> None:
    """What it had submitted counts; what it had not is missed."""
    id_ = await plant.add()
    await plant.go_to(NOON)
    assert await plant.schedules.take(ONE) is not None
    await plant.queue.leave(ONE)
    await plant.go_to(NOON + 5 * MINUTE)
    await plant.scheduler().submit_due(TWO)
    assert (await plant.outcome(), await plant.tasks()) == (DueOutcome.MISSED, [])
    await plant.go_to(NOON + 10 * MINUTE)
    await plant.enlist(ONE)
    with pytest.raises(Killed):
        await plant.scheduler(Life(left=await _until_settled(plant))).submit_due(ONE)
    await plant.queue.leave(ONE)
    await plant.go_to(NOON + 15 * MINUTE)
    await plant.scheduler().submit_due(TWO)
    assert await plant.outcome() is DueOutcome.SUBMITTED
    assert [task.id for task in await plant.tasks()] == [task_id_at(id_, NOON + 10 * MINUTE)]


async def _until_settled(plant: Plant) -> int:
    """Moments after which a process has queued its task and not settled its due time."""
    other = Plant(plant.folder)
    await other.enlist(ONE)
    await other.add()
    await other.go_to(NOON)
    return await _moments(other) - 4  # settle and the next take have two each


@pytest.mark.parametrize("ended", [True, False])
async def test_a_frozen_process_that_wakes_up_submits_nothing_twice(plant: Plant, ended: bool) -> None:
    """It was about to store the task; meanwhile another one did, and perhaps the task has ended."""
    id_ = await plant.add()
    await plant.go_to(NOON)
    frozen, woken = asyncio.Event(), asyncio.Event()
    original = plant.events.append

    async def freeze(events: Any) -> Any:
        if not frozen.is_set():
            frozen.set()
            await woken.wait()
        return await original(events)

    plant.events.append = freeze  # type: ignore[method-assign]
    slow = asyncio.create_task(plant.scheduler().submit_due(ONE))
    await frozen.wait()
    await plant.queue.leave(ONE)
    await plant.scheduler().submit_due(TWO)
    if ended:
        await plant.end(task_id_at(id_, NOON))
    woken.set()
    await slow
    assert [task.id for task in await plant.tasks()] == [task_id_at(id_, NOON)]
    assert (await plant.head()).record.submitted == 1
    assert len(await plant.queue.entries()) == (0 if ended else 1)


async def test_a_due_time_that_is_taken_twice_is_one_task(plant: Plant) -> None:
    """As after a clock of the store that was set back."""
    id_ = await plant.add()
    await plant.go_to(NOON)
    await plant.scheduler().submit_due(ONE)
    schedules: Any = plant.schedules
    schedules._heads["nightly-1"] = replace(await plant.head(), next_due=NOON)
    await plant.scheduler().submit_due(TWO)
    assert [task.id for task in await plant.tasks()] == [task_id_at(id_, NOON)]


async def test_a_removed_schedule_is_settled_by_nobody(plant: Plant) -> None:
    await plant.add()
    await plant.go_to(NOON)
    scheduler = plant.scheduler()
    original = scheduler.executor.submit

    async def submit(task: Task, *, due: Due | None = None) -> None:
        await original(task, due=due)
        await plant.schedules.remove("nightly-1")

    scheduler.executor.submit = submit  # type: ignore[method-assign]
    assert await scheduler.submit_due(ONE) == 1
    assert (await plant.schedules.heads(), len(await plant.tasks())) == ([], 1)
