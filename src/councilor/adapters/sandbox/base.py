"""What all sandboxes of this package share: checks before a run, limits, measurements, and a probe that is kept.

Rules:
- Outcome of a job in the metrics: `exited`, `timed_out`, `cancelled`, or `failed` when the sandbox itself did.
- The probe runs once per instance; callers that come meanwhile wait for its answer.

It does not confine anything: `_run` of the kind does.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path

from councilor.adapters.sandbox.job import refuse_mounts
from councilor.adapters.sandbox.limits import Restraint, Restraints
from councilor.adapters.sandbox.probe import attack
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend
from councilor.ports.sandbox import Channel, Job, SandboxProbe, SandboxResult

__all__ = ["BaseSandbox", "Listener", "Talk"]

Talk = Callable[[Channel], Awaitable[None]]
Listener = Callable[[bytes], None]


class BaseSandbox(ABC):
    """One kind of sandbox.

    Args:
        scratch: a folder of ours, for what jobs need for themselves.
        private: folders and files of councilor's that no job may ever see.
    """

    name: str

    def __init__(self, *, scratch: Path, metrics: MetricsBackend, clock: Clock, private: tuple[Path, ...] = ()) -> None:
        self._scratch = scratch.absolute()
        self._metrics = metrics
        self._clock = clock
        self._private = private
        self._restraints = Restraints(self.name)
        self._probing = asyncio.Lock()
        self._probe: SandboxProbe | None = None

    @abstractmethod
    async def _run(
        self, job: Job, restraint: Restraint, *, talk: Talk | None, on_output: Listener | None
    ) -> SandboxResult:
        """Run a job whose mounts are in order."""

    async def run(self, job: Job, *, talk: Talk | None = None, on_output: Listener | None = None) -> SandboxResult:
        """Run a job to its end; see the port."""
        outcome, started_s = "failed", self._clock.monotonic()
        try:
            await asyncio.to_thread(refuse_mounts, job, self._private)
            async with self._restraints.restraint(job.limits) as restraint:
                result = await self._run(job, restraint, talk=talk, on_output=on_output)
            outcome = "timed_out" if result.timed_out else "exited"
            return result
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._metrics.counter("v3.sandbox.jobs", {"sandbox": self.name, "outcome": outcome})
            elapsed_s = self._clock.monotonic() - started_s
            self._metrics.histogram("v3.sandbox.seconds", {"sandbox": self.name}, elapsed_s)

    async def probe(self) -> SandboxProbe:
        """Try to break out in every known way and say what was achieved."""
        async with self._probing:
            if self._probe is None:
                self._probe = await attack(self, scratch=self._scratch, private=self._private, clock=self._clock)
            return self._probe
