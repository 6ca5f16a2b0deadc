"""The executing process obeys the stream of its task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from tasks import make_task

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.engine import MemoryEngine
from councilor.adapters.memory.events import MemoryEventStream
from councilor.domain.codec import JsonValue, encode
from councilor.domain.event import Event, EventType, NewEvent
from councilor.domain.intervention import SILENT_S
from councilor.errors import RunCancelledError, StandbyError, UnavailableError
from councilor.guards.interruption import Interrupted
from councilor.guards.standstill import standstill
from councilor.pipeline.executor.control import RunControl, controlling

ID = "01900001-0000-7000-8000-000000000001"


class Desk:
    """One task, and what is said to it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.events = MemoryEventStream()
        self.engine = MemoryEngine()

    async def say(self, type_: EventType, **data: Any) -> None:
        await self.events.append([NewEvent(task_id=ID, type=type_, ts=self.clock.now(), data=data)])
        await until(lambda: True)

    async def intervene(self, kind: str, **data: Any) -> None:
        await self.say(EventType.INTERVENTION, kind=kind, by="Ada", reason="", **data)

    def control(self, *, patient: bool = True) -> RunControl:
        return RunControl(task_id=ID, events=self.events, engine=self.engine, clock=self.clock, patient=patient)


async def until(met: Callable[[], bool]) -> None:
    """Let the follower run until something is so."""
    async with asyncio.timeout(30):
        for _ in range(10):
            await asyncio.sleep(0)
        while not met():
            await asyncio.sleep(0.001)


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    task = make_task(id=ID, tier=2, submitted_at=made.clock.now())
    await made.say(EventType.TASK_SUBMITTED, task=encode(task))
    return made


async def test_a_task_that_ended_while_it_was_paused_can_be_carried_to_its_end(desk: Desk) -> None:
    await desk.intervene("pause")
    await desk.say(EventType.TASK_FAILED, error="e", hint="h")
    for patient in (True, False):
        control = desk.control(patient=patient)
        async with controlling(control):
            async with asyncio.timeout(2):
                await control.passage()


async def test_a_step_waits_for_a_paused_task_and_a_worker_stands_still_with_it(desk: Desk) -> None:
    control = desk.control()
    async with controlling(control):
        await control.passage()
        with control.step(working=True):
            worker = standstill()
            assert worker is not None
            await desk.intervene("pause")
            await until(worker.stopped.is_set)
            waiting = asyncio.create_task(control.passage())
            await until(lambda: True)
            assert not waiting.done()
            await desk.intervene("resume")
            await waiting
            assert worker.going.is_set()
        with control.step(working=False):
            measuring = standstill()
            assert measuring is not None
            await desk.intervene("pause")
            await until(lambda: control.steering.paused)
            assert measuring.going.is_set(), "what measures goes on to its end"
            with control.step(working=True):
                late = standstill()
                assert late is not None and late.stopped.is_set()
            assert late.going.is_set(), "it has ended, and holds nothing back"
        assert standstill() is None


async def test_an_heir_obeys_what_was_said_before_it_began(desk: Desk) -> None:
    await desk.intervene("pause")
    await desk.intervene("guide", text="mind the gap")
    control = desk.control()
    async with controlling(control):
        waiting = asyncio.create_task(control.passage())
        await until(lambda: True)
        assert not waiting.done()
        assert [guide.text for guide in control.steering.guides] == ["mind the gap"]
        await desk.intervene("resume")
        await waiting


async def test_who_has_other_tasks_gives_a_waiting_one_back(desk: Desk) -> None:
    async def workflow(run_id: str) -> JsonValue:
        control = desk.control(patient=False)
        async with controlling(control):
            await control.passage()
        return "went on"

    await desk.engine.start(workflow)
    await desk.intervene("pause")
    with pytest.raises(StandbyError):
        await desk.engine.submit(ID)
    await desk.intervene("resume")
    assert await desk.engine.submit(ID) == "went on", "nothing was lost by it"


async def test_a_task_is_not_given_back_while_a_step_of_it_runs(desk: Desk) -> None:
    control = desk.control(patient=False)
    async with controlling(control):
        with control.step(working=True):
            await desk.intervene("pause")
            await until(lambda: control.steering.paused)
            beside = asyncio.create_task(control.passage())
            await until(lambda: True)
            assert not beside.done(), "a frozen worker beside it would be lost"
        with pytest.raises(Interrupted):
            await beside


async def test_the_tasks_time_is_counted_over_all_executions_and_not_while_it_stands(desk: Desk) -> None:
    first = desk.control()
    async with controlling(first):
        await desk.say(EventType.TASK_STARTED, sandbox="none")
        await desk.clock.advance(10)
        await desk.intervene("pause")
        await until(lambda: first.steering.paused)
        await desk.clock.advance(100)
        assert first.spent_s() == 10
        await desk.intervene("resume")
        await until(lambda: not first.steering.paused)
        await desk.clock.advance(5)
        assert first.spent_s() == 15
    await desk.clock.advance(7)
    second = desk.control()
    async with controlling(second):
        assert second.spent_s() == 22
        with second.step(working=False):
            run = standstill()
            assert run is not None
            await desk.intervene("extend", deadline_s=60.0)
            await until(lambda: second.extension.deadline_s == 60.0)
            assert run.granted_s() == 60.0


@pytest.mark.parametrize("jumped_s", [5 * 3600.0, -5 * 3600.0])
async def test_an_heir_goes_on_from_the_time_that_was_told_whatever_the_clock_did(desk: Desk, jumped_s: float) -> None:
    await desk.say(EventType.TASK_STARTED, sandbox="none")
    await desk.clock.advance(10)
    ts = desk.clock.now() + timedelta(seconds=jumped_s)  # as the process saw it that is gone now
    data = {"phase": "working", "spent_s": 10.0}
    await desk.events.append([NewEvent(task_id=ID, type=EventType.PHASE_STARTED, ts=ts, data=data)])
    await desk.clock.advance(5)
    heir = desk.control()
    async with controlling(heir):
        assert heir.spent_s() == (10.0 if jumped_s > 0 else 10.0 + SILENT_S)
        await desk.clock.advance(7)
        assert heir.spent_s() == (17.0 if jumped_s > 0 else 17.0 + SILENT_S)


async def test_a_task_that_is_cancelled_from_outside_is_cancelled_in_the_engine(desk: Desk) -> None:
    ended = asyncio.Event()

    async def work() -> JsonValue:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return None

    async def workflow(run_id: str) -> JsonValue:
        async with controlling(desk.control()):
            return await desk.engine.step("work", work, preemptible=True, timeout_s=60.0)

    await desk.engine.start(workflow)
    running = asyncio.create_task(desk.engine.submit(ID))
    await until(lambda: True)
    await desk.say(EventType.TASK_CANCELLED)
    with pytest.raises(RunCancelledError):
        await running
    assert ended.is_set()
    with pytest.raises(Interrupted):
        async with controlling(desk.control()):
            raise AssertionError("nothing begins any more")


async def test_who_waits_for_a_person_is_woken_by_a_cancellation(desk: Desk) -> None:
    control = desk.control()
    async with controlling(control):
        waiting = asyncio.create_task(control.until(lambda: False))
        await until(lambda: True)
        await desk.say(EventType.TASK_CANCELLED)
        with pytest.raises(Interrupted):
            await waiting


async def test_a_store_that_does_not_answer_is_asked_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    control, follow, calls = desk.control(), desk.events.follow, list[int]()

    async def failing(task_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        calls.append(after)
        if len(calls) == 1:
            raise UnavailableError("It is gone.", backend="postgres")
        async for event in follow(task_id, after=after):
            yield event

    monkeypatch.setattr(desk.events, "follow", failing)
    async with controlling(control):
        await desk.intervene("pause")
        await desk.clock.advance(2)
        await until(lambda: control.steering.paused)
    assert len(calls) == 2
