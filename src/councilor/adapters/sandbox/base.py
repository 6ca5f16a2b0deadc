"""What all sandboxes of this package share: checks before a run, limits, measurements, and a probe that is kept.

Rules:
- Outcome of a job in the metrics: `exited`, `timed_out`, `cancelled`, or `failed` when the sandbox itself did.
- No job gets more than the ceiling, which is what the settings allow.
- The probe runs once per instance; callers that come meanwhile wait for its answer.

It does not confine anything: the `_grip` of the kind does.
"""

from __future__ import annotations

import asyncio
import dataclasses
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from councilor.adapters.sandbox.job import check_job
from councilor.adapters.sandbox.limits import Restraint, Restraints
from councilor.adapters.sandbox.probe import attack
from councilor.adapters.sandbox.process import Grip, Listener, Talk, supervise
from councilor.adapters.sandbox.proxied import ProxiedGrip, behind_proxy, proxied_job
from councilor.errors import SandboxError
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend
from councilor.ports.sandbox import Job, Limits, SandboxProbe, SandboxResult

__all__ = ["BaseSandbox", "lowered"]


class BaseSandbox(ABC):
    """One kind of sandbox.

    Args:
        scratch: a folder of ours, for what jobs need for themselves.
        private: folders and files of councilor's that no job may ever see.
        ceiling: no job gets more than this, whatever it asks for; its `wall_s` is not used.
    """

    name: str
    proxies = False
    """Whether a job gets a network of its own, so that the proxy is the only way out."""

    def __init__(
        self,
        *,
        scratch: Path,
        metrics: MetricsBackend,
        clock: Clock,
        private: tuple[Path, ...] = (),
        ceiling: Limits | None = None,
    ) -> None:
        self._scratch = scratch.absolute()
        self._metrics = metrics
        self._clock = clock
        self._private = private
        self._ceiling = ceiling
        self._restraints = Restraints(self.name)
        self._probing = asyncio.Lock()
        self._probe: SandboxProbe | None = None

    @abstractmethod
    def _grip(self, job: Job, restraint: Restraint) -> AbstractAsyncContextManager[Grip]:
        """Get ready to hold a job whose mounts are in order."""

    async def run(
        self,
        job: Job,
        *,
        talk: Talk | None = None,
        on_output: Listener | None = None,
        linger_s: float | None = None,
    ) -> SandboxResult:
        """Run a job to its end; see the port."""
        outcome, started_s = "failed", self._clock.monotonic()
        try:
            job = dataclasses.replace(job, limits=lowered(job.limits, self._ceiling))
            await asyncio.to_thread(check_job, job, self._private)
            async with self._restraints.restraint(job.limits) as restraint:
                result = await self._run(job, restraint, talk, on_output, linger_s)
                result = dataclasses.replace(result, reached=(*result.reached, *sorted(restraint.reached())))
            outcome = "timed_out" if result.timed_out else "exited"
            return result
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._metrics.counter("v3.sandbox.jobs", {"sandbox": self.name, "outcome": outcome})
            elapsed_s = self._clock.monotonic() - started_s
            self._metrics.histogram("v3.sandbox.seconds", {"sandbox": self.name}, elapsed_s)

    async def _run(
        self,
        job: Job,
        restraint: Restraint,
        talk: Talk | None,
        on_output: Listener | None,
        linger_s: float | None,
    ) -> SandboxResult:
        hold = partial(supervise, talk=talk, on_output=on_output, linger_s=linger_s, clock=self._clock)
        if job.network or not job.proxy_hosts:
            async with self._grip(job, restraint) as grip:
                return await hold(job, grip)
        if not self.proxies:
            raise SandboxError(f"{self.name} cannot keep a job behind the proxy", backend=self.name)
        async with behind_proxy(job.proxy_hosts) as fd, self._grip(proxied_job(job, fd), restraint) as grip:
            return await hold(job, ProxiedGrip(grip, fd))

    async def probe(self) -> SandboxProbe:
        """Try to break out in every known way and say what was achieved."""
        async with self._probing:
            if self._probe is None:
                self._probe = await attack(self, scratch=self._scratch, private=self._private, clock=self._clock)
            return self._probe


def lowered(limits: Limits, ceiling: Limits | None) -> Limits:
    """The lower of each limit; time is each job's own."""
    if ceiling is None:
        return limits
    names = [field.name for field in dataclasses.fields(Limits) if field.name != "wall_s"]
    return dataclasses.replace(limits, **{name: min(getattr(limits, name), getattr(ceiling, name)) for name in names})
