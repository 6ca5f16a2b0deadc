"""Watches what a job adds to its writable folders, because no limit of a process adds up over many files.

Rules:
- What the folders hold is added up before the job has done much, and again when it may have grown: when their file
  systems, asked four times a second, have lost a sixteenth of the limit or thousands of files; and in any case once in
  a while, because others may have freed what the job took. A walk takes at most a fiftieth of the time.
- A file counts with its blocks, at least one: a million empty files fill a disk, and a sparse one does not.

It ends nobody: its caller does. Within a quarter of a second a job can write more than its limit; the largest file,
limited by RLIMIT_FSIZE, and the memory that holds what is not on the disk yet bound by how much.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from pathlib import Path

from councilor.ports.sandbox import Job

__all__ = ["DiskFullError", "DiskWatch", "used_bytes"]

LOOK_S = 0.25
WALK_S, WALK_SHARE = 1.0, 50
"""Seconds between two walks in any case, and how many times as long as a walk took."""
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
        self._next_s = 0.0

    async def watch(self) -> None:
        """Look until cancelled.

        Raises:
            DiskFullError: the limit is passed.
        """
        if not self._folders:
            return
        before = await self._used()
        free = await asyncio.to_thread(self._free)
        while True:
            await asyncio.sleep(LOOK_S)
            now = await asyncio.to_thread(self._free)
            free = (max(free[0], now[0]), max(free[1], now[1]))
            may_have_grown = free[0] - now[0] >= self._step or free[1] - now[1] >= FILES
            if may_have_grown or time.monotonic() >= self._next_s:
                if await self._used() - before > self._limit:
                    raise DiskFullError
                free = now

    async def _used(self) -> int:
        began = time.monotonic()
        used = await asyncio.to_thread(used_bytes, self._folders)
        ended = time.monotonic()
        self._next_s = ended + max(WALK_S, WALK_SHARE * (ended - began))
        return used

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
