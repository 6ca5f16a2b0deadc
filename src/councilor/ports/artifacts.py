"""Where artifacts are kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from councilor.domain.artifact import ArtifactVersion, Body, ExecutionArtifact
from councilor.domain.keeping import CondemnedBlob, LegalHold, StorageStats
from councilor.domain.lineage import Direction, Lineage
from councilor.domain.listing import ArtifactFilter, ArtifactPage

__all__ = ["ArtifactStorage"]


class ArtifactStorage(Protocol):
    """Immutable artifacts, their bytes deduplicated by SHA-256.

    Every method raises `UnavailableError` (or `DeadlineError`) when the store does not answer.
    """

    durable: bool
    """Whether artifacts outlive the process."""

    # --- storing and reading

    async def put(self, artifact: ExecutionArtifact, body: Body) -> str:
        """Store an artifact with its bytes; both or neither, durable when this returns. Gives its id.

        Storing the same artifact again changes nothing. A file is read in constant memory.

        Raises:
            HashMismatchError: `body` is not what `output_hash` and `size_bytes` say.
            PlaceTakenError: `seq` is not the next place of its task.
            InputError: the id is taken by another artifact, a parent or input is unknown, or a field is not allowed.
            ShortageError: the quota is used up.
        """
        ...

    async def get(self, artifact_id: str) -> ExecutionArtifact | None:
        """The artifact, or None when there is none."""
        ...

    async def read(self, artifact_id: str) -> bytes:
        """Its bytes, checked against `output_hash`.

        Raises:
            ErasedError: retention has removed the bytes.
            NotFoundError: no such artifact.
            HashMismatchError: the stored bytes were altered.
        """
        ...

    async def fetch(self, artifact_id: str) -> tuple[ExecutionArtifact, bytes]:
        """The artifact together with its bytes, which are checked; as `get` and `read`, in one journey."""
        ...

    def stream(self, artifact_id: str) -> AsyncGenerator[bytes, None]:
        """Its bytes in chunks of at most 1 MiB, none empty; the last one only after all were checked. As `read`."""
        ...

    # --- finding

    async def latest_for_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """The newest artifact of each name, newest first, by their ids as `of_task`."""
        ...

    async def about_tree(self, tree: str, name: str, *, limit: int) -> Sequence[ExecutionArtifact]:
        """The newest artifacts of that name about a git tree, of whatever task, newest first, at most `limit`."""
        ...

    async def of_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """All its artifacts, oldest first: by their ids, which ascend even when the wall clock is set back."""
        ...

    async def last_seq(self, task_id: str) -> int:
        """The last place that is taken in a task; 0 for one without artifacts."""
        ...

    async def list(
        self, wanted: ArtifactFilter | None = None, *, cursor: str | None = None, limit: int = 100
    ) -> ArtifactPage:
        """A page of artifacts, newest first.

        Args:
            cursor: of the page before; None for the first.
            limit: 1 to 1000.

        Raises:
            InputError: a filter, the limit or the cursor is not allowed, or the cursor is another query's.
        """
        ...

    async def find(self, fragment: str) -> Sequence[str]:
        """Ids that begin or end with 4 to 36 hexadecimal digits or dashes; at most 10, newest first."""
        ...

    async def lineage(
        self, artifact_id: str, direction: Direction, *, max_depth: int = 100, max_nodes: int = 1000
    ) -> Lineage:
        """What an artifact was made from, or what was made from it, breadth first.

        Args:
            max_depth: edges from the artifact, 1 to 1000.
            max_nodes: artifacts, 1 to 10,000.

        Raises:
            NotFoundError: no such artifact.
            InputError: a limit is out of range.
        """
        ...

    # --- versions and aliases

    async def versions(self, task_id: str, name: str) -> Sequence[ArtifactVersion]:
        """Every version of a name in a task, oldest first."""
        ...

    async def set_alias(self, alias: str, artifact_id: str) -> None:
        """Let a name of yours mean an artifact; an alias that exists moves.

        Raises:
            InputError: the name is not allowed: letters, digits and `. _ - /`, at most 128.
            NotFoundError: no such artifact.
        """
        ...

    async def drop_alias(self, alias: str) -> bool:
        """Forget an alias; whether it was there."""
        ...

    async def aliases(self) -> Mapping[str, str]:
        """Every alias with its artifact's id, by name."""
        ...

    # --- keeping and erasing

    async def hold(self, hold: LegalHold) -> bool:
        """Keep every byte of a task until the hold is lifted; False when it is held already."""
        ...

    async def lift(self, task_id: str) -> bool:
        """End a hold; whether there was one."""
        ...

    async def holds(self) -> Sequence[LegalHold]:
        """Every hold, oldest first."""
        ...

    async def release(self, artifact_ids: Collection[str]) -> int:
        """Say that the bytes of these artifacts may go; gives how many were not released before.

        Raises:
            NotFoundError: one of them does not exist; nothing is released then.
        """
        ...

    async def released(self, artifact_ids: Collection[str]) -> Collection[str]:
        """Those of the artifacts whose bytes may go or are gone."""
        ...

    async def condemn(self, now: datetime) -> int:
        """Mark bytes that nothing needs, and unmark those that something needs again; gives how many are marked."""
        ...

    async def condemned(self, before: datetime, *, limit: int = 1000) -> Sequence[CondemnedBlob]:
        """Bytes that were marked before a moment and are still not needed, oldest first."""
        ...

    async def erase(self, digests: Collection[str], *, before: datetime, now: datetime) -> Collection[str]:
        """Remove bytes that were marked before a moment and are still not needed; gives the SHA-256 of those removed.

        Their records, statements and leaves stay.
        """
        ...

    async def stats(self) -> StorageStats:
        """What the store holds."""
        ...
