"""Which stored task is the same as one that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tasks import make_task

from councilor.adapters.memory.events import MemoryEventStream
from councilor.domain.codec import encode
from councilor.domain.event import EventType, NewEvent
from councilor.domain.limit import Origins
from councilor.domain.task import TaskHead
from councilor.pipeline.resubmission import find_earlier

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASK = make_task(id="01900001-0000-7000-8000-000000000001", submitted_at=NOW)
WISH = replace(TASK, id="01900001-0000-7000-8000-000000000002", base_ref="refs/heads/main")


@pytest.fixture
async def events() -> MemoryEventStream:
    stream = MemoryEventStream()
    data = {"task": encode(TASK)}
    await stream.append([NewEvent(task_id=TASK.id, type=EventType.TASK_SUBMITTED, ts=NOW, data=data)])
    return stream


@pytest.mark.parametrize("ended", [False, True])
async def test_how_a_base_was_named_makes_no_other_task(events: MemoryEventStream, ended: bool) -> None:
    if ended:
        data = {"state": "completed", "commit": None}
        await events.append([NewEvent(task_id=TASK.id, type=EventType.TASK_FINISHED, ts=NOW, data=data)])
    assert (await find_earlier([WISH], events))[WISH.id].task_id == TASK.id


async def test_of_whom_a_limit_comes_makes_no_other_task(events: MemoryEventStream) -> None:
    assert (await find_earlier([replace(WISH, limit_origins=Origins())], events))[WISH.id].task_id == TASK.id
    assert await find_earlier([replace(WISH, max_tokens=5)], events) == {}


async def test_another_base_is_another_task_once_the_first_has_ended(events: MemoryEventStream) -> None:
    moved = replace(WISH, base_commit="d" * 40)
    assert moved.id in await find_earlier([moved], events)
    data = {"state": "completed", "commit": None}
    await events.append([NewEvent(task_id=TASK.id, type=EventType.TASK_FINISHED, ts=NOW, data=data)])
    assert await find_earlier([moved], events) == {}
    assert await find_earlier([replace(WISH, spec_text="id: X-1 # other")], events) == {}


async def test_a_long_history_is_not_read_for_one_spec() -> None:
    class Counting(MemoryEventStream):
        calls = 0

        async def heads(self, **wanted: Any) -> Sequence[TaskHead]:
            self.calls += 1
            return await super().heads(**wanted)

    stream = Counting()
    for number in range(1000):
        task = replace(TASK, id=f"0190{number:04x}-0000-7000-8000-000000000009", spec_id=f"Y-{number}")
        data = {"task": encode(task)}
        await stream.append([NewEvent(task_id=task.id, type=EventType.TASK_SUBMITTED, ts=NOW, data=data)])
    assert await find_earlier([WISH], stream) == {} and stream.calls == 1
