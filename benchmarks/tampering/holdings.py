"""A store in the hands of an intruder who may change everything in it, and has no signing key.

Only what lies outside the database is out of reach: the trusted public keys and one checkpoint.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.log import MemoryTransparencyLog
from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.log import LogEntry
from councilor.domain.merkle import leaf_hash
from councilor.errors import ErasedError
from councilor.pipeline.ledger import task_ids
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.log import TransparencyLog

__all__ = ["Holdings", "take_over"]


@dataclass
class Holdings:
    """Everything that the database holds; each part can be changed at will."""

    artifacts: dict[str, ExecutionArtifact]
    bodies: dict[str, bytes]
    """By artifact, not by hash: an intruder need not keep what is stored once stored once."""
    erased: set[str]
    """Artifacts whose bytes are said to have been removed by retention."""
    entries: list[LogEntry]
    checkpoints: list[SignedCheckpoint]
    origin: str

    def copied(self) -> Holdings:
        """The same, to be tampered with."""
        return copy.copy(self)._unshared()

    def _unshared(self) -> Holdings:
        self.artifacts, self.bodies, self.erased = dict(self.artifacts), dict(self.bodies), set(self.erased)
        self.entries, self.checkpoints = list(self.entries), list(self.checkpoints)
        return self

    def change(self, artifact_id: str, **fields: object) -> None:
        """Alter a row."""
        self.artifacts[artifact_id] = replace(self.artifacts[artifact_id], **fields)  # type: ignore[arg-type]

    def drop(self, artifact_id: str) -> None:
        """Delete a row with its bytes."""
        del self.artifacts[artifact_id], self.bodies[artifact_id]

    def relog(self, entries: list[LogEntry]) -> None:
        """Number the leaves anew, and hash again what is there: everything that can be done without the key."""
        self.entries = [
            LogEntry(
                index=index,
                artifact_id=entry.artifact_id,
                leaf_hash=leaf_hash(self.artifacts[entry.artifact_id].statement)
                if entry.artifact_id in self.artifacts
                else entry.leaf_hash,
            )
            for index, entry in enumerate(entries)
        ]
        self.checkpoints = [item for item in self.checkpoints if item.checkpoint.size <= len(self.entries)]

    def store(self) -> MemoryArtifactStorage:
        """A store that gives what is held now, right or wrong."""
        return _Store(self)

    def log(self) -> MemoryTransparencyLog:
        """A log that gives what is held now."""
        log = MemoryTransparencyLog(self.store(), origin=self.origin)
        log._entries, log._checkpoints = self.entries, self.checkpoints
        return log


class _Store(MemoryArtifactStorage):
    """Reads what an intruder left, each artifact's bytes by its id."""

    def __init__(self, held: Holdings) -> None:
        super().__init__()
        self._artifacts = held.artifacts
        self._held = held

    async def read(self, artifact_id: str) -> bytes:
        """The bytes that lie there; that they are the right ones is for the verifier to find out."""
        if artifact_id in self._held.erased:
            raise ErasedError(f"The bytes of artifact {artifact_id} were erased.")
        return self._held.bodies[artifact_id]


async def take_over(storage: ArtifactStorage, log: TransparencyLog) -> Holdings:
    """A copy of everything that a store and its log hold."""
    held = Holdings({}, {}, set(), [], [], await log.origin())
    async for task_id in task_ids(storage):
        for artifact in await storage.of_task(task_id):
            held.artifacts[artifact.id] = artifact
            held.bodies[artifact.id] = await storage.read(artifact.id)
    while leaves := await log.leaves(start=len(held.entries), limit=1000):
        held.entries += [leaf.entry for leaf in leaves]
    held.checkpoints = [item for item in await log.checkpoints() if isinstance(item, SignedCheckpoint)]
    return held
