"""Processes that share schedules in PostgreSQL: each due time is submitted once, whatever ends them, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from journey import make_repository, make_spec
from scheduling import (
    MINUTE,
    NOON,
    ONE,
    START,
    TWO,
    Killed,
    Life,
    Works,
    make_schedule,
    set_clock,
    with_own_clock,
)

from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queue import DatabaseTaskQueue
from councilor.adapters.postgres.schedules import DatabaseSchedules
from councilor.domain.event import EventType
from councilor.domain.schedule import DueOutcome, Overlap, Settlement, task_id_at


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("crash") / "shop", {".caws/specs/SHOP-1.yaml": make_spec()})


@asynccontextmanager
async def process(url: str) -> AsyncIterator[Works]:
    """The stores as one process has them, over connections of its own."""
    async with Pool(with_own_clock(url)) as pool:
        yield Works(DatabaseSchedules(pool), DatabaseTaskQueue(pool), DatabaseEventStream(pool))


async def submitted(works: Works) -> list[str]:
    """The tasks that there are, oldest first; each was submitted once."""
    heads = [head.task_id for head in await works.events.heads(limit=500)]
    for task_id in heads:
        types = [event.type for event in await works.events.read(task_id)]
        assert types == [EventType.TASK_SUBMITTED]
    return heads[::-1]


async def test_a_process_that_is_killed_between_any_two_statements_leaves_exactly_one_task(
    emptied_database_url: str, repository: Path
) -> None:
    with psycopg.connect(emptied_database_url, autocommit=True) as admin:
        set_clock(admin, START)
        async with process(emptied_database_url) as dying, process(emptied_database_url) as heir:
            await heir.enlist(TWO)
            schedule = make_schedule(repository=str(repository), overlap=Overlap.ALLOW)
            await heir.schedules.add(schedule)
            expected: list[str] = []
            for left in range(100):
                due = NOON + left * 10 * MINUTE
                expected.append(task_id_at(schedule.id, due))
                set_clock(admin, due)
                await dying.enlist(ONE)
                try:
                    await dying.scheduler(Life(left=left)).submit_due(ONE)
                except Killed:
                    await heir.queue.leave(ONE)
                else:
                    break
                await heir.scheduler().submit_due(TWO)
                assert await submitted(heir) == expected
            assert len(expected) >= 15, "it was killed before and after every call"
            (head,) = await heir.schedules.heads()
            assert (head.record.submitted, head.pending) == (len(expected), None)
            assert [entry.task_id for entry in await heir.queue.entries()] == expected


async def test_of_many_processes_that_look_at_once_one_is_given_a_due_time(
    emptied_database_url: str, repository: Path
) -> None:
    executors = [f"0190aaaa-0000-7000-8000-0000000000{number:02}" for number in range(6)]
    with psycopg.connect(emptied_database_url, autocommit=True) as admin:
        set_clock(admin, START)
        async with AsyncExitStack() as stack:
            crowd = [await stack.enter_async_context(process(emptied_database_url)) for _ in executors]
            for executor in executors:
                await crowd[0].enlist(executor)
            await crowd[0].schedules.add(make_schedule(repository=str(repository)))
            for turn in range(10):
                set_clock(admin, NOON + turn * 10 * MINUTE)
                found = await asyncio.gather(
                    *(works.schedules.take(name) for works, name in zip(crowd, executors, strict=True))
                )
                (due,) = [item for item in found if item is not None]
                assert (due.due_at, due.takes) == (NOON + turn * 10 * MINUTE, 1)
                assert await crowd[0].schedules.settle(due, Settlement(outcome=DueOutcome.SKIPPED))


async def test_many_processes_at_once_submit_each_due_time_once(emptied_database_url: str, repository: Path) -> None:
    executors = [f"0190aaaa-0000-7000-8000-0000000000{number:02}" for number in range(6)]
    with psycopg.connect(emptied_database_url, autocommit=True) as admin:
        set_clock(admin, START)
        async with AsyncExitStack() as stack:
            crowd = [await stack.enter_async_context(process(emptied_database_url)) for _ in executors]
            for executor in executors:
                await crowd[0].enlist(executor)
            schedules = [
                make_schedule(number, repository=str(repository), overlap=Overlap.ALLOW) for number in range(1, 4)
            ]
            for schedule in schedules:
                await crowd[0].schedules.add(schedule)
            expected: set[str] = set()
            for turn in range(4):
                due = NOON + turn * 10 * MINUTE
                expected |= {task_id_at(schedule.id, due) for schedule in schedules}
                set_clock(admin, due)
                await asyncio.gather(
                    *(works.scheduler().submit_due(name) for works, name in zip(crowd, executors, strict=True))
                )
                assert set(await submitted(crowd[0])) == expected
            assert {head.record.submitted for head in await crowd[0].schedules.heads()} == {4}
            assert {entry.task_id for entry in await crowd[0].queue.entries()} == expected
