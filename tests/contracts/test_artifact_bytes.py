"""An artifact's bytes: streamed, compressed, stored once, never changed, and never given out altered."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from storing import START, TASK, artifact, execute, intrude, made_from, new_signer, signing

from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.log import DatabaseTransparencyLog
from councilor.adapters.postgres.pool import Pool
from councilor.domain.keeping import LegalHold
from councilor.errors import HashMismatchError, InputError, NotFoundError
from councilor.guards.bodies import CHUNK_BYTES
from councilor.ports.artifacts import ArtifactStorage

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


async def chunks_of(store: ArtifactStorage, artifact_id: str) -> list[bytes]:
    async with aclosing(store.stream(artifact_id)) as chunks:
        return [chunk async for chunk in chunks]


async def chunks_until_refused(store: ArtifactStorage, artifact_id: str) -> list[bytes]:
    given = []
    async with aclosing(store.stream(artifact_id)) as chunks:
        with pytest.raises(HashMismatchError):
            while True:
                given.append(await anext(chunks))
    return given


@pytest.fixture
async def database(emptied_database_url: str) -> AsyncIterator[DatabaseArtifactStorage]:
    async with Pool(emptied_database_url) as pool:
        yield DatabaseArtifactStorage(pool)


# --- every store -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("random", [False, True], ids=["compressible", "random"])
@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
async def test_a_stream_has_chunks_of_at_most_a_mebibyte_and_none_is_empty(
    artifacts: ArtifactStorage, size: int, random: bool
) -> None:
    body = os.urandom(size) if random else (b"%09d\n" * 8 % tuple(range(8)) * (size // 80 + 1))[:size]
    await artifacts.put(artifact(1, body), body)
    found = await chunks_of(artifacts, artifact(1, body).id)
    assert b"".join(found) == body and all(0 < len(chunk) <= CHUNK_BYTES for chunk in found)
    assert len(found) == -(-size // CHUNK_BYTES)


async def test_nothing_is_not_found(artifacts: ArtifactStorage) -> None:
    for unknown in (artifact(1, b"").id, "", "\0", "\ud800"):
        for reading in (artifacts.read, artifacts.fetch, lambda id_: chunks_of(artifacts, id_)):
            with pytest.raises(NotFoundError):
                await reading(unknown)


@pytest.mark.parametrize("size", [0, 5, CHUNK_BYTES, CHUNK_BYTES + 1])
async def test_an_artifact_is_fetched_with_its_bytes(artifacts: ArtifactStorage, size: int) -> None:
    parent, body = artifact(1, b"parent"), os.urandom(size)
    item = artifact(2, body, parent_id=parent.id, inputs=made_from(parent), metadata={"a": [1]}, seq=1)
    await artifacts.put(parent, b"parent")
    await artifacts.put(item, body)
    assert await artifacts.fetch(item.id) == (item, body)


# --- the database: stored once, compressed ---------------------------------------------------------------------------


async def test_the_same_bytes_are_stored_once_and_a_refused_put_leaves_none(
    database: DatabaseArtifactStorage, emptied_database_url: str
) -> None:
    body = b"y" * (2 * CHUNK_BYTES)
    await asyncio.gather(*(database.put(artifact(number, body), body) for number in range(4)))
    with pytest.raises(InputError):
        await database.put(artifact(1, b"other"), b"other")
    for number, refused in enumerate((b"other", b"z" * (2 * CHUNK_BYTES)), 9):
        with pytest.raises(InputError):
            await database.put(artifact(number, refused, parent_id=artifact(99, b"").id), refused)
    assert execute(emptied_database_url, "SELECT count(*), sum(size) FROM artifact_blobs") == [(1, len(body))]
    assert execute(emptied_database_url, "SELECT count(*) FROM artifact_chunks") == [(2,)]


async def test_a_refused_large_body_leaves_no_chunk(
    database: DatabaseArtifactStorage, emptied_database_url: str, tmp_path: Path
) -> None:
    body = os.urandom(3 * CHUNK_BYTES)
    file = tmp_path / "body"
    file.write_bytes(body[:-1] + b"\0")
    for wrong in (file, body[:-1], body + b"x"):
        with pytest.raises(HashMismatchError):
            await database.put(artifact(1, body), wrong)
    for table in ("artifact_blobs", "artifact_chunks", "execution_artifacts", "log_pending"):
        assert execute(emptied_database_url, f"SELECT count(*) FROM {table}") == [(0,)]


async def test_what_compresses_is_compressed_and_what_does_not_is_not(
    database: DatabaseArtifactStorage, emptied_database_url: str
) -> None:
    bodies = [b"text " * 5000, os.urandom(5000), b"short", b"long " * (CHUNK_BYTES // 2), os.urandom(CHUNK_BYTES + 9)]
    for number, body in enumerate(bodies):
        await database.put(artifact(number, body), body)
    stored = execute(
        emptied_database_url,
        """SELECT codec, coalesce(length(inline_body), (SELECT sum(length(body)) FROM artifact_chunks c
                                                       WHERE c.sha256 = b.sha256))
           FROM artifact_blobs b JOIN execution_artifacts a ON a.output_hash = b.sha256 ORDER BY a.id""",
    )
    assert [row[0] for row in stored] == ["zstd", "raw", "raw", "zstd", "raw"]
    assert int(str(stored[0][1])) < 500 and int(str(stored[3][1])) < 5000
    assert [await database.read(artifact(number, b"").id) for number in range(5)] == bodies


# --- the database: altered bytes -------------------------------------------------------------------------------------

TEXT = b"compressible " * 100


def wide_frame(body: bytes) -> bytes:
    """The right bytes in a frame whose reader must set 128 MiB aside."""
    writer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    return writer.compress(body) + writer.flush()


BOMB = zstd.compress(bytes(64 * CHUNK_BYTES))
GOOD = zstd.compress(TEXT)
FRAMES = {
    "bomb": BOMB,
    "a window of 128 MiB": wide_frame(TEXT),
    "cut in the middle": GOOD[: len(GOOD) // 2],
    "cut at the end": GOOD[:-1],
    "only a magic number": GOOD[:4],
    "no frame": TEXT,
    "empty": b"",
    "a flipped bit": bytes([*GOOD[:9], GOOD[9] ^ 1, *GOOD[10:]]),
    "other bytes": zstd.compress(b"compressibly " * 100),
    "longer by a byte": zstd.compress(TEXT + b"x"),
}


@pytest.mark.parametrize("frame", FRAMES)
async def test_a_damaged_frame_is_altered_bytes(
    database: DatabaseArtifactStorage, emptied_database_url: str, frame: str
) -> None:
    body = TEXT
    await database.put(artifact(1, body), body)
    assert execute(emptied_database_url, "SELECT codec FROM artifact_blobs") == [("zstd",)]
    intrude(emptied_database_url, f"UPDATE artifact_blobs SET inline_body = '\\x{FRAMES[frame].hex()}'")
    for reading in (database.read, database.fetch, lambda id_: chunks_of(database, id_)):
        with pytest.raises(HashMismatchError):
            await reading(artifact(1, body).id)


@pytest.mark.parametrize("frame", [name for name, data in FRAMES.items() if data])
async def test_a_damaged_frame_in_a_chunk_is_altered_bytes(
    database: DatabaseArtifactStorage, emptied_database_url: str, frame: str
) -> None:
    body = b"chunk of text\n" * (CHUNK_BYTES // 7)
    await database.put(artifact(1, body), body)
    intrude(
        emptied_database_url, f"UPDATE artifact_chunks SET body = '\\x{FRAMES[frame].hex()}' WHERE seq = 1"
    )  # fmt: skip
    with pytest.raises(HashMismatchError):
        await database.read(artifact(1, body).id)


async def test_a_bomb_in_every_chunk_is_unpacked_to_a_chunk_at_most(
    database: DatabaseArtifactStorage, emptied_database_url: str
) -> None:
    body = b"text\n" * CHUNK_BYTES
    await database.put(artifact(1, body), body)
    intrude(emptied_database_url, f"UPDATE artifact_chunks SET body = '\\x{BOMB.hex()}'")
    given = await chunks_until_refused(database, artifact(1, body).id)
    assert sum(map(len, given)) <= len(body) and max(map(len, given), default=0) <= CHUNK_BYTES + 1


TAMPERS = [
    "UPDATE artifact_blobs SET inline_body = 'altered' WHERE inline_body IS NOT NULL",
    "UPDATE artifact_blobs SET inline_body = NULL WHERE inline_body IS NOT NULL",
    "UPDATE artifact_blobs SET codec = 'raw' WHERE inline_body IS NOT NULL",
    "UPDATE artifact_blobs SET codec = 'raw' WHERE inline_body IS NULL",
    "UPDATE artifact_blobs SET size = size - 1 WHERE inline_body IS NOT NULL",
    "UPDATE artifact_blobs SET size = size + 1 WHERE inline_body IS NULL",
    "UPDATE artifact_chunks SET body = set_byte(body, 5, 1) WHERE seq = 1",
    "DELETE FROM artifact_chunks WHERE seq = 0",
    "DELETE FROM artifact_chunks WHERE seq = 1",
    "DELETE FROM artifact_chunks",
    "UPDATE artifact_chunks SET seq = 1 - seq + 10",
    "INSERT INTO artifact_chunks SELECT sha256, 9, body FROM artifact_chunks WHERE seq = 0",
]


@pytest.mark.parametrize("tamper", TAMPERS)
async def test_altered_bytes_are_noticed_at_the_next_read(
    database: DatabaseArtifactStorage, emptied_database_url: str, tamper: str
) -> None:
    small, large = b"small" * 200, b"".join(bytes([65 + part]) * CHUNK_BYTES for part in range(2))
    await database.put(artifact(1, small), small)
    await database.put(artifact(2, large), large)
    intrude(emptied_database_url, tamper)
    for reading in (database.read, database.fetch):
        read = [reading(artifact(1, small).id), reading(artifact(2, large).id)]
        results = await asyncio.gather(*read, return_exceptions=True)
        assert sum(isinstance(result, HashMismatchError) for result in results) == 1


async def test_the_last_chunk_is_given_only_after_all_was_checked(
    database: DatabaseArtifactStorage, emptied_database_url: str
) -> None:
    body = os.urandom(3 * CHUNK_BYTES + 100)
    await database.put(artifact(1, body), body)
    intrude(
        emptied_database_url, "UPDATE artifact_chunks SET body = set_byte(body, 0, get_byte(body, 0) # 1) WHERE seq = 3"
    )
    given = await chunks_until_refused(database, artifact(1, body).id)
    assert b"".join(given) == body[: 3 * CHUNK_BYTES]


async def test_a_reader_that_stops_early_gives_its_connection_back(emptied_database_url: str) -> None:
    body = os.urandom(3 * CHUNK_BYTES)
    async with Pool(emptied_database_url, max_connections=1) as pool:
        store = DatabaseArtifactStorage(pool)
        await store.put(artifact(1, body), body)
        for _ in range(3):
            async with aclosing(store.stream(artifact(1, body).id)) as chunks:
                assert await anext(chunks) == body[:CHUNK_BYTES]
                # the only connection is free while the reader holds a chunk
                assert await store.get(artifact(1, body).id) is not None


# --- the database: immutable -----------------------------------------------------------------------------------------

RECORDED = {
    "execution_artifacts": "name = 'other'",
    "artifact_inputs": "role = 'other'",
    "artifact_versions": "version = version + 1",
    "artifact_blobs": "inline_body = 'other'",
    "artifact_chunks": "body = 'other'",
    "log_identity": "origin = 'other'",
    "log_entries": "leaf_hash = sha256('x')",
    "log_subtrees": "root = sha256('x')",
    "log_checkpoints": "note = 'other'",
}
REFUSED = [
    *(f"UPDATE {table} SET {change}" for table, change in RECORDED.items()),
    *(f"DELETE FROM {table}" for table in RECORDED),
    *(f"TRUNCATE {table} CASCADE" for table in RECORDED),
    "UPDATE artifact_blobs SET size = size + 1",
    "UPDATE artifact_blobs SET sha256 = sha256('x')",
    "UPDATE artifact_blobs SET erased_at = now()",  # erased, and yet there
    "UPDATE artifact_blobs SET codec = 'raw'",
    "UPDATE artifact_blobs SET inline_body = NULL",
    "UPDATE execution_artifacts SET seq = 9",
    "UPDATE execution_artifacts SET metadata = '{}'",
    "UPDATE execution_artifacts SET statement = 'other'",
]


@pytest.fixture
async def recorded(emptied_database_url: str) -> AsyncIterator[str]:
    """A database with a row in every table that must not change."""
    async with Pool(emptied_database_url) as pool:
        store, log = DatabaseArtifactStorage(pool), DatabaseTransparencyLog(pool)
        small, large = b"small " * 200, b"large " * (CHUNK_BYTES // 4)
        parent = artifact(1, small, seq=1, metadata={"a": 1})
        await store.put(parent, small)
        await store.put(artifact(2, large, seq=2, parent_id=parent.id, inputs=made_from(parent)), large)
        await log.sequence(signing(new_signer()), now=START)
        await store.hold(LegalHold(task_id=TASK, reason="audit", placed_at=START))
    intrude(emptied_database_url, "INSERT INTO log_subtrees VALUES (1, 0, sha256('x'))")
    yield emptied_database_url


async def test_the_database_refuses_changes_of_what_is_recorded(recorded: str) -> None:
    """One test for all of them: nothing changes, so one database does."""

    def everything() -> list[list[tuple[object, ...]]]:
        return [
            execute(recorded, f"SELECT * FROM {table} ORDER BY 1, 2") for table in RECORDED if table != "log_identity"
        ]

    before = everything()
    assert all(before)
    unrefused = []
    for statement in REFUSED:
        try:
            execute(recorded, statement)
        except (psycopg.errors.IntegrityError, psycopg.errors.FeatureNotSupported):  # fmt: skip
            continue
        unrefused.append(statement)
    assert unrefused == []
    assert everything() == before


async def test_marking_and_erasing_are_all_that_may_happen_to_bytes(recorded: str) -> None:
    execute(recorded, "UPDATE artifact_blobs SET condemned_at = now()")
    execute(recorded, "UPDATE artifact_blobs SET condemned_at = NULL")
    execute(recorded, "UPDATE artifact_blobs SET erased_at = now(), inline_body = NULL")
    execute(recorded, "DELETE FROM artifact_chunks")
    body = b"small " * 200
    async with Pool(recorded) as pool:
        await DatabaseArtifactStorage(pool).put(artifact(3, body), body)
        assert await DatabaseArtifactStorage(pool).read(artifact(1, body).id) == body
    with pytest.raises(psycopg.errors.RestrictViolation):
        execute(recorded, f"UPDATE artifact_blobs SET codec = 'raw' WHERE sha256 = '\\x{sha256(body).hexdigest()}'")
