"""Whoever does the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from councilor.domain.worker import Assignment, WorkerReport
from councilor.ports.environment import Environment
from councilor.ports.repository import Repository

__all__ = ["Progress", "Worker", "Workspace"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """Where a worker works."""

    folder: Path
    """The throw-away repository; the only place that a worker may write, besides `scratch`."""
    scratch: Path
    """A disposable folder of the run, for prompts, exports and temporary files."""
    environment: Environment
    repository: Repository
    """For workers that run on the host, to export trees; never handed into a sandbox."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One heartbeat of a worker."""

    phase: str
    """`localising`, `trying`, `running`, ..."""
    done: int = 0
    total: int = 0
    """0 when unknown."""
    line: str = ""
    """Last line of output, at most 200 characters, control characters removed."""
    tokens: int = 0
    cost_usd: float = 0.0
    silent_s: float = 0.0
    """Seconds since anything of it changed; councilor adds it."""


class Worker(Protocol):
    """One worker."""

    name: str

    async def check(self) -> None:
        """Look whether it could be started, as far as that is known without a workspace; nothing is run.

        Raises:
            InputError: its profile cannot be started; says what is missing.
            UnavailableError: what it needs is not installed, or does not answer.
        """
        ...

    async def run(self, assignment: Assignment, workspace: Workspace, emit: Callable[[Progress], None]) -> WorkerReport:
        """Work in `workspace.folder` until done, out of time or out of ideas.

        A worker that fails is a report, not an exception. When the caller is cancelled, everything it started is
        killed within a second.

        Raises:
            InputError: its profile cannot be started (program, credential or folder missing); nothing was run.
            SandboxError: the sandbox itself failed.
        """
        ...
