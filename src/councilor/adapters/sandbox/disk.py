"""Watches what a job adds to its writable folders, because no limit of a process adds up over many files.

Rules:
- The file systems are asked four times a second how much is free, which costs nothing. Only when that fell by a
  sixteenth of the limit, or by thousands of files, are the folders walked and what they hold added up.
- The first walk is the measure of what was there before, less what the file system lost until then.
- A file counts with its blocks, at least one: a million empty files fill a disk, and a sparse one does not.

It ends nobody: its caller does. Within a quarter of a second a job can write more than its limit; the largest file,
limited by RLIMIT_FSIZE, and the memory that holds what is not on the disk yet bound by how much.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from councilor.ports.sandbox import Job

__all__ = ["DiskFullError", "DiskWatch", "used_bytes"]

LOOK_S = 0.25
BLOCK_BYTES = 4096
FILES = 8192
"""As many files fewer are worth a walk."""
SMALLEST_BYTES = 1 << 20


class DiskFullError(Exception):
    """A job has added more to its folders than it may."""


class DiskWatch:
    """Watches one job's writable mounts."""

    def __init__(self, job: Job) -> None:
        self._folders = tuple(mount.path for mount in job.mounts if mount.writable and mount.path.is_dir())
        self._limit = job.limits.disk_bytes
        self._step = max(self._limit // 16, SMALLEST_BYTES)

    async def watch(self) -> None:
        """Look until cancelled.

        Raises:
            DiskFullError: the limit is passed.
        """
        free = first = await asyncio.to_thread(self._free)
        before: int | None = None
        while self._folders:
            await asyncio.sleep(LOOK_S)
            now = await asyncio.to_thread(self._free)
            if free[0] - now[0] < self._step and free[1] - now[1] < FILES:
                free = (max(free[0], now[0]), max(free[1], now[1]))
                continue
            used = await asyncio.to_thread(used_bytes, self._folders)
            if before is None:
                before = max(0, used - max(first[0] - now[0], BLOCK_BYTES * (first[1] - now[1]), 0))
            if used - before > self._limit:
                raise DiskFullError
            free = now

    def _free(self) -> tuple[int, int]:
        """Free bytes and files of the file systems, each counted once."""
        found = {}
        for folder in self._folders:
            try:
                state = os.statvfs(folder)
            except OSError:  # the job has removed it
                continue
            found[state.f_fsid] = (state.f_bavail * state.f_frsize, state.f_ffree)
        return sum(size for size, _ in found.values()), sum(files for _, files in found.values())


def used_bytes(folders: Iterable[Path]) -> int:
    """Bytes on the disk of everything in these folders, links not followed; blocks."""
    total, pending = 0, [os.fsencode(folder) for folder in folders]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    total += max(entry.stat(follow_symlinks=False).st_blocks * 512, BLOCK_BYTES)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:  # gone meanwhile, or deeper than a path can say
            continue
    return total
