"""A worker's signs of life are told as long as somebody takes them, and never cost its work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.system import SystemClock
from councilor.domain.codec import encode
from councilor.domain.event import Event, EventType, NewEvent
from councilor.domain.task import RunMode, Task, TaskState
from councilor.errors import CouncilorError, FencedError, UnavailableError
from councilor.pipeline.executor import narration
from councilor.pipeline.executor.narration import Narrator
from councilor.ports.metrics import NoMetrics
from councilor.ports.worker import Progress

TASK = "0190aaaa-0000-7000-8000-000000000001"


class Away(MemoryEventStream):
    """A store that refuses while it has a reason to."""

    reason: CouncilorError | None = None
    refused = 0

    async def append(self, events: Sequence[NewEvent]) -> Sequence[Event]:
        if self.reason is not None:
            self.refused += 1
            raise self.reason
        return await super().append(events)


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> Away:
    monkeypatch.setattr(narration, "HEARTBEAT_S", 0.01)
    task = Task(
        id=TASK, repository="/srv/r", base_commit="c" * 40, base_tree="t" * 40, spec_text="id: X", spec_id="X",
        title="x", tier=3, worker="w", mode=RunMode.AUTO, max_iterations=1, deadline_s=60.0,
        submitted_at=datetime.now(UTC),
    )  # fmt: skip
    store = Away()
    await store.append(
        [NewEvent(task_id=TASK, type=EventType.TASK_SUBMITTED, ts=datetime.now(UTC), data={"task": encode(task)})]
    )
    return store


def voice(store: Away) -> Narrator:
    return Narrator(task_id=TASK, attempt=1, events=store, clock=SystemClock(), metrics=NoMetrics())


async def test_a_store_that_is_away_for_a_moment_costs_no_work_of_a_worker(store: Away) -> None:
    narrator, store.reason = voice(store), UnavailableError("away", backend="postgres")
    async with asyncio.timeout(30), narrator.heartbeats():
        narrator.hurry(EventType.WORKER_STALLED, worker="w", silent_s=1.0)
        narrator.beat(Progress(phase="thinking"))
        while store.refused < 2:
            await asyncio.sleep(0.005)
        narrator.beat(Progress(phase="writing"))
        while store.refused < 4:
            await asyncio.sleep(0.005)
        store.reason = None
        while len(told := await store.read(TASK, after=1)) < 2:
            await asyncio.sleep(0.005)
    assert [(event.type, event.data.get("phase")) for event in told] == [
        (EventType.WORKER_HEARTBEAT, "writing"), (EventType.WORKER_STALLED, None),
    ]  # fmt: skip


async def test_a_run_that_was_taken_over_ends_at_its_next_sign_of_life(store: Away) -> None:
    narrator, store.reason = voice(store), FencedError("taken over")
    with pytest.raises(FencedError):
        async with asyncio.timeout(30), narrator.heartbeats():
            narrator.beat(Progress(phase="thinking"))
            await asyncio.sleep(60)


async def test_how_much_time_is_over_goes_with_phases_and_signs_of_life(store: Away) -> None:
    spent_s = iter([1.0, 2.0, 3.00049])
    narrator = voice(store)
    narrator.spent_s = lambda: next(spent_s)
    async with narrator.phase(TaskState.WORKING, iteration=1):
        narrator.beat(Progress(phase="thinking"))
        async with narrator.heartbeats():
            pass
    await narrator.say(EventType.ARTIFACT_STORED, name="spec")
    told = [(event.type, event.data.get("spent_s")) for event in await store.read(TASK, after=1)]
    assert told == [
        (EventType.PHASE_STARTED, 1.0), (EventType.WORKER_HEARTBEAT, 2.0), (EventType.PHASE_FINISHED, 3.0),
        (EventType.ARTIFACT_STORED, None),
    ]  # fmt: skip
