"""Holds, releases and the collector's two steps (domain/keeping.py), each on a connection that is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from councilor.adapters.postgres.pool import Connection
from councilor.adapters.postgres.queries import artifacts as artifacts_queries
from councilor.adapters.postgres.queries import keeping as keeping_queries
from councilor.domain.artifact import ArtifactKind
from councilor.domain.keeping import CondemnedBlob, KindUsage, LegalHold, StorageStats
from councilor.domain.stored import is_id, require_hold
from councilor.errors import NotFoundError

__all__ = [
    "condemn",
    "condemned",
    "erase",
    "hold",
    "holds",
    "lift",
    "live_bytes",
    "release",
    "released",
    "stats",
    "stored_bytes",
]


async def hold(connection: Connection, wanted: LegalHold) -> bool:
    """Place a hold; False when the task is held already."""
    require_hold(wanted)
    values = [wanted.task_id, wanted.reason, wanted.placed_at]
    return (await connection.execute(keeping_queries.PLACE_HOLD, values)).rowcount > 0


async def lift(connection: Connection, task_id: str) -> bool:
    """End a hold; whether there was one."""
    return is_id(task_id) and (await connection.execute(keeping_queries.LIFT_HOLD, [task_id])).rowcount > 0


async def holds(connection: Connection) -> Sequence[LegalHold]:
    """Every hold, oldest first."""
    rows = await (await connection.execute(keeping_queries.HOLDS)).fetchall()
    return [
        LegalHold(task_id=task_id, reason=reason, placed_at=placed_at.astimezone(UTC))
        for task_id, reason, placed_at in rows
    ]


async def release(connection: Connection, artifact_ids: Collection[str]) -> int:
    """Release artifacts, all or none; gives how many are new."""
    wanted = sorted(set(artifact_ids))
    ids = [item for item in wanted if is_id(item)]
    known = {row[0] for row in await (await connection.execute(artifacts_queries.KNOWN_ARTIFACTS, [ids])).fetchall()}
    if unknown := [item for item in wanted if item not in known]:
        raise NotFoundError(f"There is no artifact {unknown[0]}.", hint="`councilor artifacts list` shows them.")
    return (await connection.execute(keeping_queries.RELEASE, [ids])).rowcount


async def released(connection: Connection, artifact_ids: Collection[str]) -> Collection[str]:
    """Those that were released."""
    wanted = [item for item in artifact_ids if is_id(item)]
    return {row[0] for row in await (await connection.execute(keeping_queries.RELEASED, [wanted])).fetchall()}


async def condemn(connection: Connection, now: datetime) -> int:
    """Unmark what is needed again and mark what is not needed any more; gives how many blobs are marked."""
    await connection.execute(keeping_queries.UNMARK)
    await connection.execute(keeping_queries.MARK, {"now": now})
    row = await (await connection.execute(keeping_queries.COUNT_MARKED)).fetchone()
    return int(row[0]) if row else 0


async def condemned(connection: Connection, before: datetime, limit: int) -> Sequence[CondemnedBlob]:
    """Blobs that were marked before a moment and are not needed, oldest first."""
    rows = await (await connection.execute(keeping_queries.CONDEMNED, {"before": before, "limit": limit})).fetchall()
    return [
        CondemnedBlob(
            sha256=sha256,
            size_bytes=size,
            condemned_at=at.astimezone(UTC),
            artifacts=[(task_id, artifact_id) for task_id, artifact_id in artifacts],
        )
        for sha256, size, at, artifacts in rows
    ]


async def erase(connection: Connection, digests: Collection[str], before: datetime, now: datetime) -> Collection[str]:
    """Remove the bytes of blobs that are still marked and not needed.

    The rows are locked first, and looked at once more after that: an artifact that was stored in between needs them.
    """
    wanted = {"digests": [bytes.fromhex(digest) for digest in digests], "before": before}
    locked = [row[0] for row in await (await connection.execute(keeping_queries.LOCK_UNNEEDED, wanted)).fetchall()]
    rows = await connection.execute(keeping_queries.ERASE_BLOBS, {"digests": locked, "now": now})
    erased = [row[0] for row in await rows.fetchall()]
    await connection.execute(keeping_queries.ERASE_CHUNKS, [erased])
    return {digest.hex() for digest in erased}


async def stored_bytes(connection: Connection) -> int:
    """What the bytes take in the database, indexes and dead rows included."""
    row = await (await connection.execute(keeping_queries.STORED_BYTES)).fetchone()
    return int(row[0]) if row else 0


async def live_bytes(connection: Connection) -> int:
    """What the bytes alone take; looks at every row."""
    row = await (await connection.execute(keeping_queries.LIVE_BYTES)).fetchone()
    return int(row[0]) if row else 0


async def stats(connection: Connection, quota_bytes: int | None) -> StorageStats:
    """What the store holds."""
    kinds = await (await connection.execute(keeping_queries.COUNT_KINDS)).fetchall()
    row = await (await connection.execute(keeping_queries.COUNT_BLOBS)).fetchone()
    blobs, blob_bytes, marked, erased, held = row or (0, 0, 0, 0, 0)
    return StorageStats(
        kinds={ArtifactKind(kind): KindUsage(artifacts=count, size_bytes=size) for kind, count, size in kinds},
        blobs=blobs,
        blob_bytes=blob_bytes,
        stored_bytes=await stored_bytes(connection),
        condemned=marked,
        erased=erased,
        held_tasks=held,
        quota_bytes=quota_bytes,
    )
