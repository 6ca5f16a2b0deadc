"""Backing up: one file with everything that a record needs to be read and verified again.

Rules:
- Checkpoints are read before the database's snapshot is taken and keys after it: so every entry that a checkpoint
  covers is in the dump, and so is the key of every statement.
- The embedded server is started when it is down; nothing is migrated, so a backup can come before an upgrade.
- A file that says it is a private key is left out unless it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from councilor import __version__
from councilor.adapters.archive import ArchiveWriter, collect_files
from councilor.adapters.postgres.dump import Snapshot, dump, open_snapshot
from councilor.app.database import answering_url, embedded_server, external_url
from councilor.domain.backup import (
    CHECKPOINTS,
    DUMP,
    KEYS,
    BackupManifest,
    is_private_key,
    newest_checkpoint,
)
from councilor.errors import CouncilorError, ShortageError, UnavailableError
from councilor.guards.hostfault import find_host_fault
from councilor.settings import Settings

__all__ = ["Backup", "Progress", "back_up", "told_as_ours"]

Progress = Callable[[str, int], None]
"""Told what is being done, and how many bytes (or tasks) of it are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """A backup that was made."""

    file: str
    size_bytes: int
    manifest: BackupManifest
    private_keys_left_out: int


async def back_up(
    settings: Settings, file: Path, *, replace: bool, with_private_key: bool, progress: Progress
) -> Backup:
    """Write a backup of the database, the keys and the checkpoints.

    Args:
        replace: whether `file` may be there already.

    Raises:
        InputError: `file` is there already, or is none.
        UnavailableError: the server does not answer or is newer than our pg_dump, or the disk is full. No file is left.
    """
    with told_as_ours(file), ArchiveWriter(file, replace=replace) as writer:
        url = await answering_url(settings)
        published = list(collect_files(settings.checkpoints_dir, CHECKPOINTS))
        for name, data in published:
            writer.add(name, data)
        embedded = external_url(settings) is None
        async with open_snapshot(url, copies=embedded_server(settings).copies, embedded=embedded) as snapshot:
            await _write_dump(writer, snapshot, progress)
        private = _write_keys(writer, settings.keys_dir, with_private_key=with_private_key)
        manifest = BackupManifest(
            councilor_version=__version__,
            server_version=snapshot.server_version,
            created_at=snapshot.taken_at,
            database_bytes=snapshot.database_bytes,
            tables=tuple(snapshot.tables),
            migrations=tuple(snapshot.migrations),
            newest_checkpoint=newest_checkpoint(published),
            with_private_key=with_private_key and private > 0,
            members=tuple(writer.members),
        )
        progress("writing to disk", 0)
        size_bytes = await asyncio.to_thread(writer.finish, manifest)
    left_out = 0 if with_private_key else private
    return Backup(file=str(file), size_bytes=size_bytes, manifest=manifest, private_keys_left_out=left_out)


async def _write_dump(writer: ArchiveWriter, snapshot: Snapshot, progress: Progress) -> None:
    writer.begin(DUMP)
    written = 0
    async with aclosing(dump(snapshot)) as pieces:
        async for piece in pieces:
            await asyncio.to_thread(writer.write, piece)
            written += len(piece)
            progress("dumping the database", written)
    writer.end()


def _write_keys(writer: ArchiveWriter, folder: Path, *, with_private_key: bool) -> int:
    """The number of private keys that are there, written or not."""
    private = 0
    for name, data in collect_files(folder, KEYS):
        private += is_private_key(data)
        if with_private_key or not is_private_key(data):
            writer.add(name, data)
    return private


@contextmanager
def told_as_ours(file: Path) -> Iterator[None]:
    """Raise our errors for what the machine refuses while a backup is written or read."""
    try:
        yield
    except CouncilorError:
        raise
    except OSError as error:
        fault = find_host_fault(error)
        if fault is not None:
            raise ShortageError(
                f"{fault.message.rstrip('.')}: {file}.",
                backend="host",
                hint="Free some space or name a file on another disk; nothing of this one was left behind.",
            ) from error
        raise UnavailableError(
            f"{error.filename or file}: {error.strerror or error}.",
            backend="host",
            hint="The file and its folder must be yours to read and write.",
        ) from error
