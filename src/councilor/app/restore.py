"""Restoring a backup, or trying it out: what is checked, in which order, and what is left after a failure.

1. The file's structure, its manifest, and that this release knows its migrations.
2. The database is empty (a drill makes a throw-away one instead, on the same server).
3. Every member's SHA-256, before anything is changed; the dump's once more while it is loaded.
4. Keys and checkpoints go where they are missing (a drill's into a temporary folder).
5. The dump, in one transaction. A failure until here leaves the database and the folders as they were.
6. Pending migrations, then the audit: row counts, and every artifact's hash, signature and chain.

What the audit finds is a value: the data is restored, and it is as sound as the backup was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from councilor.adapters.archive import ArchiveReader, Placing, put_back
from councilor.adapters.postgres.catalogue import connect, count_rows, list_task_ids
from councilor.adapters.postgres.client import make_client
from councilor.adapters.postgres.migrate import find_missing, migrate, packaged_migrations
from councilor.adapters.postgres.restore import check_empty, load_dump
from councilor.adapters.postgres.throwaway import throwaway_database
from councilor.app.backup import Progress, told_as_ours
from councilor.app.database import answering_url, embedded_server, external_url
from councilor.app.runtime import open_runtime
from councilor.app.store import open_store_at
from councilor.app.tools import tidy_temporary
from councilor.domain.backup import CHECKPOINTS, DUMP, KEYS, BackupManifest
from councilor.pipeline.ledger import WholeVerification, verify_all
from councilor.settings import Settings

__all__ = ["Restoration", "drill", "restore"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Restoration:
    """What became of a backup."""

    drill: bool
    manifest: BackupManifest
    audit: WholeVerification
    row_findings: tuple[str, ...]
    """Tables that do not hold what the manifest counted."""
    migrated: tuple[str, ...]
    """Migrations that were applied after the dump was loaded."""
    put_back: tuple[str, ...]
    """Keys and checkpoints that were missing here."""
    kept: tuple[str, ...]
    """Those of which another one is here, which stays."""
    unknown_keyids: tuple[str, ...]
    """Keys that signed something in the backup, and that only the backup vouches for."""

    @property
    def sound(self) -> bool:
        """Whether everything came back and verified."""
        return self.audit.sound and not self.row_findings


async def restore(settings: Settings, file: Path, *, progress: Progress) -> Restoration:
    """Restore a backup into the configured database, which must be empty, and audit what is there then.

    Raises:
        InputError: the file is no backup, is of a newer release, or the database is not empty.
        IntegrityError: the file was altered.
        UnavailableError: the server or the disk did not do its work. Whatever is raised, nothing is restored, unless
            the message is of a migration: that comes after.
    """
    with told_as_ours(file), ArchiveReader(file) as archive:
        _check_migrations(archive.manifest)
        url = await answering_url(settings)
        async with connect(url) as connection:
            drop_empty = await check_empty(connection)
        await _check_members(archive, progress)
        known = _key_names(settings.keys_dir)
        placed: dict[str, Placing] = {}
        try:
            await asyncio.to_thread(_put_back, archive, settings.keys_dir, settings.checkpoints_dir, placed)
            await _load(settings, url, archive, progress, drop_empty=drop_empty)
        except BaseException:
            _take_away(placed, settings)
            raise
        return await _examine(url, settings, archive, placed, known, settings.data_dir, progress, is_drill=False)


async def drill(settings: Settings, file: Path, *, progress: Progress) -> Restoration:
    """Restore a backup into a throw-away database and audit it there; raises as `restore`, and leaves nothing."""
    with told_as_ours(file), ArchiveReader(file) as archive:
        _check_migrations(archive.manifest)
        await _check_members(archive, progress)
        async with throwaway_database(await answering_url(settings)) as url, _temporary_folder(settings) as folder:
            known = _key_names(settings.keys_dir)
            await _load(settings, url, archive, progress, drop_empty=False)
            placed: dict[str, Placing] = {}
            await asyncio.to_thread(_put_back, archive, folder / KEYS, folder / CHECKPOINTS, placed)
            return await _examine(url, settings, archive, placed, known, folder, progress, is_drill=True)


def _check_migrations(manifest: BackupManifest) -> None:
    ledger = {line.number: (line.name, bytes.fromhex(line.sha256)) for line in manifest.migrations}
    find_missing(packaged_migrations(), ledger)


async def _check_members(archive: ArchiveReader, progress: Progress) -> None:
    done = 0
    for member in archive.manifest.members:
        async with aclosing(_pieces(archive, member.name)) as pieces:
            async for piece in pieces:
                done += len(piece)
                progress("checking the backup's sums", done)


async def _pieces(archive: ArchiveReader, name: str) -> AsyncGenerator[bytes, None]:
    """A member's bytes, read in a thread."""
    pieces = archive.pieces(name)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


async def _load(settings: Settings, url: str, archive: ArchiveReader, progress: Progress, *, drop_empty: bool) -> None:
    embedded = external_url(settings) is None
    async with connect(url) as connection:
        client = await make_client(connection, copies=embedded_server(settings).copies, embedded=embedded)

    async def loading() -> AsyncGenerator[bytes, None]:
        done = 0
        async with aclosing(_pieces(archive, DUMP)) as pieces:
            async for piece in pieces:
                yield piece
                done += len(piece)
                progress("restoring the database", done)

    async with aclosing(loading()) as pieces:
        await load_dump(client, pieces, drop_empty=drop_empty)


async def _examine(
    url: str,
    settings: Settings,
    archive: ArchiveReader,
    placed: dict[str, Placing],
    known: frozenset[str],
    folder: Path,
    progress: Progress,
    *,
    is_drill: bool,
) -> Restoration:
    async with connect(url) as connection:
        counted = {(table.schema, table.name): table.rows for table in await count_rows(connection)}
    migrated = await asyncio.to_thread(migrate, url)
    async with (
        open_runtime(settings) as runtime,
        open_store_at(url, runtime, keys_dir=folder / KEYS, checkpoints_dir=folder / CHECKPOINTS) as store,
        aclosing(list_task_ids(url)) as task_ids,
    ):
        audited = await verify_all(
            store.artifacts,
            store.log,
            store.keys,
            trusted=await store.shelf.newest(await store.log.origin()),
            events=store.events,
            tasks=task_ids,
            progress=lambda done, total: progress("verifying", done),
        )
    return Restoration(
        drill=is_drill,
        manifest=archive.manifest,
        audit=audited,
        row_findings=tuple(
            f"{table.schema}.{table.name} has {counted.get((table.schema, table.name))} rows, not {table.rows}"
            for table in archive.manifest.tables
            if counted.get((table.schema, table.name)) != table.rows
        ),
        migrated=tuple(migrated),
        put_back=_names(placed, Placing.PUT_BACK),
        kept=_names(placed, Placing.KEPT),
        unknown_keyids=tuple(keyid for keyid in audited.keyids if keyid not in known),
    )


def _key_names(folder: Path) -> frozenset[str]:
    """Ids of the public keys that this machine knew before."""
    return frozenset(path.stem for path in folder.glob("*.pem"))


def _put_back(archive: ArchiveReader, keys_dir: Path, checkpoints: Path, placed: dict[str, Placing]) -> None:
    """Put back what is missing; `placed` has what became of each, also when one cannot be written."""
    for below, folder in ((KEYS, keys_dir), (CHECKPOINTS, checkpoints)):
        for member in archive.members_below(below):
            path = folder / member.name.removeprefix(f"{below}/")
            placed[member.name] = put_back(path, archive.read(member.name))


def _take_away(placed: dict[str, Placing], settings: Settings) -> None:
    folders = {KEYS: settings.keys_dir, CHECKPOINTS: settings.checkpoints_dir}
    for name in _names(placed, Placing.PUT_BACK):
        below, _, rest = name.partition("/")
        (folders[below] / rest).unlink(missing_ok=True)


def _names(placed: dict[str, Placing], how: Placing) -> tuple[str, ...]:
    return tuple(name for name, placing in placed.items() if placing is how)


@asynccontextmanager
async def _temporary_folder(settings: Settings) -> AsyncIterator[Path]:
    async with tidy_temporary(settings) as above:
        with TemporaryDirectory(dir=above, prefix="drill-") as folder:
            yield Path(folder)
