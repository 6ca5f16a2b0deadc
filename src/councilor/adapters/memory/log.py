"""The transparency log in the process, beside the memory store; the oracle that other logs are compared with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.domain.checkpoint import Checkpoint, SignedCheckpoint
from councilor.domain.log import LogEntry, LogLeaf, LogState
from councilor.domain.merkle import ROWS_PER_BLOCK, Rows, leaf_hash, tree_root

__all__ = ["MemoryCheckpointShelf", "MemoryTransparencyLog"]


class MemoryTransparencyLog:
    """A `TransparencyLog` of what a memory store holds.

    Args:
        storage: whose artifacts become leaves.
        origin: the log's name.
    """

    def __init__(self, storage: MemoryArtifactStorage, *, origin: str = "councilor/memory") -> None:
        self._storage = storage
        self._origin = origin
        self._entries: list[LogEntry] = []
        self._checkpoints: list[SignedCheckpoint] = []

    async def origin(self) -> str:
        """The log's name."""
        return self._origin

    async def sequence(
        self, sign: Callable[[Checkpoint], SignedCheckpoint], *, now: datetime, limit: int = 10_000
    ) -> SignedCheckpoint | None:
        """Make leaves of what is waiting, and sign the tree that results."""
        fresh = self._waiting()[:limit]
        if not fresh:
            return self._checkpoints[-1] if self._checkpoints else None
        size = len(self._entries)
        entries = [
            LogEntry(
                index=size + offset,
                leaf_hash=leaf_hash(self._storage._artifacts[artifact_id].statement),
                artifact_id=artifact_id,
            )
            for offset, artifact_id in enumerate(fresh)
        ]
        hashes = [entry.leaf_hash for entry in (*self._entries, *entries)]
        signed = sign(Checkpoint(origin=self._origin, size=len(hashes), root=tree_root(hashes)))
        self._entries += entries
        self._checkpoints.append(signed)
        return signed

    def _waiting(self) -> list[str]:
        logged = {entry.artifact_id for entry in self._entries}
        return sorted(artifact_id for artifact_id in self._storage._artifacts if artifact_id not in logged)

    async def state(self) -> LogState:
        """How far the log is."""
        head = self._checkpoints[-1] if self._checkpoints else None
        return LogState(origin=self._origin, size=len(self._entries), pending=len(self._waiting()), head=head)

    async def covering(self, index: int) -> SignedCheckpoint | None:
        """The oldest checkpoint that has a leaf."""
        return next((item for item in self._checkpoints if item.checkpoint.size > index), None)

    async def checkpoints(self, *, after: int = 0, limit: int = 1000) -> Sequence[SignedCheckpoint | bytes]:
        """Checkpoints of more than `after` leaves, smallest first."""
        return [item for item in self._checkpoints if item.checkpoint.size > after][:limit]

    async def entries(self, artifact_ids: Collection[str]) -> Mapping[str, LogEntry]:
        """The entries of those artifacts that have one."""
        return {entry.artifact_id: entry for entry in self._entries if entry.artifact_id in set(artifact_ids)}

    async def waiting(self, artifact_ids: Collection[str]) -> Collection[str]:
        """Those of the artifacts that are not yet leaves."""
        return set(self._waiting()) & set(artifact_ids)

    async def leaves(self, *, start: int, limit: int) -> Sequence[LogLeaf]:
        """Entries from an index on, each with the statement that is stored."""
        found = []
        for entry in self._entries[start : start + limit]:
            artifact = self._storage._artifacts.get(entry.artifact_id)
            found.append(
                LogLeaf(
                    entry=entry,
                    task_id=artifact.task_id if artifact else None,
                    statement=artifact.statement if artifact else None,
                )
            )
        return found

    async def lost(self, *, limit: int = 100) -> Sequence[LogEntry]:
        """Entries whose artifact is not there any more."""
        return [entry for entry in self._entries if entry.artifact_id not in self._storage._artifacts][:limit]

    async def read(self, rows: Rows) -> Sequence[bytes]:
        """Hashes of one level of the tree."""
        level = [entry.leaf_hash for entry in self._entries]
        for _ in range(rows.level):
            whole = range(0, len(level) - ROWS_PER_BLOCK + 1, ROWS_PER_BLOCK)
            level = [tree_root(level[start : start + ROWS_PER_BLOCK]) for start in whole]
        return level[rows.first : rows.first + rows.count]


class MemoryCheckpointShelf:
    """A `CheckpointShelf` of one place in the process."""

    def __init__(self) -> None:
        self._kept: dict[str, SignedCheckpoint] = {}

    async def newest(self, origin: str) -> Sequence[SignedCheckpoint]:
        """The newest checkpoint of a log."""
        return [self._kept[origin]] if origin in self._kept else []

    async def keep(self, checkpoint: SignedCheckpoint) -> None:
        """Keep a checkpoint that is not older than the one that is kept."""
        held = checkpoint.checkpoint
        before = self._kept.get(held.origin)
        if before is None or before.checkpoint.size < held.size:
            self._kept[held.origin] = checkpoint
