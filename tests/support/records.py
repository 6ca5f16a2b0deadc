"""What tests of backups share: databases with recorded tasks, and what a database holds, as one value to compare."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier
from tasks import make_task, submission

from councilor.adapters.checkpoints import FolderCheckpointShelf
from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.log import DatabaseTransparencyLog
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.system import SystemClock, SystemIds
from councilor.domain.artifact import ArtifactKind
from councilor.domain.event import EventType, NewEvent
from councilor.pipeline.ledger import Ledger
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.events import EventStream
from councilor.ports.log import CheckpointShelf, TransparencyLog
from councilor.ports.metrics import NoMetrics

THROWAWAY = "councilor_throwaway_"


def fill(url: str, data_dir: Path, *, tasks: int = 3, large_bytes: int = 3 * 2**20) -> Sequence[str]:
    """Record completed tasks in a migrated database, signed by the key of a data folder; gives their ids.

    Each task has a spec, an empty artifact, a small one, and one of `large_bytes` that nothing makes shorter.
    """

    async def go() -> Sequence[str]:
        async with Pool(url) as pool:
            storage, events = DatabaseArtifactStorage(pool), DatabaseEventStream(pool)
            log, shelf = DatabaseTransparencyLog(pool), FolderCheckpointShelf(data_dir / "checkpoints")
            ledger = make_ledger(storage, log, shelf, KeyFolder(data_dir / "keys"))
            recorded = [await record(ledger, events, large_bytes) for _ in range(tasks)]
            await ledger.sequence()
            return recorded

    return asyncio.run(go())


def make_ledger(storage: ArtifactStorage, log: TransparencyLog, shelf: CheckpointShelf, keys: KeyFolder) -> Ledger:
    """A ledger on these, with the machine's clock."""
    clock = SystemClock()
    return Ledger(
        storage=storage, log=log, shelf=shelf, signer=keys.signer(), clock=clock, ids=SystemIds(clock=clock),
        metrics=NoMetrics(), version="9",
    )  # fmt: skip


async def record(ledger: Ledger, events: EventStream, large_bytes: int = 0) -> str:
    """Record one completed task; gives its id."""
    now, task_id = datetime.now(UTC), ledger.ids.new()
    task = make_task(id=task_id, title="Füg \U0001f600 hinzu", submitted_at=now)
    await events.append([submission(task)])
    recorder = ledger.of_task(task_id, run_id=task_id)
    spec = await recorder.record(ArtifactKind.SPEC, "spec", b"id: X", media_type="application/yaml")
    patch = await recorder.record(ArtifactKind.CODE_CHANGES, "patch/1", b"", parent=spec)
    log = random.Random(task_id).randbytes(large_bytes)
    output = await recorder.record(ArtifactKind.COMMAND_LOG, "log/1", log, parent=patch, inputs=[(patch, "candidate")])
    inputs = [(output, "evidence"), (patch, "candidate")]
    await recorder.record(ArtifactKind.VERDICT, "verdict/1", b'{"decision":"accept"}', parent=patch, inputs=inputs)
    ended = {"state": "completed", "commit": "d" * 40}
    await events.append([NewEvent(task_id=task_id, type=EventType.TASK_FINISHED, ts=now, data=ended)])
    return task_id


def contents(url: str) -> Mapping[str, object]:
    """Each table with its columns, triggers and a hash of all its rows; two equal databases give equal values."""
    found: dict[str, object] = {}
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, name in tables:
            place = Identifier(schema, name)
            rows = connection.execute(
                SQL("SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM {} t").format(place)
            ).fetchone()
            shape = connection.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND attnum > 0 ORDER BY attnum",
                [schema, name],
            ).fetchall()
            guards = connection.execute(
                "SELECT tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal "
                "AND tgrelid = format('%%I.%%I', %s::text, %s::text)::regclass ORDER BY 1",
                [schema, name],
            ).fetchall()
            found[f"{schema}.{name}"] = (rows, shape, guards)
    return found


def throwaways(url: str) -> set[str]:
    """Names of the throw-away databases on a server."""
    with psycopg.connect(url) as connection:
        names = connection.execute("SELECT datname FROM pg_database").fetchall()
        return {str(name) for (name,) in names if str(name).startswith(THROWAWAY)}
