"""What is kept: events, artifacts, keys, each call under a deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
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
from councilor.adapters.postgres.queue import DatabaseTaskQueue
from councilor.adapters.postgres.schedules import DatabaseSchedules
from councilor.app.database import database_url
from councilor.app.runtime import Runtime, sharing
from councilor.domain.queue import session_name
from councilor.guards.metering import with_metering
from councilor.pipeline.ledger import Ledger
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.events import EventStream
from councilor.ports.log import CheckpointShelf, TransparencyLog
from councilor.ports.queue import TaskQueue
from councilor.ports.schedules import Schedules
from councilor.settings import Settings

__all__ = ["Store", "open_store", "open_store_at"]

P = TypeVar("P")

DEADLINES_S = {
    "artifacts": 60.0, "checkpoints": 30.0, "events": 30.0, "log": 60.0, "queue": 30.0, "schedules": 30.0,
}  # fmt: skip
"""Seconds for one call of a port. Git commands, sandboxed jobs and the engine's steps carry limits of their own."""
PUT_DEADLINE_S = 3600.0
"""Seconds for storing one artifact, which may be a file of any size."""
SLOW_S = 5.0
"""Seconds beyond which a call is slow."""
ANY_LENGTH = {"artifacts": ("put", "read", "fetch", "condemn", "erase"), "log": ("sequence", "leaves")}
"""Methods whose time goes with the size of what they are given or give: never slow."""
IDEMPOTENT = {
    # not append: events have no identity before they are numbered, so a repetition would store them twice
    "events": ("read", "head", "heads", "find"),
    # put: storing the same artifact again changes nothing, and its hash is checked each time. The other writers tell
    # whether something changed, which a repetition would answer wrongly.
    "artifacts": (
        "put", "get", "read", "fetch", "latest_for_task", "about_tree", "of_task", "last_seq", "list", "find",
        "lineage", "versions", "aliases", "holds", "released", "condemned", "stats",
    ),
    # not sequence: its caller signs what it is given
    "log": ("origin", "state", "covering", "checkpoints", "entries", "waiting", "leaves", "lost", "read"),
    # keep: an older or equal checkpoint changes nothing
    "checkpoints": ("newest", "keep"),
    # not claim, not reap, nor what else tells what it changed
    "queue": ("doomed", "find", "entries", "leases"),
    # take: who has a due time already is given it again; settle tells whether it was still pending
    "schedules": ("now", "find", "heads", "take"),
}  # fmt: skip
"""Methods that may be repeated, even when they were done and only the answer was lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """What is kept."""

    events: EventStream
    artifacts: ArtifactStorage
    log: TransparencyLog
    shelf: CheckpointShelf
    keys: KeyFolder
    runtime: Runtime
    queue: TaskQueue
    schedules: Schedules
    connections: Callable[[], Mapping[str, int]]
    """Connections of the pool, and callers that wait for one, by state."""
    url: str
    """The database's URL; secret."""

    def ledger(self) -> Ledger:
        """What signs, stores and logs; the signing key is made when there is none."""
        return Ledger(
            storage=self.artifacts,
            log=self.log,
            shelf=self.shelf,
            signer=self.keys.signer(),
            clock=self.runtime.clock,
            ids=self.runtime.ids,
            metrics=self.runtime.metrics,
            version=__version__,
            verifier=self.keys,
        )


@asynccontextmanager
async def open_store(settings: Settings, runtime: Runtime | None = None) -> AsyncIterator[Store]:
    """Open what is kept.

    Args:
        runtime: what the process has already; one of its own when not given.
    """
    url = await database_url(settings)
    async with (
        sharing(settings, runtime) as shared,
        open_store_at(
            url,
            shared,
            keys_dir=settings.keys_dir,
            checkpoints_dir=settings.checkpoints_dir,
            durable=settings.storage.db_artifacts,
        ) as store,
    ):
        yield store


@asynccontextmanager
async def open_store_at(
    url: str, runtime: Runtime, *, keys_dir: Path, checkpoints_dir: Path, durable: bool = True
) -> AsyncIterator[Store]:
    """Open what a database keeps, which need not be the configured one.

    Args:
        url: of a migrated database; secret.
        keys_dir: the keys that its statements are checked against.
        checkpoints_dir: where its newest checkpoint is kept.
        durable: whether artifacts are in it; false keeps them in memory.
    """
    settings = runtime.settings
    chosen = settings.storage.database
    pool = Pool(
        url,
        max_connections=chosen.pool_size,
        connect_timeout_s=chosen.connect_timeout_s,
        statement_timeout_s=chosen.statement_timeout_s,
        application_name=session_name(runtime.executor_id, "pool"),
    )
    async with pool, DatabaseEventStream(pool) as stream:
        quota_bytes = settings.storage.quota_bytes
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
            FolderCheckpointShelf(checkpoints_dir, settings.storage.checkpoints.folders)
            if durable
            else MemoryCheckpointShelf()
        )
        yield Store(
            events=_guarded(runtime, stream, "events"),
            artifacts=with_metering(
                _guarded(runtime, artifacts, "artifacts", put=PUT_DEADLINE_S), metrics=runtime.metrics
            ),
            log=_guarded(runtime, log, "log"),
            shelf=_guarded(runtime, shelf, "checkpoints"),
            keys=KeyFolder(keys_dir),
            runtime=runtime,
            queue=_guarded(runtime, DatabaseTaskQueue(pool), "queue"),
            schedules=_guarded(runtime, DatabaseSchedules(pool), "schedules"),
            connections=pool.usage,
            url=url,
        )


def _guarded(runtime: Runtime, adapter: P, port: str, **methods_s: float) -> P:
    return runtime.guarding.around(
        adapter,
        port=port,
        backend="checkpoints" if port == "checkpoints" else "postgres",
        default_s=DEADLINES_S[port],
        methods_s=methods_s,
        slow_s=SLOW_S,
        methods_slow_s=dict.fromkeys(ANY_LENGTH.get(port, ()), inf),
        idempotent=IDEMPOTENT[port],
    )
