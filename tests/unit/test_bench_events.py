"""What `make bench-events` computes: each must be able to be wrong."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime

from eventing.reading import Reader, Seen, read_all
from eventing.writing import heartbeat, submit, task_ids

from councilor.adapters.memory.events import MemoryEventStream
from councilor.domain.event import Event, EventType, Gap, NewEvent


class Leaky(MemoryEventStream):
    """Leaves out some numbers, and gives one twice."""

    async def follow(self, task_id: str, *, after: int = 0) -> AsyncGenerator[Event | Gap, None]:
        async for told in super().follow(task_id, after=after):
            assert isinstance(told, Event)
            if told.seq not in (3, 7):
                yield told
            if told.seq == 5:
                yield told


async def a_task(stream: MemoryEventStream, ids: Sequence[str]) -> None:
    await submit(stream, ids)
    for id_ in ids:
        await stream.append([heartbeat(id_, done) for done in range(8)])
        end = {"state": "completed"}
        await stream.append([NewEvent(task_id=id_, type=EventType.TASK_FINISHED, ts=datetime.now(UTC), data=end)])


async def test_every_delivery_is_counted_and_none_is_lost() -> None:
    stream, ids = MemoryEventStream(), task_ids(1, 2)
    await a_task(stream, ids)
    seen = await read_all(stream, ids, 6)
    assert (seen.events, seen.out_of_order, len(seen.lags_ms)) == (60, 0, 48)
    assert seen.lost(dict.fromkeys(ids, 10)) == 0
    assert seen.lost(dict.fromkeys(ids, 11)) == 6
    assert 0 < min(seen.lags_ms) <= max(seen.lags_ms) < 60_000
    assert seen.rss_mb > 10


async def test_what_comes_in_another_order_is_counted() -> None:
    stream, ids = Leaky(), task_ids(1, 1)
    await a_task(stream, ids)
    seen = Seen()
    await Reader(ids[0], 0, seen).read(stream)
    assert seen.out_of_order == 3


def test_an_event_says_when_it_was_given_away() -> None:
    before = time.monotonic_ns()
    assert before <= heartbeat(task_ids(1, 1)[0], 1).data["given_ns"] <= time.monotonic_ns()
