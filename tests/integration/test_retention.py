"""Retention on PostgreSQL: bytes go, records stay, and what was stored again lives on."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.adapters.memory.log import MemoryCheckpointShelf
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.postgres.artifacts import CHUNK_BYTES, DatabaseArtifactStorage
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.log import DatabaseTransparencyLog
from councilor.adapters.postgres.pool import Pool
from councilor.domain.artifact import ArtifactKind
from councilor.domain.keeping import LegalHold, RetentionRule
from councilor.errors import ErasedError
from councilor.pipeline.ledger import Collector, Ledger
from councilor.pipeline.ledger.retention import ERASURE_NAME

TASK = "01900000-0000-7000-8000-000000000001"
HELD = "01900000-0000-7000-8000-000000000002"
RULE = RetentionRule(kind=ArtifactKind.COMMAND_LOG, max_age=timedelta(days=30), keep_last=1)


async def test_a_collection(emptied_database_url, tmp_path):
    clock, keys = FakeClock(), KeyFolder(tmp_path / "keys")
    async with Pool(emptied_database_url) as pool:
        storage, log = DatabaseArtifactStorage(pool), DatabaseTransparencyLog(pool)
        ledger = Ledger(
            storage=storage, log=log, shelf=MemoryCheckpointShelf(), signer=keys.signer(), clock=clock,
            ids=SequentialIds(), metrics=RecordingMetrics(), version="9.9", verifier=keys,
        )  # fmt: skip
        collector = Collector(ledger=ledger, events=DatabaseEventStream(pool), rules=[RULE], grace=timedelta(days=7))
        task, held = ledger.of_task(TASK, run_id=TASK), ledger.of_task(HELD, run_id=HELD)
        specs = [await each.record(ArtifactKind.SPEC, "spec", b"id: X-1") for each in (task, held)]
        large = bytes(range(256)) * (CHUNK_BYTES // 100)
        small, chunked, last = [
            await task.record(ArtifactKind.COMMAND_LOG, "log", body, parent=specs[0])
            for body in (b"small", large, b"last")
        ]
        for body in (b"kept", b"also kept"):
            await held.record(ArtifactKind.COMMAND_LOG, "log", body, parent=specs[1])
        await storage.hold(LegalHold(task_id=HELD, reason="audit", placed_at=clock.now()))
        statements = [item.statement for item in await storage.of_task(TASK)]

        await clock.advance(31 * 86_400)
        foreseen = await collector.collect(dry_run=True)
        assert (foreseen.released, foreseen.released_bytes) == (2, 5 + len(large))
        assert (await storage.stats()).condemned == 0
        marked = await collector.collect()
        assert (marked.released, marked.condemned, marked.erased) == (2, 2, 0)
        await task.record(ArtifactKind.REPORT, "report", b"small", parent=specs[0])  # needs the same bytes again
        await clock.advance(7 * 86_400)
        gone = await collector.collect()
        assert (gone.released, gone.condemned, gone.erased, gone.erased_bytes) == (0, 0, 1, len(large))

        with pytest.raises(ErasedError):
            await storage.read(chunked.id)
        assert await storage.read(small.id) == b"small" and await storage.read(last.id) == b"last"
        *before, _, erasure = await storage.of_task(TASK)
        assert [item.statement for item in before] == statements
        assert (erasure.name, erasure.parent_id) == (ERASURE_NAME, specs[0].id)
        assert json.loads(await storage.read(erasure.id))["blobs"] == [chunked.output_hash]
        assert erasure.id in await log.entries([erasure.id])
        assert (await storage.stats()).erased == 1
        again = await collector.collect()
        assert (again.released, again.condemned, again.erased, again.statements) == (0, 0, 0, 0)
