"""What is kept: events, artifacts, keys, each call under a deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.system import SystemClock
from councilor.app.database import database_url
from councilor.guards.deadline import with_deadline
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.metrics import MetricsBackend, NoMetrics
from councilor.settings import Settings

__all__ = ["Store", "open_store", "open_store_at"]

P = TypeVar("P")

DEADLINES_S = {"artifacts": 60.0, "events": 30.0}
"""Seconds for one call of a port. Git commands, sandboxed jobs and the engine's steps carry limits of their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """What is kept."""

    events: EventStream
    artifacts: ArtifactStorage
    keys: KeyFolder
    url: str
    """The database's URL; secret."""


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open what is kept."""
    url = await database_url(settings)
    durable = settings.storage.db_artifacts
    async with open_store_at(url, settings, keys_dir=settings.keys_dir, durable=durable) as store:
        yield store


@asynccontextmanager
async def open_store_at(url: str, settings: Settings, *, keys_dir: Path, durable: bool = True) -> AsyncIterator[Store]:
    """Open what a database keeps, which need not be the configured one.

    Args:
        url: of a migrated database; secret.
        keys_dir: the keys that its statements are checked against.
        durable: whether artifacts are in it; false keeps them in memory.
    """
    clock, metrics = SystemClock(), NoMetrics()
    chosen = settings.storage.database
    pool = Pool(
        url,
        max_connections=chosen.pool_size,
        connect_timeout_s=chosen.connect_timeout_s,
        statement_timeout_s=chosen.statement_timeout_s,
    )
    async with pool, DatabaseEventStream(pool) as stream:
        storage: ArtifactStorage = DatabaseArtifactStorage(pool) if durable else MemoryArtifactStorage()
        yield Store(
            events=_guarded(stream, "events", clock, metrics),
            artifacts=_guarded(storage, "artifacts", clock, metrics),
            keys=KeyFolder(keys_dir),
            url=url,
        )


def _guarded(adapter: P, port: str, clock: Clock, metrics: MetricsBackend) -> P:
    return with_deadline(
        adapter, port=port, backend="postgres", default_s=DEADLINES_S[port], metrics=metrics, clock=clock
    )
