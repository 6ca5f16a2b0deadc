"""macOS `sandbox-exec`: a profile that denies everything but what the job may have.

UNTESTED: written from the profile language's published examples; nobody has run it. Its probe decides on the machine
whether it withstands anything, so an error in the profile makes it refused, not trusted.

Rules:
- Reads: the system's libraries and frameworks and the job's mounts. Writes: the job's folders and writable mounts.
- No network unless the job gets it; no signals to processes outside; its control groups do not exist, so resources are
  limited per process only.
- The launcher holds the job: macOS cannot limit another process, and its orphans are only found by process group.

Source: sandbox-exec(1), sandbox(7); profiles in /System/Library/Sandbox/Profiles.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from councilor.adapters.sandbox.base import BaseSandbox
from councilor.adapters.sandbox.job import ordered_mounts
from councilor.adapters.sandbox.launched import Confinement, LauncherGrip, private_folders
from councilor.adapters.sandbox.limits import Restraint
from councilor.adapters.sandbox.process import Grip
from councilor.errors import SandboxError
from councilor.ports.sandbox import Job

__all__ = ["Seatbelt", "profile"]

SYSTEM = (
    "/usr/lib",
    "/usr/bin",
    "/usr/sbin",
    "/usr/share",
    "/usr/libexec",
    "/bin",
    "/sbin",
    "/System",
    "/Library/Apple",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class Seatbelt(BaseSandbox):
    """Runs jobs under `sandbox-exec`."""

    name = "seatbelt"

    @asynccontextmanager
    async def _grip(self, job: Job, restraint: Restraint) -> AsyncIterator[Grip]:
        program = shutil.which("sandbox-exec")
        if program is None:
            raise SandboxError("sandbox-exec is not there", backend=self.name)
        async with private_folders(self._scratch) as folder:
            confinement = Confinement(wrapper=(program, "-p", profile(job, folder)))
            with LauncherGrip(self.name, job, confinement, folder=folder, restraint=restraint) as grip:
                yield grip


def profile(job: Job, folder: Path) -> str:
    """The profile of one job, in the sandbox's own language."""
    return "\n".join(_lines(job, folder))


def _lines(job: Job, folder: Path) -> Iterator[str]:
    yield "(version 1)"
    yield "(deny default)"
    yield "(allow process-fork process-exec sysctl-read)"
    yield "(allow signal (target same-sandbox))"
    yield "(allow file-read-metadata)"
    for path in SYSTEM:
        yield f"(allow file-read* (subpath {_quoted(path)}))"
    for path in DEVICES:
        yield f"(allow file-read* file-write-data (literal {_quoted(path)}))"
    for mount, writable in [*ordered_mounts(job), (folder, True)]:
        rights = "file-read* file-write*" if writable else "file-read*"
        yield f"(allow {rights} (subpath {_quoted(str(mount.resolve()))}))"
    if job.network:
        yield "(allow network* system-socket mach-lookup)"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
