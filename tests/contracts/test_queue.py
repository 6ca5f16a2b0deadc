"""What every queue of tasks does; the memory queue is the oracle for the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tasks import make_task, submission

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.queue import MemoryTaskQueue
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queue import DatabaseTaskQueue
from councilor.domain.event import EventType, NewEvent
from councilor.domain.queue import QueueEntry, QueueLimits
from councilor.domain.task import TaskState
from councilor.errors import InputError, NotFoundError
from councilor.ports.events import EventStream
from councilor.ports.queue import TaskQueue

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ONE, TWO = (f"0190aaaa-0000-7000-8000-00000000000{number}" for number in (1, 2))
FREE = QueueLimits(per_repository=100)


def task_id(number: int) -> str:
    return f"0190{number:04x}-0000-7000-8000-00000000{number:04x}"


@dataclass
class Office:
    queue: TaskQueue
    events: EventStream
    later: Any
    """Lets a lease of one second pass."""

    async def submit(self, number: int) -> str:
        task = make_task(id=task_id(number), submitted_at=START)
        await self.events.append([submission(task)])
        return task.id

    async def end(self, number: int, state: TaskState) -> None:
        data = {"state": state.value, "commit": None}
        await self.events.append([NewEvent(task_id=task_id(number), type=EventType.TASK_FINISHED, ts=START, data=data)])

    async def add(self, number: int, **changes: Any) -> bool:
        entry = QueueEntry(task_id=await self.submit(number), repository="/srv/r", tier=3, enqueued_at=START)
        return await self.queue.add(replace(entry, **changes))

    async def enlist(self, executor_id: str, version: str = "1", lease_s: float = 60.0) -> None:
        await self.queue.enlist(executor_id, host="h", pid=7, version=version, lease_s=lease_s)

    async def claimed(self, executor_id: str = ONE, limits: QueueLimits = FREE) -> str | None:
        entry = await self.queue.claim(executor_id, limits=limits)
        return None if entry is None else entry.task_id


@pytest.fixture(params=["memory", "postgres"])
async def office(request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    if request.param == "memory":
        clock, events = FakeClock(), MemoryEventStream()

        async def pass_time() -> None:
            await clock.advance(1.5)

        yield Office(MemoryTaskQueue(events, clock=clock), events, pass_time)
    else:
        async with Pool(request.getfixturevalue("emptied_database_url")) as pool:
            yield Office(DatabaseTaskQueue(pool), DatabaseEventStream(pool), lambda: asyncio.sleep(1.5))


async def test_priority_comes_first_then_age(office: Office) -> None:
    await office.enlist(ONE)
    for number, priority in ((1, 0), (2, 5), (3, 0), (4, -1)):
        assert await office.add(number, priority=priority)
    assert [await office.claimed() for _ in range(5)] == [task_id(2), task_id(1), task_id(3), task_id(4), None]


async def test_a_task_is_in_the_queue_once(office: Office) -> None:
    await office.enlist(ONE)
    assert await office.add(1, priority=3)
    entry = await office.queue.find(task_id(1))
    assert entry is not None and not await office.queue.add(replace(entry, priority=9))
    assert await office.queue.entries() == [entry]
    assert await office.claimed() == task_id(1)
    assert await office.claimed() is None


async def test_two_that_claim_at_once_get_different_tasks(office: Office) -> None:
    for executor in (ONE, TWO):
        await office.enlist(executor)
    for number in range(1, 7):
        await office.add(number)
    got = await asyncio.gather(*(office.claimed(executor) for executor in (ONE, TWO) * 4))
    assert sorted(item for item in got if item) == [task_id(number) for number in range(1, 7)]


async def test_who_has_no_lease_gets_nothing(office: Office) -> None:
    await office.add(1)
    assert await office.claimed() is None
    await office.enlist(ONE, lease_s=1.0)
    await office.later()
    assert await office.claimed() is None


@pytest.mark.parametrize("held", [{"paused": True}, {"not_before": datetime.now(UTC) + timedelta(days=9)}])
async def test_what_is_held_back_lets_others_pass(office: Office, held: dict[str, Any]) -> None:
    await office.enlist(ONE)
    await office.add(1, **held)
    await office.add(2)
    assert [await office.claimed(), await office.claimed()] == [task_id(2), None]


async def test_a_paused_task_goes_on_when_it_is_let_go(office: Office) -> None:
    await office.enlist(ONE)
    await office.add(1)
    assert await office.queue.hold(task_id(1), paused=True)
    assert await office.claimed() is None
    assert await office.queue.hold(task_id(1), paused=False)
    assert await office.claimed() == task_id(1)
    assert not await office.queue.hold(task_id(9), paused=True)


async def test_a_task_waits_for_those_before_it(office: Office) -> None:
    await office.enlist(ONE)
    await office.submit(1)
    await office.submit(2)
    await office.add(3, after=(task_id(1), task_id(2)))
    assert await office.claimed() is None
    await office.end(1, TaskState.COMPLETED)
    assert (await office.claimed(), await office.queue.doomed()) == (None, [])
    await office.end(2, TaskState.COMPLETED)
    assert await office.claimed() == task_id(3)


async def test_a_task_whose_predecessor_was_not_completed_is_doomed(office: Office) -> None:
    await office.enlist(ONE)
    await office.submit(1)
    await office.add(2, after=(task_id(1),))
    await office.end(1, TaskState.REJECTED)
    assert await office.claimed() is None
    ((entry, because),) = await office.queue.doomed()
    assert (entry.task_id, because) == (task_id(2), task_id(1))
    assert await office.queue.remove(task_id(2)) and await office.queue.doomed() == []


async def test_limits_count_what_everybody_has_claimed(office: Office) -> None:
    for executor in (ONE, TWO):
        await office.enlist(executor)
    for number, repository, tier in ((1, "/a", 3), (2, "/a", 3), (3, "/b", 2), (4, "/b", 2), (5, "/c", 2)):
        await office.add(number, repository=repository, tier=tier)
    limits = QueueLimits(per_repository=1, per_tier={2: 1})
    assert await office.claimed(ONE, limits) == task_id(1)
    assert await office.claimed(TWO, limits) == task_id(3)
    assert await office.claimed(TWO, limits) is None
    assert await office.queue.finish(task_id(1), executor_id=ONE)
    assert await office.claimed(TWO, limits) == task_id(2)
    assert await office.queue.finish(task_id(3), executor_id=TWO)
    assert await office.claimed(ONE, limits) == task_id(4)


async def test_tier_one_runs_alone_in_its_repository(office: Office) -> None:
    await office.enlist(ONE)
    for number, repository, tier in ((1, "/a", 1), (2, "/a", 1), (3, "/b", 1), (4, "/a", 3)):
        await office.add(number, repository=repository, tier=tier)
    assert [await office.claimed() for _ in range(4)] == [task_id(1), task_id(3), task_id(4), None]


async def test_only_who_has_a_task_can_finish_or_return_it(office: Office) -> None:
    for executor in (ONE, TWO):
        await office.enlist(executor)
    await office.add(1)
    assert await office.claimed(ONE) == task_id(1)
    assert not await office.queue.finish(task_id(1), executor_id=TWO)
    assert not await office.queue.give_back(task_id(1), executor_id=TWO)
    assert not await office.queue.remove(task_id(1))
    assert await office.queue.give_back(task_id(1), executor_id=ONE)
    entry = await office.queue.find(task_id(1))
    assert entry is not None and (entry.executor_id, entry.claims) == (None, 1)
    assert await office.claimed(TWO) == task_id(1)
    assert await office.queue.finish(task_id(1), executor_id=TWO)
    assert await office.queue.find(task_id(1)) is None


async def test_a_claim_that_only_waited_for_a_person_does_not_count(office: Office) -> None:
    await office.enlist(ONE)
    await office.add(1)
    for counted, claims in ((True, 1), (False, 1), (False, 1), (True, 2)):
        assert await office.claimed() == task_id(1)
        await office.queue.give_back(task_id(1), executor_id=ONE, counted=counted)
        entry = await office.queue.find(task_id(1))
        assert entry is not None and entry.claims == claims


async def test_what_was_returned_for_later_waits_until_then(office: Office) -> None:
    await office.enlist(ONE)
    await office.add(1)
    await office.claimed()
    assert await office.queue.give_back(task_id(1), executor_id=ONE, pause_s=1.0)
    assert await office.claimed() is None
    await office.later()
    assert await office.claimed() == task_id(1)


async def test_what_the_dead_had_waits_again(office: Office) -> None:
    await office.enlist(ONE, lease_s=1.0)
    await office.enlist(TWO)
    for number in (1, 2):
        await office.add(number)
    assert [await office.claimed(ONE), await office.claimed(TWO)] == [task_id(1), task_id(2)]
    assert list(await office.queue.reap()) == []
    await office.later()
    assert list(await office.queue.reap()) == [task_id(1)]
    assert [lease.executor_id for lease in await office.queue.leases()] == [TWO]
    assert not await office.queue.finish(task_id(1), executor_id=ONE)
    assert await office.claimed(TWO) == task_id(1)


async def test_who_leaves_leaves_its_tasks_to_others(office: Office) -> None:
    for executor in (ONE, TWO):
        await office.enlist(executor)
    await office.add(1)
    await office.claimed(ONE)
    await office.queue.leave(ONE)
    assert await office.claimed(TWO) == task_id(1)


async def test_what_one_version_began_no_other_goes_on_with(office: Office) -> None:
    await office.enlist(ONE, version="1")
    await office.enlist(TWO, version="2")
    await office.add(1)
    assert await office.claimed(ONE) == task_id(1)
    await office.queue.give_back(task_id(1), executor_id=ONE)
    assert await office.claimed(TWO) is None
    assert await office.claimed(ONE) == task_id(1)


async def test_a_changed_priority_counts_at_once(office: Office) -> None:
    await office.enlist(ONE)
    for number in (1, 2):
        await office.add(number)
    assert await office.queue.reprioritise(task_id(2), 7)
    assert await office.claimed() == task_id(2)
    assert not await office.queue.reprioritise(task_id(9), 1)
    with pytest.raises(InputError, match="priority"):
        await office.queue.reprioritise(task_id(1), 101)


async def test_what_cannot_be_queued_is_refused(office: Office) -> None:
    with pytest.raises(InputError, match="wait for itself"):
        await office.add(1, after=(task_id(1),))
    with pytest.raises(NotFoundError):
        await office.add(2, after=(task_id(9),))
    with pytest.raises(InputError, match="out of range"):
        await office.add(3, priority=-101)
    assert await office.queue.entries() == []


async def test_whoever_listens_hears_that_there_may_be_more_to_claim(office: Office) -> None:
    await office.enlist(ONE)
    changes = aiter(office.queue.changes())
    heard = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.2)
    assert not heard.done(), "nothing has changed"
    await office.add(1)
    await asyncio.wait_for(heard, 30)
    assert await office.claimed() == task_id(1)
    heard = asyncio.ensure_future(anext(changes))
    await office.queue.give_back(task_id(1), executor_id=ONE)
    await asyncio.wait_for(heard, 30)
    heard = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.2)
    heard.cancel()
    await asyncio.wait([heard])


async def test_what_is_held_although_it_does_not_stand_still_goes_on(office: Office) -> None:
    """Whoever let it go on told the stream, and died before telling the queue."""
    await office.enlist(ONE)
    for number in (1, 2):
        await office.add(number, paused=True)
    said = {"kind": "pause", "by": "Ada", "reason": ""}
    await office.events.append([NewEvent(task_id=task_id(2), type=EventType.INTERVENTION, ts=START, data=said)])
    assert await office.claimed() is None
    assert list(await office.queue.release()) == [task_id(1)]
    assert (await office.claimed(), await office.claimed()) == (task_id(1), None)
    assert await office.queue.hold(task_id(1), paused=True)
    assert list(await office.queue.release()) == [], "who executes it knows"


async def test_tasks_that_would_wait_for_each_other_are_refused(office: Office) -> None:
    first = await office.submit(1)
    await office.add(2, after=(first,))
    await office.add(3, after=(task_id(2),))
    entry = QueueEntry(task_id=first, repository="/srv/r", tier=3, enqueued_at=START)
    for after in (task_id(2), task_id(3)):
        with pytest.raises(InputError, match="waits for this one") as refused:
            await office.queue.add(replace(entry, after=(after,)))
        assert refused.value.field == "after"
    assert await office.queue.add(entry)
    assert not await office.queue.add(replace(entry, after=(task_id(2),))), "it is there already"


async def test_a_task_that_somebody_is_just_changing_keeps_nobody_waiting(emptied_database_url: str) -> None:
    """Whoever does may have been stopped in the middle, as by Ctrl-Z."""
    async with Pool(emptied_database_url) as pool:
        office = Office(DatabaseTaskQueue(pool), DatabaseEventStream(pool), None)
        await office.enlist(ONE)
        for number in (1, 2):
            await office.add(number)
        async with pool.transaction() as stopped:
            await stopped.execute("UPDATE task_queue SET priority = 5 WHERE task_id = %s", [task_id(1)])
            async with asyncio.timeout(5):
                assert await office.claimed() == task_id(2)
        assert await office.claimed() == task_id(1)
