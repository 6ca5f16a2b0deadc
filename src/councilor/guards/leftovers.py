"""A folder for what no process leaves behind, not even one that was killed.

Rules:
- Every process that works in the folder holds a shared lock for it; the kernel lets go of it when the process dies.
- Who enters while nobody else is there removes what it finds: it belongs to processes that have died.
- Nobody removes anything while another process is there; what dies meanwhile goes at the next quiet start.
- On a file system without locks nothing is removed.

Source: flock(2).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from councilor.guards.ownership import make_own_folder
from councilor.guards.removal import remove_folder

__all__ = ["tidy_folder"]


@asynccontextmanager
async def tidy_folder(folder: Path, *, lock: Path) -> AsyncIterator[Path]:
    """Be in `folder`, made when missing, and first remove what dead processes left there.

    Args:
        lock: the file that stands for the folder; not in it.

    Raises:
        OSError: it cannot be made or written.
    """
    descriptor = await asyncio.to_thread(_enter, folder, lock)
    try:
        yield folder
    finally:
        os.close(descriptor)


def _enter(folder: Path, lock: Path) -> int:
    for place in (folder, lock.parent):
        make_own_folder(place)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        except OSError:
            return descriptor
        else:
            _sweep(folder)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # what cannot be removed now is no reason not to work
            if path.is_dir() and not path.is_symlink():
                remove_folder(path)
            else:
                path.unlink()
