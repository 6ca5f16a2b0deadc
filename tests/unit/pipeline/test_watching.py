"""Watching goes on where the store let it down, and finds tasks as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from tasks import make_task

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.events import MemoryEventStream
from councilor.domain.codec import encode
from councilor.domain.event import Event, EventType, Gap, NewEvent
from councilor.domain.task import TaskHead
from councilor.errors import UnavailableError
from councilor.pipeline.watching import Told, watch_all, watch_task


def task_id(number: int) -> str:
    return f"0190{number:04x}-0000-7000-8000-00000000{number:04x}"


class Flaky(MemoryEventStream):
    """A store that goes away after every `calls` events that it gives, `times` times."""

    def __init__(self, *, calls: int = 1_000_000, times: int = 0) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.calls, self.times = calls, times
        self.away = False

    async def follow(self, task_id: str, *, after: int = 0) -> AsyncGenerator[Event | Gap, None]:
        if self.away:
            raise UnavailableError("away", backend="test")
        given = 0
        async for told in super().follow(task_id, after=after):
            if given == self.calls and self.times:
                self.times -= 1
                raise UnavailableError("gone", backend="test")
            given += 1
            yield told

    async def heads(self, **wanted: Any) -> Sequence[TaskHead]:
        if self.away:
            raise UnavailableError("away", backend="test")
        return await super().heads(**wanted)

    async def begin_task(self, number: int) -> str:
        id_ = task_id(number)
        task = make_task(id=id_, title=f"Fix {number}", tier=2, submitted_at=self.clock.now())
        await self.tell(id_, EventType.TASK_SUBMITTED, task=encode(task))
        return id_

    async def tell(self, id_: str, kind: EventType, **data: Any) -> None:
        await self.append([NewEvent(task_id=id_, type=kind, ts=self.clock.now(), data=data)])

    async def end(self, id_: str) -> None:
        await self.tell(id_, EventType.TASK_FINISHED, state="completed", commit=None)


async def test_a_watcher_goes_on_after_the_last_event_it_had() -> None:
    store = Flaky(calls=2, times=3)
    id_ = await store.begin_task(1)
    for _ in range(8):
        await store.tell(id_, EventType.WORKER_HEARTBEAT)
    await store.end(id_)
    clock = FakeClock(auto_advance=True)
    seen = [told.seq async for told in watch_task(store, id_, clock=clock) if isinstance(told, Event)]
    assert seen == list(range(1, 11))
    assert store.times == 0
    assert [told.seq async for told in watch_task(store, id_, after=8, clock=clock) if isinstance(told, Event)] == [
        9,
        10,
    ]


async def test_a_store_that_stays_away_is_told_of() -> None:
    store = Flaky()
    store.away = True
    clock = FakeClock(auto_advance=True)
    with pytest.raises(UnavailableError):
        [told async for told in watch_task(store, task_id(1), clock=clock)]
    assert 60 < clock.monotonic() < 62


async def test_all_tasks_are_watched_the_running_ones_from_where_they_are() -> None:
    store = Flaky()
    told: list[Told] = []
    over, running = await store.begin_task(1), await store.begin_task(2)
    await store.end(over)
    watching = asyncio.create_task(watch_all(store, told.append, clock=store.clock))
    await store.clock.advance(0.5)
    short, new = await store.begin_task(3), await store.begin_task(4)
    await store.end(short)  # it begins and ends between two looks
    await store.tell(running, EventType.WORKER_HEARTBEAT)
    await store.clock.advance(1.0)
    store.away = True
    await store.clock.advance(3.0)
    store.away = False
    late = await store.begin_task(5)
    await store.end(new)
    await store.clock.advance(2.0)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    heads = [item.task_id for item in told if isinstance(item, TaskHead)]
    assert heads == [running, short, new, late]
    events = [(item.task_id, item.seq) for item in told if isinstance(item, Event)]
    assert sorted(events) == [(running, 2), (short, 1), (short, 2), (new, 1), (new, 2), (late, 1)]


async def test_a_store_that_stays_away_ends_watching_all() -> None:
    store = Flaky()
    await store.begin_task(1)
    watching = asyncio.create_task(watch_all(store, lambda _: None, clock=store.clock))
    await store.clock.advance(0.5)
    store.away = True
    await store.clock.advance(70.0)
    with pytest.raises(ExceptionGroup) as raised:
        await watching
    assert raised.group_contains(UnavailableError)


async def test_two_short_outages_far_apart_are_not_one_long_one() -> None:
    """A task may say nothing for hours between them."""
    clock = FakeClock()

    class Blinking(Flaky):
        """Goes away after an hour of silence, twice."""

        async def follow(self, task_id: str, *, after: int = 0) -> AsyncGenerator[Event | Gap, None]:
            if self.times:
                self.times -= 1
                await clock.sleep(3600.0)
                raise UnavailableError("gone", backend="test")
            async for told in super().follow(task_id, after=after):
                yield told

    store = Blinking(times=3)
    id_ = await store.begin_task(1)
    await store.end(id_)

    async def seen() -> list[int]:
        return [told.seq async for told in watch_task(store, id_, clock=clock) if isinstance(told, Event)]

    watching = asyncio.create_task(seen())
    while not watching.done():
        await asyncio.sleep(0)
        await clock.advance(0.5 if store.times == 0 else 1200.0)
    assert watching.result() == [1, 2]


async def test_a_task_that_comes_and_ends_while_the_first_are_looked_up_is_told_from_its_beginning() -> None:
    class Busy(Flaky):
        """One task comes and ends while those that have not ended are looked up."""

        came = False

        async def heads(self, **wanted: Any) -> Sequence[TaskHead]:
            found = await super().heads(**wanted)
            if wanted.get("unended") and not self.came:
                self.came = True
                await self.end(await self.begin_task(2))
            return found

    store, told = Busy(), list[Told]()
    await store.begin_task(1)
    watching = asyncio.create_task(watch_all(store, told.append, clock=FakeClock(auto_advance=True)))
    try:
        async with asyncio.timeout(30):
            while [item.seq for item in told if isinstance(item, Event) and item.task_id == task_id(2)] != [1, 2]:
                await asyncio.sleep(0)
    finally:
        watching.cancel()
        await asyncio.wait([watching])
