"""What every event stream does; the memory stream is the oracle for the others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.postgres import appending
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.migrate import migrate
from councilor.adapters.postgres.pool import Pool
from councilor.domain.codec import encode
from councilor.domain.event import DELIVERIES, Event, EventType, Gap, NewEvent
from councilor.domain.task import END_STATES, RunMode, Task, TaskState
from councilor.errors import CouncilorError, FencedError, InputError, IntegrityError, NotFoundError, UnavailableError
from councilor.ports.events import EventStream, Pruned

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def task_id(number: int = 1) -> str:
    return f"0190{number:04x}-0000-7000-8000-00000000{number:04x}"


def submitted(id_: str, **changes: Any) -> NewEvent:
    task = Task(
        id=id_, repository="/srv/rép o", base_commit="c" * 40, base_tree="t" * 40, spec_text="id: X", spec_id="FIX-1",
        title="Fix it", tier=2, worker="repair", mode=RunMode.AUTO, max_iterations=3, deadline_s=60.0,
        submitted_at=START,
    )  # fmt: skip
    return NewEvent(task_id=id_, type=EventType.TASK_SUBMITTED, ts=START, data={"task": encode(task) | changes})


def event(id_: str, type_: EventType = EventType.WORKER_HEARTBEAT, **data: Any) -> NewEvent:
    return NewEvent(task_id=id_, type=type_, ts=START + timedelta(seconds=1), attempt=2, data=data)


def finished(id_: str) -> NewEvent:
    return event(id_, EventType.TASK_FINISHED, state="completed", commit="d" * 40)


@pytest.fixture(params=["memory", "alone", "together"])
async def stream(request: pytest.FixtureRequest) -> AsyncIterator[EventStream]:
    """In memory; in the database, each caller by itself; and as a process uses it, with shared reading and writing."""
    if request.param == "memory":
        yield MemoryEventStream()
        return
    async with Pool(request.getfixturevalue("emptied_database_url")) as pool:
        if request.param == "alone":
            yield DatabaseEventStream(pool, poll_s=0.05)
        else:
            async with DatabaseEventStream(pool, poll_s=3600) as stream:
                yield stream


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


async def test_two_submit_one_task_at_once(stream: EventStream) -> None:
    await asyncio.gather(*(stream.append([submitted(task_id())]) for _ in range(4)))
    assert [item.seq for item in await stream.read(task_id())] == [1, 2, 3, 4]


# --- pruning ----------------------------------------------------------------------------------------------------------

LATER = START + timedelta(days=1)


def a_life(id_: str) -> list[NewEvent]:
    """A task's events: one round that was cut off, one that was not."""
    kinds: list[tuple[EventType, dict[str, Any]]] = [
        (EventType.TASK_STARTED, {}),
        (EventType.PHASE_STARTED, {"phase": "working"}),
        (EventType.WORKER_ASSIGNED, {}),
        (EventType.WORKER_HEARTBEAT, {"done": 1}),
        (EventType.WORKER_HEARTBEAT, {"done": 2}),
        (EventType.WORKER_ASSIGNED, {}),
        (EventType.WORKER_HEARTBEAT, {"done": 3}),
        (EventType.WORKER_OUTPUT, {}),
        (EventType.GATE_FINISHED, {}),
        (EventType.VERDICT_REACHED, {"decision": "accept"}),
    ]
    return [submitted(id_), *(event(id_, kind, **data) for kind, data in kinds), finished(id_)]


LEFT = [1, 2, 4, 6, 7, 9, 11, 12]
"""Of those: without the phase, the heartbeats that newer ones or the output replaced, and the gate."""


async def collect(stream: EventStream, id_: str, *, after: int = 0) -> list[Event | Gap]:
    async with asyncio.timeout(20):
        return [item async for item in stream.follow(id_, after=after)]


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


# --- only the database --------------------------------------------------------------------------------------------


async def test_a_notification_wakes_a_follower_before_it_would_look(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool, DatabaseEventStream(pool, poll_s=3600) as stream:
        await stream.append([submitted(task_id())])
        seen: list[Event] = []
        async with asyncio.timeout(20):
            async for item in stream.follow(task_id()):
                assert isinstance(item, Event)
                seen.append(item)
                if len(seen) < 5:
                    await stream.append([event(task_id())])
                elif len(seen) == 5:
                    await stream.append([finished(task_id())])
    assert [item.seq for item in seen] == [1, 2, 3, 4, 5, 6]


async def test_followers_miss_nothing_while_their_connections_are_cut(emptied_database_url: str) -> None:
    count = 200

    async def produce(stream: EventStream) -> None:
        for i in range(count):
            await stream.append([event(task_id(), i=i)])

    async def collect(stream: EventStream) -> list[int]:
        return [item.seq async for item in stream.follow(task_id()) if isinstance(item, Event)]

    async def cut(followed: Pool) -> None:
        """End the connections of the following process, the listening one among them, again and again."""
        async with await psycopg.AsyncConnection.connect(emptied_database_url, autocommit=True) as admin:
            while True:
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'follower'"
                    " AND query LIKE 'LISTEN%%' AND datname = current_database()"
                )
                cuts.append(1)
                await asyncio.sleep(0.02)

    cuts: list[int] = []
    async with (
        asyncio.timeout(240),
        Pool(emptied_database_url, connect_timeout_s=60) as producing,
        Pool(emptied_database_url, connect_timeout_s=60, application_name="follower") as following,
        DatabaseEventStream(following, poll_s=0.5) as followed,
    ):
        stream = DatabaseEventStream(producing)
        await stream.append([submitted(task_id())])
        async with asyncio.TaskGroup() as group:
            followers = [group.create_task(collect(followed)) for _ in range(3)]
            cutter = group.create_task(cut(following))
            await asyncio.gather(*(produce(stream) for _ in range(3)))
            cutter.cancel()
            await stream.append([finished(task_id())])
    assert len(cuts) > 5
    for follower in followers:
        assert follower.result() == list(range(1, 3 * count + 3))


async def test_lost_notifications_cost_time_and_no_event(emptied_database_url: str) -> None:
    """The producing process announces on another channel, so nobody hears it."""
    async with Pool(emptied_database_url) as pool, DatabaseEventStream(pool, poll_s=0.1) as stream:
        await stream.append([submitted(task_id())])
        follower = asyncio.create_task(collect(stream, task_id()))
        async with await psycopg.AsyncConnection.connect(emptied_database_url, autocommit=True) as silent:
            for seq in range(2, 12):
                async with silent.transaction():
                    await silent.execute("UPDATE task_head SET last = %s WHERE task_id = %s", [seq, task_id()])
                    await silent.execute(
                        "INSERT INTO event VALUES (%s, %s, 0, 'worker.heartbeat', now(), '{}')", [task_id(), seq]
                    )
                await asyncio.sleep(0.02)
            await silent.execute("UPDATE task_head SET state = 'cancelled', last = 12")
            await silent.execute("INSERT INTO event VALUES (%s, 12, 0, 'task.cancelled', now(), '{}')", [task_id()])
        assert [item.seq for item in await follower if isinstance(item, Event)] == list(range(1, 13))


async def test_a_missing_event_that_was_not_pruned_is_an_error(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool, DatabaseEventStream(pool) as stream:
        await stream.append(a_life(task_id()))
        async with pool.connection() as connection:
            await connection.execute("DELETE FROM event WHERE seq IN (5, 6)")
        with pytest.raises(IntegrityError, match="Events 5 to 6"):
            await collect(stream, task_id())


async def test_followers_that_have_caught_up_share_what_is_new(emptied_database_url: str) -> None:
    """However many there are, a new event is read once; one that never reads holds nobody up."""
    async with (
        Pool(emptied_database_url) as pool,
        Pool(emptied_database_url, application_name="other") as writing,
        DatabaseEventStream(pool, poll_s=3600) as stream,
    ):
        other = DatabaseEventStream(writing)
        await other.append([submitted(task_id())])
        caught_up = asyncio.Semaphore(0)

        async def follow() -> list[int]:
            seen = []
            async for item in stream.follow(task_id()):
                assert isinstance(item, Event)
                seen.append(item.seq)
                if item.seq == 1:
                    caught_up.release()
            return seen

        dead = stream.follow(task_id())
        await anext(dead)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            followers = [group.create_task(follow()) for _ in range(50)]
            for _ in followers:
                await caught_up.acquire()
            await asyncio.sleep(0.5)
            read: list[Any] = []
            original = stream.read

            async def counting(*args: Any, **kwargs: Any) -> Sequence[Event]:
                read.append(args)
                return await original(*args, **kwargs)

            stream.read = counting  # type: ignore[method-assign]
            for i in range(20):
                await other.append([event(task_id(), i=i)])
            await other.append([finished(task_id())])
        await dead.aclose()  # type: ignore[attr-defined]
    assert all(follower.result() == list(range(1, 23)) for follower in followers)
    assert read == [], "no follower asked the database for itself"


async def test_followers_are_told_of_a_database_that_stays_away(postgres_url: str, empty_database_url: str) -> None:
    """And those of one that comes back in time are not."""
    migrate(empty_database_url)
    name = psycopg.conninfo.conninfo_to_dict(empty_database_url)["dbname"]
    async with (
        Pool(empty_database_url, connect_timeout_s=2) as pool,
        DatabaseEventStream(pool, poll_s=0.1, patience_s=0.4) as stream,
        await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as admin,
    ):
        await stream.append([submitted(task_id())])
        follower = asyncio.create_task(collect(stream, task_id()))
        await asyncio.sleep(0.2)
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        await admin.execute(cut, [name])
        assert len(await _persistently(stream, [event(task_id())])) == 1
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await admin.execute(cut, [name])
        with pytest.raises(UnavailableError):
            await follower
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


async def _persistently(stream: EventStream, events: Sequence[NewEvent]) -> Sequence[Event]:
    while True:
        with suppress(UnavailableError):
            return await stream.append(events)
        await asyncio.sleep(0.05)


async def test_what_another_process_did_meanwhile_is_seen(emptied_database_url: str) -> None:
    """A process remembers the heads it wrote; nothing is stored or refused because of a memory that is out of date."""
    async with (
        Pool(emptied_database_url) as pool,
        DatabaseEventStream(pool) as one,
        DatabaseEventStream(pool) as other,
    ):
        await one.append([submitted(task_id(number)) for number in range(1, 4)])
        for i in range(6):
            await (one, other)[i % 2].append([event(task_id(1), i=i), event(task_id(2), i=i)])
        await asyncio.gather(
            *(stream.append([event(id_, EventType.PHASE_STARTED, phase="working")]) for stream in (one, other)
              for id_ in (task_id(1), task_id(2)) for _ in range(10))
        )  # fmt: skip
        for number in (1, 2):
            assert [item.seq for item in await one.read(task_id(number))] == list(range(1, 28))
        await one.append([event(task_id(2))])
        assert await other.begin(task_id(2)) == 1 and await other.begin(task_id(2)) == 2
        assert await other.begin(task_id(2)) == 3
        with pytest.raises(FencedError):
            await one.append([event(task_id(2))])
        await one.append([event(task_id(1))])
        await other.append([event(task_id(1), EventType.TASK_CANCELLED)])
        with pytest.raises(InputError, match="cancelled"):
            await one.append([event(task_id(3)), event(task_id(1))])
        assert len(await one.read(task_id(3))) == 1
        await one.append([event(task_id(3))])
        assert [head.last_seq for head in await one.heads()] == [2, 28, 29]


async def test_more_than_may_wait_waits_for_room_and_nothing_is_dropped(
    emptied_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "MOST_WAITING", 10)
    async with Pool(emptied_database_url) as pool, DatabaseEventStream(pool) as stream:
        await stream.append([submitted(task_id())])
        batches = [[event(task_id(), i=i, j=j) for j in range(7)] for i in range(30)]
        async with asyncio.timeout(30):
            await asyncio.gather(*(stream.append(batch) for batch in batches))
        stored = [(item.data["i"], item.data["j"]) for item in await stream.read(task_id(), after=1, limit=999)]
    assert sorted(stored) == [(i, j) for i in range(30) for j in range(7)]
    assert all(stored[n : n + 7] == [(stored[n][0], j) for j in range(7)] for n in range(0, 210, 7))


async def test_leaving_a_stream_ends_its_listener(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool:
        with suppress(KeyError):
            async with DatabaseEventStream(pool):
                raise KeyError
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("event ")] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.builds(
    lambda number, kind, data: (number, kind, data),
    st.integers(1, 3),
    st.sampled_from([*EventType, EventType.WORKER_OUTPUT]),
    st.fixed_dictionaries(
        {"phase": st.sampled_from(["working", "checking", "sleeping"]), "decision": st.sampled_from(["accept", "a\0"])},
        optional={"state": st.sampled_from(["completed", "paused", "no"]), "more": JSON},
    ),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(EVENTS, max_size=4) | st.sampled_from(["prune", "begin"]), max_size=6))
def test_the_database_does_what_the_memory_stream_does(emptied_database_url: str, batches: list[Any]) -> None:
    """Every example has its own ids, because examples share the database; one process or two write, alone or shared."""
    base = uuid4()

    def id_(number: int) -> str:
        return str(UUID(int=base.int & ~0xFF | number))

    async def compare() -> None:
        oracle = MemoryEventStream()
        async with Pool(emptied_database_url, max_connections=1) as pool, DatabaseEventStream(pool) as shared:
            streams = [shared, DatabaseEventStream(pool)]
            for turn, batch in enumerate(batches):
                stream = streams[turn % 2]
                if batch == "prune":
                    await stream.prune(before=LATER)
                    await oracle.prune(before=LATER)
                    continue
                if batch == "begin":
                    assert await _begin(stream, id_(1)) == await _begin(oracle, id_(1))
                    continue
                new = [
                    submitted(id_(number)) if kind is EventType.TASK_SUBMITTED else event(id_(number), kind, **data)
                    for number, kind, data in batch
                ]
                assert await _outcome(stream, new) == await _outcome(oracle, new)
            for number in (1, 2, 3):
                head = await shared.head(id_(number))
                assert head == await oracle.head(id_(number))
                if head is not None and head.state in END_STATES:
                    assert await collect(shared, id_(number)) == await collect(oracle, id_(number))
                assert repr(list(await shared.read(id_(number)))) == repr(list(await oracle.read(id_(number))))

    asyncio.run(compare())


async def _begin(stream: EventStream, id_: str) -> object:
    try:
        return await stream.begin(id_)
    except NotFoundError as error:
        return error.message


async def _outcome(stream: EventStream, new: Sequence[NewEvent]) -> object:
    try:
        return list(await stream.append(new))
    except CouncilorError as error:
        return type(error), error.message


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
