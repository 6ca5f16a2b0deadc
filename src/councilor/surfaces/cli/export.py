"""Writing a task's exported files; used by `verify --export`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from councilor.app import Store
from councilor.errors import InputError
from councilor.pipeline.ledger import export_task

__all__ = ["write_export"]


async def write_export(store: Store, task_id: str, folder: Path) -> int:
    """Write a task's artifacts and statements into a new folder; gives the number of files.

    Raises:
        InputError: the folder exists, or cannot be written.
    """
    files = 0
    try:
        await asyncio.to_thread(folder.mkdir, parents=True)
        async with aclosing(export_task(task_id, store.artifacts, store.keys)) as exported:
            async for name, data in exported:
                await asyncio.to_thread((folder / name).write_bytes, data)
                files += 1
    except FileExistsError as error:
        raise InputError(f"{folder} exists.", field="export", hint="Name a folder that does not exist yet.") from error
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error}", field="export") from error
    return files
