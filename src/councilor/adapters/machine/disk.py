"""The disk of a folder: what is free on it, and whether it can be written to.

Rules:
- The folder need not be there yet: then it is the disk that it would be made on.
- A file system that hangs, such as one of a network, holds up nothing but its own look.
"""

from __future__ import annotations

import os
from pathlib import Path

from councilor.domain.health import Check, ComponentType, HealthStatus
from councilor.errors import UnavailableError
from councilor.guards.aside import Aside
from councilor.ports.metrics import MetricsBackend

__all__ = ["DiskProbe"]

LEAST_FILES = 1024
"""New files that the file system must have room for, whatever their size."""


class DiskProbe:
    """A `Probe` of the data folder's disk.

    Args:
        folder: on the disk.
        warn_bytes: with less free it is a warning.
        fail_bytes: with less free nothing more can be done.
    """

    component = "disk"
    kind = ComponentType.SYSTEM
    fallback: str | None = None
    every_s: float | None = None
    timeout_s: float | None = None

    def __init__(self, folder: Path, *, warn_bytes: int, fail_bytes: int, metrics: MetricsBackend) -> None:
        self._folder = folder
        self._warn_bytes = warn_bytes
        self._fail_bytes = fail_bytes
        self._metrics = metrics
        self._aside: Aside[tuple[Path, os.statvfs_result]] = Aside("health of the disk")

    async def check(self) -> Check:
        """Ask the file system."""
        try:
            place, found = await self._aside.run(self._ask)
        except OSError as error:
            raise UnavailableError(f"{self._folder}: {error.strerror}.", backend="host") from error
        free_bytes = found.f_bavail * found.f_frsize
        self._metrics.gauge("v3.storage.free", {}, free_bytes)
        status, output = self._judge(found, free_bytes)
        return Check(
            component=self.component,
            kind=self.kind,
            status=status,
            output=output,
            detail=f"{output} below {place}",
            measurement="free",
            observed=free_bytes,
            unit="By",
        )

    def _judge(self, found: os.statvfs_result, free_bytes: int) -> tuple[HealthStatus, str]:
        free = f"{free_bytes / 2**30:.1f} GiB free"
        if found.f_flag & os.ST_RDONLY:
            return HealthStatus.FAIL, f"read-only; {free}"
        if free_bytes < self._fail_bytes:
            return HealthStatus.FAIL, f"{free_bytes / 2**20:.0f} MiB free"
        if free_bytes < self._warn_bytes:
            return HealthStatus.WARN, free
        if found.f_files and found.f_favail < LEAST_FILES:  # some file systems count no files
            return HealthStatus.WARN, f"{free}, but room for {found.f_favail} files only"
        return HealthStatus.PASS, free

    def _ask(self) -> tuple[Path, os.statvfs_result]:
        places = (self._folder, *self._folder.parents)
        place = next((place for place in places if os.path.lexists(place)), Path("/"))
        return place, os.statvfs(place)
