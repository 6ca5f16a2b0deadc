"""The transparency log in PostgreSQL.

Rules:
- A put queues its artifact in its own transaction; the sequencer empties the queue in one of its own: entries, the
  roots of subtrees that became complete, and the signed checkpoint are there together, or nothing is.
- Only the tree that was signed last grows: when its size or root is another one, nothing is added or signed.
- An advisory lock lets one sequencer work at a time, so indexes have no gaps and no two trees ever compete.
- A level of the tree is read in one query; no more than 255 hashes of a level are ever needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import uuid4

from councilor.adapters.postgres.pool import Connection, Pool
from councilor.adapters.postgres.queries import log as queries
from councilor.domain.checkpoint import Checkpoint, SignedCheckpoint
from councilor.domain.log import LogEntry, LogLeaf, LogState
from councilor.domain.merkle import Rows, completed, fold, root_spans, rows_for, rows_to_complete
from councilor.domain.stored import is_id
from councilor.errors import BrokenChainError, InputError, IntegrityError

__all__ = ["DatabaseTransparencyLog"]

LOCK_KEY = 0x6C6F67  # "log"
NOTHING_ADDED = "Nothing was added to it. `councilor verify --all` says what is missing; restore a backup."
T = TypeVar("T")


class DatabaseTransparencyLog:
    """A `TransparencyLog` in PostgreSQL.

    Args:
        pool: of an up-to-date database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._origin: str | None = None

    async def origin(self) -> str:
        """The log's name."""
        if self._origin is None:
            async with self._pool.connection() as connection:
                self._origin = await _origin(connection)
        return self._origin

    async def sequence(
        self, sign: Callable[[Checkpoint], SignedCheckpoint], *, now: datetime, limit: int = 10_000
    ) -> SignedCheckpoint | None:
        """Make leaves of what is waiting, and sign the tree that results."""
        origin = await self.origin()
        async with self._pool.transaction() as connection:
            await connection.execute(queries.LOCK_LOG, [LOCK_KEY])
            size, head = await _tip(connection)
            await _require_tree(connection, size, head)
            rows = await (await connection.execute(queries.TAKE_PENDING, [limit])).fetchall()
            if not rows:
                return head
            leaves = [row[1] for row in rows]
            begun = {wanted: await _read(connection, wanted) for wanted in rows_to_complete(size, len(leaves))}
            await connection.execute(queries.ADD_ENTRIES, [size, [row[0] for row in rows], leaves])
            subtrees = _whole(lambda: completed(size, leaves, begun))
            if subtrees:
                levels, numbers = [item.level for item in subtrees], [item.number for item in subtrees]
                await connection.execute(queries.ADD_SUBTREES, [levels, numbers, [item.root for item in subtrees]])
            size += len(leaves)
            signed = sign(Checkpoint(origin=origin, size=size, root=await _root(connection, size)))
            await connection.execute(queries.ADD_CHECKPOINT, [size, signed.dump(), now])
            return signed

    async def state(self) -> LogState:
        """How far the log is."""
        origin = await self.origin()
        async with self._pool.connection() as connection:
            size, head = await _tip(connection)
            row = await (await connection.execute(queries.COUNT_PENDING)).fetchone()
        return LogState(origin=origin, size=size, pending=int(row[0]) if row else 0, head=head)

    async def covering(self, index: int) -> SignedCheckpoint | None:
        """The oldest checkpoint that has a leaf."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(queries.CHECKPOINTS, [index, 1])).fetchone()
        return SignedCheckpoint.load(row[0]) if row else None

    async def checkpoints(self, *, after: int = 0, limit: int = 1000) -> Sequence[SignedCheckpoint | bytes]:
        """Checkpoints of more than `after` leaves, smallest first."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(queries.CHECKPOINTS, [after, limit])).fetchall()
        return [_loaded(note) for (note,) in rows]

    async def entries(self, artifact_ids: Collection[str]) -> Mapping[str, LogEntry]:
        """The entries of those artifacts that have one."""
        wanted = [item for item in artifact_ids if is_id(item)]
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(queries.ENTRIES, [wanted])).fetchall()
        return {id_: LogEntry(index=index, leaf_hash=leaf, artifact_id=id_) for index, leaf, id_ in rows}

    async def waiting(self, artifact_ids: Collection[str]) -> Collection[str]:
        """Those of the artifacts that are not yet leaves."""
        wanted = [item for item in artifact_ids if is_id(item)]
        async with self._pool.connection() as connection:
            return {row[0] for row in await (await connection.execute(queries.PENDING, [wanted])).fetchall()}

    async def leaves(self, *, start: int, limit: int) -> Sequence[LogLeaf]:
        """Entries from an index on, each with the statement that is stored."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(queries.LEAVES, [start, limit])).fetchall()
        return [
            LogLeaf(entry=LogEntry(index=index, leaf_hash=leaf, artifact_id=id_), task_id=task_id, statement=statement)
            for index, leaf, id_, task_id, statement in rows
        ]

    async def lost(self, *, limit: int = 100) -> Sequence[LogEntry]:
        """Entries whose artifact is not there any more."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(queries.LOST_ENTRIES, [limit])).fetchall()
        return [LogEntry(index=index, leaf_hash=leaf, artifact_id=id_) for index, leaf, id_ in rows]

    async def read(self, rows: Rows) -> Sequence[bytes]:
        """Hashes of one level of the tree."""
        async with self._pool.connection() as connection:
            return await _read(connection, rows)


async def _origin(connection: Connection) -> str:
    for _ in range(2):
        row = await (await connection.execute(queries.LOG_ORIGIN)).fetchone()
        if row is not None:
            return str(row[0])
        await connection.execute(queries.NAME_LOG, [f"councilor/{uuid4()}"])
    raise IntegrityError("The log's name was removed.")


async def _tip(connection: Connection) -> tuple[int, SignedCheckpoint | None]:
    row = await (await connection.execute(queries.LOG_TIP)).fetchone()
    size, note = row if row else (0, None)
    return size, SignedCheckpoint.load(note) if note is not None else None


async def _require_tree(connection: Connection, size: int, head: SignedCheckpoint | None) -> None:
    """Nothing is added to, and so signed on top of, another tree than the one that was signed last."""
    signed_size = head.checkpoint.size if head else 0
    if size != signed_size:
        raise IntegrityError(
            f"The log has {size} leaves, and its newest checkpoint is of {signed_size}.", hint=NOTHING_ADDED
        )
    if head is not None and await _root(connection, size) != head.checkpoint.root:
        raise IntegrityError(f"The log's first {size} leaves are not those that were signed.", hint=NOTHING_ADDED)


async def _read(connection: Connection, rows: Rows) -> Sequence[bytes]:
    query = queries.LEAF_HASHES if rows.level == 0 else queries.SUBTREE_ROOTS
    values = {"level": rows.level, "first": rows.first, "stop": rows.first + rows.count}
    return [row[0] for row in await (await connection.execute(query, values)).fetchall()]


async def _root(connection: Connection, size: int) -> bytes:
    (span,) = root_spans(size)
    read = {wanted: await _read(connection, wanted) for wanted in rows_for(span)}
    return _whole(lambda: fold(span, read))


def _whole(compute: Callable[[], T]) -> T:
    """What is computed from rows of the log; that some are missing is no fault of the caller."""
    try:
        return compute()
    except InputError as error:
        raise IntegrityError(f"The log has lost rows: {error.message}", hint=NOTHING_ADDED) from error


def _loaded(note: bytes) -> SignedCheckpoint | bytes:
    try:
        return SignedCheckpoint.load(note)
    except BrokenChainError:
        return note
