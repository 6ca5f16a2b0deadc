"""No sandbox at all: for people who said so aloud, and for tests of what sandboxes are good for.

Rules:
- Nothing is withheld: a job reads, writes and connects like its owner. Its level says so in every respect.
- What it keeps of the port: the job's own environment and folders, limits, time limit, and that its processes are
  killed with it.
- A job that needs the allow-list proxy is refused: nothing would keep it from going around.
"""

from __future__ import annotations

from councilor.adapters.sandbox.base import BaseSandbox, Listener, Talk
from councilor.adapters.sandbox.launched import Confinement, LauncherGrip, private_folders
from councilor.adapters.sandbox.limits import Restraint
from councilor.adapters.sandbox.process import supervise
from councilor.ports.sandbox import Job, SandboxResult

__all__ = ["NoSandbox"]


class NoSandbox(BaseSandbox):
    """Runs jobs as they are."""

    name = "none"

    async def _run(
        self, job: Job, restraint: Restraint, *, talk: Talk | None, on_output: Listener | None
    ) -> SandboxResult:
        async with private_folders(self._scratch) as folder:
            with LauncherGrip(self.name, job, Confinement(), folder=folder, restraint=restraint) as grip:
                return await supervise(job, grip, talk=talk, on_output=on_output, clock=self._clock)
