"""Keeping and erasing: what is held stays, what goes leaves its record, and no race loses bytes that are needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from storing import OTHER_TASK, START, TASK, artifact, execute

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.pool import Pool
from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.keeping import CondemnedBlob, KindUsage, LegalHold
from councilor.errors import CouncilorError, ErasedError, InputError, NotFoundError, ShortageError
from councilor.guards.bodies import CHUNK_BYTES
from councilor.ports.artifacts import ArtifactStorage

LATER = START + timedelta(days=1)
LATEST = START + timedelta(days=2)
LARGE = os.urandom(2 * CHUNK_BYTES + 7)


def hold(task_id: str = TASK, *, reason: str = "lawsuit 7", placed_at: datetime = START) -> LegalHold:
    return LegalHold(task_id=task_id, reason=reason, placed_at=placed_at)


async def put(store: ArtifactStorage, number: int, body: bytes = b"body", **changes: object) -> ExecutionArtifact:
    item = artifact(number, body, **changes)
    await store.put(item, body)
    return item


async def erase_all(store: ArtifactStorage) -> set[str]:
    """What a collector does after its grace period."""
    due = await store.condemned(LATER)
    return set(await store.erase([blob.sha256 for blob in due], before=LATER, now=LATEST))


# --- releasing and erasing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"body", LARGE], ids=len)
async def test_erased_bytes_leave_their_record(artifacts: ArtifactStorage, body: bytes) -> None:
    item = await put(artifacts, 1, body)
    assert await artifacts.condemn(START) == 0
    assert await artifacts.release([item.id]) == 1 and await artifacts.release([item.id]) == 0
    assert set(await artifacts.released([item.id, artifact(2, b"").id])) == {item.id}
    assert list(await artifacts.condemned(LATER)) == []
    assert await artifacts.condemn(START) == 1
    blob = CondemnedBlob(
        sha256=item.output_hash, size_bytes=len(body), condemned_at=START, artifacts=[(item.task_id, item.id)]
    )
    assert await artifacts.condemn(LATER) == 1  # the first mark counts
    assert [
        replace(found, artifacts=list(map(tuple, found.artifacts))) for found in await artifacts.condemned(LATER)
    ] == [blob]
    assert list(await artifacts.condemned(START)) == []  # not before: the grace period is not over
    assert await artifacts.read(item.id) == body
    assert await erase_all(artifacts) == {item.output_hash}
    for reading in (artifacts.read(item.id), artifacts.fetch(item.id), anext(artifacts.stream(item.id))):
        with pytest.raises(ErasedError, match="2026-01-04") as caught:
            await reading
        assert caught.value.hint()
    assert await artifacts.get(item.id) == item and list(await artifacts.of_task(TASK)) == [item]
    assert set(await artifacts.released([item.id])) == {item.id}
    assert await artifacts.condemn(LATEST) == 0 and await erase_all(artifacts) == set()


async def test_bytes_that_another_artifact_needs_are_not_condemned(artifacts: ArtifactStorage) -> None:
    one, two = await put(artifacts, 1), await put(artifacts, 2, task_id=OTHER_TASK)
    await artifacts.release([one.id])
    assert await artifacts.condemn(START) == 0
    await artifacts.release([two.id])
    assert await artifacts.condemn(START) == 1
    (blob,) = await artifacts.condemned(LATER)
    assert [tuple(pair) for pair in blob.artifacts] == [(TASK, one.id), (OTHER_TASK, two.id)]


async def test_the_condemned_come_oldest_first_and_at_most_so_many(artifacts: ArtifactStorage) -> None:
    for number in (1, 2, 3):  # released one after the other, the highest hash first
        item = await put(artifacts, number, b"%d" % number)
        await artifacts.release([item.id])
        await artifacts.condemn(START + timedelta(seconds=number))
    found = [blob.sha256 for blob in await artifacts.condemned(LATER)]
    assert found == [artifact(number, b"%d" % number).output_hash for number in (1, 2, 3)]
    assert [blob.sha256 for blob in await artifacts.condemned(LATER, limit=2)] == found[:2]


async def test_only_what_is_asked_for_and_due_is_erased(artifacts: ArtifactStorage) -> None:
    one, two, kept = [await put(artifacts, number, b"%d" % number) for number in range(3)]
    await artifacts.release([one.id, two.id])
    await artifacts.condemn(START)
    asked = [one.output_hash, kept.output_hash, "0" * 64]
    assert set(await artifacts.erase(asked, before=START, now=LATEST)) == set()
    assert set(await artifacts.erase(asked, before=LATER, now=LATEST)) == {one.output_hash}
    assert set(await artifacts.erase([], before=LATER, now=LATEST)) == set()
    assert (await artifacts.read(two.id), await artifacts.read(kept.id)) == (b"1", b"2")


async def test_of_several_to_release_all_or_none_are(artifacts: ArtifactStorage) -> None:
    item = await put(artifacts, 1)
    for unknown in (artifact(2, b"").id, "nobody", "\0", "\ud800"):
        with pytest.raises(NotFoundError):
            await artifacts.release([item.id, unknown])
    assert not await artifacts.released([item.id])
    assert await artifacts.release([]) == 0
    assert await artifacts.release([item.id, item.id]) == 1


# --- bytes that are needed again -------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"body", LARGE], ids=len)
async def test_bytes_put_again_between_mark_and_erasure_stay(artifacts: ArtifactStorage, body: bytes) -> None:
    one = await put(artifacts, 1, body)
    await artifacts.release([one.id])
    await artifacts.condemn(START)
    two = await put(artifacts, 2, body)
    assert list(await artifacts.condemned(LATER)) == []
    assert set(await artifacts.erase([one.output_hash], before=LATER, now=LATEST)) == set()
    assert await artifacts.read(one.id) == await artifacts.read(two.id) == body
    assert await artifacts.condemn(LATER) == 0
    await artifacts.release([two.id])
    assert await artifacts.condemn(LATEST) == 1
    assert list(await artifacts.condemned(LATEST)) == []  # its grace period began anew


@pytest.mark.parametrize("body", [b"body", LARGE], ids=len)
async def test_bytes_put_again_after_their_erasure_are_there_for_all(artifacts: ArtifactStorage, body: bytes) -> None:
    one = await put(artifacts, 1, body)
    await artifacts.release([one.id])
    await artifacts.condemn(START)
    assert await erase_all(artifacts)
    two = await put(artifacts, 2, body)
    assert await artifacts.read(one.id) == await artifacts.read(two.id) == body
    stats = await artifacts.stats()
    assert (stats.blobs, stats.erased, stats.condemned) == (1, 0, 0)
    assert await artifacts.condemn(START) == 0


@pytest.mark.parametrize("body", [b"body", LARGE], ids=len)
async def test_the_same_artifact_again_does_not_bring_its_bytes_back(artifacts: ArtifactStorage, body: bytes) -> None:
    one = await put(artifacts, 1, body)
    await artifacts.release([one.id])
    await artifacts.condemn(START)
    assert await erase_all(artifacts)
    assert await artifacts.put(one, body) == one.id
    with pytest.raises(ErasedError):
        await artifacts.read(one.id)


# --- holds -----------------------------------------------------------------------------------------------------------


async def test_held_bytes_stay_until_the_hold_is_lifted(artifacts: ArtifactStorage) -> None:
    one, two = await put(artifacts, 1), await put(artifacts, 2, task_id=OTHER_TASK)
    await artifacts.release([one.id, two.id])
    assert await artifacts.condemn(START) == 1
    assert await artifacts.hold(hold(OTHER_TASK))
    assert not await artifacts.hold(hold(OTHER_TASK, reason="another"))
    assert list(await artifacts.condemned(LATER)) == []
    assert set(await artifacts.erase([one.output_hash], before=LATER, now=LATEST)) == set()
    assert await artifacts.condemn(START) == 0
    assert list(await artifacts.holds()) == [hold(OTHER_TASK)]
    assert await artifacts.lift(OTHER_TASK) and not await artifacts.lift(OTHER_TASK)
    assert list(await artifacts.holds()) == []
    assert await artifacts.condemn(START) == 1 and await erase_all(artifacts) == {one.output_hash}


async def test_holds_come_oldest_first_and_need_no_artifact(artifacts: ArtifactStorage) -> None:
    placed = [hold(str(UUID(int=number)), placed_at=START - timedelta(seconds=number)) for number in (1, 3, 2)]
    for item in placed:
        assert await artifacts.hold(item)
    assert [item.task_id for item in await artifacts.holds()] == [str(UUID(int=number)) for number in (3, 2, 1)]
    assert (await artifacts.stats()).held_tasks == 3


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (hold("T-1"), "task_id"),
        (hold(reason=""), "reason"),
        (hold(reason="x" * 1001), "reason"),
        (hold(reason="\0"), "reason"),
        (hold(reason="\ud800"), "reason"),
        (hold(placed_at=datetime(2026, 1, 1)), "placed_at"),  # noqa: DTZ001
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_hold_that_cannot_be_kept_is_bad_input(
    artifacts: ArtifactStorage, wrong: LegalHold, field: str
) -> None:
    with pytest.raises(InputError) as caught:
        await artifacts.hold(wrong)
    assert caught.value.field == field and list(await artifacts.holds()) == []


# --- figures and quota -----------------------------------------------------------------------------------------------


async def test_stats_count_what_is_there(artifacts: ArtifactStorage) -> None:
    empty = await artifacts.stats()
    assert (dict(empty.kinds), empty.blobs, empty.blob_bytes, empty.quota_bytes) == ({}, 0, 0, None)
    await put(artifacts, 1, b"12345")
    await put(artifacts, 2, b"12345", kind=ArtifactKind.LINT)
    gone = await put(artifacts, 3, b"123")
    marked = await put(artifacts, 4, b"1")
    await artifacts.release([gone.id])
    await artifacts.condemn(START)
    await erase_all(artifacts)
    await artifacts.release([marked.id])
    await artifacts.condemn(START)
    await artifacts.hold(hold(OTHER_TASK))
    found = await artifacts.stats()
    assert dict(found.kinds) == {
        ArtifactKind.REPORT: KindUsage(artifacts=3, size_bytes=9),
        ArtifactKind.LINT: KindUsage(artifacts=1, size_bytes=5),
    }
    assert (found.blobs, found.blob_bytes, found.condemned, found.erased, found.held_tasks) == (2, 6, 1, 1, 1)
    assert found.stored_bytes >= 6


QUOTA = 4 * CHUNK_BYTES


@pytest.fixture(params=["memory", "postgres"])
async def limited(request: pytest.FixtureRequest) -> AsyncIterator[ArtifactStorage]:
    """A store that may take four MiB."""
    if request.param == "memory":
        yield MemoryArtifactStorage(quota_bytes=QUOTA)
    else:
        async with Pool(request.getfixturevalue("emptied_database_url")) as pool:
            yield DatabaseArtifactStorage(pool, quota_bytes=QUOTA)


@pytest.mark.parametrize("size", [CHUNK_BYTES // 2, CHUNK_BYTES + 1])
async def test_a_full_store_refuses_and_takes_again_after_an_erasure(limited: ArtifactStorage, size: int) -> None:
    stored: list[ExecutionArtifact] = []
    with pytest.raises(ShortageError) as caught:
        for number in range(20):
            stored.append(await put(limited, number, os.urandom(size)))  # noqa: PERF401 - the last one raises
    assert "gc" in caught.value.hint() and len(stored) >= 2
    assert await limited.get(artifact(len(stored), b"").id) is None
    assert (await limited.stats()).quota_bytes == QUOTA
    assert len(await limited.read(stored[-1].id)) == size  # reading goes on
    await limited.release([item.id for item in stored])
    await limited.condemn(START)
    assert len(await erase_all(limited)) == len(stored)
    for number in range(20, 20 + len(stored) - 1):
        await put(limited, number, os.urandom(size))


# --- races, in the database ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "writers"), [(b"body", 2), (LARGE, 1)], ids=["small", "large"])
async def test_puts_and_a_collector_at_once_never_lose_bytes_that_are_needed(
    emptied_database_url: str, body: bytes, writers: int
) -> None:
    """Bytes are released, marked, erased and stored again without a pause; whoever stored them can read them."""
    async with Pool(emptied_database_url) as one, Pool(emptied_database_url) as two:
        writer, collector = DatabaseArtifactStorage(one), DatabaseArtifactStorage(two)
        first = await put(writer, 0, body)
        await writer.release([first.id])
        done, erasures = asyncio.Event(), 0

        async def collect() -> None:
            nonlocal erasures
            while not done.is_set():
                await collector.condemn(START)
                erasures += len(await collector.erase([first.output_hash], before=LATER, now=LATEST))

        async def write(lane: int) -> None:
            for turn in range(99):
                item = await put(writer, 1 + lane * 100 + turn, body)
                assert await writer.read(item.id) == body
                await asyncio.sleep(0.002)
                assert await writer.read(item.id) == body
                await writer.release([item.id])
                await asyncio.sleep(0.005 + 0.02 * lane)
                if turn >= 4 and erasures:
                    return

        async with asyncio.TaskGroup() as group:
            group.create_task(collect())
            await asyncio.gather(*map(write, range(writers)))
            done.set()
        last = await put(writer, 999, body)
        assert await writer.read(last.id) == body
    assert erasures


async def test_an_erasure_waits_for_a_put_that_is_under_way_and_lets_its_bytes_be(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        one = await put(store, 1, b"body")
        await store.release([one.id])
        await store.condemn(START)
        with psycopg.connect(emptied_database_url) as other:  # a put that has not committed yet
            _put_slowly(other, one, artifact(2, b"body"))
            erasing = asyncio.create_task(store.erase([one.output_hash], before=LATER, now=LATEST))
            await _until_blocked(emptied_database_url)
            assert not erasing.done()
            other.commit()
            assert set(await erasing) == set()
        assert await store.read(artifact(2, b"body").id) == b"body"


async def test_a_put_waits_for_an_erasure_that_is_under_way_and_writes_the_bytes_again(
    emptied_database_url: str,
) -> None:
    for number, body in enumerate((b"body", LARGE)):
        async with Pool(emptied_database_url) as pool:
            store = DatabaseArtifactStorage(pool)
            one = await put(store, number * 10, body)
            await store.release([one.id])
            await store.condemn(START)
            with psycopg.connect(emptied_database_url) as other:
                digest = bytes.fromhex(one.output_hash)
                other.execute(
                    "UPDATE artifact_blobs SET erased_at = now(), inline_body = NULL WHERE sha256 = %s", [digest]
                )
                other.execute("DELETE FROM artifact_chunks WHERE sha256 = %s", [digest])
                putting = asyncio.create_task(put(store, number * 10 + 1, body))
                await _until_blocked(emptied_database_url)
                assert not putting.done()
                other.commit()
                two = await putting
            assert await store.read(two.id) == await store.read(one.id) == body


async def test_bytes_that_are_erased_while_they_are_read_are_erased_and_not_altered(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        item = await put(store, 1, LARGE)
        await store.release([item.id])
        await store.condemn(START)
        chunks = store.stream(item.id)
        assert await anext(chunks) == LARGE[:CHUNK_BYTES]
        assert await erase_all(store)
        with pytest.raises(ErasedError):
            async for _ in chunks:
                pass


async def test_holds_and_collectors_at_once_end_in_a_hold_that_holds(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        for turn in range(10):
            body = b"turn %d" % turn
            item = await put(store, turn, body, task_id=str(UUID(int=turn + 1)))
            await store.release([item.id])
            await store.condemn(START)
            placed, erased = await asyncio.gather(
                store.hold(hold(item.task_id)), store.erase([item.output_hash], before=LATER, now=LATEST)
            )
            assert placed
            readable = True
            try:
                await store.read(item.id)
            except CouncilorError:
                readable = False
            assert readable is not bool(erased)
            assert set(await store.erase([item.output_hash], before=LATER, now=LATEST)) == set()


def _put_slowly(connection: psycopg.Connection, like: ExecutionArtifact, new: ExecutionArtifact) -> None:
    connection.execute(
        """INSERT INTO artifact_blobs (sha256, size, codec) VALUES (%s, %s, 'raw') ON CONFLICT (sha256) DO UPDATE
           SET condemned_at = NULL WHERE artifact_blobs.erased_at IS NOT NULL""",
        [bytes.fromhex(new.output_hash), new.size_bytes],
    )
    connection.execute(
        """INSERT INTO execution_artifacts (id, name, task_id, run_id, attempt, kind, input_hash, output_hash,
                                            media_type, size_bytes, created_at, statement, keyid)
           SELECT %s::uuid, %s, task_id, run_id, attempt, kind, input_hash, output_hash, media_type,
                  size_bytes, created_at, statement, keyid FROM execution_artifacts WHERE id = %s::uuid""",
        [new.id, new.name, like.id],
    )


async def _until_blocked(url: str) -> None:
    async with asyncio.timeout(10):
        while execute(url, "SELECT count(*) FROM pg_locks WHERE NOT granted") == [(0,)]:
            await asyncio.sleep(0.01)
