"""Our store as the pipeline uses it: the ledger, with the real key, the durable database and the log.

Rules:
- put is `TaskLedger.record`: hashed, signed, stored in one commit, queued for the log. Each block ends with
  `Ledger.sequence`, inside its time: leaves, Merkle tree, signed checkpoint and its copy outside the database.
- get is the metadata and the bytes, these checked against their hash, the statement's signature checked, and the hash
  that it names compared. MLflow checks nothing.
- latest is the newest page of ten, whatever they belong to.
- Each block is a task of its own: a spec, then artifacts that follow each other and name the spec as their input.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from councilor.app import Store
from councilor.domain.artifact import ArtifactKind
from councilor.domain.provenance import Envelope, encode_for_signing
from councilor.pipeline.ledger import Ledger

__all__ = ["METADATA", "TREE", "Ours", "tags_for"]

TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
METADATA: Mapping[str, Any] = {"tool": "pytest", "exit_code": 0, "tests": 412, "failed": 0, "seconds": 12.5}


class Ours:
    """Our store."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store, self._ledger = store, ledger
        self.sequence_s: list[float] = []
        """What sequencing took, a block each."""

    async def put(self, bodies: Sequence[bytes]) -> tuple[list[float], list[str]]:
        """Record a block; its sequencing is shared among its puts. Gives seconds and ids."""
        ids = self._ledger.ids
        task = self._ledger.of_task(ids.new(), run_id=ids.new())
        spec = parent = await task.record(ArtifactKind.SPEC, "spec", b"{}")
        seconds, stored = [], []
        for body in bodies:
            began = time.perf_counter()
            parent = await task.record(
                ArtifactKind.TEST_REPORT,
                "result",
                body,
                tree=TREE,
                parent=parent,
                inputs=[(spec, "spec")],
                metadata=METADATA,
            )
            seconds.append(time.perf_counter() - began)
            stored.append(parent.id)
        began = time.perf_counter()
        await self._ledger.sequence()
        self.sequence_s.append(time.perf_counter() - began)
        share_s = self.sequence_s[-1] / len(seconds)
        return [each + share_s for each in seconds], stored

    async def get(self, wanted: Sequence[str]) -> tuple[list[float], list[bytes]]:
        """Read and verify artifacts."""
        return await _timed(self._verified, wanted)

    async def latest(self, counts: Sequence[int]) -> tuple[list[float], list[list[str]]]:
        """The ids of the newest."""
        return await _timed(self._newest, counts)

    async def _verified(self, artifact_id: str) -> bytes:
        artifact, body = await self._store.artifacts.fetch(artifact_id)
        envelope = Envelope.load(artifact.statement)
        signed = self._store.keys.verify(encode_for_signing(envelope.payload), envelope.signature, envelope.keyid)
        named = envelope.statement()["subject"][0]["digest"]["sha256"]
        if not signed or named != artifact.output_hash or len(body) != artifact.size_bytes:
            raise AssertionError(f"artifact {artifact_id} does not verify")
        return body

    async def _newest(self, count: int) -> list[str]:
        return [item.id for item in (await self._store.artifacts.list(limit=count)).items]


async def _timed(call: Callable[[Any], Awaitable[Any]], items: Sequence[Any]) -> tuple[list[float], list[Any]]:
    seconds, given = [], []
    for item in items:
        began = time.perf_counter()
        given.append(await call(item))
        seconds.append(time.perf_counter() - began)
    return seconds, given


def tags_for(output_hash: str, size_bytes: int) -> dict[str, str]:
    """The same metadata as MLflow's tags; values of our length where we make ids, which MLflow does itself."""
    an_id = "01a2157a-b553-7695-b5b5-4c59ce0663bf"
    return {
        "name": "result",
        "task_id": an_id,
        "attempt": "1",
        "kind": "test_report",
        "parent_id": an_id,
        "inputs": f'[["{an_id}","{output_hash}","spec"]]',
        "input_hash": output_hash,
        "output_hash": output_hash,
        "tree": TREE,
        "media_type": "application/json",
        "size_bytes": str(size_bytes),
        "producer": "councilor",
        **{key: str(value) for key, value in METADATA.items()},
    }
