"""Artifacts in the process; the oracle that other stores are compared with.

What it does not do: outlive the process. A verdict that rests on it says that it is not durable.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.stored import require_storable
from councilor.errors import HashMismatchError, InputError, NotFoundError

__all__ = ["MemoryArtifactStorage"]


class MemoryArtifactStorage:
    """An `ArtifactStorage` in dictionaries."""

    durable = False

    def __init__(self) -> None:
        self._artifacts: dict[str, ExecutionArtifact] = {}
        self._bodies: dict[str, bytes] = {}

    async def put(self, artifact: ExecutionArtifact, body: bytes) -> str:
        """Store an artifact with its bytes."""
        require_storable(artifact, body)
        self._require_ancestors(artifact)
        known = self._artifacts.get(artifact.id)
        if known is None:
            self._artifacts[artifact.id] = artifact
            self._bodies[artifact.output_hash] = bytes(body)
        elif known != artifact:
            raise InputError(f"The id {artifact.id} is taken by another artifact.", field="id")
        return artifact.id

    def _require_ancestors(self, artifact: ExecutionArtifact) -> None:
        if artifact.parent_id is not None and artifact.parent_id not in self._artifacts:
            raise InputError(f"The parent {artifact.parent_id} is unknown.", field="parent_id")
        for index, item in enumerate(artifact.inputs):
            parent = self._artifacts.get(item.artifact_id)
            if parent is None or parent.output_hash != item.output_hash:
                raise InputError(f"The input {item.artifact_id} is unknown.", field=f"inputs[{index}]")

    async def get(self, artifact_id: str) -> ExecutionArtifact | None:
        """The artifact, or None."""
        return self._artifacts.get(artifact_id)

    async def read(self, artifact_id: str) -> bytes:
        """Its bytes, checked."""
        artifact = self._artifacts.get(artifact_id)
        if artifact is None:
            raise NotFoundError(f"There is no artifact {artifact_id}.")
        body = self._bodies[artifact.output_hash]
        if sha256(body).hexdigest() != artifact.output_hash:
            raise HashMismatchError(f"The bytes of artifact {artifact_id} were altered.")
        return body

    async def latest_for_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """The newest artifact of each name, newest first."""
        newest = {artifact.name: artifact for artifact in await self.of_task(task_id)}
        return sorted(newest.values(), key=lambda item: item.id, reverse=True)

    async def about_tree(self, tree: str, name: str, *, limit: int) -> Sequence[ExecutionArtifact]:
        """The newest artifacts of that name about a tree, newest first."""
        found = (item for item in self._artifacts.values() if (item.tree, item.name) == (tree, name))
        return sorted(found, key=_age, reverse=True)[:limit]

    async def of_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """All its artifacts, oldest first."""
        return sorted((item for item in self._artifacts.values() if item.task_id == task_id), key=lambda item: item.id)


def _age(artifact: ExecutionArtifact) -> tuple[datetime, str]:
    return artifact.created_at, artifact.id
