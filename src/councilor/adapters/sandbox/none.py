"""No sandbox at all: for people who said so aloud, and for tests of what sandboxes are good for.

Rules:
- Nothing is withheld: a job reads, writes and connects like its owner. Its level says so in every respect.
- What it keeps of the port: the job's own environment and folders, limits, time limit, and that its processes are
  killed with it.
- A job that needs the allow-list proxy is refused: nothing would keep it from going around.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from councilor.adapters.sandbox.base import BaseSandbox
from councilor.adapters.sandbox.launched import Confinement, LauncherGrip, private_folders
from councilor.adapters.sandbox.limits import Restraint
from councilor.adapters.sandbox.process import Grip
from councilor.ports.sandbox import Job

__all__ = ["NoSandbox"]


class NoSandbox(BaseSandbox):
    """Runs jobs as they are."""

    name = "none"

    @asynccontextmanager
    async def _grip(self, job: Job, restraint: Restraint) -> AsyncIterator[Grip]:
        async with private_folders(self._scratch) as folder:
            with LauncherGrip(self.name, job, Confinement(), folder=folder, restraint=restraint) as grip:
                yield grip
