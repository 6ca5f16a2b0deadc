"""What every store of schedules does; the memory one is the oracle for the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from scheduling import MINUTE, NOON, ONE, START, TWO, make_schedule, set_clock, with_own_clock

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.queue import MemoryTaskQueue
from councilor.adapters.memory.schedules import MemorySchedules
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queue import DatabaseTaskQueue
from councilor.adapters.postgres.schedules import DatabaseSchedules
from councilor.domain.limit import Limit
from councilor.domain.schedule import Due, DueOutcome, Overlap, Schedule, Settlement, task_id_at
from councilor.domain.task import RunMode
from councilor.errors import InputError
from councilor.ports.queue import TaskQueue
from councilor.ports.schedules import Schedules

SUBMITTED = Settlement(outcome=DueOutcome.SUBMITTED)


def schedule(number: int = 1, **changes: Any) -> Schedule:
    more: dict[str, Any] = {
        "crew": ("other",), "candidates": {1: 3, 2: 2}, "mode": RunMode.STRICT, "max_tokens": 9, "max_cost_usd": 1.5,
        "overlap": Overlap.ALLOW, "flags": frozenset({Limit.TOKENS, Limit.COST_USD}),
    }  # fmt: skip
    return make_schedule(number, **(more | changes))


@dataclass
class Office:
    schedules: Schedules
    queue: TaskQueue
    go_to: Callable[[datetime], Awaitable[None]]
    """Sets the store's clock."""

    async def enlist(self, executor_id: str, lease_s: float = 1e6) -> None:
        await self.queue.enlist(executor_id, host="h", pid=7, version="1", lease_s=lease_s)

    async def taken(self, executor_id: str = ONE) -> tuple[str, datetime] | None:
        due = await self.schedules.take(executor_id)
        return None if due is None else (due.schedule.name, due.due_at)


@pytest.fixture(params=["memory", "postgres"])
async def office(request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    if request.param == "memory":
        clock = FakeClock(start=START)
        queue = MemoryTaskQueue(MemoryEventStream(), clock=clock)

        async def advance(moment: datetime) -> None:
            await clock.advance((moment - clock.now()).total_seconds())

        yield Office(MemorySchedules(queue, clock=clock), queue, advance)
    else:
        url = request.getfixturevalue("emptied_database_url")
        with psycopg.connect(url, autocommit=True) as admin:
            set_clock(admin, START)
            async with Pool(with_own_clock(url)) as pool:

                async def jump(moment: datetime) -> None:
                    set_clock(admin, moment)

                yield Office(DatabaseSchedules(pool), DatabaseTaskQueue(pool), jump)


async def test_what_is_kept_comes_back_as_it_was(office: Office) -> None:
    head = await office.schedules.add(schedule())
    assert (head.schedule, head.next_due, head.pending, head.paused) == (schedule(), NOON, None, False)
    assert await office.schedules.find("nightly-1") == head
    other = await office.schedules.add(schedule(2, name="A", cron="0 0 1 1 *"))
    assert await office.schedules.heads() == [other, head]
    assert other.next_due == datetime(2032, 1, 1, tzinfo=UTC)
    assert await office.schedules.now() == START


async def test_a_name_is_taken_once(office: Office) -> None:
    await office.schedules.add(schedule())
    with pytest.raises(InputError, match="already"):
        await office.schedules.add(schedule(2, name="nightly-1"))
    assert len(await office.schedules.heads()) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"cron": "61 * * * *"}, {"name": "a b"}, {"name": ""}, {"id": "7"}, {"priority": 101}, {"catch_up_s": 1.0}],
)
async def test_what_cannot_be_kept_is_refused(office: Office, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        await office.schedules.add(schedule(**wrong))
    assert await office.schedules.heads() == []


async def test_a_due_time_is_given_once_it_has_come_and_to_one_process(office: Office) -> None:
    for executor in (ONE, TWO):
        await office.enlist(executor)
    await office.schedules.add(schedule())
    assert await office.taken() is None
    await office.go_to(NOON)
    got = await asyncio.gather(*(office.taken(executor) for executor in (ONE, TWO, TWO)))
    holders = [item for item in got if item is not None]
    assert holders and set(holders) == {("nightly-1", NOON)}
    head = await office.schedules.find("nightly-1")
    assert head is not None and (head.pending, head.next_due) == (NOON, NOON + 10 * MINUTE)


async def test_nobody_else_is_given_what_one_has_and_it_is_given_it_again(office: Office) -> None:
    for executor in (ONE, TWO):
        await office.enlist(executor)
    await office.schedules.add(schedule())
    await office.go_to(NOON + MINUTE)
    first = await office.schedules.take(ONE)
    assert first is not None and (first.late_s, first.takes, first.passed) == (60.0, 1, 0)
    assert await office.taken(TWO) is None
    again = await office.schedules.take(ONE)
    assert again == replace(first, takes=2)
    assert again.task_id == task_id_at(schedule().id, NOON)


async def test_what_the_dead_had_taken_another_takes(office: Office) -> None:
    for executor in (ONE, TWO):
        await office.enlist(executor)
    await office.schedules.add(schedule())
    await office.go_to(NOON)
    lost = await office.schedules.take(ONE)
    await office.queue.leave(ONE)
    due = await office.schedules.take(TWO)
    assert due is not None and (due.due_at, due.takes, due.executor_id) == (NOON, 2, TWO)
    assert await office.taken(ONE) is None, "it has no lease"
    failed = Settlement(outcome=DueOutcome.FAILED, error="it was cut off")
    assert lost is not None and not await office.schedules.settle(lost, failed), "another has it"
    await _settled(office, due)
    head = await office.schedules.find("nightly-1")
    assert head is not None and (head.record.submitted, head.record.failed) == (1, 0)


async def test_who_has_no_lease_is_given_nothing(office: Office) -> None:
    await office.schedules.add(schedule())
    await office.go_to(NOON)
    assert await office.taken(ONE) is None


async def _settled(office: Office, due: Due | None, settlement: Settlement = SUBMITTED) -> Due:
    assert due is not None and await office.schedules.settle(due, settlement)
    return due


async def test_a_settled_due_time_does_not_come_again(office: Office) -> None:
    await office.enlist(ONE)
    await office.schedules.add(schedule())
    await office.go_to(NOON)
    due = await _settled(office, await office.schedules.take(ONE))
    assert await office.taken(ONE) is None
    assert not await office.schedules.settle(due, SUBMITTED), "it is settled"
    head = await office.schedules.find("nightly-1")
    assert head is not None and head.pending is None
    record = head.record
    assert (record.last_due, record.last_outcome, record.last_task_id) == (NOON, DueOutcome.SUBMITTED, due.task_id)
    assert (record.submitted, record.skipped, record.missed, record.failed) == (1, 0, 0, 0)
    await office.go_to(NOON + 10 * MINUTE)
    assert await office.taken(ONE) == ("nightly-1", NOON + 10 * MINUTE)


async def test_of_times_that_passed_the_latest_is_given_and_the_others_are_counted(office: Office) -> None:
    await office.enlist(ONE)
    await office.schedules.add(schedule())
    await office.go_to(NOON + 35 * MINUTE)
    due = await _settled(office, await office.schedules.take(ONE))
    assert (due.due_at, due.passed, due.late_s) == (NOON + 30 * MINUTE, 3, 300.0)
    head = await office.schedules.find("nightly-1")
    assert head is not None and (head.record.missed, head.next_due) == (3, NOON + 40 * MINUTE)
    assert await office.taken(ONE) is None


async def test_a_failure_is_kept_and_the_last_task_with_it(office: Office) -> None:
    await office.enlist(ONE)
    await office.schedules.add(schedule())
    await office.go_to(NOON)
    first = await _settled(office, await office.schedules.take(ONE))
    await office.go_to(NOON + 10 * MINUTE)
    failure = Settlement(outcome=DueOutcome.FAILED, error="It is gone.", hint="Look.")
    await _settled(office, await office.schedules.take(ONE), failure)
    head = await office.schedules.find("nightly-1")
    assert head is not None
    record = head.record
    assert (record.last_outcome, record.last_error, record.last_hint) == (DueOutcome.FAILED, "It is gone.", "Look.")
    assert (record.last_task_id, record.failed, record.submitted) == (first.task_id, 1, 1)
    await office.go_to(NOON + 20 * MINUTE)
    due = await _settled(office, await office.schedules.take(ONE))
    assert due.last_error == "It is gone." and due.last_task_id == first.task_id
    head = await office.schedules.find("nightly-1")
    assert head is not None and head.record.last_error is None


async def test_a_paused_schedule_is_not_due_and_makes_nothing_up(office: Office) -> None:
    await office.enlist(ONE)
    await office.schedules.add(schedule())
    assert await office.schedules.hold("nightly-1", paused=True)
    await office.go_to(NOON + 25 * MINUTE)
    assert await office.taken() is None
    assert await office.schedules.hold("nightly-1", paused=False)
    assert await office.schedules.hold("nightly-1", paused=False), "it goes on already"
    assert await office.taken() is None
    head = await office.schedules.find("nightly-1")
    assert head is not None and (head.next_due, head.record.missed) == (NOON + 30 * MINUTE, 0)
    assert not await office.schedules.hold("other", paused=True)


async def test_what_was_taken_before_a_pause_can_be_settled_and_waits_for_others(office: Office) -> None:
    for executor in (ONE, TWO):
        await office.enlist(executor)
    for number in (1, 2):
        await office.schedules.add(schedule(number))
    await office.go_to(NOON)
    first, second = await office.schedules.take(ONE), await office.schedules.take(TWO)
    for name in ("nightly-1", "nightly-2"):
        await office.schedules.hold(name, paused=True)
    await _settled(office, first)
    await office.queue.leave(TWO)
    assert await office.taken(ONE) is None
    assert second is not None
    await office.schedules.hold(second.schedule.name, paused=False)
    assert await office.taken(ONE) == (second.schedule.name, NOON)


async def test_what_waits_longest_comes_first(office: Office) -> None:
    await office.enlist(ONE)
    await office.schedules.add(schedule(1))
    await office.schedules.add(schedule(2, cron="5 12 * * *"))
    await office.go_to(NOON + 6 * MINUTE)
    found = []
    for _ in range(2):
        due = await _settled(office, await office.schedules.take(ONE))
        found.append(due.schedule.name)
    assert found == ["nightly-1", "nightly-2"]


async def test_removed_is_gone_and_its_name_is_free(office: Office) -> None:
    await office.enlist(ONE)
    await office.schedules.add(schedule())
    await office.go_to(NOON)
    due = await office.schedules.take(ONE)
    assert due is not None
    assert await office.schedules.remove("nightly-1")
    assert not await office.schedules.remove("nightly-1")
    assert (await office.schedules.find("nightly-1"), await office.schedules.heads()) == (None, [])
    await office.schedules.add(schedule(2, name="nightly-1"))
    assert not await office.schedules.settle(due, SUBMITTED), "that one is another"
    head = await office.schedules.find("nightly-1")
    assert head is not None and (head.record.submitted, head.next_due) == (0, NOON + 10 * MINUTE)


async def test_a_name_that_nothing_can_have_is_nobody(office: Office) -> None:
    for name in ("a\0b", "\udcff", "x" * 999):
        assert await office.schedules.find(name) is None
        assert not await office.schedules.remove(name) and not await office.schedules.hold(name, paused=True)
