"""Artifacts in PostgreSQL: immutable metadata, and their bytes once by SHA-256.

Rules:
- One transaction a `put`: bytes, artifact and inputs are there together, durable, or not at all.
- Bytes up to 1 MiB lie in their row; above it in rows of 1 MiB, so that no statement holds a large value whole.
- The same bytes are stored once. Every read checks them against their hash.
- The database refuses UPDATE and DELETE of artifacts and inputs, whoever asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC
from hashlib import sha256
from typing import Any, LiteralString

from councilor.adapters.postgres import queries
from councilor.adapters.postgres.pool import Connection, Pool
from councilor.domain.artifact import ArtifactInput, ArtifactKind, ExecutionArtifact
from councilor.domain.stored import is_id, require_storable
from councilor.errors import HashMismatchError, InputError, NotFoundError

__all__ = ["CHUNK_BYTES", "DatabaseArtifactStorage"]

CHUNK_BYTES = 2**20


class DatabaseArtifactStorage:
    """An `ArtifactStorage` in PostgreSQL.

    Args:
        pool: of an up-to-date database.
    """

    durable = True

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, artifact: ExecutionArtifact, body: bytes) -> str:
        """Store an artifact with its bytes."""
        await asyncio.to_thread(require_storable, artifact, body)
        async with self._pool.transaction() as connection:
            await _require_ancestors(connection, artifact)
            await _put_blob(connection, artifact, body)
            new = await _put_metadata(connection, artifact)
            if not new and await _select(connection, queries.GET_ARTIFACT, artifact.id) != [artifact]:
                raise InputError(f"The id {artifact.id} is taken by another artifact.", field="id")
        return artifact.id

    async def get(self, artifact_id: str) -> ExecutionArtifact | None:
        """The artifact, or None."""
        found = await self._artifacts(queries.GET_ARTIFACT, artifact_id)
        return found[0] if found else None

    async def read(self, artifact_id: str) -> bytes:
        """Its bytes, checked."""
        if not is_id(artifact_id):
            raise NotFoundError(f"There is no artifact {artifact_id}.")
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.READ_BLOB, [artifact_id], binary=True)
            row = await cursor.fetchone()
            if row is None:
                raise NotFoundError(f"There is no artifact {artifact_id}.")
            digest, inline_body = row
            body = inline_body if inline_body is not None else await _read_chunks(connection, digest)
        if await asyncio.to_thread(_digest, body) != digest:
            raise HashMismatchError(f"The bytes of artifact {artifact_id} were altered.")
        return bytes(body)

    async def latest_for_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """The newest artifact of each name, newest first."""
        return await self._artifacts(queries.LATEST_ARTIFACTS, task_id)

    async def about_tree(self, tree: str, name: str, *, limit: int) -> Sequence[ExecutionArtifact]:
        """The newest artifacts of that name about a tree, newest first."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(queries.ARTIFACTS_ABOUT_TREE, [tree, name, limit])
            return [_artifact(row) for row in await cursor.fetchall()]

    async def of_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """All its artifacts, oldest first."""
        return await self._artifacts(queries.ARTIFACTS_OF_TASK, task_id)

    async def _artifacts(self, query: LiteralString, wanted: str) -> Sequence[ExecutionArtifact]:
        if not is_id(wanted):
            return []
        async with self._pool.connection() as connection:
            return await _select(connection, query, wanted)


async def _select(connection: Connection, query: LiteralString, wanted: str) -> list[ExecutionArtifact]:
    cursor = await connection.execute(query, [wanted])
    return [_artifact(row) for row in await cursor.fetchall()]


async def _require_ancestors(connection: Connection, artifact: ExecutionArtifact) -> None:
    wanted = {item.artifact_id for item in artifact.inputs} | ({artifact.parent_id} - {None})
    if not wanted:
        return
    cursor = await connection.execute(queries.KNOWN_ARTIFACTS, [list(wanted)])
    known = {row[0]: row[1] for row in await cursor.fetchall()}
    if artifact.parent_id is not None and artifact.parent_id not in known:
        raise InputError(f"The parent {artifact.parent_id} is unknown.", field="parent_id")
    for index, item in enumerate(artifact.inputs):
        if known.get(item.artifact_id) != item.output_hash:
            raise InputError(f"The input {item.artifact_id} is unknown.", field=f"inputs[{index}]")


async def _put_blob(connection: Connection, artifact: ExecutionArtifact, body: bytes) -> None:
    digest = bytes.fromhex(artifact.output_hash)
    inline = len(body) <= CHUNK_BYTES
    cursor = await connection.execute(
        queries.ADD_BLOB, {"sha256": digest, "size": len(body), "inline_body": body if inline else None}
    )
    if await cursor.fetchone() is None:
        await connection.execute(queries.KEEP_BLOB, [digest])
    elif not inline:
        for seq, start in enumerate(range(0, len(body), CHUNK_BYTES)):
            await connection.execute(queries.ADD_CHUNK, [digest, seq, body[start : start + CHUNK_BYTES]])


async def _put_metadata(connection: Connection, artifact: ExecutionArtifact) -> bool:
    """Whether the artifact is new."""
    cursor = await connection.execute(queries.ADD_ARTIFACT, _artifact_row(artifact))
    if await cursor.fetchone() is None:
        return False
    if artifact.inputs:
        edges = [(artifact.id, ordinal, item.artifact_id, item.role) for ordinal, item in enumerate(artifact.inputs)]
        await connection.cursor().executemany(queries.ADD_INPUT, edges)
    return True


async def _read_chunks(connection: Connection, digest: bytes) -> bytes:
    cursor = connection.cursor(binary=True)
    return b"".join([row[0] async for row in cursor.stream(queries.READ_CHUNKS, [digest])])


def _digest(body: bytes) -> bytes:
    return sha256(body).digest()


def _artifact_row(artifact: ExecutionArtifact) -> dict[str, Any]:
    return {
        "id": artifact.id,
        "task_id": artifact.task_id,
        "run_id": artifact.run_id,
        "attempt": artifact.attempt,
        "kind": artifact.kind.value,
        "name": artifact.name,
        "parent_id": artifact.parent_id,
        "input_hash": bytes.fromhex(artifact.input_hash),
        "output_hash": bytes.fromhex(artifact.output_hash),
        "tree": artifact.tree,
        "media_type": artifact.media_type,
        "size_bytes": artifact.size_bytes,
        "created_at": artifact.created_at,
        "statement": artifact.statement,
        "keyid": bytes.fromhex(artifact.keyid),
    }


def _artifact(row: Sequence[Any]) -> ExecutionArtifact:
    (id_, task_id, run_id, attempt, kind, name, parent_id, input_hash, output_hash, tree, media_type, size_bytes,
     created_at, statement, keyid, inputs) = row  # fmt: skip
    return ExecutionArtifact(
        id=id_,
        task_id=task_id,
        run_id=run_id,
        attempt=attempt,
        kind=ArtifactKind(kind),
        name=name,
        parent_id=parent_id,
        inputs=tuple(ArtifactInput(artifact_id=item, output_hash=digest, role=role) for item, digest, role in inputs),
        input_hash=input_hash,
        output_hash=output_hash,
        tree=tree,
        media_type=media_type,
        size_bytes=size_bytes,
        created_at=created_at.astimezone(UTC),
        statement=statement,
        keyid=keyid,
    )
