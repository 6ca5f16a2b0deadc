"""What every event stream does; the memory stream is the oracle for the others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from eventlives import START, event, finished, submitted, task_id

from councilor.domain.event import DELIVERIES, Event, EventType, NewEvent
from councilor.domain.task import TaskState
from councilor.errors import FencedError, InputError, NotFoundError
from councilor.ports.events import EventStream


async def test_events_are_numbered_from_one_and_come_back_as_they_were(stream: EventStream) -> None:
    data = {"text": "ü\0\ud800\U0001f600", "n": [1, 1.0, 1e300, 10**30, None, True], "": {}}
    stored = await stream.append([submitted(task_id()), event(task_id(), **data)])
    stored = [*stored, *await stream.append([event(task_id())])]
    assert [item.seq for item in stored] == [1, 2, 3]
    assert list(await stream.read(task_id())) == stored
    assert stored[1].data == data
    assert repr((await stream.read(task_id(), after=1, limit=1))[0].data["n"]) == repr(data["n"])


async def test_reading_pages_by_number(stream: EventStream) -> None:
    await stream.append([submitted(task_id()), *(event(task_id(), i=i) for i in range(300))])
    assert [item.seq for item in await stream.read(task_id())] == list(range(1, 201))
    assert [item.seq for item in await stream.read(task_id(), after=250, limit=7)] == list(range(251, 258))
    assert list(await stream.read(task_id(), after=301)) == []
    assert list(await stream.read(task_id(), limit=0)) == []
    assert list(await stream.read("nobody")) == []


async def test_a_paused_task_remembers_where_it_goes_on_and_its_end_forgets_that(stream: EventStream) -> None:
    def said(kind: str) -> NewEvent:
        return event(task_id(), EventType.INTERVENTION, kind=kind, by="Ada", reason="")

    working = event(task_id(), EventType.PHASE_STARTED, phase="working")
    await stream.append([submitted(task_id()), working, said("pause")])
    head = await stream.head(task_id())
    assert head is not None and (head.state, head.resumes) == (TaskState.PAUSED, TaskState.WORKING)
    await stream.append([event(task_id(), EventType.PHASE_STARTED, phase="checking"), said("pause"), said("guide")])
    head = await stream.head(task_id())
    assert head is not None and (head.state, head.resumes) == (TaskState.PAUSED, TaskState.CHECKING)
    await stream.append([said("resume")])
    head = await stream.head(task_id())
    assert head is not None and (head.state, head.resumes) == (TaskState.CHECKING, None)
    await stream.append([said("pause"), finished(task_id()), said("override")])
    head = await stream.head(task_id())
    assert head is not None and (head.state, head.resumes) == (TaskState.COMPLETED, None)
    delivery = [event(task_id(), type_, target="push") for type_ in sorted(DELIVERIES)]
    assert len(await stream.append(delivery)) == 3, "the commit of a completed task may still be taken somewhere"
    await stream.append([submitted(task_id(3)), event(task_id(3), EventType.TASK_CANCELLED)])
    for type_ in DELIVERIES:
        with pytest.raises(InputError, match="cannot follow"):
            await stream.append([event(task_id(3), type_, target="push")])
    for late in (said("pause"), said("resume"), said("cancel")):
        with pytest.raises(InputError, match="cannot follow"):
            await stream.append([late])
    with pytest.raises(InputError, match="not what it should be"):
        await stream.append([submitted(task_id(2)), event(task_id(2), EventType.INTERVENTION, kind="bribe")])


async def test_the_head_follows_the_events(stream: EventStream) -> None:
    assert await stream.head(task_id()) is None
    await stream.append([submitted(task_id())])
    head = await stream.head(task_id())
    assert head is not None
    assert (head.state, head.last_seq, head.repository, head.tier) == (TaskState.SUBMITTED, 1, "/srv/rép o", 2)
    await stream.append(
        [
            event(task_id(), EventType.PHASE_STARTED, phase="working"),
            event(task_id(), EventType.VERDICT_REACHED, decision="accept"),
            finished(task_id()),
        ]
    )
    head = await stream.head(task_id())
    assert head is not None
    assert (head.state, head.decision, head.commit, head.last_seq) == (TaskState.COMPLETED, "accept", "d" * 40, 4)
    assert (head.submitted_at, head.updated_at) == (START, START + timedelta(seconds=1))


@pytest.mark.parametrize(
    "bad",
    [
        [event(task_id(2))],
        [event(task_id(1)), event(task_id(2))],
        [finished(task_id(1)), event(task_id(1))],
        [event(task_id(1)), event("T-1")],
        [event(task_id(1)), event(task_id(1), EventType.PHASE_STARTED)],
        [event(task_id(1)), event(task_id(1), EventType.PHASE_STARTED, phase="dreaming")],
        [event(task_id(1)), event(task_id(1), value=float("nan"))],
        [event(task_id(1)), event(task_id(1), value=b"bytes")],
        [event(task_id(1)), event(task_id(1), EventType.VERDICT_REACHED, decision="\0")],
        [event(task_id(1)), NewEvent(task_id=task_id(1), type=EventType.TASK_STARTED, ts=datetime(2026, 1, 1))],  # noqa: DTZ001
        [event(task_id(1)), NewEvent(task_id=task_id(1), type=EventType.TASK_STARTED, ts=START, attempt=2**31)],
        [submitted(task_id(2), title=5)],
        [submitted(task_id(2), title="\0")],
        [submitted(task_id(2), repository="\ud800")],
    ],
)
async def test_bad_events_are_refused_whole(stream: EventStream, bad: Sequence[NewEvent]) -> None:
    await stream.append([submitted(task_id(1))])
    with pytest.raises(InputError):
        await stream.append(bad)
    assert len(await stream.read(task_id(1))) == 1
    assert await stream.head(task_id(2)) is None


async def test_nothing_follows_the_end(stream: EventStream) -> None:
    await stream.append([submitted(task_id()), finished(task_id())])
    with pytest.raises(InputError, match="completed"):
        await stream.append([event(task_id())])
    assert len(await stream.read(task_id())) == 2


async def test_what_is_refused_is_nobody_elses_refusal(stream: EventStream) -> None:
    await stream.append([submitted(task_id(1)), submitted(task_id(2)), finished(task_id(2))])
    wanted = [[event(task_id(1), i=1)], [event(task_id(2))], [event(task_id(1), i=2), event(task_id(3))]]
    outcomes = await asyncio.gather(*(stream.append(batch) for batch in wanted), return_exceptions=True)
    assert [isinstance(outcome, InputError) for outcome in outcomes] == [False, True, True]
    assert [item.data.get("i") for item in await stream.read(task_id(1), after=1)] == [1]


async def test_a_caller_that_gives_up_takes_nobody_along(stream: EventStream) -> None:
    await stream.append([submitted(task_id())])
    callers = [asyncio.create_task(stream.append([event(task_id(), i=i)])) for i in range(30)]
    await asyncio.sleep(0)
    for caller in callers[::3]:
        caller.cancel()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    stored = [item.data["i"] for item in await stream.read(task_id(), after=1)]
    acknowledged = [i for i, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    assert set(acknowledged) >= set(range(30)) - set(range(0, 30, 3))
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))


async def test_unended_tasks_are_listed_by_themselves(stream: EventStream) -> None:
    for number in range(1, 6):
        await stream.append([submitted(task_id(number)), *([finished(task_id(number))] if number % 2 else [])])
    assert [head.task_id for head in await stream.heads(unended=True)] == [task_id(4), task_id(2)]
    assert [head.task_id for head in await stream.heads(unended=True, before=task_id(4))] == [task_id(2)]
    assert len(await stream.heads(unended=True, limit=1)) == 1


async def test_no_events_are_no_offence(stream: EventStream) -> None:
    assert list(await stream.append([])) == []


async def test_a_batch_may_be_about_several_tasks(stream: EventStream) -> None:
    await stream.append([submitted(task_id(2)), submitted(task_id(1)), event(task_id(2)), finished(task_id(1))])
    assert [item.seq for item in await stream.read(task_id(2))] == [1, 2]
    assert [item.type for item in await stream.read(task_id(1))] == [EventType.TASK_SUBMITTED, EventType.TASK_FINISHED]


async def test_following_gives_what_is_there_and_what_comes_until_the_end(stream: EventStream) -> None:
    await stream.append([submitted(task_id()), *(event(task_id(), i=i) for i in range(450))])

    async def collect(after: int) -> list[int]:
        return [item.seq async for item in stream.follow(task_id(), after=after) if isinstance(item, Event)]

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        whole, rest, beyond = (group.create_task(collect(after)) for after in (0, 440, 460))
        await asyncio.sleep(0)
        for i in range(5):
            await stream.append([event(task_id(), i=i)])
        await stream.append([finished(task_id())])
    assert whole.result() == list(range(1, 458))
    assert rest.result() == list(range(441, 458))
    assert beyond.result() == []
    assert await collect(457) == []


async def test_a_follower_of_an_unknown_task_waits_for_it(stream: EventStream) -> None:
    async def collect() -> list[EventType]:
        return [item.type async for item in stream.follow(task_id()) if isinstance(item, Event)]

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        seen = group.create_task(collect())
        await asyncio.sleep(0)
        await stream.append([submitted(task_id(2))])
        await stream.append([submitted(task_id()), event(task_id(), EventType.TASK_CANCELLED)])
    assert seen.result() == [EventType.TASK_SUBMITTED, EventType.TASK_CANCELLED]


async def test_a_follower_can_be_cancelled(stream: EventStream) -> None:
    await stream.append([submitted(task_id())])
    reached = asyncio.Event()

    async def collect() -> None:
        async for _ in stream.follow(task_id()):
            reached.set()

    follower = asyncio.create_task(collect())
    async with asyncio.timeout(20):
        await reached.wait()
        follower.cancel()
        with pytest.raises(asyncio.CancelledError):
            await follower
    assert len(await stream.append([event(task_id())])) == 1


async def test_heads_are_paged_newest_first(stream: EventStream) -> None:
    for number in (3, 1, 5, 2, 4):
        await stream.append([submitted(task_id(number))])
    assert [head.task_id for head in await stream.heads(limit=2)] == [task_id(5), task_id(4)]
    assert [head.task_id for head in await stream.heads(before=task_id(4))] == [task_id(3), task_id(2), task_id(1)]
    assert list(await stream.heads(before=task_id(1))) == []
    with pytest.raises(InputError):
        await stream.heads(before="\0")


async def test_heads_of_some_specs_are_listed_by_themselves(stream: EventStream) -> None:
    for number, spec in ((1, "A"), (2, "B"), (3, "A"), (4, "A")):
        await stream.append([submitted(task_id(number), spec_id=spec)])
    await stream.append([finished(task_id(4))])
    listed = await stream.heads(specs={"A", "C"}, limit=2)
    assert [head.task_id for head in listed] == [task_id(4), task_id(3)]
    assert [head.task_id for head in await stream.heads(specs={"A"}, before=task_id(3))] == [task_id(1)]
    assert [head.task_id for head in await stream.heads(specs={"A"}, unended=True)] == [task_id(3), task_id(1)]
    assert await stream.heads(specs=()) == []


async def test_a_task_is_found_by_the_beginning_or_the_end_of_its_id(stream: EventStream) -> None:
    for number in range(1, 4):
        await stream.append([submitted(task_id(number))])
    assert list(await stream.find("01900002")) == [task_id(2)]
    assert list(await stream.find("0003")) == [task_id(3)]
    assert list(await stream.find(task_id(1).upper())) == [task_id(1)]
    assert list(await stream.find("0190")) == [task_id(3), task_id(2), task_id(1)]
    assert list(await stream.find("0190", limit=1)) == [task_id(3)]
    for fragment in ("003", "", "%%%%", "____", "\0\0\0\0", "beef", task_id(1) + "0"):
        assert list(await stream.find(fragment)) == []


async def test_concurrent_appenders_leave_no_gap(stream: EventStream) -> None:
    ids = [task_id(number) for number in range(1, 4)]
    await stream.append([submitted(id_) for id_ in ids])

    async def produce(seed: int) -> None:
        order = random.Random(seed)
        for i in range(15):
            chosen = order.sample(ids, order.randint(1, 3))
            await stream.append([event(id_, by=seed, i=i) for id_ in chosen for _ in range(order.randint(1, 3))])

    async with asyncio.timeout(60):
        await asyncio.gather(*(produce(seed) for seed in range(8)))
    for id_ in ids:
        events = await stream.read(id_, limit=10_000)
        assert [item.seq for item in events] == list(range(1, len(events) + 1))
        for seed in range(8):  # and each producer's own events stand in its order
            own = [item.data["i"] for item in events if item.data.get("by") == seed]
            assert own == sorted(own)


async def test_of_several_that_submit_one_task_at_once_one_does(stream: EventStream) -> None:
    found = await asyncio.gather(*(stream.append([submitted(task_id())]) for _ in range(4)), return_exceptions=True)
    refused = [item for item in found if isinstance(item, InputError)]
    assert len(refused) == 3 and "submitted already" in refused[0].message
    assert [item.seq for item in await stream.read(task_id())] == [1]


# --- attempts ---------------------------------------------------------------------------------------------------------


async def test_attempts_count_up_and_an_older_one_may_not_write(stream: EventStream) -> None:
    await stream.append([submitted(task_id())])
    assert [await stream.begin(task_id()) for _ in range(3)] == [1, 2, 3]
    head = await stream.head(task_id())
    assert head is not None and head.attempt == 3
    with pytest.raises(FencedError, match="taken over by attempt 3"):
        await stream.append([event(task_id())])  # of attempt 2
    assert [item.type for item in await stream.read(task_id())] == [EventType.TASK_SUBMITTED]
    (stored,) = await stream.append([replace(event(task_id()), attempt=3)])
    assert (stored.attempt, stored.seq) == (3, 2)


async def test_what_is_written_outside_of_any_attempt_is_taken(stream: EventStream) -> None:
    await stream.append([submitted(task_id())])
    await stream.begin(task_id())
    (stored,) = await stream.append([replace(event(task_id(), EventType.TASK_CANCELLED), attempt=0)])
    assert stored.attempt == 0


async def test_an_attempt_at_nothing_cannot_begin(stream: EventStream) -> None:
    for unknown in (task_id(9), "nobody"):
        with pytest.raises(NotFoundError):
            await stream.begin(unknown)


async def test_attempts_that_begin_at_the_same_time_are_different(stream: EventStream) -> None:
    await stream.append([submitted(task_id())])
    assert sorted(await asyncio.gather(*(stream.begin(task_id()) for _ in range(8)))) == list(range(1, 9))
