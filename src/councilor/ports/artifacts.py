"""Where artifacts are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from councilor.domain.artifact import ExecutionArtifact

__all__ = ["ArtifactStorage"]


class ArtifactStorage(Protocol):
    """Immutable artifacts, their bytes deduplicated by SHA-256.

    Every method raises `UnavailableError` (or `DeadlineError`) when the store does not answer.
    """

    durable: bool
    """Whether artifacts outlive the process."""

    async def put(self, artifact: ExecutionArtifact, body: bytes) -> str:
        """Store an artifact with its bytes; both or neither, durable when this returns. Gives its id.

        Storing the same artifact again changes nothing.

        Raises:
            HashMismatchError: `body` is not what `output_hash` and `size_bytes` say.
            InputError: the id is taken by another artifact, a parent or input is unknown, or the name is not allowed.
        """
        ...

    async def get(self, artifact_id: str) -> ExecutionArtifact | None:
        """The artifact, or None when there is none."""
        ...

    async def read(self, artifact_id: str) -> bytes:
        """Its bytes, checked against `output_hash`.

        Raises:
            NotFoundError: no such artifact.
            HashMismatchError: the stored bytes were altered.
        """
        ...

    async def latest_for_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """The newest artifact of each name, newest first, by their ids as `of_task`."""
        ...

    async def about_tree(self, tree: str, name: str, *, limit: int) -> Sequence[ExecutionArtifact]:
        """The newest artifacts of that name about a git tree, of whatever task, newest first, at most `limit`."""
        ...

    async def of_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """All its artifacts, oldest first: by their ids, which ascend even when the wall clock is set back."""
        ...
