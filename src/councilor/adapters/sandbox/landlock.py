"""Linux Landlock and whatever namespaces the kernel grants, through ctypes: where bubblewrap is not installed.

Rules:
- The same view as bubblewrap's: /usr, a handful of /etc, some devices and the job's mounts. Instead of hiding the rest
  it forbids to open it: that a path exists can still be seen, and its attributes.
- HOME and TMPDIR are folders of the job's own that are removed afterwards; /tmp and /dev/shm are not there.
- Weaker than bubblewrap: a socket file of the host can be connected to. Without user namespaces also: UDP, raw sockets
  and chmod are not withheld. The probe says so; nothing here claims more.
- With a version of the interface below 3 files outside can be truncated, below 4 TCP goes out, below 6 processes
  outside can be signalled, where namespaces do not prevent it.

Source: landlock(7); Linux Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from councilor.adapters.sandbox.base import BaseSandbox
from councilor.adapters.sandbox.job import SYSTEM_DEVICES, SYSTEM_FOLDERS, ordered_mounts, system_files
from councilor.adapters.sandbox.launched import Confinement, LauncherGrip, private_folders
from councilor.adapters.sandbox.limits import Restraint
from councilor.adapters.sandbox.process import Grip
from councilor.ports.sandbox import Job

__all__ = ["Landlock"]

# Of /proc only what says something about the machine: other processes' folders stay closed.
PROC = ("cpuinfo", "meminfo", "stat", "loadavg", "uptime", "version", "filesystems", "sys/kernel", "sys/vm", "sys/fs")


class Landlock(BaseSandbox):
    """Runs jobs under Landlock."""

    name = "landlock"
    proxies = True

    @asynccontextmanager
    async def _grip(self, job: Job, restraint: Restraint) -> AsyncIterator[Grip]:
        confinement = await asyncio.to_thread(_confinement, job)
        async with private_folders(self._scratch) as folder:
            with LauncherGrip(self.name, job, confinement, folder=folder, restraint=restraint) as grip:
                yield grip


def _confinement(job: Job) -> Confinement:
    mounts = ordered_mounts(job)
    readable = [*SYSTEM_FOLDERS, *system_files(network=job.network or bool(job.proxy_hosts))]
    readable += [f"/proc/{name}" for name in PROC]
    readable += [str(path) for path, writable in mounts if not writable]
    return Confinement(
        confine=True,
        readable=tuple(path for path in readable if Path(path).exists()),
        writable=tuple(str(path) for path, writable in mounts if writable),
        devices=SYSTEM_DEVICES,
    )
