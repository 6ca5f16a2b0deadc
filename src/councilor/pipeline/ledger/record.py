"""Recording: every artifact is stored together with one signed statement about it.

Rules:
- Statement first, then artifact and statement in one write: there is never one without the other.
- An artifact's parent and inputs are recorded before it, so every chain leads back to the task's spec.
- A statement names its place in its task. When another writer took the place first, the next one is signed instead.
- What was recorded becomes a leaf of the log when it is sequenced; the signed checkpoint is then kept outside the
  database, after a proof that it continues the one that is kept there already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from councilor.domain.artifact import ArtifactInput, ArtifactKind, Body, ExecutionArtifact
from councilor.domain.checkpoint import Checkpoint, SignedCheckpoint
from councilor.domain.metadata import canonical_metadata
from councilor.domain.provenance import PAYLOAD_TYPE, Envelope, Producer, Provenance, encode_for_signing
from councilor.domain.provenance import hash_inputs as _hash_inputs
from councilor.domain.publickey import public_key_of_pem
from councilor.errors import BrokenChainError, PlaceTakenError
from councilor.guards.bodies import CHUNK_BYTES, digest_body
from councilor.pipeline.ledger.proofs import continues
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.clock import Clock, Ids
from councilor.ports.log import CheckpointShelf, TransparencyLog
from councilor.ports.metrics import MetricsBackend
from councilor.ports.signer import Signer, Verifier

__all__ = ["Ledger", "TaskLedger"]

MOST_TRIES = 50
"""Of one record among writers of the same task; each round one of them gets its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """Signs, stores and logs."""

    storage: ArtifactStorage
    log: TransparencyLog
    shelf: CheckpointShelf
    signer: Signer
    clock: Clock
    ids: Ids
    metrics: MetricsBackend
    version: str
    """councilor's own version, for the producer field."""
    verifier: Verifier | None = None
    """Knows the keys of this store; without it nothing that was recorded before is used again."""
    recorded: asyncio.Event = field(default_factory=asyncio.Event, compare=False, repr=False)
    """Set whenever something was recorded that is not in the log yet."""

    def of_task(self, task_id: str, *, run_id: str, attempt: int = 0) -> TaskLedger:
        """The same ledger, bound to one run of a task; attempt 0: outside of any execution, such as an override."""
        return TaskLedger(ledger=self, task_id=task_id, run_id=run_id, attempt=attempt)

    async def sequence(self) -> SignedCheckpoint | None:
        """Make leaves of everything that is waiting, and keep the newest checkpoint outside the database.

        Returns:
            The newest checkpoint; None while nothing was ever recorded.

        Raises:
            BrokenChainError: the log does not continue what was published before.
        """
        started_s = self.clock.monotonic()
        head = None
        while True:
            newest = await self.log.sequence(self._sign_checkpoint, now=self.clock.now())
            if newest is None or (head is not None and newest.checkpoint.size == head.checkpoint.size):
                break
            head = newest
        if head is None:
            return None
        for published in await self.shelf.newest(head.checkpoint.origin):
            if not await continues(self.log, published.checkpoint, head.checkpoint):
                raise BrokenChainError(
                    f"The log of {head.checkpoint.size} leaves does not continue the published checkpoint of "
                    f"{published.checkpoint.size}: it was altered, or an older database was put in its place."
                )
        await self.shelf.keep(head)
        self.metrics.histogram("v3.log.sequence", {}, self.clock.monotonic() - started_s)
        self.metrics.gauge("v3.log.size", {}, head.checkpoint.size)
        return head

    def _sign_checkpoint(self, checkpoint: Checkpoint) -> SignedCheckpoint:
        return checkpoint.sign(self.signer.sign, public_key_of_pem(self.signer.public_key_pem()))


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskLedger:
    """Records the artifacts of one run."""

    ledger: Ledger
    task_id: str
    run_id: str
    attempt: int
    _recorded: dict[str, ExecutionArtifact] = field(default_factory=dict, init=False, repr=False)
    """What this object recorded itself; artifacts never change, so they need not be asked for again."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def record(
        self,
        kind: ArtifactKind,
        name: str,
        body: Body,
        *,
        media_type: str = "application/json",
        tree: str | None = None,
        parent: ExecutionArtifact | None = None,
        inputs: Sequence[tuple[ExecutionArtifact, str]] = (),
        producer: str = "councilor",
        sandbox: str | None = None,
        env_hash: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ExecutionArtifact:
        """Store `body` as an artifact with its signed statement; durable when this returns.

        Args:
            body: bytes, or a file of any size, which is read twice: for its hash and into the store.
            inputs: the artifacts it was made from, each with its role, in a meaningful order.
            metadata: JSON, at most 16 KiB; signed with the rest.
        """
        ledger = self.ledger
        canonical_metadata(metadata or {})
        edges = tuple(
            ArtifactInput(artifact_id=item.id, output_hash=item.output_hash, role=role) for item, role in inputs
        )
        output_hash, size_bytes = await _digest(body)
        provenance = Provenance(
            artifact_id=ledger.ids.new(),
            task_id=self.task_id,
            run_id=self.run_id,
            attempt=self.attempt,
            kind=kind,
            name=name,
            parent_id=parent.id if parent else None,
            inputs=edges,
            input_hash=_hash_inputs(edges),
            output_hash=output_hash,
            tree=tree,
            media_type=media_type,
            producer=Producer(name=producer, version=ledger.version, sandbox=sandbox, env_hash=env_hash),
            created_at=ledger.clock.now(),
            seq=1,
            log_origin=await ledger.log.origin(),
            metadata=metadata or {},
        )
        async with self._turn:
            artifact = await self._store(provenance, size_bytes, body)
        self._recorded[artifact.id] = artifact
        ledger.recorded.set()
        ledger.metrics.counter("v3.ledger.statements", {"kind": kind.value})
        return artifact

    async def _store(self, provenance: Provenance, size_bytes: int, body: Body) -> ExecutionArtifact:
        """Store at the next free place of the task."""
        ledger = self.ledger
        last = max((item.seq or 0 for item in self._recorded.values()), default=0)
        last = last or await ledger.storage.last_seq(self.task_id)
        for _ in range(MOST_TRIES):
            artifact = _signed(ledger.signer, replace(provenance, seq=last + 1), size_bytes)
            try:
                await ledger.storage.put(artifact, body)
            except PlaceTakenError as error:
                last, refused = await ledger.storage.last_seq(self.task_id), error
            else:
                return artifact
        raise refused

    async def get(self, artifact_id: str) -> ExecutionArtifact | None:
        """The artifact, or None when there is none."""
        return self._recorded.get(artifact_id) or await self.ledger.storage.get(artifact_id)

    async def find(self, name: str) -> ExecutionArtifact | None:
        """The newest artifact of that name in this task."""
        artifacts = await self.ledger.storage.latest_for_task(self.task_id)
        return next((artifact for artifact in artifacts if artifact.name == name), None)


async def _digest(body: Body) -> tuple[str, int]:
    if isinstance(body, bytes) and len(body) < CHUNK_BYTES:
        return digest_body(body)
    return await asyncio.to_thread(digest_body, body)


def _signed(signer: Signer, provenance: Provenance, size_bytes: int) -> ExecutionArtifact:
    payload = provenance.payload()
    signature = signer.sign(encode_for_signing(payload))
    envelope = Envelope(payload=payload, payload_type=PAYLOAD_TYPE, keyid=signer.keyid, signature=signature)
    return ExecutionArtifact(
        id=provenance.artifact_id,
        task_id=provenance.task_id,
        run_id=provenance.run_id,
        attempt=provenance.attempt,
        kind=provenance.kind,
        name=provenance.name,
        parent_id=provenance.parent_id,
        inputs=provenance.inputs,
        input_hash=provenance.input_hash,
        output_hash=provenance.output_hash,
        tree=provenance.tree,
        media_type=provenance.media_type,
        size_bytes=size_bytes,
        created_at=provenance.created_at,
        statement=envelope.dump(),
        keyid=signer.keyid,
        seq=provenance.seq,
        metadata=provenance.metadata,
    )
