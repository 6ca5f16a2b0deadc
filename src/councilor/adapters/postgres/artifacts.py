"""Artifacts in PostgreSQL: immutable metadata, and their bytes once by SHA-256.

Rules:
- A `put` is one statement (bytes above 1 MiB: one transaction): bytes, artifact, edges, version and the place in the
  queue of the log are there together, durable, or not at all.
- Nothing is stored unless its ancestors are known and its place is the next one of its task. Of two writers of one
  place, one is refused by a unique index, whatever else they do at the same time.
- Every read checks the bytes against their hash. The database refuses to change what is recorded, whoever asks.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import fields
from datetime import datetime
from typing import Any, LiteralString

from psycopg import errors
from psycopg.types.numeric import Int4

from councilor.adapters.postgres import keeping, kinship
from councilor.adapters.postgres.blobs import (
    WORTH_A_THREAD_BYTES,
    Blob,
    Packed,
    add_chunks,
    pack,
    read_blob,
    stream_blob,
)
from councilor.adapters.postgres.pool import Connection, Pool
from councilor.adapters.postgres.queries import artifacts as queries
from councilor.adapters.postgres.rows import artifact_of_row, row_of_artifact
from councilor.domain.artifact import ArtifactVersion, Body, ExecutionArtifact
from councilor.domain.keeping import CondemnedBlob, LegalHold, StorageStats
from councilor.domain.lineage import Direction, Lineage
from councilor.domain.listing import ArtifactFilter, ArtifactPage, begin_page, end_page
from councilor.domain.stored import is_fragment, is_id, is_text, require_alias, require_storable
from councilor.errors import InputError, NotFoundError, PlaceTakenError, ShortageError, UnavailableError
from councilor.guards.bodies import CHUNK_BYTES, checked_chunks

__all__ = ["DatabaseArtifactStorage"]

MOST_TRIES = 20
"""Of one put among writers of the same task: each round lets one of them through."""
QUOTA_CHECK_S = 5.0


class DatabaseArtifactStorage:
    """An `ArtifactStorage` in PostgreSQL.

    Args:
        pool: of an up-to-date database.
        quota_bytes: what the bytes may take in the database; None: no limit. It is looked at every five seconds, and
            whenever a hundredth of it was written since.
    """

    durable = True

    def __init__(self, pool: Pool, *, quota_bytes: int | None = None) -> None:
        self._pool = pool
        self._quota_bytes = quota_bytes
        self._used_bytes = 0
        self._written_bytes = 0
        self._looked_at = -math.inf

    # --- storing

    async def put(self, artifact: ExecutionArtifact, body: Body) -> str:
        """Store an artifact with its bytes."""
        require_storable(artifact)
        await self._require_room(artifact)
        if artifact.size_bytes <= CHUNK_BYTES:
            await self._put_inline(artifact, body)
        else:
            await self._put_chunked(artifact, body)
        self._written_bytes += artifact.size_bytes
        return artifact.id

    async def _put_inline(self, artifact: ExecutionArtifact, body: Body) -> None:
        packed = (
            await asyncio.to_thread(_packed, artifact, body)
            if artifact.size_bytes >= WORTH_A_THREAD_BYTES or not isinstance(body, bytes)
            else _packed(artifact, body)
        )
        row = row_of_artifact(artifact) | {"codec": packed.codec, "inline_body": packed.data}
        for _ in range(MOST_TRIES):
            try:
                async with self._pool.connection() as connection:
                    return await _add(connection, artifact, row)
            except InputError as error:
                if not isinstance(error.__cause__, errors.UniqueViolation):
                    raise
        raise _contended(artifact)

    async def _put_chunked(self, artifact: ExecutionArtifact, body: Body) -> None:
        digest = bytes.fromhex(artifact.output_hash)
        for _ in range(MOST_TRIES):
            chunks = checked_chunks(artifact, body)
            first = await asyncio.to_thread(next, chunks, b"")
            codec = pack(first).codec
            try:
                async with self._pool.transaction() as connection:
                    if (known := await _select(connection, queries.GET_ARTIFACT, [artifact.id])) != []:
                        await asyncio.to_thread(_exhaust, chunks)
                        return _require_same(artifact, known)
                    cursor = await connection.execute(
                        queries.ADD_BLOB, {"output_hash": digest, "size_bytes": artifact.size_bytes, "codec": codec}
                    )
                    if await cursor.fetchone() is not None:
                        await add_chunks(connection, digest, codec, _joined(first, chunks))
                    else:
                        await asyncio.to_thread(_exhaust, chunks)
                    return await _add(
                        connection, artifact, row_of_artifact(artifact) | {"codec": codec, "inline_body": None}
                    )
            except InputError as error:
                if not isinstance(error.__cause__, errors.UniqueViolation):
                    raise
        raise _contended(artifact)

    async def _require_room(self, artifact: ExecutionArtifact) -> None:
        if self._quota_bytes is None:
            return
        stale = time.monotonic() - self._looked_at >= QUOTA_CHECK_S
        if stale or self._written_bytes > self._quota_bytes // 100:
            async with self._pool.connection() as connection:
                self._used_bytes = await keeping.stored_bytes(connection)
                if self._used_bytes + artifact.size_bytes > self._quota_bytes:
                    # what was erased leaves room inside the tables, which they do not give back
                    self._used_bytes = await keeping.live_bytes(connection)
            self._written_bytes, self._looked_at = 0, time.monotonic()
        if self._used_bytes + self._written_bytes + artifact.size_bytes > self._quota_bytes:
            raise ShortageError(
                f"The artifacts take {self._used_bytes} of the {self._quota_bytes} bytes that they may, and "
                f"{artifact.size_bytes} more do not fit.",
                backend="postgres",
                hint="Let old bytes go with `councilor artifacts gc`, or raise storage.quota_bytes.",
            )

    # --- reading

    async def get(self, artifact_id: str) -> ExecutionArtifact | None:
        """The artifact, or None."""
        found = await self._artifacts(queries.GET_ARTIFACT, artifact_id)
        return found[0] if found else None

    async def read(self, artifact_id: str) -> bytes:
        """Its bytes, checked."""
        return await read_blob(self._pool, Blob(*await self._row(queries.READ_BLOB, artifact_id)), artifact_id)

    async def fetch(self, artifact_id: str) -> tuple[ExecutionArtifact, bytes]:
        """The artifact and its bytes, checked, in one journey."""
        row = await self._row(queries.FETCH_ARTIFACT, artifact_id)
        blob = Blob(*row[-len(fields(Blob)) :])
        return artifact_of_row(row[: -len(fields(Blob))]), await read_blob(self._pool, blob, artifact_id)

    async def stream(self, artifact_id: str) -> AsyncGenerator[bytes, None]:
        """Its bytes in chunks, the last one after all were checked."""
        blob = Blob(*await self._row(queries.READ_BLOB, artifact_id))
        async with aclosing(stream_blob(self._pool, blob, artifact_id)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _row(self, query: LiteralString, artifact_id: str) -> Sequence[Any]:
        row = None
        if is_id(artifact_id):
            async with self._pool.connection() as connection:
                row = await (await connection.execute(query, [artifact_id], binary=True)).fetchone()
        if row is None:
            raise NotFoundError(f"There is no artifact {artifact_id}.", hint="`councilor artifacts list` shows them.")
        return row

    async def latest_for_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """The newest artifact of each name, newest first."""
        return await self._artifacts(queries.LATEST_ARTIFACTS, task_id)

    async def about_tree(self, tree: str, name: str, *, limit: int) -> Sequence[ExecutionArtifact]:
        """The newest artifacts of that name about a tree, newest first."""
        if not (is_text(tree) and is_text(name)):
            return []
        return await self._select(queries.ARTIFACTS_ABOUT_TREE, [tree, name, limit])

    async def of_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """All its artifacts, oldest first."""
        return await self._artifacts(queries.ARTIFACTS_OF_TASK, task_id)

    async def last_seq(self, task_id: str) -> int:
        """The last place that is taken in a task."""
        if not is_id(task_id):
            return 0
        async with self._pool.connection() as connection:
            row = await (await connection.execute(queries.LAST_SEQ, [task_id])).fetchone()
        return int(row[0]) if row else 0

    async def list(
        self, wanted: ArtifactFilter | None = None, *, cursor: str | None = None, limit: int = 100
    ) -> ArtifactPage:
        """A page of artifacts, newest first."""
        wanted = wanted or ArtifactFilter()
        after = begin_page(wanted, cursor, limit)
        values = {
            "task_id": wanted.task_id,
            "kind": wanted.kind.value if wanted.kind else None,
            "name": wanted.name,
            "tree": wanted.tree,
            "since": wanted.since,
            "until": wanted.until,
            "after": after,
        }
        query = queries.LIST_ARTIFACTS
        for field, condition in queries.LIST_CONDITIONS.items():
            if values[field] is not None:
                query += condition
        found = await self._select(query + queries.LIST_ORDER, values | {"limit": Int4(limit + 1)})
        return end_page(wanted, found, limit)

    async def find(self, fragment: str) -> Sequence[str]:
        """Ids that begin or end with a fragment."""
        if not is_fragment(fragment):
            return []
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.FIND_ARTIFACTS, {"fragment": fragment})
            return [row[0] for row in await cursor.fetchall()]

    async def lineage(
        self, artifact_id: str, direction: Direction, *, max_depth: int = 100, max_nodes: int = 1000
    ) -> Lineage:
        """What an artifact was made from, or what was made from it."""
        async with self._pool.connection() as connection:
            return await kinship.walk(connection, artifact_id, direction, max_depth=max_depth, max_nodes=max_nodes)

    # --- versions and aliases

    async def versions(self, task_id: str, name: str) -> Sequence[ArtifactVersion]:
        """Every version of a name in a task, oldest first."""
        if not is_id(task_id) or not is_text(name):
            return []
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.VERSIONS, [task_id, name])
            return [
                ArtifactVersion(task_id=task_id, name=name, version=version, artifact_id=artifact_id)
                for version, artifact_id in await cursor.fetchall()
            ]

    async def set_alias(self, alias: str, artifact_id: str) -> None:
        """Let a name of yours mean an artifact."""
        require_alias(alias)
        if await self.get(artifact_id) is None:
            raise NotFoundError(f"There is no artifact {artifact_id}.", hint="`councilor artifacts list` shows them.")
        async with self._pool.connection() as connection:
            await connection.execute(queries.SET_ALIAS, [alias, artifact_id])

    async def drop_alias(self, alias: str) -> bool:
        """Forget an alias."""
        require_alias(alias)
        async with self._pool.connection() as connection:
            return (await connection.execute(queries.DROP_ALIAS, [alias])).rowcount > 0

    async def aliases(self) -> Mapping[str, str]:
        """Every alias with its artifact's id."""
        async with self._pool.connection() as connection:
            return dict(await (await connection.execute(queries.ALIASES)).fetchall())

    # --- keeping and erasing

    async def hold(self, hold: LegalHold) -> bool:
        """Keep every byte of a task."""
        async with self._pool.connection() as connection:
            return await keeping.hold(connection, hold)

    async def lift(self, task_id: str) -> bool:
        """End a hold."""
        async with self._pool.connection() as connection:
            return await keeping.lift(connection, task_id)

    async def holds(self) -> Sequence[LegalHold]:
        """Every hold, oldest first."""
        async with self._pool.connection() as connection:
            return await keeping.holds(connection)

    async def release(self, artifact_ids: Collection[str]) -> int:
        """Say that the bytes of these artifacts may go."""
        async with self._pool.transaction() as connection:
            return await keeping.release(connection, artifact_ids)

    async def released(self, artifact_ids: Collection[str]) -> Collection[str]:
        """Those whose bytes may go or are gone."""
        async with self._pool.connection() as connection:
            return await keeping.released(connection, artifact_ids)

    async def condemn(self, now: datetime) -> int:
        """Mark bytes that nothing needs."""
        async with self._pool.transaction() as connection:
            return await keeping.condemn(connection, now)

    async def condemned(self, before: datetime, *, limit: int = 1000) -> Sequence[CondemnedBlob]:
        """Bytes that were marked before a moment."""
        async with self._pool.connection() as connection:
            return await keeping.condemned(connection, before, limit)

    async def erase(self, digests: Collection[str], *, before: datetime, now: datetime) -> Collection[str]:
        """Remove bytes that were marked before a moment and are still not needed."""
        async with self._pool.transaction() as connection:
            erased = await keeping.erase(connection, digests, before, now)
        self._looked_at = -math.inf
        return erased

    async def stats(self) -> StorageStats:
        """What the store holds."""
        async with self._pool.connection() as connection:
            return await keeping.stats(connection, self._quota_bytes)

    async def _artifacts(self, query: LiteralString, wanted: str) -> Sequence[ExecutionArtifact]:
        return await self._select(query, [wanted]) if is_id(wanted) else []

    async def _select(
        self, query: LiteralString, values: Sequence[Any] | Mapping[str, Any]
    ) -> Sequence[ExecutionArtifact]:
        async with self._pool.connection() as connection:
            return await _select(connection, query, values)


async def _select(
    connection: Connection, query: LiteralString, values: Sequence[Any] | Mapping[str, Any]
) -> list[ExecutionArtifact]:
    cursor = await connection.execute(query, values, binary=True)
    return [artifact_of_row(row) for row in await cursor.fetchall()]


async def _add(connection: Connection, artifact: ExecutionArtifact, row: Mapping[str, Any]) -> None:
    """Add an artifact whose ancestors are known and whose place is free; the same artifact again is no error."""
    found = await (await connection.execute(queries.ADD_ARTIFACT, row)).fetchone()
    taken, last_seq, added = found if found else (False, 0, False)
    if added:
        return
    if taken:
        _require_same(artifact, await _select(connection, queries.GET_ARTIFACT, [artifact.id]))
        return
    await _refuse_unknown_ancestors(connection, artifact)
    raise PlaceTakenError(
        f"Place {artifact.seq} of task {artifact.task_id} is not the next one, which is {last_seq + 1}.", field="seq"
    )


def _require_same(artifact: ExecutionArtifact, known: Sequence[ExecutionArtifact]) -> None:
    if known != [artifact]:
        raise InputError(f"The id {artifact.id} is taken by another artifact.", field="id")


async def _refuse_unknown_ancestors(connection: Connection, artifact: ExecutionArtifact) -> None:
    wanted = [item.artifact_id for item in artifact.inputs] + ([artifact.parent_id] if artifact.parent_id else [])
    cursor = await connection.execute(queries.KNOWN_ARTIFACTS, [wanted])
    known = {row[0]: row[1] for row in await cursor.fetchall()}
    if artifact.parent_id is not None and artifact.parent_id not in known:
        raise InputError(f"The parent {artifact.parent_id} is unknown.", field="parent_id")
    for index, item in enumerate(artifact.inputs):
        if known.get(item.artifact_id) != item.output_hash:
            raise InputError(f"The input {item.artifact_id} is unknown.", field=f"inputs[{index}]")


def _packed(artifact: ExecutionArtifact, body: Body) -> Packed:
    return pack(b"".join(checked_chunks(artifact, body)))


def _joined(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from chunks


def _exhaust(chunks: Iterator[bytes]) -> None:
    for _ in chunks:
        pass


def _contended(artifact: ExecutionArtifact) -> UnavailableError:
    return UnavailableError(
        f"Task {artifact.task_id} has so many writers at once that {artifact.name!r} could not be stored.",
        backend="postgres",
        hint="Try again.",
    )
