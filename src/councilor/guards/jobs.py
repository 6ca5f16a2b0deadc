"""The job guard: one span for each job in the sandbox.

Of a job it tells the program's name, how it ended and which limits it reached; never its arguments, its environment or
its output, which hold what a worker wrote.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import PurePath

from councilor.domain.genai import SpanRole, role
from councilor.ports.sandbox import Channel, Job, Sandbox, SandboxProbe, SandboxResult
from councilor.ports.tracing import Tracer

__all__ = ["TracedSandbox"]


class TracedSandbox:
    """The same sandbox, its jobs seen."""

    def __init__(self, sandbox: Sandbox, *, tracer: Tracer) -> None:
        self.name = sandbox.name
        self._sandbox = sandbox
        self._tracer = tracer

    async def probe(self) -> SandboxProbe:
        """What was achieved; see the port."""
        return await self._sandbox.probe()

    async def run(
        self,
        job: Job,
        *,
        talk: Callable[[Channel], Awaitable[None]] | None = None,
        on_output: Callable[[bytes], None] | None = None,
        linger_s: float | None = None,
    ) -> SandboxResult:
        """Run a job; see the port."""
        about = role(SpanRole.TOOL) | {
            "councilor.sandbox": self.name,
            "process.executable.name": PurePath(job.argv[0]).name,
            "councilor.sandbox.network": job.network or bool(job.proxy_hosts),
        }
        with self._tracer.span("sandbox job", attributes=about) as span:
            result = await self._sandbox.run(job, talk=talk, on_output=on_output, linger_s=linger_s)
            span.set(
                {
                    "process.exit.code": result.exit_code,
                    "councilor.sandbox.timed_out": result.timed_out,
                    "councilor.sandbox.reached": result.reached or None,
                    "councilor.sandbox.output_bytes": len(result.output),
                }
            )
        return result
