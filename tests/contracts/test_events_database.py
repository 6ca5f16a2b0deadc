"""What an event stream in a database does besides: other processes, lost connections, the oracle beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from eventlives import LATER, a_life, collect, event, finished, submitted, task_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.postgres import appending
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.migrate import migrate
from councilor.adapters.postgres.pool import Pool
from councilor.domain.event import Event, EventType, NewEvent
from councilor.domain.task import END_STATES, TaskHead
from councilor.errors import CouncilorError, FencedError, InputError, IntegrityError, NotFoundError, UnavailableError
from councilor.ports.events import EventStream


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


async def test_an_event_of_a_newer_release_costs_only_who_reads_its_task(emptied_database_url: str) -> None:
    """Two releases may share a database: what one does not know must not end its reading of everything."""
    async with Pool(emptied_database_url) as pool, DatabaseEventStream(pool, poll_s=0.05) as stream:
        await stream.append([submitted(task_id(1)), submitted(task_id(2))])
        unlucky, lucky = (asyncio.create_task(collect(stream, task_id(number))) for number in (1, 2))
        await asyncio.sleep(0.2)
        with psycopg.connect(emptied_database_url, autocommit=True) as newer:
            newer.execute(
                """WITH head AS (UPDATE task_head SET last = 2 WHERE task_id = %s RETURNING task_id)
                   INSERT INTO event (task_id, seq, attempt, type, ts, data)
                   SELECT task_id, 2, 0, 'task.admired', now(), '{}' FROM head""",
                [task_id(1)],
            )
        with pytest.raises(InputError, match=r"task\.admired") as refused:
            await asyncio.wait_for(unlucky, 30)
        assert "Upgrade" in refused.value.hint()
        with pytest.raises(InputError):
            await stream.read(task_id(1))
        await stream.append([finished(task_id(2))])
        assert len(await asyncio.wait_for(lucky, 30)) == 2


async def test_an_event_of_a_newer_release_stays_when_its_task_is_pruned(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool:
        stream = DatabaseEventStream(pool)
        await stream.append([submitted(task_id()), event(task_id(), EventType.PHASE_STARTED, phase="working")])
        with psycopg.connect(emptied_database_url, autocommit=True) as newer:
            newer.execute(
                """WITH head AS (UPDATE task_head SET last = 3 RETURNING task_id)
                   INSERT INTO event (task_id, seq, attempt, type, ts, data)
                   SELECT task_id, 3, 0, 'task.admired', now(), '{}' FROM head"""
            )
        await stream.append([finished(task_id())])
        assert (await stream.prune(before=LATER)).events == 1
        with psycopg.connect(emptied_database_url) as newer:
            kept = newer.execute("SELECT seq, type FROM event ORDER BY seq").fetchall()
    assert kept == [(1, "task.submitted"), (3, "task.admired"), (4, "task.finished")]


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


class Overtaken(DatabaseEventStream):
    """Whatever comes, comes just before a reader asks how far the task is."""

    coming: list[NewEvent]

    async def head(self, task_id: str) -> TaskHead | None:
        coming, self.coming = self.coming, []
        if coming:
            await self.append(coming)
        return await super().head(task_id)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_task_that_ends_while_a_follower_looks(emptied_database_url: str, begun: bool) -> None:
    """Its end is then older than what the follower waits for, and no new event tells of it."""
    whole = [submitted(task_id()), event(task_id()), finished(task_id())]
    async with Pool(emptied_database_url) as pool, Overtaken(pool, poll_s=3600) as stream:
        stream.coming = []
        if begun:
            await stream.append(whole[:1])
        stream.coming = whole[1:] if begun else whole
        async with asyncio.timeout(20):
            assert [item.seq async for item in stream.follow(task_id()) if isinstance(item, Event)] == [1, 2, 3]


async def test_many_come_to_a_task_that_has_ended(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool, DatabaseEventStream(pool, poll_s=3600) as stream:
        await stream.append([submitted(task_id()), *(event(task_id()) for _ in range(298)), finished(task_id())])
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            seen = [group.create_task(collect(stream, task_id())) for _ in range(50)]
    assert [len(each.result()) for each in seen] == [300] * 50


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


async def test_leaving_a_stream_leaves_nobody_waiting(
    emptied_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "MOST_WAITING", 10)
    async with Pool(emptied_database_url) as pool:
        async with DatabaseEventStream(pool) as stream:
            await stream.append([submitted(task_id())])
            async with pool.transaction() as connection:  # nothing is stored meanwhile
                await connection.execute("SELECT 1 FROM task_head FOR UPDATE")
                batches = [[event(task_id(), i=i, j=j) for j in range(7)] for i in range(5)]
                waiting = [asyncio.create_task(stream.append(batch)) for batch in batches]
                await asyncio.sleep(0.2)
                for task in stream._work:
                    task.cancel()
                async with asyncio.timeout(10):
                    await asyncio.wait(waiting)
        assert all(task.cancelled() or isinstance(task.exception(), CouncilorError) for task in waiting)


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
