"""Resource limits of a job's processes, beside the control group or instead of it.

Rules:
- Always: no core files, and no file larger than the job may write.
- Memory is the control group's affair. Without one, RLIMIT_DATA stands in: it counts what a process can write to, per
  process. RLIMIT_AS would count reserved address space too, and runtimes that reserve gigabytes fail under it.
- Processes are the control group's affair. Without one, RLIMIT_NPROC stands in, which the kernel does not apply to
  root; it counts the processes of one user in one user namespace.

- macOS has neither control groups nor a way to limit another process: there the launcher sets its own limits.

Limits of a process, not of a job, so they never make a sandbox's level say that resources are capped.
Source: getrlimit(2).
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from councilor.adapters.sandbox.cgroup import Cage, CageError, Cgroups, find_cgroups
from councilor.adapters.sandbox.process import uninterrupted
from councilor.errors import SandboxError
from councilor.ports.sandbox import Limits

__all__ = ["Restraint", "Restraints"]


class Restraint:
    """The limits of one job."""

    def __init__(self, rlimits: dict[str, int], cage: Cage) -> None:
        self._rlimits = rlimits
        self._cage = cage

    def rlimits_by_name(self) -> dict[str, int]:
        """Names as in the module `resource`, for a launcher that sets them itself."""
        return self._rlimits

    def admit(self, pid: int) -> None:
        """Move a waiting process into the job's control group.

        Raises:
            OSError: the process or the group is gone.
        """
        self._cage.admit(pid)

    def restrain(self, pid: int) -> None:
        """Move a waiting process in and set its resource limits, never above its present hard ones.

        Raises:
            OSError: the process or the group is gone.
        """
        self._cage.admit(pid)
        for name, value in self._rlimits.items():
            number = getattr(resource, name)
            _, hard = resource.prlimit(pid, number)
            capped = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.prlimit(pid, number, (capped, capped))

    def members(self) -> set[int]:
        """Ids of the job's processes, as far as control groups tell."""
        return self._cage.members()

    def reached(self) -> frozenset[str]:
        """Which of `memory` and `processes` the job ran into, as far as control groups tell."""
        return self._cage.reached()

    def kill(self) -> None:
        """Kill whatever is left in the control group and remove it; blocks."""
        self._cage.remove()


class Restraints:
    """Gives each job its limits; looks for control groups once."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._lock = asyncio.Lock()
        self._cgroups: Cgroups | None = None

    async def cgroups(self) -> Cgroups:
        """Where control groups can be created here."""
        async with self._lock:
            if self._cgroups is None:
                self._cgroups = await asyncio.to_thread(find_cgroups)
            return self._cgroups

    @asynccontextmanager
    async def restraint(self, limits: Limits) -> AsyncIterator[Restraint]:
        """The limits of one job; its control group is gone afterwards.

        Raises:
            SandboxError: the control group could not be created.
        """
        cgroups = await self.cgroups()
        cages: list[Cage] = []
        try:
            await uninterrupted(asyncio.to_thread(lambda: cages.append(cgroups.cage(limits))))
            yield Restraint(_rlimits(limits, cgroups), cages[0])
        except CageError as error:
            raise SandboxError(f"no control group could be created: {error}", backend=self._backend) from error
        finally:
            for cage in cages:
                await uninterrupted(asyncio.to_thread(cage.remove))


def _rlimits(limits: Limits, cgroups: Cgroups) -> dict[str, int]:
    chosen = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": limits.file_bytes}
    if cgroups.memory is None:
        chosen["RLIMIT_DATA"] = limits.memory_bytes
    if cgroups.pids is None:
        chosen["RLIMIT_NPROC"] = limits.processes
    return chosen
