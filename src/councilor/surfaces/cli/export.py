"""Writing a task's exported files; used by `verify --export` and `provenance export`."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from councilor.app import Store
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.task import TaskHead
from councilor.errors import CouncilorError, InputError
from councilor.pipeline.ledger import ExportSource, LogWitness, export_task

__all__ = ["write_export"]


async def write_export(
    store: Store, head: TaskHead, folder: Path, *, earlier: Sequence[SignedCheckpoint] = (), sign: bool = True
) -> int:
    """Write a task's artifacts and statements into a new folder, all or nothing; gives the number of files.

    Args:
        earlier: checkpoints that the export proves the log to continue, besides the published ones.
        sign: also sign verdicts as JWS, which needs the signing key.

    Raises:
        InputError: the folder exists, or cannot be written.
    """
    published = await store.shelf.newest(await store.log.origin())
    source = ExportSource(
        storage=store.artifacts,
        verifier=store.keys,
        witness=LogWitness(store.log),
        signer=store.keys.signer() if sign else None,
        earlier=[*earlier, *published],
    )
    names: set[str] = set()
    try:
        await asyncio.to_thread(folder.mkdir, parents=True)
    except FileExistsError as error:
        raise InputError(f"{folder} exists.", field="export", hint="Name a folder that does not exist yet.") from error
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error}", field="export") from error
    try:
        async with aclosing(export_task(head.task_id, source, commit=head.commit)) as exported:
            async for name, data in exported:
                await asyncio.to_thread(_append, folder / name, data)
                names.add(name)
    except (OSError, CouncilorError) as error:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if isinstance(error, CouncilorError):
            raise
        raise InputError(f"{folder} cannot be written: {error}", field="export") from error
    return len(names)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)
