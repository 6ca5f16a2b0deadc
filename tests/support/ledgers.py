"""A whole ledger in memory, with real keys, for tests of what is recorded, logged, verified and exported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.pipeline.ledger import ExportSource, Ledger, LogWitness, Verification, export_task, verify_record

__all__ = ["TASK", "Office"]

TASK = "01900000-0000-7000-8000-000000000001"


class Office:
    """Where a task is recorded and verified."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.ids, self.metrics = FakeClock(), SequentialIds(), RecordingMetrics()
        self.keys = KeyFolder(folder / "keys", now=self.clock.now)
        self.storage, self.shelf = MemoryArtifactStorage(), MemoryCheckpointShelf()
        self.log = MemoryTransparencyLog(self.storage, origin="councilor/office")

    @property
    def ledger(self) -> Ledger:
        """A ledger with the signing key of this moment."""
        return Ledger(
            storage=self.storage, log=self.log, shelf=self.shelf, signer=self.keys.signer(), clock=self.clock,
            ids=self.ids, metrics=self.metrics, version="9.9", verifier=self.keys,
        )  # fmt: skip

    async def record_chain(self, task_id: str = TASK) -> Sequence[ExecutionArtifact]:
        """A spec, a patch that follows it, and a verdict made from both."""
        task = self.ledger.of_task(task_id, run_id=task_id)
        spec = await task.record(ArtifactKind.SPEC, "spec", b"id: S-1", tree="a" * 40)
        patch = await task.record(ArtifactKind.CODE_CHANGES, "patch/1", b"diff", parent=spec, tree="b" * 40)
        verdict = await task.record(
            ArtifactKind.VERDICT, "verdict/1", b"{}", parent=patch, inputs=[(patch, "candidate")], tree="b" * 40
        )
        return spec, patch, verdict

    async def verify(
        self, *, trusted: Sequence[SignedCheckpoint] | None = None, task_id: str = TASK, log: bool = True
    ) -> Verification:
        """Verify a task against the log and what is kept outside, which can be given."""
        if trusted is None:
            trusted = await self.shelf.newest(await self.log.origin())
        witness = LogWitness(self.log) if log else None
        return await verify_record(task_id, self.storage, self.keys, witness=witness, trusted=trusted)

    async def export(
        self, folder: Path, *, earlier: Sequence[SignedCheckpoint] = (), task_id: str = TASK, log: bool = True
    ) -> Path:
        """Write a task's record as `councilor provenance export` does."""
        source = ExportSource(
            storage=self.storage, verifier=self.keys, witness=LogWitness(self.log) if log else None,
            signer=self.keys.signer(), earlier=earlier,
        )  # fmt: skip
        folder.mkdir()
        async for name, data in export_task(task_id, source):
            with (folder / name).open("ab") as stream:
                stream.write(data)
        return folder
