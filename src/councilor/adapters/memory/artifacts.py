"""Artifacts in the process; the oracle that other stores are compared with.

What it does not do: outlive the process. A verdict that rests on it says that it is not durable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256

from councilor.domain.artifact import ArtifactKind, ArtifactVersion, Body, ExecutionArtifact
from councilor.domain.keeping import CondemnedBlob, KindUsage, LegalHold, StorageStats
from councilor.domain.lineage import PARENT_ROLE, Direction, Edge, Lineage, LineageNode, require_bounds
from councilor.domain.listing import ArtifactFilter, ArtifactPage, begin_page, end_page
from councilor.domain.stored import is_fragment, require_alias, require_hold, require_storable
from councilor.errors import (
    ErasedError,
    HashMismatchError,
    InputError,
    NotFoundError,
    PlaceTakenError,
    ShortageError,
)
from councilor.guards.bodies import CHUNK_BYTES, checked_chunks

__all__ = ["MemoryArtifactStorage"]


class MemoryArtifactStorage:
    """An `ArtifactStorage` in dictionaries.

    Args:
        quota_bytes: what the distinct bytes may take; None: no limit.
    """

    durable = False

    def __init__(self, *, quota_bytes: int | None = None) -> None:
        self._artifacts: dict[str, ExecutionArtifact] = {}
        self._bodies: dict[str, bytes] = {}
        self._versions: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._aliases: dict[str, str] = {}
        self._holds: dict[str, LegalHold] = {}
        self._released: set[str] = set()
        self._condemned: dict[str, datetime] = {}
        self._erased: dict[str, datetime] = {}
        self._quota_bytes = quota_bytes

    # --- storing and reading

    async def put(self, artifact: ExecutionArtifact, body: Body) -> str:
        """Store an artifact with its bytes."""
        require_storable(artifact)
        self._require_room(artifact)
        data = b"".join(checked_chunks(artifact, body))
        known = self._artifacts.get(artifact.id)
        if known is not None:
            if known != artifact:
                raise InputError(f"The id {artifact.id} is taken by another artifact.", field="id")
            return artifact.id
        self._require_ancestors(artifact)
        last = await self.last_seq(artifact.task_id)
        if artifact.seq not in (None, last + 1):
            raise PlaceTakenError(
                f"Place {artifact.seq} of task {artifact.task_id} is not the next one, which is {last + 1}.",
                field="seq",
            )
        self._artifacts[artifact.id] = artifact
        self._bodies[artifact.output_hash] = data
        self._versions[artifact.task_id, artifact.name].append(artifact.id)
        if self._erased.pop(artifact.output_hash, None) is not None:
            self._condemned.pop(artifact.output_hash, None)
        return artifact.id

    def _require_room(self, artifact: ExecutionArtifact) -> None:
        used = sum(map(len, self._bodies.values()))
        if self._quota_bytes is not None and used + artifact.size_bytes > self._quota_bytes:
            raise ShortageError(
                f"The artifacts take {used} of the {self._quota_bytes} bytes that they may.",
                backend="memory",
                hint="Let old bytes go with `councilor artifacts gc`, or raise storage.quota_bytes.",
            )

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
        artifact = self._require(artifact_id)
        if (erased_at := self._erased.get(artifact.output_hash)) is not None:
            raise ErasedError(f"The bytes of artifact {artifact_id} were erased on {erased_at:%Y-%m-%d}.")
        body = self._bodies[artifact.output_hash]
        if sha256(body).hexdigest() != artifact.output_hash:
            raise HashMismatchError(f"The bytes of artifact {artifact_id} were altered.")
        return body

    async def fetch(self, artifact_id: str) -> tuple[ExecutionArtifact, bytes]:
        """The artifact and its bytes, checked."""
        return self._require(artifact_id), await self.read(artifact_id)

    async def stream(self, artifact_id: str) -> AsyncGenerator[bytes, None]:
        """Its bytes in chunks, after all were checked."""
        body = await self.read(artifact_id)
        for start in range(0, len(body), CHUNK_BYTES):
            yield body[start : start + CHUNK_BYTES]

    # --- finding

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

    async def last_seq(self, task_id: str) -> int:
        """The last place that is taken in a task."""
        return max((item.seq or 0 for item in self._artifacts.values() if item.task_id == task_id), default=0)

    async def list(
        self, wanted: ArtifactFilter | None = None, *, cursor: str | None = None, limit: int = 100
    ) -> ArtifactPage:
        """A page of artifacts, newest first."""
        wanted = wanted or ArtifactFilter()
        after = begin_page(wanted, cursor, limit)
        newest = sorted(self._artifacts.values(), key=lambda item: item.id, reverse=True)
        found = [item for item in newest if wanted.matches(item) and (after is None or item.id < after)]
        return end_page(wanted, found, limit)

    async def find(self, fragment: str) -> Sequence[str]:
        """Ids that begin or end with a fragment."""
        if not is_fragment(fragment):
            return []
        found = (item for item in self._artifacts if item.startswith(fragment) or item.endswith(fragment))
        return sorted(found, reverse=True)[:10]

    async def lineage(
        self, artifact_id: str, direction: Direction, *, max_depth: int = 100, max_nodes: int = 1000
    ) -> Lineage:
        """What an artifact was made from, or what was made from it."""
        require_bounds(max_depth, max_nodes)
        self._require(artifact_id)
        ancestors = direction is Direction.ANCESTORS
        depths, level = {artifact_id: 0}, [artifact_id]
        for depth in range(1, max_depth + 2):
            if not level:
                break
            met = {end for edge in self._edges() if (end := _other_end(edge, level, ancestors)) is not None}
            level = sorted(met - set(depths))
            depths |= dict.fromkeys(level, depth)
        found = sorted((depth, id_) for id_, depth in depths.items())
        shown = [(depth, id_) for depth, id_ in found if depth <= max_depth][:max_nodes]
        ids = {id_ for _, id_ in shown}
        edges = sorted({(e.child_id, e.parent_id, e.role) for e in self._edges() if {e.child_id, e.parent_id} <= ids})
        return Lineage(
            root_id=artifact_id,
            direction=direction,
            nodes=[self._node(id_, depth) for depth, id_ in shown],
            edges=[Edge(child_id=child, parent_id=parent, role=role) for child, parent, role in edges],
            complete=len(shown) == len(found),
        )

    def _edges(self) -> Iterator[Edge]:
        for item in self._artifacts.values():
            if item.parent_id is not None:
                yield Edge(child_id=item.id, parent_id=item.parent_id, role=PARENT_ROLE)
            for source in item.inputs:
                yield Edge(child_id=item.id, parent_id=source.artifact_id, role=source.role)

    def _node(self, artifact_id: str, depth: int) -> LineageNode:
        item = self._artifacts[artifact_id]
        return LineageNode(
            artifact_id=item.id,
            task_id=item.task_id,
            kind=item.kind,
            name=item.name,
            output_hash=item.output_hash,
            depth=depth,
        )

    # --- versions and aliases

    async def versions(self, task_id: str, name: str) -> Sequence[ArtifactVersion]:
        """Every version of a name in a task, oldest first."""
        return [
            ArtifactVersion(task_id=task_id, name=name, version=number, artifact_id=artifact_id)
            for number, artifact_id in enumerate(self._versions.get((task_id, name), ()), 1)
        ]

    async def set_alias(self, alias: str, artifact_id: str) -> None:
        """Let a name of yours mean an artifact."""
        require_alias(alias)
        self._aliases[alias] = self._require(artifact_id).id

    async def drop_alias(self, alias: str) -> bool:
        """Forget an alias."""
        require_alias(alias)
        return self._aliases.pop(alias, None) is not None

    async def aliases(self) -> Mapping[str, str]:
        """Every alias with its artifact's id."""
        return dict(sorted(self._aliases.items()))

    # --- keeping and erasing

    async def hold(self, hold: LegalHold) -> bool:
        """Keep every byte of a task."""
        require_hold(hold)
        return self._holds.setdefault(hold.task_id, hold) is hold

    async def lift(self, task_id: str) -> bool:
        """End a hold."""
        return self._holds.pop(task_id, None) is not None

    async def holds(self) -> Sequence[LegalHold]:
        """Every hold, oldest first."""
        return sorted(self._holds.values(), key=lambda hold: (hold.placed_at, hold.task_id))

    async def release(self, artifact_ids: Collection[str]) -> int:
        """Say that the bytes of these artifacts may go."""
        new = {self._require(artifact_id).id for artifact_id in artifact_ids} - self._released
        self._released |= new
        return len(new)

    async def released(self, artifact_ids: Collection[str]) -> Collection[str]:
        """Those whose bytes may go or are gone."""
        return self._released & set(artifact_ids)

    def _unneeded(self, digest: str) -> bool:
        owners = [item for item in self._artifacts.values() if item.output_hash == digest]
        return bool(owners) and all(item.id in self._released and item.task_id not in self._holds for item in owners)

    async def condemn(self, now: datetime) -> int:
        """Mark bytes that nothing needs."""
        here = [digest for digest in self._bodies if digest not in self._erased]
        self._condemned = {digest: self._condemned.get(digest, now) for digest in here if self._unneeded(digest)}
        return len(self._condemned)

    async def condemned(self, before: datetime, *, limit: int = 1000) -> Sequence[CondemnedBlob]:
        """Bytes that were marked before a moment."""
        due = [(at, digest) for digest, at in self._condemned.items() if at < before and self._unneeded(digest)]
        return [
            CondemnedBlob(
                sha256=digest,
                size_bytes=len(self._bodies[digest]),
                condemned_at=at,
                artifacts=sorted(
                    ((item.task_id, item.id) for item in self._artifacts.values() if item.output_hash == digest),
                    key=lambda pair: pair[1],
                ),
            )
            for at, digest in sorted(due)[:limit]
        ]

    async def erase(self, digests: Collection[str], *, before: datetime, now: datetime) -> Collection[str]:
        """Remove bytes that were marked before a moment and are still not needed."""
        due = {blob.sha256 for blob in await self.condemned(before, limit=len(self._condemned))} & set(digests)
        for digest in due:
            self._bodies[digest] = b""
            self._erased[digest] = now
            del self._condemned[digest]
        return due

    async def stats(self) -> StorageStats:
        """What the store holds."""
        kinds: dict[ArtifactKind, KindUsage] = {}
        for item in self._artifacts.values():
            seen = kinds.get(item.kind, KindUsage(artifacts=0, size_bytes=0))
            kinds[item.kind] = KindUsage(artifacts=seen.artifacts + 1, size_bytes=seen.size_bytes + item.size_bytes)
        here = [len(body) for digest, body in self._bodies.items() if digest not in self._erased]
        return StorageStats(
            kinds=kinds,
            blobs=len(here),
            blob_bytes=sum(here),
            stored_bytes=sum(here),
            condemned=len(self._condemned),
            erased=len(self._erased),
            held_tasks=len(self._holds),
            quota_bytes=self._quota_bytes,
        )

    def _require(self, artifact_id: str) -> ExecutionArtifact:
        artifact = self._artifacts.get(artifact_id)
        if artifact is None:
            raise NotFoundError(f"There is no artifact {artifact_id}.", hint="`councilor artifacts list` shows them.")
        return artifact


def _other_end(edge: Edge, level: Sequence[str], ancestors: bool) -> str | None:
    near, far = (edge.child_id, edge.parent_id) if ancestors else (edge.parent_id, edge.child_id)
    return far if near in level else None


def _age(artifact: ExecutionArtifact) -> tuple[datetime, str]:
    return artifact.created_at, artifact.id
