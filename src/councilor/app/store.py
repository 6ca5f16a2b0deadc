"""What is kept: events, artifacts, keys, each call under a deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from councilor import __version__
from councilor.adapters.checkpoints import FolderCheckpointShelf
from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.log import DatabaseTransparencyLog
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.system import SystemClock, SystemIds
from councilor.app.database import database_url
from councilor.app.keys import open_keys
from councilor.guards.deadline import with_deadline
from councilor.pipeline.ledger import Ledger
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.log import CheckpointShelf, TransparencyLog
from councilor.ports.metrics import MetricsBackend, NoMetrics
from councilor.settings import Settings

__all__ = ["Store", "open_store"]

P = TypeVar("P")

DEADLINES_S = {"artifacts": 60.0, "checkpoints": 30.0, "events": 30.0, "log": 60.0}
"""Seconds for one call of a port. Git commands, sandboxed jobs and the engine's steps carry limits of their own."""
PUT_DEADLINE_S = 3600.0
"""Seconds for storing one artifact, which may be a file of any size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """What is kept."""

    settings: Settings
    events: EventStream
    artifacts: ArtifactStorage
    log: TransparencyLog
    shelf: CheckpointShelf
    keys: KeyFolder
    clock: Clock
    url: str
    """The database's URL; secret."""

    def ledger(self, *, metrics: MetricsBackend | None = None) -> Ledger:
        """What signs, stores and logs; the signing key is made when there is none."""
        return Ledger(
            storage=self.artifacts,
            log=self.log,
            shelf=self.shelf,
            signer=self.keys.signer(),
            clock=self.clock,
            ids=SystemIds(clock=self.clock),
            metrics=metrics or NoMetrics(),
            version=__version__,
            verifier=self.keys,
        )


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open what is kept."""
    url = await database_url(settings)
    clock, metrics = SystemClock(), NoMetrics()
    chosen = settings.storage.database
    pool = Pool(
        url,
        max_connections=chosen.pool_size,
        connect_timeout_s=chosen.connect_timeout_s,
        statement_timeout_s=chosen.statement_timeout_s,
    )
    async with pool, DatabaseEventStream(pool) as stream:
        durable, quota_bytes = settings.storage.db_artifacts, settings.storage.quota_bytes
        artifacts: ArtifactStorage = (
            DatabaseArtifactStorage(pool, quota_bytes=quota_bytes)
            if durable
            else MemoryArtifactStorage(quota_bytes=quota_bytes)
        )
        log: TransparencyLog = (
            MemoryTransparencyLog(artifacts)
            if isinstance(artifacts, MemoryArtifactStorage)
            else DatabaseTransparencyLog(pool)
        )
        shelf: CheckpointShelf = (
            FolderCheckpointShelf(settings.checkpoints_dir, settings.storage.checkpoints.folders)
            if durable
            else MemoryCheckpointShelf()
        )
        yield Store(
            settings=settings,
            events=_guarded(stream, "events", clock, metrics),
            artifacts=_guarded(artifacts, "artifacts", clock, metrics, put=PUT_DEADLINE_S),
            log=_guarded(log, "log", clock, metrics),
            shelf=_guarded(shelf, "checkpoints", clock, metrics),
            keys=open_keys(settings),
            clock=clock,
            url=url,
        )


def _guarded(adapter: P, port: str, clock: Clock, metrics: MetricsBackend, **methods_s: float) -> P:
    return with_deadline(
        adapter,
        port=port,
        backend="checkpoints" if port == "checkpoints" else "postgres",
        default_s=DEADLINES_S[port],
        methods_s=methods_s,
        metrics=metrics,
        clock=clock,
    )
