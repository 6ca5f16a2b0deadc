"""Recording: every artifact is stored together with one signed statement about it.

Rules:
- Statement first, then artifact and statement in one write: there is never one without the other.
- An artifact's parent and inputs are recorded before it, so every chain leads back to the task's spec.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from councilor.domain.artifact import ArtifactInput, ArtifactKind, ExecutionArtifact
from councilor.domain.provenance import PAYLOAD_TYPE, Envelope, Producer, Provenance, digest, encode_for_signing
from councilor.domain.provenance import hash_inputs as _hash_inputs
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.clock import Clock, Ids
from councilor.ports.metrics import MetricsBackend
from councilor.ports.signer import Signer, Verifier

__all__ = ["Ledger", "TaskLedger"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """Signs and stores."""

    storage: ArtifactStorage
    signer: Signer
    clock: Clock
    ids: Ids
    metrics: MetricsBackend
    version: str
    """councilor's own version, for the producer field."""
    verifier: Verifier | None = None
    """Knows the keys of this store; without it nothing that was recorded before is used again."""

    def of_task(self, task_id: str, *, run_id: str, attempt: int = 1) -> TaskLedger:
        """The same ledger, bound to one run of a task."""
        return TaskLedger(ledger=self, task_id=task_id, run_id=run_id, attempt=attempt)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskLedger:
    """Records the artifacts of one run."""

    ledger: Ledger
    task_id: str
    run_id: str
    attempt: int
    _recorded: dict[str, ExecutionArtifact] = field(default_factory=dict, init=False, repr=False)
    """What this object recorded itself; artifacts never change, so they need not be asked for again."""

    async def record(
        self,
        kind: ArtifactKind,
        name: str,
        body: bytes,
        *,
        media_type: str = "application/json",
        tree: str | None = None,
        parent: ExecutionArtifact | None = None,
        inputs: Sequence[tuple[ExecutionArtifact, str]] = (),
        producer: str = "councilor",
        sandbox: str | None = None,
        env_hash: str | None = None,
    ) -> ExecutionArtifact:
        """Store `body` as an artifact with its signed statement; durable when this returns.

        Args:
            inputs: the artifacts it was made from, each with its role, in a meaningful order.
        """
        ledger = self.ledger
        edges = tuple(
            ArtifactInput(artifact_id=item.id, output_hash=item.output_hash, role=role) for item, role in inputs
        )
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
            output_hash=digest(body),
            tree=tree,
            media_type=media_type,
            producer=Producer(name=producer, version=ledger.version, sandbox=sandbox, env_hash=env_hash),
            created_at=ledger.clock.now(),
        )
        artifact = ExecutionArtifact(
            id=provenance.artifact_id,
            task_id=self.task_id,
            run_id=self.run_id,
            attempt=self.attempt,
            kind=kind,
            name=name,
            parent_id=provenance.parent_id,
            inputs=edges,
            input_hash=provenance.input_hash,
            output_hash=provenance.output_hash,
            tree=tree,
            media_type=media_type,
            size_bytes=len(body),
            created_at=provenance.created_at,
            statement=_sign(ledger.signer, provenance),
            keyid=ledger.signer.keyid,
        )
        await ledger.storage.put(artifact, body)
        self._recorded[artifact.id] = artifact
        ledger.metrics.counter("v3.artifact.bytes", {"operation": "put"}, len(body))
        ledger.metrics.counter("v3.ledger.statements", {"kind": kind.value})
        return artifact

    async def get(self, artifact_id: str) -> ExecutionArtifact | None:
        """The artifact, or None when there is none."""
        return self._recorded.get(artifact_id) or await self.ledger.storage.get(artifact_id)

    async def find(self, name: str) -> ExecutionArtifact | None:
        """The newest artifact of that name in this task."""
        artifacts = await self.ledger.storage.latest_for_task(self.task_id)
        return next((artifact for artifact in artifacts if artifact.name == name), None)


def _sign(signer: Signer, provenance: Provenance) -> bytes:
    payload = provenance.payload()
    signature = signer.sign(encode_for_signing(payload))
    return Envelope(payload=payload, payload_type=PAYLOAD_TYPE, keyid=signer.keyid, signature=signature).dump()
