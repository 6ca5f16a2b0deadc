"""What pruning leaves of a stream of events, and what readers are told of the rest."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from eventlives import LATER, LEFT, START, a_life, collect, event, finished, submitted, task_id

from councilor.domain.event import Event, Gap
from councilor.ports.events import EventStream, Pruned


async def test_pruning_leaves_what_is_still_read_and_tells_readers_of_the_rest(stream: EventStream) -> None:
    await stream.append(a_life(task_id()))
    assert await stream.prune(before=LATER) == Pruned(tasks=1, events=4, cursor=None)
    assert [item.seq for item in await stream.read(task_id())] == LEFT
    head = await stream.head(task_id())
    assert head is not None and (head.floor, head.last_seq) == (11, 12)
    gap = Gap(task_id=task_id(), after=2, floor=11, head=head)
    stored = list(await stream.read(task_id()))
    assert await collect(stream, task_id()) == [*stored[:2], gap, *stored[2:]], "one gap, where the first hole is"
    assert await collect(stream, task_id(), after=4) == [replace(gap, after=4), *stored[3:]]
    assert await collect(stream, task_id(), after=11) == stored[-1:]
    assert await stream.prune(before=LATER) == Pruned(tasks=0, events=0, cursor=None)


async def test_only_what_ended_and_is_old_and_not_spared_is_pruned(stream: EventStream) -> None:
    for number in range(1, 5):
        await stream.append(a_life(task_id(number))[: -1 if number == 2 else None])
    assert (await stream.prune(before=START)).tasks == 0
    dry = await stream.prune(before=LATER, spare=[task_id(3)], dry_run=True)
    assert (dry.tasks, dry.events) == (2, 8)
    assert [len(await stream.read(task_id(number))) for number in range(1, 5)] == [12, 11, 12, 12]
    done = await stream.prune(before=LATER, spare=[task_id(3)])
    assert (done.tasks, done.events) == (2, 8)
    assert [len(await stream.read(task_id(number))) for number in range(1, 5)] == [8, 11, 12, 8]


async def test_pruning_goes_page_by_page(stream: EventStream) -> None:
    for number in range(1, 6):
        await stream.append(a_life(task_id(number)))
    pages, cursor = [], None
    while not pages or cursor:
        page = await stream.prune(before=LATER, after=cursor, limit=2, dry_run=True)
        cursor = page.cursor
        pages.append(page.tasks)
    assert pages == [2, 2, 1]


async def test_a_reader_is_told_of_a_hole_that_is_made_while_it_reads(stream: EventStream) -> None:
    beats = [event(task_id(), i=i) for i in range(500)]
    await stream.append([submitted(task_id()), *beats, finished(task_id())])
    seen: list[Event | Gap] = []
    async with asyncio.timeout(20):
        async for item in stream.follow(task_id()):
            seen.append(item)
            if len(seen) == 10:
                await stream.prune(before=LATER)
    gaps = [item for item in seen if isinstance(item, Gap)]
    assert [(gap.after, gap.floor) for gap in gaps] == [(200, 501)]
    numbers = [item.seq for item in seen if isinstance(item, Event)]
    assert numbers == [*range(1, 201), 501, 502], "and the last heartbeat, which says what a cut off round cost"
